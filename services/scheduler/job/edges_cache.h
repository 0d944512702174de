/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edges_cache - the edges of running jobs, kept in memory. A job's edges change only when tasks are
 * added to it, so they are read once per job and number of tasks.
 *
 * One thread at a time.
 */
#ifndef LOOM_SCHEDULER_EDGES_CACHE_H
#define LOOM_SCHEDULER_EDGES_CACHE_H

#include "common/model/cluster/task.h"

struct edges_cache;

/* Reads a job's edges as they are stored; *ret is owned by the caller. */
typedef int edges_load(struct db *db, int64_t cluster, int64_t job, struct task_edge **ret,
                       size_t *ret_n);

/* Where to read edges that are not cached. */
struct edges_source {
	edges_load *load;
	struct db *db;
};

/* The task or group numbers that edges lead to. */
struct edge_ends {
	const int64_t *v;
	size_t n;
};

struct edges_cache *edges_cache_create(void);
void edges_cache_destroy(struct edges_cache *s);
#define EDGES_CACHE_MAX ((size_t)2 << 20)        /* bytes; exceeded only by a single larger job */
size_t edges_cache_bytes(struct edges_cache *s); /* any thread */

/* The targets of the edges from `from` (a task; below 0: a group), borrowed until the next call.
 * tasks: the job's number of tasks in the database. */
LOOM_MUST_CHECK int edges_cache_get(struct edges_cache *s, const struct job *j, int64_t tasks,
                                    int64_t from, const struct edges_source *source,
                                    struct edge_ends *ret);

LOOM_DEFINE_CLEANUP(struct edges_cache *, edges_cache_destroy)

#endif
