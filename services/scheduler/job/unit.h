/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit - a unit of work: the rows of locked clusters, read once, changed in memory, and written
 * together at the end of their transaction. Results, claims, failures, lost workers, pauses,
 * retries and the ends of jobs change a job's graph only through it.
 *
 * Rows are read from and written to a store: the database (unit_sql.c) or a test. Changed rows are
 * marked; nothing is written before unit_commit(). It then, in this order, makes tasks without open
 * dependencies ready (unit_release()), writes tasks and nodes, ends jobs that are over
 * (unit_finish()), and writes jobs and clusters. A caller with more to do before the rows are
 * written, such as claims, calls unit_release() first.
 *
 * Worker threads, inside db_tx(). A pointer to a task or a job stays valid until unit_fini(); a
 * pointer to a node only until a node is added.
 */
#ifndef LOOM_SCHEDULER_UNIT_H
#define LOOM_SCHEDULER_UNIT_H

#include "common/base/map.h"
#include "common/model/callback/callback.h"
#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"
#include "common/model/worker/hold.h"
#include "common/model/worker/limit.h"
#include "services/scheduler/job/cluster_tx.h"
#include "services/scheduler/job/edges_cache.h"

/* Rows of one cluster as the last unit left them; a cache keeps them for the next one. */
struct cluster_rows {
	int64_t cluster, seq; /* seq: number of its last event */
	struct tasks *tasks;  /* some of the blocked, ready and running ones; NULL: none */
	int64_t whole_job;    /* the job whose open tasks are all in tasks; 0: none */
	struct map
		*nodes_loaded; /* a set: ids of nodes of which tasks_of_nodes() finds no others */
	struct job *jobs;      /* jobs of those tasks */
	size_t n_jobs;
	struct nodes *nodes;   /* all, by number; NULL: not loaded */
	int64_t nodes_version; /* changes whenever nodes, their names or addresses change */
};
void cluster_rows_fini(struct cluster_rows *r);

struct unit_task {
	struct task *t;
	enum task_state was; /* state when it was read */
	bool changed;        /* row must be written */
	bool waits_less;     /* write its number of open waits; the rest only if also changed */
	bool fresh;          /* row must be inserted */
	bool placed;         /* moved to another node */
	bool chosen;         /* for the unit's user: it is about to be claimed */
	enum hold hold;      /* for the unit's user: why it was not */
};

struct unit_job {
	struct job job;
	int64_t stored_total;         /* tasks in the database: key of the cached edges */
	bool progressed;              /* counters must be written */
	bool changed;                 /* the whole row must be written */
	bool fresh;                   /* row must be inserted */
	bool check_end;               /* a task ended: is the job over? */
	bool reported;                /* an event already reports its present state */
	const struct task *confirmed; /* a task that made a node's address known; NULL: none */
};

struct unit_cluster {
	struct cluster_tx tx;
	struct cluster_rows rows;
	int64_t seq;      /* number of the last event before this unit */
	bool save_row;    /* more than events and their counters changed */
	bool uncacheable; /* the database has changed rows that the unit holds, without the unit */
};

/* A failed attempt to record. */
struct unit_failure {
	struct task t; /* copy at that time; its texts are owned */
	char *out, *err;
};

struct unit_node {
	int64_t cluster, num;
	bool fresh; /* row must be inserted */
};

struct unit_edge {
	int64_t cluster, job;
	struct task_edge edge;
};

struct unit;

/* Reads and writes rows. 0 or a DB_E_ code. */
struct unit_store {
	int (*tasks)(struct db *db, const struct task_ref *refs, size_t n, struct tasks **ret);
	int (*open_tasks)(struct db *db, const struct task_ref *jobs, size_t n, struct tasks **ret);
	int (*tasks_of_nodes)(struct db *db, const struct task_node *at, size_t n,
	                      struct tasks **ret);
	edges_load *edges;
	int (*jobs)(struct db *db, const struct task_ref *refs, size_t n, struct job **ret,
	            size_t *ret_n);
	int (*nodes)(struct db *db, const int64_t *clusters, size_t n, struct nodes **ret);
	int (*documents)(struct db *db, struct cluster *c);
	/* As far as is written, are nodes of this job still to be created? */
	int (*awaits_nodes)(struct db *db, int64_t cluster, int64_t job, bool *ret);
	/* Called after tasks and nodes are written: */
	int (*counts)(struct db *db, int64_t cluster, int64_t job, struct task_counts *ret);
	int (*absent)(struct db *db, int64_t cluster, struct strs *hostnames);
	int (*forget_deleted)(struct db *db, int64_t cluster, int64_t job, int64_t *ret_left);
	/* For handing out tasks: see common/model/worker/quarantine.h and limit.h. */
	int (*provisioners_beside)(struct db *db, const char *provisioner, const char *tenant,
	                           int64_t *ret);
	int (*probe)(struct db *db, const char *provisioner, const struct task_ref *ref,
	             int64_t attempt, int64_t now, bool *ret);
	int (*lock_limits)(struct db *db, const struct limits *which, struct limits **ret);
	int (*write_tasks)(struct unit *u);
	int (*write_jobs)(struct unit *u);
};
extern const struct unit_store unit_sql;

struct unit {
	const struct unit_store *store;
	const struct job_policy *policy;
	struct db *db; /* the store's */
	int64_t now;
	struct edges_cache *edges; /* borrowed, or owned */
	bool owns_edges;
	struct unit_cluster *clusters;
	size_t n_clusters, max_clusters;
	struct tasks **sets; /* loaded, owned; the other items point into them */
	size_t n_sets;
	struct unit_task *items;
	size_t n_items, n_known; /* the first n_known ones are in rows.tasks of their clusters */
	size_t *index;           /* of items by task: place + 1, as a hash table */
	size_t n_index;
	struct unit_job **jobs;
	size_t n_jobs;
	struct unit_node *nodes; /* rows to write */
	size_t n_nodes;
	struct task_ref *done; /* completed, successors not released yet */
	size_t n_done;
	struct task_node *freed; /* nodes on which another task may start */
	size_t n_freed;
	struct task **newly_ready;
	size_t n_newly_ready;
	struct unit_failure *failures;
	size_t n_failures;
	const struct task **judged; /* complete after more than one attempt */
	size_t n_judged;
	struct unit_edge *new_edges; /* edges of fresh tasks */
	size_t n_new_edges;
};

/* Reserves room for max_clusters. edges: a cache to use; NULL: none. */
void unit_init(struct unit *u, const struct unit_store *store, struct db *db,
               const struct job_policy *policy, struct edges_cache *edges, size_t max_clusters);
void unit_fini(struct unit *u);

/* Takes a locked cluster and its cached rows (NULL: none). Add all clusters before loading
 * tasks. */
struct unit_cluster *unit_add_cluster(struct unit *u, struct cluster *c, struct cluster_rows *rows);
struct unit_cluster *unit_cluster(const struct unit *u, int64_t id); /* NULL: not locked */
struct unit_cluster *unit_held(const struct unit *u, int64_t id);    /* asserts that it is locked */

struct task_ref task_ref_of(const struct task *t);
struct unit_task *unit_item(const struct unit *u, const struct task_ref *ref); /* until more come */
struct task *unit_task(const struct unit *u, const struct task_ref *ref); /* NULL: not loaded */
/* Takes rows. Where a row is already loaded, the older copy stays. */
void unit_add_tasks(struct unit *u, struct tasks *set);
LOOM_MUST_CHECK int unit_load_tasks(struct unit *u, const struct task_ref *refs, size_t n);
/* Loads all open tasks of a job. */
LOOM_MUST_CHECK int unit_load_open(struct unit *u, const struct job *j);
/* Are all open tasks of the job loaded? */
bool unit_has_all(const struct unit *u, const struct job *j);

struct unit_job *unit_job(const struct unit *u, int64_t cluster, int64_t num); /* NULL: not known */
struct unit_job *unit_job_of(const struct unit *u, const struct task *t);
struct unit_job *unit_add_job(struct unit *u, const struct job *j); /* takes what *j owns */
/* The jobs of these tasks. */
LOOM_MUST_CHECK int unit_load_jobs(struct unit *u, const struct task_ref *tasks, size_t n);
LOOM_MUST_CHECK int unit_get_job(struct unit *u, int64_t cluster, int64_t num,
                                 struct unit_job **ret); /* *ret NULL: there is none */
struct unit_job *unit_new_job(struct unit *u, struct unit_cluster *uc, const char *action,
                              const struct job_params *params);

/* Loads the nodes of these clusters, by number, unless loaded. Sorts clusters. */
LOOM_MUST_CHECK int unit_load_nodes(struct unit *u, int64_t *clusters, size_t n);
struct node *unit_node(const struct unit *u, const struct task *t); /* NULL: there is none */
struct node *unit_node_at(const struct unit *u, const struct unit_node *at);
void unit_node_changed(struct unit *u, const struct node *n);
void unit_add_node(struct unit *u, int64_t cluster, const struct node *n); /* takes what *n owns */

/* A unit changes a task's state only through this. */
void unit_move_task(struct unit *u, struct task *t, enum task_state to);
void unit_task_changed(struct unit *u, const struct task *t); /* for other columns */
void unit_wait_less(struct unit *u, struct task *t, int64_t unmet);
void unit_move_job(struct unit *u, struct unit_job *j, enum job_status to, const char *message);
void unit_move_cluster(struct unit *u, struct unit_cluster *uc, enum cluster_status to,
                       const char *message);
/* Adds tasks that run one after the other, followed by `then`. */
void unit_insert_tasks(struct unit *u, struct unit_job *j, const struct task *v, size_t n,
                       const struct task *then);
void unit_keep_failure(struct unit *u, const struct task *t, const char *out, const char *err);
/* Another task of the job may start on this node. */
void unit_freed(struct unit *u, const struct task *of, const char *node_id);
void unit_done(struct unit *u, const struct task *t);  /* complete: satisfies its edges */
void unit_judge(struct unit *u, const struct task *t); /* who failed before it was complete? */
/* Drops all blocked and ready tasks of a job. */
LOOM_MUST_CHECK int unit_drop_open(struct unit *u, struct unit_job *j);

/* release.c */
LOOM_MUST_CHECK int unit_release(struct unit *u);
/* job_finish.c */
LOOM_MUST_CHECK int unit_finish(struct unit *u);
/* The whole sequence described above, except that the caller writes the clusters' rows. */
LOOM_MUST_CHECK int unit_commit(struct unit *u);

/* Locks one cluster, lets fn change it in a unit of its own, and writes it. *tx, freed by
 * cluster_tx_fini(), holds what to announce after the commit. 0, a DB_E_ code or CLUSTER_E_NONE. */
LOOM_MUST_CHECK int unit_run_one(struct db *db, const struct job_policy *policy, int64_t cluster,
                                 struct cluster_tx *tx,
                                 int (*fn)(struct unit *u, struct unit_cluster *uc, void *arg),
                                 void *arg);

#endif
