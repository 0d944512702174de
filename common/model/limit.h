/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit - what may be asked of a provider: so many CREATEs at once, so many calls in a time. The
 * numbers come from the provider's document ("limits") and change with it. How many CREATEs run is
 * counted from the tasks; when the last calls were begun is kept in the row. Who begins one holds
 * the row's lock until it commits, so both hold for any number of schedulers.
 */
#ifndef LOOM_MODEL_LIMIT_H
#define LOOM_MODEL_LIMIT_H

#include "common/model/task.h"

#define LIMIT_MAX_CALLS 1000 /* a second */

struct limit {
	char tenant[65], provider[256];
	int64_t creates;              /* at once; 0: any number */
	int64_t calls_max, window_ms; /* so many in so long; 0: any number */
	char *calls;     /* the last ones: "ms:number,ms:number", oldest first; owned */
	int64_t running; /* CREATEs */
};

struct limits {
	struct limit *v;
	size_t n;
};
void limits_free(struct limits *l);
/* NULL when there is none. */
struct limit *limits_find(const struct limits *l, const char *tenant, const char *provider);
/* The same by a task's gate, which must not be "". */
struct limit *limits_of_gate(const struct limits *l, const char *tenant, const char *gate);

/* "concurrentCreates" and "callsPerSecond" as numbers; absent ones are 0. False: they are wrong. */
bool limit_parse(const struct json *limits, int64_t *creates, int64_t *calls_max,
                 int64_t *window_ms);

/* How many may begin at `now`. When none for the number of calls, *ret_at is when one may; else it
 * is 0. Pure. */
int64_t limit_room(const struct limit *l, bool create, int64_t now, int64_t *ret_at);
/* Notes that n calls begin; forgets those that count no more. Pure. */
void limit_note(struct limit *l, int64_t now, int64_t n);

/* All there are, or one tenant's; no lock. */
LOOM_MUST_CHECK int limits_load(struct db *db, const char *tenant, struct limits **ret);
/* Those of `which` that nobody else holds, locked and as they are now. Inside db_tx(). */
LOOM_MUST_CHECK int limits_lock(struct db *db, const struct limits *which, struct limits **ret);
LOOM_MUST_CHECK int limit_save(struct db *db, const struct limit *l);

/* The provider's newest document; NULL: it is gone. Inside db_tx(). */
LOOM_MUST_CHECK int limit_set(struct db *db, const char *tenant, const char *provider,
                              const struct json *doc);
/* Around writing all of a tenant's providers anew: those not set in between are gone. */
LOOM_MUST_CHECK int limits_suspend(struct db *db, const char *tenant);
LOOM_MUST_CHECK int limits_drop_suspended(struct db *db, const char *tenant);

LOOM_DEFINE_CLEANUP(struct limits *, limits_free)

#endif
