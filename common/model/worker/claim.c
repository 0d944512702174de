/* SPDX-License-Identifier: Apache-2.0 */
/* claim - secrets of attempts are hashed, and compared in a time that tells nothing. */
#include "common/model/worker/claim.h"

#include "common/base/ids.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { HASH_BYTES = 16 };
_Static_assert(21 + 2 * HASH_BYTES < CLAIM_HASH, "a number of any size fits before it");

void claim_secret(char ret[CLAIM_SECRET])
{
	id_random_hex(ret, (CLAIM_SECRET - 1) / 2);
}

void claim_hash(const char *secret, int64_t attempt, char ret[CLAIM_HASH])
{
	unsigned char hash[HASH_BYTES];
	*ret = '\0';
	if (!secret || !*secret)
		return;
	(void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)secret, strlen(secret),
	                         NULL, 0);
	int n = snprintf(ret, CLAIM_HASH, "%" PRId64 ":", attempt);
	(void)sodium_bin2hex(ret + n, CLAIM_HASH - (size_t)n, hash, sizeof(hash));
}

static bool equal(const char *a, const char *b)
{
	size_t n = strlen(a);
	return strlen(b) == n && !sodium_memcmp(a, b, n);
}

bool claim_is(const struct claim_kept *kept, const char *secret)
{
	char own[CLAIM_HASH], prefix[CLAIM_HASH];
	if (*kept->plain)
		return equal(kept->plain, secret ? secret : "");
	int n = snprintf(prefix, sizeof(prefix), "%" PRId64 ":", kept->attempt);
	if (strncmp(kept->hash, prefix, (size_t)n) != 0)
		return !secret || !*secret;
	claim_hash(secret, kept->attempt, own);
	return equal(kept->hash, own);
}
