/* SPDX-License-Identifier: Apache-2.0 */
/* batch_private - the steps of a batch's transaction, on its unit of work. */
#ifndef LOOM_SCHEDULER_BATCH_PRIVATE_H
#define LOOM_SCHEDULER_BATCH_PRIVATE_H

#include "services/scheduler/dispatch/batch.h"
#include "services/scheduler/dispatch/limits_hold.h"

/* batch_rows.c */
/* Locks the clusters that are free, and reads the tasks and jobs of the batch. */
LOOM_MUST_CHECK int batch_load(struct batch *b, struct db *db);
LOOM_MUST_CHECK int batch_write_clusters(struct batch *b);
/* Moves rows from the unit to b->cached, which is put into the cache after the commit. */
void batch_keep_rows(struct batch *b);

/* batch_results.c: answers each result; unit_commit() changes the graph. */
LOOM_MUST_CHECK int batch_apply_results(struct batch *b);

/* batch_rules.c: finds limits, barred takes and probes for a search; without a search, refreshes
 * limits and barred takes. */
LOOM_MUST_CHECK int batch_find_rules(struct batch *b);
LOOM_MUST_CHECK int batch_refresh_rules(struct batch *b);

/* batch_candidates.c */
LOOM_MUST_CHECK int candidates_find(struct batch *b);
/* Excludes a cluster from searches for a while, because a defect of its own breaks batches. */
void candidates_leave_out(struct batch *b, int64_t cluster);
/* A configuration with more bytes is large: its tasks cost several times as much as others. */
enum { LARGE_CONFIG = 32 << 10 };
/* The cached rows of a locked cluster; NULL: none. */
struct cached_cluster *batch_cached(const struct batch *b, int64_t cluster);

/* A task may start at this time, so look again then. */
void batch_look_at(struct batch *b, int64_t at, int64_t now);

/* Logs the decision about a ready task at debug level: `by` takes it, or if NULL, why it is
 * held. */
void batch_decided(const struct batch *b, const struct task_ref *ref, const struct take *by,
                   enum hold why);

/* A task for a take; again: an earlier run of the transaction handed it out. */
struct choice {
	size_t take;
	struct task *t;
	bool again;
	char claim[CLAIM_SECRET]; /* secret for its worker; "": none, or none yet */
};

/* The tasks that a batch is about to hand out. */
struct claims {
	struct batch *b;
	struct unit *u;
	struct choice *v;
	size_t n;
	size_t bytes;      /* of payloads made so far */
	size_t large;      /* tasks in v known to have a large configuration */
	size_t large_made; /* payloads made with a large configuration */
	struct limits_hold limits;
};

/* batch_choose.c: fills k->v, and records for every other ready task why it is held. */
LOOM_MUST_CHECK int batch_choose(struct claims *k);
/* Did the task end in this batch? */
bool batch_has_ended(const struct unit_task *it);

/* batch_claims.c: hands out ready tasks; call after unit_release(). */
LOOM_MUST_CHECK int batch_claim(struct batch *b);

#endif
