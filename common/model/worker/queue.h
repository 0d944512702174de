/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue - the ready tasks, in queues: one for each tenant, gate and cluster. Reads without locks,
 * by index: a task found may be gone when it is claimed. Inside db_read() or db_tx().
 */
#ifndef LOOM_MODEL_QUEUE_H
#define LOOM_MODEL_QUEUE_H

#include "common/model/cluster/task.h"

struct queued {
	struct task_ref ref;
	char tenant[65], gate[TASK_GATE_MAX];
	int64_t not_before;
	bool held; /* its job is paused */
};

struct queued_list {
	struct queued *v; /* owned */
	size_t n;
};
void queued_fini(struct queued_list *l);

/* A cluster whose job hands out tasks, and which of its queues are not empty. */
struct queue_job {
	char tenant[65], provider[256];
	int64_t cluster;
	bool free, call, create; /* tasks without a gate, and of its two gates */
};

struct queue_jobs {
	struct queue_job *v; /* owned */
	size_t n;
};
void queue_jobs_fini(struct queue_jobs *l);

struct ready_queue {
	const char *tenant; /* borrowed */
	char gate[TASK_GATE_MAX];
	int64_t cluster;
	int64_t heads; /* how many of its tasks to read */
};

struct queue_state {
	int64_t now;                 /* the database's clock */
	int64_t limits, quarantined; /* number of rows of each */
};
LOOM_MUST_CHECK int queue_state(struct db *db, struct queue_state *ret);

/* Ready tasks of a tenant ("*": any), unordered, including those for later; fewer than max means
 * all. Appends. */
LOOM_MUST_CHECK int queue_some(struct db *db, const char *tenant, int64_t max,
                               struct queued_list *ret);
/* Tenants and providers with such jobs; cluster is 0, and the queues are not filled in. */
LOOM_MUST_CHECK int queue_groups(struct db *db, struct queue_jobs *ret);
/* Up to `each` jobs of each tenant and provider, in order, after this cluster. Appends. */
LOOM_MUST_CHECK int queue_jobs_after(struct db *db, const struct queue_job *after, size_t n,
                                     int64_t each, struct queue_jobs *ret);
/* Up to `max` jobs of a tenant ("*": of all tenants). Appends. */
LOOM_MUST_CHECK int queue_jobs_all(struct db *db, const char *tenant, int64_t max,
                                   struct queue_jobs *ret);
/* The first tasks of each queue, ordered by when they may begin. Appends. */
LOOM_MUST_CHECK int queue_heads(struct db *db, const struct ready_queue *queues, size_t n,
                                struct queued_list *ret);

/* Running tasks per tenant; returns owned. */
struct queue_use {
	char tenant[65];
	int64_t cluster, running;
};
LOOM_MUST_CHECK int queue_in_use(struct db *db, struct queue_use **ret, size_t *ret_n);

#endif
