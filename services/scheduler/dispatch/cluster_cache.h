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

#include "services/scheduler/dispatch/task_payload.h"
#include "services/scheduler/job/unit.h"

struct cached_cluster {
	struct cluster_rows rows;
	struct node_view *view; /* of all nodes; NULL: not made yet */
	int64_t view_version;   /* of rows.nodes_version */
	/* The cache's: what the machines took when they were last counted. */
	size_t nodes_bytes, counted, uses;
	int64_t counted_version;
	const struct node_view *counted_view;
};

struct cached_cluster *cached_cluster_create(void);
void cached_cluster_free(struct cached_cluster *p); /* NULL ok */

struct cluster_cache;
void cluster_cache_start(void); /* once: its metrics */
struct cluster_cache *cluster_cache_create(void);
void cluster_cache_destroy(struct cluster_cache *b); /* NULL ok */
/* Takes the rows of a locked cluster out: owned, and right. NULL when there is none that is. */
struct cached_cluster *cluster_cache_take(struct cluster_cache *b, int64_t cluster, int64_t seq);
void cluster_cache_put(struct cluster_cache *b, struct cached_cluster *p); /* takes it */
#define CLUSTER_CACHE_MAX ((size_t)16 << 20) /* bytes; more only for one cluster that is larger */
/* How many clusters it holds, and about how many bytes they take. */
size_t cluster_cache_count(struct cluster_cache *b, size_t *ret_bytes);

/* In builds for tests: asserts that cached rows say what the database says. */
#ifdef LOOM_BREAKABLE
LOOM_MUST_CHECK int cluster_rows_verify(const struct cluster_rows *p, struct db *db);
#else
static inline int cluster_rows_verify(const struct cluster_rows *p LOOM_UNUSED,
                                      struct db *db LOOM_UNUSED)
{
	return 0;
}
#endif

#endif
