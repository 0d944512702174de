/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_cache - rows as the last batch left them, so that the next one need not read them again:
 * the open tasks, jobs and machines of clusters that tasks are handed out of.
 *
 * A cached cluster is right for as long as its cluster's last event is the one that it was written
 * with: whoever changes a task, a job or a machine appends an event in the same transaction, under
 * the cluster's row lock. Only leases of tasks are renewed without, and ready tasks put off that
 * wait for an address. Whether it is right can thus be told when the cluster is locked, whoever
 * else works on it, and at the cost of nothing.
 *
 * Any thread; a cached cluster is its holder's.
 */
#ifndef LOOM_SCHEDULER_CLUSTER_CACHE_H
#define LOOM_SCHEDULER_CLUSTER_CACHE_H

#include "common/base/map.h"
#include "common/model/node.h"
#include "common/model/task.h"
#include "services/scheduler/dispatch/task_payload.h"

struct cached_cluster {
	int64_t cluster, seq; /* the number of its last event */
	struct tasks *tasks;  /* blocked, ready or running; some of them; NULL: none */
	int64_t whole_job;    /* of this job all of them; 0: of none */
	struct map *
		nodes_loaded; /* a set: ids of machines of which tasks_of_nodes() finds no others */
	struct job *jobs;     /* of those tasks */
	size_t n_jobs;
	struct nodes *nodes;         /* all, by number; NULL: not known */
	struct node_view *node_view; /* of all nodes; NULL: not made yet */
	uint64_t used;
};

struct cached_cluster *cached_cluster_create(int64_t cluster);
void cached_cluster_free(struct cached_cluster *p); /* NULL ok */
/* The machine of a task; NULL when there is none. */
struct node *cached_cluster_node(const struct cached_cluster *p, const struct task *t);

struct cluster_cache;
void cluster_cache_start(void); /* once: its metrics */
struct cluster_cache *cluster_cache_create(void);
void cluster_cache_destroy(struct cluster_cache *b); /* NULL ok */
/* Takes the rows of a locked cluster out: owned, and right. NULL when there is none that is. */
struct cached_cluster *cluster_cache_take(struct cluster_cache *b, int64_t cluster, int64_t seq);
void cluster_cache_put(struct cluster_cache *b, struct cached_cluster *p); /* takes it */

/* In builds for tests: asserts that cached rows say what the database says. */
#ifdef LOOM_BREAKABLE
LOOM_MUST_CHECK int cached_cluster_verify(const struct cached_cluster *p, struct db *db);
#else
static inline int cached_cluster_verify(const struct cached_cluster *p LOOM_UNUSED,
                                        struct db *db LOOM_UNUSED)
{
	return 0;
}
#endif

#endif
