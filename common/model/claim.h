/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim - the secret of an attempt, which only its worker is told, and what the task's row keeps of
 * it: "ATTEMPT:HASH", so that who reads the database cannot speak for a worker. The secret is 128
 * random bits, so its hash needs neither key nor salt. Pure; any thread.
 */
#ifndef LOOM_MODEL_CLAIM_H
#define LOOM_MODEL_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#define CLAIM_SECRET 33 /* 128 random bits in hex */
#define CLAIM_HASH   64

void claim_secret(char ret[CLAIM_SECRET]);
/* "" for a worker that knows no secret ("" or NULL). */
void claim_hash(const char *secret, int64_t attempt, char ret[CLAIM_HASH]);

/* What a row keeps. */
struct claim_kept {
	const char *plain; /* of services before the hash: the secret itself; "": none */
	const char *hash;  /* "", or of an earlier attempt: they left it behind */
	int64_t attempt;   /* the row's own */
};
/* Whether it is the secret of the row's attempt, or the row has none. NULL is "". */
bool claim_is(const struct claim_kept *kept, const char *secret);

/* The same in SQL, on a row of `task`: for the secret, then for claim_hash() of it. */
#define CLAIM_IS_SQL \
	"IF(claim<>'', claim=?, claim_hash=? OR claim_hash NOT LIKE CONCAT(attempt, ':%'))"

#endif
