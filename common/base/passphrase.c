/* SPDX-License-Identifier: Apache-2.0 */
/* passphrase - Argon2id with fixed costs, so that a key can be derived again. */
#include "common/base/passphrase.h"

#include <sodium.h>
#include <string.h>

#define PASSES 4ULL
#define MEMORY ((size_t)64 << 20)

_Static_assert(PASSPHRASE_SALT == 2 * crypto_pwhash_SALTBYTES + 1, "the salt in hex");

void passphrase_salt(char ret[PASSPHRASE_SALT])
{
	unsigned char salt[crypto_pwhash_SALTBYTES];
	randombytes_buf(salt, sizeof(salt));
	sodium_bin2hex(ret, PASSPHRASE_SALT, salt, sizeof(salt));
}

bool passphrase_key(const char *passphrase, const char *salt, struct seal_key *ret)
{
	unsigned char bytes[crypto_pwhash_SALTBYTES];
	size_t len = 0;
	ret->known = strlen(salt) == PASSPHRASE_SALT - 1 &&
	             !sodium_hex2bin(bytes, sizeof(bytes), salt, strlen(salt), NULL, &len, NULL) &&
	             len == sizeof(bytes) &&
	             !crypto_pwhash(ret->bytes, sizeof(ret->bytes), passphrase, strlen(passphrase),
	                            bytes, PASSES, MEMORY, crypto_pwhash_ALG_ARGON2ID13);
	return ret->known;
}
