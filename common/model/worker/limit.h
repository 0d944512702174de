/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit - limits of a provider: concurrent CREATEs, and calls within a time window. The numbers
 * come from the provider's document ("limits") and change with it. Running CREATEs are counted from
 * the tasks; the row has the times of the last calls. Who begins one holds the row's lock until
 * commit, so both limits hold for any number of schedulers.
 */
#ifndef LOOM_MODEL_LIMIT_H
#define LOOM_MODEL_LIMIT_H

#include "common/model/cluster/task.h"

#define LIMIT_MAX_CALLS 1000 /* per second */

struct limit {
	char tenant[65], provider[256];
	int64_t creates;              /* concurrent; 0: unlimited */
	int64_t calls_max, window_ms; /* calls per window; 0: unlimited */
	char *calls;                  /* recent ones: "ms:number,ms:number", oldest first; owned */
	int64_t running;              /* running CREATEs */
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

/* Reads "concurrentCreates" and "callsPerSecond" as numbers; absent ones are 0. false: they are
 * invalid. */
bool limit_parse(const struct json *limits, int64_t *creates, int64_t *calls_max,
                 int64_t *window_ms);

/* How many may begin at `now`. If the rate allows none, *ret_at is when the next may begin; else it
 * is 0. Pure. */
int64_t limit_room(const struct limit *l, bool create, int64_t now, int64_t *ret_at);
/* Notes that n calls begin; drops calls that no longer count. Pure. */
void limit_note(struct limit *l, int64_t now, int64_t n);

/* Loads all limits, or one tenant's, without locks. */
LOOM_MUST_CHECK int limits_load(struct db *db, const char *tenant, struct limits **ret);
/* Locks and rereads those of `which` that nobody else holds. Inside db_tx(). */
LOOM_MUST_CHECK int limits_lock(struct db *db, const struct limits *which, struct limits **ret);
LOOM_MUST_CHECK int limit_save(struct db *db, const struct limit *l);

/* Stores the limits of the provider's newest document; NULL: it was deleted. Inside db_tx(). */
LOOM_MUST_CHECK int limit_set(struct db *db, const char *tenant, const char *provider,
                              const struct json *doc);
/* Encloses a rewrite of all providers of a tenant: limits not set in between are deleted. */
LOOM_MUST_CHECK int limits_suspend(struct db *db, const char *tenant);
LOOM_MUST_CHECK int limits_drop_suspended(struct db *db, const char *tenant);

LOOM_DEFINE_CLEANUP(struct limits *, limits_free)

#endif
