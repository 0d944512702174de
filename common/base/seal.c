/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps secrets readable only with the cluster key, and bound to the place they belong to. */
#include "common/base/seal.h"

#include "common/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define MAC   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define FORM  sodium_base64_VARIANT_URLSAFE_NO_PADDING

int seal_file_read(const char *path, unsigned char ret[SEAL_KEY], struct loom_err *err)
{
	char text[2 * SEAL_KEY + 16];
	size_t len = 0;
	if (sodium_init() < 0)
		return err_set(err, 500, "libsodium cannot be initialised");
	LOOM_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n < 0)
		return err_set(err, 500, "cluster_key_file %s: %s", path, strerror(errno));
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
		n--;
	int rc = sodium_hex2bin(ret, SEAL_KEY, text, (size_t)n, NULL, &len, NULL);
	sodium_memzero(text, sizeof(text));
	if (rc || len != SEAL_KEY || (size_t)n != 2 * len)
		return err_set(err, 500, "cluster_key_file %s does not hold %d hex digits", path,
		               2 * SEAL_KEY);
	return 0;
}

int seal_key_init(const char *path, const char *use, struct seal_key *ret, struct loom_err *err)
{
	unsigned char root[SEAL_KEY];
	*ret = (struct seal_key){ 0 };
	if (str_blank(path))
		return 0;
	int rc = seal_file_read(path, root, err);
	if (rc)
		return rc;
	crypto_generichash(ret->bytes, sizeof(ret->bytes), (const unsigned char *)use, strlen(use),
	                   root, sizeof(root));
	sodium_memzero(root, sizeof(root));
	ret->known = true;
	return 0;
}

void seal_key_fini(struct seal_key *k)
{
	sodium_memzero(k, sizeof(*k));
}

void seal_key_name(const struct seal_key *k, char ret[SEAL_KEY_NAME])
{
	static const char use[] = "name of the key";
	unsigned char hash[crypto_generichash_BYTES_MIN];
	crypto_generichash(hash, sizeof(hash), (const unsigned char *)use, strlen(use), k->bytes,
	                   sizeof(k->bytes));
	sodium_bin2hex(ret, SEAL_KEY_NAME, hash, (SEAL_KEY_NAME - 1) / 2);
}

char *seal_text(const struct seal_key *k, const char *belongs_to, const char *text)
{
	if (!k->known)
		return NULL;
	size_t len = strlen(text), size = NONCE + len + MAC;
	unsigned char *raw = loom_malloc(size);
	randombytes_buf(raw, NONCE);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(
		raw + NONCE, NULL, (const unsigned char *)text, len,
		(const unsigned char *)belongs_to, strlen(belongs_to), NULL, raw, k->bytes);
	size_t room = sodium_base64_encoded_len(size, FORM);
	char *out = loom_malloc(room);
	sodium_bin2base64(out, room, raw, size, FORM);
	loom_free(raw);
	return out;
}

char *seal_open(const struct seal_key *k, const char *belongs_to, const char *sealed)
{
	size_t room = strlen(sealed), size = 0;
	unsigned char *raw = loom_malloc(room + 1);
	char *out = NULL;
	if (k->known && !sodium_base642bin(raw, room, sealed, room, NULL, &size, NULL, FORM) &&
	    size >= NONCE + MAC) {
		out = loom_calloc(size - NONCE - MAC + 1, 1);
		if (crypto_aead_xchacha20poly1305_ietf_decrypt(
			    (unsigned char *)out, NULL, NULL, raw + NONCE, size - NONCE,
			    (const unsigned char *)belongs_to, strlen(belongs_to), raw, k->bytes)) {
			loom_free(out);
			out = NULL;
		}
	}
	loom_free(raw);
	return out;
}
