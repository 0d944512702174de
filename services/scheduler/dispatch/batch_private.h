/* SPDX-License-Identifier: Apache-2.0 */
/* batch_private - the steps of a batch's transaction, on its unit of work. */
#ifndef LOOM_SCHEDULER_BATCH_PRIVATE_H
#define LOOM_SCHEDULER_BATCH_PRIVATE_H

#include "services/scheduler/dispatch/batch.h"
#include "services/scheduler/dispatch/limits_hold.h"

/* batch_rows.c */
/* Locks the clusters that nobody else has, and reads the tasks that the batch is about, and jobs.
 */
LOOM_MUST_CHECK int batch_load(struct batch *b, struct db *db);
LOOM_MUST_CHECK int batch_write_clusters(struct batch *b);
/* Takes rows out of the unit that are to be put into the cache when the transaction is committed.
 */
void batch_keep_rows(struct batch *b);

/* batch_results.c: answers each result; the graph follows in unit_commit(). */
LOOM_MUST_CHECK int batch_apply_results(struct batch *b);

/* batch_rules.c: limits and who gets nothing or a probe, before a search; and without one. */
LOOM_MUST_CHECK int batch_find_rules(struct batch *b);
LOOM_MUST_CHECK int batch_refresh_rules(struct batch *b);

/* batch_candidates.c */
LOOM_MUST_CHECK int candidates_find(struct batch *b);
/* Something may begin at this time. */
void batch_look_at(struct batch *b, int64_t at, int64_t now);

/* Says at debug level what was decided about a ready task: `by` has taken it; NULL: what holds it.
 */
void batch_decided(const struct batch *b, const struct task_ref *ref, const struct take *by,
                   enum hold why);

/* A task for a take; again: an earlier run of the transaction gave it. */
struct choice {
	size_t take;
	struct task *t;
	bool again;
	char claim[CLAIM_SECRET]; /* that its worker is told; "": none, or none yet */
};

/* What a batch is about to hand out. */
struct claims {
	struct batch *b;
	struct unit *u;
	struct choice *v;
	size_t n;
	size_t told; /* bytes of payloads made so far */
	struct limits_hold limits;
};

/* batch_choose.c: fills k->v, and says of each other task that is ready what holds it. */
LOOM_MUST_CHECK int batch_choose(struct claims *k);
/* In this very batch it ended. */
bool batch_has_ended(const struct unit_task *it);

/* batch_claims.c: hands out what is ready, after the release of what was done. */
LOOM_MUST_CHECK int batch_claim(struct batch *b);

#endif
