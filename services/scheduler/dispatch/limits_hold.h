/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_hold - what a batch may begin of the calls that providers limit. A search knows from a
 * read without locks what is worth looking at; a claim counts again with the limit's row locked,
 * which it keeps until it commits. Another's lock is not waited for: then its provider's tasks are
 * left for the next batch. Without limits nothing is read or locked. Worker, in a batch.
 */
#ifndef LOOM_SCHEDULER_LIMITS_HOLD_H
#define LOOM_SCHEDULER_LIMITS_HOLD_H

#include "common/model/hold.h"
#include "common/model/limit.h"

struct limits_need {
	const char *tenant, *gate; /* borrowed */
};

/* One run of a batch's transaction. */
struct limits_hold {
	struct limits *known; /* borrowed; NULL: none */
	int (*lock)(struct db *db, const struct limits *which, struct limits **ret); /* limit.h */
	struct limits *locked; /* owned; of those known that are needed and free */
	int64_t *begun;        /* calls, of each locked */
	int64_t now;
	int64_t next_at; /* when the number of calls allows more; 0: no such time */
	bool busy;       /* another holds one that was needed */
};

void limits_hold_fini(struct limits_hold *h);
/* Of these gates ("" counts for nothing) of these tenants those that are limited are needed. */
LOOM_MUST_CHECK int limits_hold(struct db *db, struct limits_hold *h,
                                const struct limits_need *needs, size_t n);
/* May one more begin? Then it is counted, and HOLD_NOT; else what holds it. */
enum hold limits_allow(struct limits_hold *h, const char *tenant, const char *gate);
/* One ended in this very transaction: the database counts it as running until it is written. */
void limits_ended(struct limits_hold *h, const char *tenant, const char *gate);
LOOM_MUST_CHECK int limits_save(struct db *db, const struct limits_hold *h);

#endif
