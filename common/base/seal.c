/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypts secrets with the cluster key, and binds them to the place where they belong. */
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

static bool key_parse(const char *text, size_t n, unsigned char ret[SEAL_KEY])
{
	size_t len = 0;
	while (n && strchr(" \t\r", text[n - 1]))
		n--;
	return n == (size_t)2 * SEAL_KEY &&
	       !sodium_hex2bin(ret, SEAL_KEY, text, n, NULL, &len, NULL) && len == SEAL_KEY;
}

/* Reads one key per line. Returns the number of the first line that is malformed or too many, or
 * 0. */
static int keys_parse(const char *text, unsigned char (*ret)[SEAL_KEY], size_t max, size_t *ret_n)
{
	int line = 1;
	*ret_n = 0;
	for (const char *at = text; *at; line++) {
		size_t n = strcspn(at, "\n");
		if (*at != '#' && strspn(at, " \t\r") < n &&
		    (*ret_n == max || !key_parse(at, n, ret[(*ret_n)++])))
			return line;
		at += n + (at[n] == '\n');
	}
	return 0;
}

static int refuse_keys(const char *what, const char *path, int bad, size_t max,
                       struct loom_err *err)
{
	if (max == 1)
		return err_set(err, 500, "%s %s does not hold %d hex digits", what, path,
		               2 * SEAL_KEY);
	if (!bad)
		return err_set(err, 500,
		               "%s %s has no key: put a line of %d hex digits there (openssl rand "
		               "-hex %d)",
		               what, path, 2 * SEAL_KEY, SEAL_KEY);
	return err_set(err, 500,
	               "%s %s, line %d: each line is a key of %d hex digits, and there are 1 to "
	               "%zu of them",
	               what, path, bad, 2 * SEAL_KEY, max);
}

int seal_keys_read(const char *what, const char *path, unsigned char (*ret)[SEAL_KEY], size_t max,
                   size_t *ret_n, struct loom_err *err)
{
	char text[4096];
	if (sodium_init() < 0)
		return err_set(err, 500, "libsodium cannot be initialised");
	LOOM_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_set(err, 500, "%s %s: %s%s", what, path, strerror(errno),
		               errno == EACCES ? "; the service's account has to be able to read it"
		                               : "");
	text[n] = '\0';
	bool whole = strlen(text) == (size_t)n && (size_t)n < sizeof(text) - 1;
	int bad = whole ? keys_parse(text, ret, max, ret_n) : 1;
	sodium_memzero(text, sizeof(text));
	if (whole && !bad && *ret_n)
		return 0;
	sodium_memzero(ret, max * sizeof(*ret));
	return refuse_keys(what, path, bad, max, err);
}

int seal_file_read(const char *path, unsigned char ret[SEAL_KEY], struct loom_err *err)
{
	unsigned char key[1][SEAL_KEY];
	size_t n;
	int rc = seal_keys_read("cluster_key_file", path, key, 1, &n, err);
	if (!rc)
		memcpy(ret, key[0], SEAL_KEY);
	sodium_memzero(key, sizeof(key));
	return rc;
}

void seal_key_derive(const unsigned char root[SEAL_KEY], const char *use, struct seal_key *ret)
{
	crypto_generichash(ret->bytes, sizeof(ret->bytes), (const unsigned char *)use, strlen(use),
	                   root, SEAL_KEY);
	ret->known = true;
}

int seal_key_init(const char *path, const char *use, struct seal_key *ret, struct loom_err *err)
{
	unsigned char root[SEAL_KEY];
	*ret = (struct seal_key){ 0 };
	if (str_blank(path))
		return 0;
	int rc = seal_file_read(path, root, err);
	if (!rc)
		seal_key_derive(root, use, ret);
	sodium_memzero(root, sizeof(root));
	return rc;
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

_Static_assert(SEAL_MORE == NONCE + MAC, "what sealing adds");

void seal_bytes(const struct seal_key *k, const char *belongs_to, const void *data, size_t len,
                unsigned char *out)
{
	loom_assert(k->known);
	randombytes_buf(out, NONCE);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE, NULL, data, len,
	                                                 (const unsigned char *)belongs_to,
	                                                 strlen(belongs_to), NULL, out, k->bytes);
}

bool seal_open_bytes(const struct seal_key *k, const char *belongs_to, const void *sealed,
                     size_t len, unsigned char *out)
{
	const unsigned char *raw = sealed;
	return k->known && len >= SEAL_MORE &&
	       !crypto_aead_xchacha20poly1305_ietf_decrypt(
		       out, NULL, NULL, raw + NONCE, len - NONCE, (const unsigned char *)belongs_to,
		       strlen(belongs_to), raw, k->bytes);
}

char *seal_text(const struct seal_key *k, const char *belongs_to, const char *text)
{
	if (!k->known)
		return NULL;
	size_t len = strlen(text), size = len + SEAL_MORE;
	unsigned char *raw = loom_malloc(size);
	seal_bytes(k, belongs_to, text, len, raw);
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
	if (!sodium_base642bin(raw, room, sealed, room, NULL, &size, NULL, FORM) &&
	    size >= SEAL_MORE) {
		out = loom_calloc(size - SEAL_MORE + 1, 1);
		if (!seal_open_bytes(k, belongs_to, raw, size, (unsigned char *)out)) {
			loom_free(out);
			out = NULL;
		}
	}
	loom_free(raw);
	return out;
}
