/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signin - wrong passwords cost time: after a few of them an account must wait, twice as long each
 * time, which makes guessing hopeless, while an honest user with a typo hardly notices. All APIs
 * share the count, and a try counts before the password is checked, so that concurrent tries count,
 * too. Bounded: keys share a fixed number of rows by their hash.
 */
#ifndef LOOM_MODEL_SIGNIN_H
#define LOOM_MODEL_SIGNIN_H

#include "common/db/db.h"

#define SIGNIN_FREE    5     /* from this one on the next must wait */
#define SIGNIN_MOST_MS 60000 /* longest wait */

/* Waiting time after the n-th wrong one in a row, ms. Pure. */
int64_t signin_cost(int64_t wrong);

/* Counts a try for key (the account) as wrong: *ret_wait 0; or counts nothing, and *ret_wait is the
 * ms to wait first. Inside db_tx(). */
LOOM_MUST_CHECK int signin_try(struct db *db, const char *key, int64_t *ret_wait);
/* The password was right: resets the count. Inside db_tx(). */
LOOM_MUST_CHECK int signin_right(struct db *db, const char *key);
/* Deletes some counts unused for a day. Inside db_tx(). */
LOOM_MUST_CHECK int signins_expire(struct db *db);

#endif
