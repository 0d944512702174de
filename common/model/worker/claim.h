/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim - the secret of an attempt, known only to its worker. The task's row stores "ATTEMPT:HASH",
 * so that a reader of the database cannot impersonate a worker. The secret is 128 random bits, so
 * its hash needs neither key nor salt. Pure; any thread.
 */
#ifndef LOOM_MODEL_CLAIM_H
#define LOOM_MODEL_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#define CLAIM_SECRET 33 /* 128 random bits in hex */
#define CLAIM_HASH   64

void claim_secret(char ret[CLAIM_SECRET]);
/* "" for a worker without a secret ("" or NULL). */
void claim_hash(const char *secret, int64_t attempt, char ret[CLAIM_HASH]);

/* What the task's row stores. */
struct claim_kept {
	const char *plain; /* the secret itself, from services before the hash; "": none */
	const char *hash;  /* "", or of an earlier attempt, as those services do not clear it */
	int64_t attempt;   /* of the row */
};
/* Is this the secret of the row's attempt? Where the row has none, only no secret ("" or NULL) is:
 * an invented one must not pass for a known one. */
bool claim_is(const struct claim_kept *kept, const char *secret);

/* The same in SQL, on a row of `task`: parameters are the secret, and its claim_hash(). */
#define CLAIM_IS_SQL                                                         \
	"IF(claim<>'', claim=?, ?=IF(claim_hash LIKE CONCAT(attempt, ':%')," \
	" claim_hash, ''))"

#endif
