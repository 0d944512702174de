/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edges_cache - who waits for whom in jobs under way, kept in memory: a job's edges change only
 * when tasks are added to it, so they are read once per job and number of tasks.
 *
 * One thread at a time.
 */
#ifndef LOOM_SCHEDULER_EDGES_CACHE_H
#define LOOM_SCHEDULER_EDGES_CACHE_H

#include "common/model/task.h"

struct edges_cache;

/* Reads a job's edges as they are stored; *ret is owned by the caller. */
typedef int edges_load(struct db *db, int64_t cluster, int64_t job, struct task_edge **ret,
                       size_t *ret_n);

/* Where they are read from when they are not kept. */
struct edges_source {
	edges_load *load;
	struct db *db;
};

/* Numbers that edges lead to. */
struct edge_ends {
	const int64_t *v;
	size_t n;
};

struct edges_cache *edges_cache_create(void);
void edges_cache_destroy(struct edges_cache *s);
#define EDGES_CACHE_MAX ((size_t)2 << 20)        /* bytes; more only for one job that is larger */
size_t edges_cache_bytes(struct edges_cache *s); /* any thread */

/* The numbers that the edges of `from` (a task; below 0 a group) lead to, borrowed until the next
 * call. tasks: how many the job has in the database. */
LOOM_MUST_CHECK int edges_cache_get(struct edges_cache *s, const struct job *j, int64_t tasks,
                                    int64_t from, const struct edges_source *source,
                                    struct edge_ends *ret);

LOOM_DEFINE_CLEANUP(struct edges_cache *, edges_cache_destroy)

#endif
