/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task - the tasks of a job: a graph whose tasks become ready one by one.
 *
 * A task is ready when all its predecessors are complete and no other task of its node is ready or
 * running. Each claim increments attempt, the fence of every result. Inside db_tx() with the
 * cluster locked, unless said otherwise.
 */
#ifndef LOOM_MODEL_TASK_H
#define LOOM_MODEL_TASK_H

#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/model/cluster/job.h"
#include "common/model/row.h"
#include "common/model/worker/claim.h"

struct task {
	int64_t cluster_id, job_num, num;
	char *tenant_id;
	char node_id[37];
	int64_t node_num;
	char name[16]; /* "CREATE": upper case */
	char *service; /* "" for tasks of the node itself */
	int64_t stage;
	enum task_state state;
	int64_t unmet, attempt, done_attempt, failures, losses;
	int64_t not_before, lease_ms, lease_until;
	char *provisioner_id, *worker_id; /* of the present or last attempt; NULL before the
	                                   * first */
	int64_t submit_time, status_time, status_code;
	char *message;
	/* The secret of this attempt's worker: as older services store it, and its hash
	 * (claim.h). */
	char claim[CLAIM_SECRET], claim_hash[CLAIM_HASH];
	char *gate; /* for new tasks only, borrowed: tasks_insert() */
};
extern const struct row_table task_table, task_new_table; /* task_new_table also has the gate */

struct tasks {
	struct task *v;
	size_t n;
};

void tasks_free(struct tasks *ts);

/*
 * `to` waits for `from`. A number -g, below 0, is group g: edges lead from its members to it, and
 * from it to tasks that wait for all of them. When the last member is complete the group's
 * successors become free; struct job counts the members.
 */
struct task_edge {
	int64_t from, to;
};

/* The task of a provider call has a gate, by which the provider's limits find it: "create:NAME" or
 * "call:NAME". Other tasks have "". provider NULL: none. */
#define TASK_GATE_MAX    300
#define TASK_GATE_CREATE "create:"
#define TASK_GATE_CALL   "call:"
void task_gate(const char *task, const char *provider, char gate[TASK_GATE_MAX]);

/* Inserts new tasks (state, unmet ... as given) and edges of a job. */
LOOM_MUST_CHECK int tasks_insert(struct db *db, const struct task *v, size_t n,
                                 const struct task_edge *edges, size_t n_edges);
/* Sorted by number; job 0: the tasks of all jobs of the cluster. Any transaction or read. */
LOOM_MUST_CHECK int tasks_load(struct db *db, int64_t cluster, int64_t job, struct tasks **ret);
LOOM_MUST_CHECK int task_lock(struct db *db, const struct task_ref *ref, struct tasks **ret);
LOOM_MUST_CHECK int task_get(struct db *db, const struct task_ref *ref, struct tasks **ret);
/* Sorted by `to`, then `from`; returns owned. Groups are expanded to edges from each member ... */
LOOM_MUST_CHECK int task_edges(struct db *db, int64_t cluster, int64_t job, struct task_edge **ret,
                               size_t *ret_n);
/* ... or kept as stored. */
LOOM_MUST_CHECK int task_edges_stored(struct db *db, int64_t cluster, int64_t job,
                                      struct task_edge **ret, size_t *ret_n);

/* The only way to change a state: asserts that the change is allowed; appends the event.
 * tasks_save() writes the row. */
void task_transition(struct cluster *c, struct task *t, enum task_state to, int64_t now);

/* Counts a completed member of a group (below 0): was it the last? */
bool task_group_done(struct job *j, int64_t group);
/* Many tasks of any clusters: read by one transaction for many results. */
LOOM_MUST_CHECK int tasks_get(struct db *db, const struct task_ref *refs, size_t n,
                              struct tasks **ret);
/* All open tasks of these jobs: blocked, ready or running. */
LOOM_MUST_CHECK int tasks_open(struct db *db, const struct task_ref *jobs, size_t n,
                               struct tasks **ret);
/* Tasks of a job on these nodes that are in progress or could be: ready, running, or blocked
 * without unmet edges. */
struct task_node {
	int64_t cluster, job;
	char id[37];
};
LOOM_MUST_CHECK int tasks_of_nodes(struct db *db, const struct task_node *nodes, size_t n,
                                   struct tasks **ret);
/* Writes rows that were read in this transaction; appends no events. */
LOOM_MUST_CHECK int tasks_save(struct db *db, struct task *const *v, size_t n);
/* Writes only the number of unmet edges of rows that were read in this transaction. */
LOOM_MUST_CHECK int tasks_save_unmet(struct db *db, struct task *const *v, size_t n);
/* Writes node_id and node_num of tasks that have moved to another node. */
LOOM_MUST_CHECK int tasks_place(struct db *db, struct task *const *v, size_t n);
/* Does the job still have nodes to create? */
LOOM_MUST_CHECK int tasks_await_nodes(struct db *db, int64_t cluster, int64_t job, bool *ret);
/* Makes tasks of these tasks' jobs ready now that were postponed until other nodes' data was known;
 * adds to *ready. */
LOOM_MUST_CHECK int tasks_clear_postponed(struct db *db, const struct task *const *of, size_t n,
                                          int64_t now, int *ready);
struct task_counts {
	int64_t running, open;                          /* open: blocked or ready */
	int64_t complete, failed, failed_before_create; /* the last: status 200-299 */
	int64_t attempted;                              /* handed out at least once */
	int64_t created, undeleted;                     /* complete CREATEs, incomplete DELETEs */
};
LOOM_MUST_CHECK int tasks_count(struct db *db, int64_t cluster, int64_t job,
                                struct task_counts *ret);

/* The database's clock was set back to now: a lease that is longer than a new one by more than this
 * ends when that would. */
#define TASK_REWIND_MS 10000
LOOM_MUST_CHECK int tasks_rewind(struct db *db, int64_t now);
/* Ready tasks that begin after this time, cluster by cluster. Without locks. */
LOOM_MUST_CHECK int tasks_ready_after(struct db *db, int64_t time, int limit, struct task_ref **ret,
                                      size_t *ret_n);
/* Running tasks whose lease has expired, of other clusters than this. Without locks. */
LOOM_MUST_CHECK int tasks_expired(struct db *db, int64_t now, int64_t beside, int limit,
                                  struct task_ref **ret, size_t *ret_n);
enum task_lease {
	LEASE_LOST,   /* the attempt is no longer theirs */
	LEASE_HELD,   /* extended */
	LEASE_CANCEL, /* extended, but the task should be stopped */
};
/* The worker that claims to hold an attempt. */
struct task_holder {
	const char *provisioner, *claim; /* claim NULL: it has none */
	int64_t attempt;
};
/* Extends the lease of a running attempt. Any transaction. */
LOOM_MUST_CHECK int task_renew(struct db *db, const struct task_ref *ref,
                               const struct task_holder *by, int64_t now, enum task_lease *ret);
/* Is this the secret of the task's claim, or has it none? */
bool task_claim_is(const struct task *t, const char *claim);

/* Stores a failed attempt. */
LOOM_MUST_CHECK int task_keep_failure(struct db *db, const struct task *t, const char *out,
                                      const char *err);
/* Columns: job, task, attempt, submit_time, status_time, stdout, stderr, node_id; by time. */
LOOM_MUST_CHECK int task_failures(struct db *db, int64_t cluster, struct db_result **ret);
/* Appends an event with its state; writes only that event's members. */
void task_event(struct cluster *c, const struct task *t, int64_t now);
void task_emit_state(struct buf *out, const struct task *t, int64_t now);

LOOM_DEFINE_CLEANUP(struct tasks *, tasks_free)

#endif
