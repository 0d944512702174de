/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_private - the unit of work of one run of a batch's transaction: rows as read, changed in
 * memory, written together. What needs statements of its own (failures, the ends of jobs) is done
 * after that, by job_lifecycle.c, on the same locked clusters.
 */
#ifndef LOOM_SCHEDULER_BATCH_PRIVATE_H
#define LOOM_SCHEDULER_BATCH_PRIVATE_H

#include "services/scheduler/dispatch/batch.h"
#include "services/scheduler/dispatch/limits.h"

struct item {
	struct task *t; /* in one of the unit's sets */
	bool changed;
	bool slow_path; /* a result that needs statements of its own waits for it */
	bool chosen;    /* for a take */
};

struct job_delta {
	struct job job;
	bool moved;                   /* a task was completed */
	const struct task *confirmed; /* one after which a machine's address is known; or NULL */
};

/* A task for a take; again: an earlier run of the transaction gave it. */
struct choice {
	size_t take;
	struct task *t;
	bool again;
};

/* A task that cannot be handed out. */
struct refusal {
	struct task *t;
	bool may_wait; /* if machines of its job are still to be made */
	char *why;
};

struct unit {
	struct batch *batch;
	struct db *db;
	int64_t now;
	struct edges_cache *edges_cache; /* the batch's, or for this unit only */
	struct tasks **sets;
	size_t n_sets;
	struct item *items;
	size_t n_items;
	size_t *index; /* of items by task: places + 1, as a hash table */
	size_t n_index;
	struct job_delta *jobs;
	size_t n_jobs;
	struct node **nodes; /* changed here */
	size_t n_nodes;
	struct task_ref *done; /* completed here */
	size_t n_done;
	struct task **newly_ready; /* became ready here */
	size_t n_newly_ready;
	size_t *slow_path; /* indexes of results */
	size_t n_slow_path;
	struct choice *choices;
	size_t n_choices;
	struct refusal *refusals;
	size_t n_refusals;
	struct limits_hold limits;
};

/* batch_unit.c */
struct task_ref task_ref_of(const struct task *t);
struct batch_cluster *unit_cluster(const struct unit *u, int64_t id); /* NULL: not locked */
struct batch_cluster *unit_held(const struct unit *u, int64_t id);    /* one that is locked */
struct item *unit_item(const struct unit *u, const struct task_ref *ref);
struct job_delta *unit_job(const struct unit *u, const struct task *t);
/* Are all open tasks of the job among the items? */
bool unit_has_all(const struct unit *u, int64_t cluster, int64_t job);
/* Takes it. Of a known task the newer row counts, unless it was changed here. */
void unit_add(struct unit *u, struct tasks *set);

/* batch_rows.c */
/* Locks the clusters that nobody else has, and reads the tasks that the batch is about, and jobs.
 */
LOOM_MUST_CHECK int rows_load(struct unit *u);
/* Reads the machines of these clusters, by number, where the cache does not have them. */
LOOM_MUST_CHECK int rows_load_nodes(struct unit *u, int64_t *clusters, size_t n);
LOOM_MUST_CHECK int rows_write(struct unit *u); /* tasks and jobs */
LOOM_MUST_CHECK int rows_write_clusters(struct unit *u);
/* What is to be put into the cache when the transaction is committed. */
LOOM_MUST_CHECK int rows_to_cache(struct unit *u);

/* batch_results.c */
LOOM_MUST_CHECK int results_apply(struct unit *u);     /* in memory; machines are written */
LOOM_MUST_CHECK int results_slow_path(struct unit *u); /* after unit's rows are written */

/* batch_release.c: makes ready, in memory, what waited for nothing but what was completed here. */
LOOM_MUST_CHECK int results_release(struct unit *u);

/* batch_candidates.c */
LOOM_MUST_CHECK int candidates_find(struct batch *t);
/* Limits and who gets nothing, for a batch with takes that does not search. */
LOOM_MUST_CHECK int batch_refresh_rules(struct batch *t);
/* Something may begin at this time. */
void batch_look_at(struct batch *t, int64_t at, int64_t now);

/* batch_claims.c */
LOOM_MUST_CHECK int claims_make(struct unit *u);
LOOM_MUST_CHECK int claims_refuse(struct unit *u); /* after unit's rows are written */

#endif
