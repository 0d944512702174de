/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/edges_cache.h"

#include <stdlib.h>

enum { KEPT = 512, KEPT_EDGES = 1 << 17 };

struct graph {
	int64_t cluster, job, tasks; /* the key */
	uint64_t used;
	struct task_edge *edges; /* by `from` */
	size_t n;
};

struct edges_cache {
	struct graph v[KEPT];
	size_t n, edges;
	uint64_t ticks;
	int64_t *found; /* answered last */
};

struct edges_cache *edges_cache_create(void)
{
	return loom_calloc(1, sizeof(struct edges_cache));
}

static void forget(struct edges_cache *s, size_t i)
{
	s->edges -= s->v[i].n;
	loom_free(s->v[i].edges);
	s->v[i] = s->v[--s->n];
}

void edges_cache_destroy(struct edges_cache *s)
{
	if (!s)
		return;
	while (s->n)
		forget(s, s->n - 1);
	loom_free(s->found);
	loom_free(s);
}

static void make_room(struct edges_cache *s)
{
	while (s->n == KEPT || (s->n && s->edges > KEPT_EDGES)) {
		size_t oldest = 0;
		for (size_t i = 1; i < s->n; i++)
			if (s->v[i].used < s->v[oldest].used)
				oldest = i;
		forget(s, oldest);
	}
}

static int by_from(const void *a, const void *b)
{
	const struct task_edge *x = a, *y = b;
	return x->from != y->from ? (x->from > y->from) - (x->from < y->from)
	                          : (x->to > y->to) - (x->to < y->to);
}

static int load(struct edges_cache *s, struct db *db, const struct job *j)
{
	struct graph g = { .cluster = j->cluster_id, .job = j->num, .tasks = j->tasks_total };
	int rc = task_edges_stored(db, g.cluster, g.job, &g.edges, &g.n);
	if (rc)
		return rc;
	if (g.n)
		qsort(g.edges, g.n, sizeof(*g.edges), by_from);
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].cluster == g.cluster && s->v[i].job == g.job) {
			forget(s, i);
			break;
		}
	make_room(s);
	s->edges += g.n;
	s->v[s->n++] = g;
	return 0;
}

static struct graph *find(struct edges_cache *s, const struct job *j)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].cluster == j->cluster_id && s->v[i].job == j->num &&
		    s->v[i].tasks == j->tasks_total)
			return &s->v[i];
	return NULL;
}

/* The first edge from this number or a higher one. */
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

int edges_cache_get(struct edges_cache *s, struct db *db, const struct job *j, int64_t from,
                    const int64_t **ret, size_t *ret_n)
{
	struct graph *g = find(s, j);
	int rc = g ? 0 : load(s, db, j);
	if (rc)
		return rc;
	g = g ? g : &s->v[s->n - 1];
	g->used = ++s->ticks;
	size_t at = lower_bound(g, from), end = lower_bound(g, from + 1);
	s->found = loom_realloc(s->found, (end - at + 1) * sizeof(*s->found));
	for (size_t i = at; i < end; i++)
		s->found[i - at] = g->edges[i].to;
	*ret = s->found;
	*ret_n = end - at;
	return 0;
}
