/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task - the steps of a job: a graph whose tasks become ready one by one.
 *
 * A task is ready when all tasks before it are complete and no other task of its node is ready or
 * running. Claims count attempts; the attempt is the fence of every result. Inside db_tx() with
 * the cluster locked, unless said otherwise.
 */
#ifndef LOOM_MODEL_TASK_H
#define LOOM_MODEL_TASK_H

#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/model/claim.h"
#include "common/model/job.h"
#include "common/model/row.h"

struct task {
	int64_t cluster_id, job_num, num;
	char *tenant_id;
	char node_id[37];
	int64_t node_num;
	char name[16]; /* "CREATE": upper case */
	char *service; /* "" for machine-level tasks */
	int64_t stage;
	enum task_state state;
	int64_t unmet, attempt, done_attempt, failures, losses;
	int64_t not_before, lease_ms, lease_until;
	char *provisioner_id, *worker_id; /* of the present or last attempt; NULL before */
	int64_t submit_time, status_time, status_code;
	char *message;
	/* What only the worker of this attempt was told: as older services wrote it, and what is
	 * kept of it now (claim.h). */
	char claim[CLAIM_SECRET], claim_hash[CLAIM_HASH];
	char *gate; /* of new ones only, borrowed: tasks_insert() */
};
extern const struct row_table task_table, task_new_table; /* the latter with the gate */

struct tasks {
	struct task *v;
	size_t n;
};

void tasks_free(struct tasks *ts);

/*
 * Who must be complete before whom. A number -g, below 0, is group g: edges lead to it from its
 * members, and from it to those who wait for all of them. A group is taken out of those when its
 * last member is complete; struct job counts the members.
 */
struct task_edge {
	int64_t from, to;
};

/* A task that calls its provider has a gate, by which the provider's limits find it: "create:NAME"
 * or "call:NAME". Others have "". provider NULL: none. */
#define TASK_GATE_MAX    300
#define TASK_GATE_CREATE "create:"
#define TASK_GATE_CALL   "call:"
void task_gate(const char *task, const char *provider, char gate[TASK_GATE_MAX]);

/* Writes new tasks (state, unmet ... as given) and edges of a job. */
LOOM_MUST_CHECK int tasks_insert(struct db *db, const struct task *v, size_t n,
                                 const struct task_edge *edges, size_t n_edges);
/* By number; job 0 takes the tasks of all jobs of the cluster. Any transaction or read. */
LOOM_MUST_CHECK int tasks_load(struct db *db, int64_t cluster, int64_t job, struct tasks **ret);
LOOM_MUST_CHECK int task_lock(struct db *db, const struct task_ref *ref, struct tasks **ret);
LOOM_MUST_CHECK int task_get(struct db *db, const struct task_ref *ref, struct tasks **ret);
/* By `to`, then `from`; returns owned. A group stands for an edge from each of its members ... */
LOOM_MUST_CHECK int task_edges(struct db *db, int64_t cluster, int64_t job, struct task_edge **ret,
                               size_t *ret_n);
/* ... or as it is. */
LOOM_MUST_CHECK int task_edges_stored(struct db *db, int64_t cluster, int64_t job,
                                      struct task_edge **ret, size_t *ret_n);

/* The only way to change a state: asserts that the step is allowed; appends the event. The row is
 * written by tasks_save(). */
void task_transition(struct cluster *c, struct task *t, enum task_state to, int64_t now);

/* Another member of a group (below 0) is complete: was it the last? */
bool task_group_done(struct job *j, int64_t group);
/* Many at once, of any clusters: what one transaction reads and writes for many results. */
LOOM_MUST_CHECK int tasks_get(struct db *db, const struct task_ref *refs, size_t n,
                              struct tasks **ret);
/* All that is open of these jobs: blocked, ready or running. */
LOOM_MUST_CHECK int tasks_open(struct db *db, const struct task_ref *jobs, size_t n,
                               struct tasks **ret);
/* What a job has under way on these nodes, or could have: ready, running, or blocked without unmet
 * edges. */
struct task_node {
	int64_t cluster, job;
	char id[37];
};
LOOM_MUST_CHECK int tasks_of_nodes(struct db *db, const struct task_node *nodes, size_t n,
                                   struct tasks **ret);
/* Writes rows that were read in this transaction; appends no events. */
LOOM_MUST_CHECK int tasks_save(struct db *db, struct task *const *v, size_t n);
/* Writes of rows that were read in this transaction for how much they wait, and nothing else. */
LOOM_MUST_CHECK int tasks_save_unmet(struct db *db, struct task *const *v, size_t n);
/* Writes node_id and node_num of rows that have moved to another node. */
LOOM_MUST_CHECK int tasks_place(struct db *db, struct task *const *v, size_t n);
/* Are nodes of the job still to be made? */
LOOM_MUST_CHECK int tasks_await_nodes(struct db *db, int64_t cluster, int64_t job, bool *ret);
/* Ready tasks of the jobs of these that were put off, for they need what other nodes had not told
 * yet, may begin now; adds to *ready. */
LOOM_MUST_CHECK int tasks_clear_postponed(struct db *db, const struct task *const *of, size_t n,
                                          int64_t now, int *ready);
struct task_counts {
	int64_t running, open;                          /* open: blocked or ready */
	int64_t complete, failed, failed_before_create; /* the last: status 200-299 */
	int64_t attempted;                              /* handed out at least once */
	int64_t created, undeleted; /* CREATEs that are complete, DELETEs that are not */
};
LOOM_MUST_CHECK int tasks_count(struct db *db, int64_t cluster, int64_t job,
                                struct task_counts *ret);

/* Running tasks whose lease is over. No lock. */
LOOM_MUST_CHECK int tasks_expired(struct db *db, int64_t now, int limit, struct task_ref **ret,
                                  size_t *ret_n);
enum task_lease {
	LEASE_LOST,   /* the attempt is not theirs any more */
	LEASE_HELD,   /* extended */
	LEASE_CANCEL, /* extended, but the task is to be stopped */
};
/* Who says that an attempt is his. */
struct task_holder {
	const char *provisioner, *claim; /* claim: NULL, he has none */
	int64_t attempt;
};
/* Extends the lease of a running attempt. Any transaction. */
LOOM_MUST_CHECK int task_renew(struct db *db, const struct task_ref *ref,
                               const struct task_holder *by, int64_t now, enum task_lease *ret);
/* Whether this is its claim's secret, or it has none. */
bool task_claim_is(const struct task *t, const char *claim);

/* Keeps an attempt that did not succeed. */
LOOM_MUST_CHECK int task_keep_failure(struct db *db, const struct task *t, const char *out,
                                      const char *err);
/* Columns: job, task, attempt, submit_time, status_time, stdout, stderr, node_id; by time. */
LOOM_MUST_CHECK int task_failures(struct db *db, int64_t cluster, struct db_result **ret);
/* Appends the event that tells of its state; what that event says of the state alone. */
void task_event(struct cluster *c, const struct task *t, int64_t now);
void task_emit_state(struct buf *out, const struct task *t, int64_t now);

LOOM_DEFINE_CLEANUP(struct tasks *, tasks_free)

#endif
