/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_hold - counts the provider calls that a batch may begin. A search decides without locks
 * which tasks are worth a look; a claim counts again with the limit's row locked until it commits.
 * It does not wait for a lock of another transaction: tasks of that provider are left for the next
 * batch. Without limits nothing is read or locked. Worker thread, in a batch.
 */
#ifndef LOOM_SCHEDULER_LIMITS_HOLD_H
#define LOOM_SCHEDULER_LIMITS_HOLD_H

#include "common/model/worker/hold.h"
#include "common/model/worker/limit.h"

struct limits_need {
	const char *tenant, *gate; /* borrowed */
};

/* One run of a batch's transaction. */
struct limits_hold {
	struct limits *known; /* borrowed; NULL: none */
	int (*lock)(struct db *db, const struct limits *which, struct limits **ret); /* limit.h */
	struct limits *locked; /* owned; the needed ones that could be locked */
	int64_t *begun;        /* calls begun, per locked limit */
	int64_t now;
	int64_t next_at; /* when the rate allows another call; 0: no such time */
	bool busy;       /* another transaction holds a needed limit */
};

void limits_hold_fini(struct limits_hold *h);
/* Locks the limits of those gates ("" has none) of those tenants that are limited. */
LOOM_MUST_CHECK int limits_hold(struct db *db, struct limits_hold *h,
                                const struct limits_need *needs, size_t n);
/* May another call begin? If so counts it and returns HOLD_NOT; else returns what holds it. */
enum hold limits_allow(struct limits_hold *h, const char *tenant, const char *gate);
/* A call ended in this transaction; the database still counts it as running until it is written. */
void limits_ended(struct limits_hold *h, const char *tenant, const char *gate);
LOOM_MUST_CHECK int limits_save(struct db *db, const struct limits_hold *h);

#endif
