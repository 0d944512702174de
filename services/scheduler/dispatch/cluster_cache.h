/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_cache - rows as the last batch left them, so that the next one need not read them: the
 * open tasks, jobs and machines of clusters with running jobs.
 *
 * A cached cluster is valid as long as its cluster's last event is the one with which it was
 * stored: every change of a task, a job or a machine appends an event in the same transaction,
 * under the cluster's row lock. Only two changes come without an event: renewed leases, and
 * postponed tasks that wait for an address. So validity is known as soon as the cluster is locked,
 * at no cost, whoever else works on it.
 *
 * Any thread; a cached cluster belongs to its holder.
 */
#ifndef LOOM_SCHEDULER_CLUSTER_CACHE_H
#define LOOM_SCHEDULER_CLUSTER_CACHE_H

#include "services/scheduler/dispatch/task_payload.h"
#include "services/scheduler/job/unit.h"

struct cached_cluster {
	struct cluster_rows rows;
	struct node_view *view; /* of all nodes; NULL: not made yet */
	int64_t view_version;   /* rows.nodes_version for which it was made */
	/* The job that last handed out a task, or almost did, and the size of its configuration,
	 * which does not change within a job. 0: unknown. */
	int64_t config_job, config_size;
	/* Private to the cache: sizes of machines, jobs and messages when last counted. */
	size_t nodes_bytes, counted, uses;
	size_t jobs_bytes, counted_jobs, messages_bytes;
	int64_t counted_version;
	const struct node_view *counted_view;
};

struct cached_cluster *cached_cluster_create(void);
void cached_cluster_free(struct cached_cluster *p); /* NULL ok */

struct cluster_cache;
void cluster_cache_start(void); /* once: its metrics */
struct cluster_cache *cluster_cache_create(void);
void cluster_cache_destroy(struct cluster_cache *b); /* NULL ok */
/* Removes and returns the valid rows of a locked cluster, owned; NULL if there are none. */
struct cached_cluster *cluster_cache_take(struct cluster_cache *b, int64_t cluster, int64_t seq);
void cluster_cache_put(struct cluster_cache *b, struct cached_cluster *p); /* takes it */
#define CLUSTER_CACHE_MAX ((size_t)16 << 20) /* bytes; exceeded only by a single larger cluster */
/* The number of cached clusters, and about how many bytes they take. */
size_t cluster_cache_count(struct cluster_cache *b, size_t *ret_bytes);

/* In test builds: asserts that cached rows equal those in the database. */
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
