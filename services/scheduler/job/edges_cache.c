/* SPDX-License-Identifier: Apache-2.0 */
/* edges_cache - the edges of running jobs, sorted by their start. */
#include "services/scheduler/job/edges_cache.h"

#include "common/base/lru.h"

#include <stdatomic.h>
#include <stdlib.h>

/* one job for each of 512 clusters, as many as cluster_cache keeps */
enum { MAX_JOBS = 512 };

struct graph {
	int64_t tasks;           /* the job's number of tasks when read */
	struct task_edge *edges; /* by `from` */
	size_t n;
};

struct edges_cache {
	struct lru *graphs;
	int64_t *found; /* the last answer */
	_Atomic size_t bytes;
};

static void graph_free(void *arg)
{
	struct graph *g = arg;
	loom_free(g->edges);
	loom_free(g);
}

struct edges_cache *edges_cache_create(void)
{
	struct edges_cache *s = loom_calloc(1, sizeof(*s));
	s->graphs = lru_create(MAX_JOBS, EDGES_CACHE_MAX, graph_free);
	return s;
}

void edges_cache_destroy(struct edges_cache *s)
{
	if (!s)
		return;
	lru_destroy(s->graphs);
	loom_free(s->found);
	loom_free(s);
}

static int by_from(const void *a, const void *b)
{
	const struct task_edge *x = a, *y = b;
	return x->from != y->from ? (x->from > y->from) - (x->from < y->from)
	                          : (x->to > y->to) - (x->to < y->to);
}

size_t edges_cache_bytes(struct edges_cache *s)
{
	return atomic_load(&s->bytes);
}

/* Index of the first edge from this number or a higher one. */
static size_t lower_bound(const struct graph *g, int64_t from)
{
	size_t lo = 0, hi = g->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (g->edges[mid].from < from)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int edges_cache_get(struct edges_cache *s, const struct job *j, int64_t tasks, int64_t from,
                    const struct edges_source *source, struct edge_ends *ret)
{
	struct graph *g = lru_get(s->graphs, j->cluster_id, j->num);
	if (!g || g->tasks != tasks) {
		struct graph new = { .tasks = tasks };
		int rc = source->load(source->db, j->cluster_id, j->num, &new.edges, &new.n);
		if (rc)
			return rc;
		if (new.n)
			qsort(new.edges, new.n, sizeof(*new.edges), by_from);
		g = loom_malloc(sizeof(*g));
		*g = new;
		lru_put(s->graphs, j->cluster_id, j->num, g, sizeof(*g) + g->n * sizeof(*g->edges));
		atomic_store(&s->bytes, lru_cost(s->graphs));
	}
	size_t at = lower_bound(g, from), end = lower_bound(g, from + 1);
	s->found = loom_realloc(s->found, (end - at + 1) * sizeof(*s->found));
	for (size_t i = at; i < end; i++)
		s->found[i - at] = g->edges[i].to;
	*ret = (struct edge_ends){ s->found, end - at };
	return 0;
}
