/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signin - wrong passwords cost time: after a few of them an account must wait, twice as long each
 * time, so that guessing is hopeless; whoever mistypes hardly notices. All APIs count together, and
 * a try counts before the password is looked at, so that tries at once in many places do, too.
 * Bounded: keys share a fixed number of rows by their hash.
 */
#ifndef LOOM_MODEL_SIGNIN_H
#define LOOM_MODEL_SIGNIN_H

#include "common/db/db.h"

#define SIGNIN_FREE    5     /* the first one that makes the next wait */
#define SIGNIN_MOST_MS 60000 /* no wait is longer */

/* What the n-th wrong one in a row costs, ms. Pure. */
int64_t signin_cost(int64_t wrong);

/* Counts a try for key (whose password it is) as a wrong one: *ret_wait 0; or nothing is counted,
 * and so many ms are to be waited first. Inside db_tx(). */
LOOM_MUST_CHECK int signin_try(struct db *db, const char *key, int64_t *ret_wait);
/* It was the right one: all is forgotten. Inside db_tx(). */
LOOM_MUST_CHECK int signin_right(struct db *db, const char *key);
/* Forgets some that nobody has tried for a day. Inside db_tx(). */
LOOM_MUST_CHECK int signins_expire(struct db *db);

#endif
