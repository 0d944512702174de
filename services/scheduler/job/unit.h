/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit - a unit of work: the rows of locked clusters, read once, changed in memory, and written
 * together at the end of their transaction. It is the only way in which results, claims, failures,
 * lost workers, pauses, retries and the ends of jobs change a job's graph.
 *
 * Rows come from a store and go to it: the database's (unit_sql.c), or a test's. What is changed is
 * marked; nothing is written before unit_commit(). Then, in this order: tasks that wait for nothing
 * any more become ready (unit_release()), tasks and nodes are written, jobs that are over are ended
 * (unit_finish()), jobs and clusters are written. A caller with more to do before the rows are
 * written, such as claims, releases first by itself.
 *
 * Worker threads, inside db_tx(). A pointer to a task or a job stays what it is until unit_fini();
 * one to a node only until a node is added.
 */
#ifndef LOOM_SCHEDULER_UNIT_H
#define LOOM_SCHEDULER_UNIT_H

#include "common/base/map.h"
#include "common/model/callback.h"
#include "common/model/hold.h"
#include "common/model/limit.h"
#include "common/model/node.h"
#include "common/model/task.h"
#include "services/scheduler/job/cluster_tx.h"
#include "services/scheduler/job/edges_cache.h"

/* Rows of one cluster, as the last unit left them: what a cache keeps for the next one. */
struct cluster_rows {
	int64_t cluster, seq; /* the number of its last event */
	struct tasks *tasks;  /* blocked, ready or running; some of them; NULL: none */
	int64_t whole_job;    /* of this job all open ones; 0: of none */
	struct map
		*nodes_loaded; /* a set: ids of nodes of which tasks_of_nodes() finds no others */
	struct job *jobs;      /* of those tasks */
	size_t n_jobs;
	struct nodes *nodes;   /* all, by number; NULL: not known */
	int64_t nodes_version; /* another one whenever nodes, their names or addresses change */
};
void cluster_rows_fini(struct cluster_rows *r);

struct unit_task {
	struct task *t;
	enum task_state was; /* when it was read */
	bool changed;        /* to be written */
	bool waits_less; /* how much it waits for is to be written; more only if it changed, too */
	bool fresh;      /* to be inserted */
	bool placed;     /* on another node than before */
	bool chosen;     /* its user's: it is about to be claimed */
	enum hold hold;  /* its user's: why it was not */
};

struct unit_job {
	struct job job;
	int64_t stored_total;         /* tasks in the database: by this its edges are known */
	bool progressed;              /* counters are to be written */
	bool changed;                 /* the whole row is */
	bool fresh;                   /* it is to be inserted */
	bool check_end;               /* something of it ended: is it over? */
	bool told;                    /* an event tells of it as it is */
	const struct task *confirmed; /* after this one a node's address is known; NULL */
};

struct unit_cluster {
	struct cluster_tx tx;
	struct cluster_rows rows;
	int64_t seq;      /* number of the last event before */
	bool save_row;    /* more than events and their counters changed */
	bool uncacheable; /* the database has changed rows that the unit holds */
};

/* An attempt that did not succeed, to be kept. */
struct unit_failure {
	struct task t; /* as it was then; its texts are owned */
	char *out, *err;
};

struct unit_node {
	int64_t cluster, num;
	bool fresh; /* to be inserted */
};

struct unit_edge {
	int64_t cluster, job;
	struct task_edge edge;
};

struct unit;

/* Where rows come from and go to. 0 or a DB_E_ code. */
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
	/* Are nodes of this job still to be made, as far as is written? */
	int (*awaits_nodes)(struct db *db, int64_t cluster, int64_t job, bool *ret);
	/* After tasks and nodes are written: */
	int (*counts)(struct db *db, int64_t cluster, int64_t job, struct task_counts *ret);
	int (*absent)(struct db *db, int64_t cluster, struct strs *hostnames);
	int (*forget_deleted)(struct db *db, int64_t cluster, int64_t job, int64_t *ret_left);
	/* For who hands out tasks: see common/model/quarantine.h and limit.h. */
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
	size_t n_items, n_known; /* the first ones are in rows.tasks of their clusters */
	size_t *index;           /* of items by task: place + 1, as a hash table */
	size_t n_index;
	struct unit_job **jobs;
	size_t n_jobs;
	struct unit_node *nodes; /* to be written */
	size_t n_nodes;
	struct task_ref *done; /* completed, not released yet */
	size_t n_done;
	struct task_node *freed; /* nodes on which another task may begin */
	size_t n_freed;
	struct task **newly_ready;
	size_t n_newly_ready;
	struct unit_failure *failures;
	size_t n_failures;
	const struct task **judged; /* complete, after more than one attempt */
	size_t n_judged;
	struct unit_edge *new_edges; /* of fresh tasks */
	size_t n_new_edges;
};

/* Room for so many clusters. edges: a cache to use; NULL: nothing is kept. */
void unit_init(struct unit *u, const struct unit_store *store, struct db *db,
               const struct job_policy *policy, struct edges_cache *edges, size_t max_clusters);
void unit_fini(struct unit *u);

/* Takes a locked cluster and what is known of its rows (NULL: nothing). All clusters come before
 * any task is loaded. */
struct unit_cluster *unit_add_cluster(struct unit *u, struct cluster *c, struct cluster_rows *rows);
struct unit_cluster *unit_cluster(const struct unit *u, int64_t id); /* NULL: not locked */
struct unit_cluster *unit_held(const struct unit *u, int64_t id);    /* one that is locked */

struct task_ref task_ref_of(const struct task *t);
struct unit_task *unit_item(const struct unit *u, const struct task_ref *ref); /* until more come */
struct task *unit_task(const struct unit *u, const struct task_ref *ref);      /* NULL: not known */
/* Takes rows. Of what is known already the older row stays. */
void unit_add_tasks(struct unit *u, struct tasks *set);
LOOM_MUST_CHECK int unit_load_tasks(struct unit *u, const struct task_ref *refs, size_t n);
/* All that is open of a job. */
LOOM_MUST_CHECK int unit_load_open(struct unit *u, const struct job *j);
/* Are all open tasks of the job known? */
bool unit_has_all(const struct unit *u, const struct job *j);

struct unit_job *unit_job(const struct unit *u, int64_t cluster, int64_t num); /* NULL: not known */
struct unit_job *unit_job_of(const struct unit *u, const struct task *t);
struct unit_job *unit_add_job(struct unit *u, const struct job *j); /* takes what it owns */
/* The jobs of these tasks. */
LOOM_MUST_CHECK int unit_load_jobs(struct unit *u, const struct task_ref *tasks, size_t n);
LOOM_MUST_CHECK int unit_get_job(struct unit *u, int64_t cluster, int64_t num,
                                 struct unit_job **ret); /* NULL: there is none */
struct unit_job *unit_new_job(struct unit *u, struct unit_cluster *uc, const char *action,
                              const struct job_params *params);

/* The nodes of these clusters, by number, if they are not known yet. */
LOOM_MUST_CHECK int unit_load_nodes(struct unit *u, int64_t *clusters, size_t n);
struct node *unit_node(const struct unit *u, const struct task *t); /* NULL: there is none */
struct node *unit_node_at(const struct unit *u, const struct unit_node *at);
void unit_node_changed(struct unit *u, const struct node *n);
void unit_add_node(struct unit *u, int64_t cluster, const struct node *n); /* takes what it owns */

/* The only way to change a task's state here. */
void unit_move_task(struct unit *u, struct task *t, enum task_state to);
void unit_task_changed(struct unit *u, const struct task *t); /* other columns */
void unit_wait_less(struct unit *u, struct task *t, int64_t unmet);
void unit_move_job(struct unit *u, struct unit_job *j, enum job_status to, const char *message);
void unit_move_cluster(struct unit *u, struct unit_cluster *uc, enum cluster_status to,
                       const char *message);
/* New tasks of a job, one after the other, then `then`. */
void unit_insert_tasks(struct unit *u, struct unit_job *j, const struct task *v, size_t n,
                       const struct task *then);
void unit_keep_failure(struct unit *u, const struct task *t, const char *out, const char *err);
/* Another task of the job may begin on this node. */
void unit_freed(struct unit *u, const struct task *of, const char *node_id);
void unit_done(struct unit *u, const struct task *t);  /* complete: its edges are satisfied */
void unit_judge(struct unit *u, const struct task *t); /* who failed at it, before it was done? */
/* Drops all of a job that is blocked or ready. */
LOOM_MUST_CHECK int unit_drop_open(struct unit *u, struct unit_job *j);

/* release.c */
LOOM_MUST_CHECK int unit_release(struct unit *u);
/* job_finish.c */
LOOM_MUST_CHECK int unit_finish(struct unit *u);
/* All of it; see above. Clusters' rows are the caller's to write. */
LOOM_MUST_CHECK int unit_commit(struct unit *u);

/* A unit of one cluster, whose lock is waited for: fn changes it, then it is written. *tx, which
 * cluster_tx_fini() frees, says what is to be announced after the commit. CLUSTER_E_NONE. */
LOOM_MUST_CHECK int unit_run_one(struct db *db, const struct job_policy *policy, int64_t cluster,
                                 struct cluster_tx *tx,
                                 int (*fn)(struct unit *u, struct unit_cluster *uc, void *arg),
                                 void *arg);

#endif
