/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/cluster_cache.h"

#include "common/base/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_HIT, CACHE_MISS };
static struct metric cache_metrics[] = {
	[CACHE_HIT] = { "loom_scheduler_cluster_cache_hits_total",
	                "Clusters whose rows were in the cache.", METRIC_COUNTER },
	[CACHE_MISS] = { "loom_scheduler_cluster_cache_misses_total",
	                 "Clusters whose rows had to be read.", METRIC_COUNTER },
};

enum { KEPT = 512, KEPT_ROWS = 20000 };

/* ---- cached clusters
 * ----------------------------------------------------------------------------------- */

struct cached_cluster *cached_cluster_create(int64_t cluster)
{
	struct cached_cluster *p = loom_calloc(1, sizeof(*p));
	p->cluster = cluster;
	p->nodes_loaded = map_create(NULL);
	return p;
}

void cached_cluster_free(struct cached_cluster *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_jobs; i++)
		job_fini(&p->jobs[i]);
	loom_free(p->jobs);
	node_view_destroy(p->node_view);
	tasks_free(p->tasks);
	nodes_free(p->nodes);
	map_destroy(p->nodes_loaded);
	loom_free(p);
}

static int by_number(const void *key, const void *node)
{
	const int64_t *num = key;
	const struct node *n = node;
	return (*num > n->num) - (*num < n->num);
}

struct node *cached_cluster_node(const struct cached_cluster *p, const struct task *t)
{
	struct node *n = p->nodes && p->nodes->n ? bsearch(&t->node_num, p->nodes->v, p->nodes->n,
	                                                   sizeof(*p->nodes->v), by_number)
	                                         : NULL;
	return n && strcmp(n->id, t->node_id) == 0 ? n : NULL;
}

static size_t rows(const struct cached_cluster *p)
{
	return 1 + p->n_jobs + (p->tasks ? p->tasks->n : 0) + (p->nodes ? p->nodes->n : 0);
}

/* ---- the cache --------------------------------------------------------------------------------
 */

struct cluster_cache {
	pthread_mutex_t lock;
	struct cached_cluster *v[KEPT];
	size_t n, rows;
	uint64_t ticks;
};

void cluster_cache_start(void)
{
	metrics_register(cache_metrics, LOOM_COUNT(cache_metrics));
}

struct cluster_cache *cluster_cache_create(void)
{
	struct cluster_cache *b = loom_calloc(1, sizeof(*b));
	(void)pthread_mutex_init(&b->lock, NULL);
	return b;
}

static struct cached_cluster *take_out(struct cluster_cache *b, size_t i)
{
	struct cached_cluster *p = b->v[i];
	b->rows -= rows(p);
	b->v[i] = b->v[--b->n];
	return p;
}

void cluster_cache_destroy(struct cluster_cache *b)
{
	if (!b)
		return;
	while (b->n)
		cached_cluster_free(take_out(b, b->n - 1));
	(void)pthread_mutex_destroy(&b->lock);
	loom_free(b);
}

static struct cached_cluster *find(struct cluster_cache *b, int64_t cluster)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i]->cluster == cluster)
			return take_out(b, i);
	return NULL;
}

struct cached_cluster *cluster_cache_take(struct cluster_cache *b, int64_t cluster, int64_t seq)
{
	(void)pthread_mutex_lock(&b->lock);
	struct cached_cluster *p = find(b, cluster);
	(void)pthread_mutex_unlock(&b->lock);
	bool right = p && p->seq == seq;
	metric_add(&cache_metrics[right ? CACHE_HIT : CACHE_MISS], 1);
	if (right)
		return p;
	cached_cluster_free(p);
	return NULL;
}

/* The one put last stays, however large it is. */
static void make_room(struct cluster_cache *b, size_t more)
{
	while (b->n == KEPT || (b->n && b->rows + more > KEPT_ROWS)) {
		size_t oldest = 0;
		for (size_t i = 1; i < b->n; i++)
			if (b->v[i]->used < b->v[oldest]->used)
				oldest = i;
		cached_cluster_free(take_out(b, oldest));
	}
}

void cluster_cache_put(struct cluster_cache *b, struct cached_cluster *p)
{
	(void)pthread_mutex_lock(&b->lock);
	struct cached_cluster *other = find(b, p->cluster);
	/* Who locked the cluster after us may have been faster here. */
	struct cached_cluster *old = other && other->seq > p->seq ? p : other;
	p = old == p ? other : p;
	make_room(b, rows(p));
	p->used = ++b->ticks;
	b->rows += rows(p);
	b->v[b->n++] = p;
	(void)pthread_mutex_unlock(&b->lock);
	cached_cluster_free(old);
}
