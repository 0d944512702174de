/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_cache - rows of recently used clusters, kept between batches. */
#include "services/scheduler/dispatch/cluster_cache.h"

#include "common/base/lru.h"
#include "common/base/metrics.h"

#include <pthread.h>
#include <string.h>

enum { CACHE_HIT, CACHE_MISS };
static struct metric cache_metrics[] = {
	[CACHE_HIT] = { "loom_scheduler_cluster_cache_hits_total",
	                "Clusters whose rows were in the cache.", METRIC_COUNTER },
	[CACHE_MISS] = { "loom_scheduler_cluster_cache_misses_total",
	                 "Clusters whose rows had to be read.", METRIC_COUNTER },
};

enum { MAX_CLUSTERS = 512, TEXTS = 160 /* of a row, about */, RECOUNT = 32 /* uses */ };

/* ---- cached clusters ------------------------------------------------------------------------- */

struct cached_cluster *cached_cluster_create(void)
{
	return loom_calloc(1, sizeof(struct cached_cluster));
}

void cached_cluster_free(struct cached_cluster *p)
{
	if (!p)
		return;
	node_view_destroy(p->view);
	cluster_rows_fini(&p->rows);
	loom_free(p);
}

static void free_value(void *value)
{
	cached_cluster_free(value);
}

static size_t node_size(const struct node *n)
{
	return sizeof(*n) + TEXTS + json_size(n->services) + json_size(n->automators) +
	       json_size(n->ipaddresses) + json_size(n->results) + json_size(n->states);
}

/* Machines are many and change seldom: counts them again when they change, and now and then. */
static size_t nodes_size(struct cached_cluster *p)
{
	const struct nodes *ns = p->rows.nodes;
	bool same = ns && p->counted == ns->n && p->counted_version == p->rows.nodes_version &&
	            p->counted_view == p->view && p->uses % RECOUNT;
	if (same)
		return p->nodes_bytes;
	p->nodes_bytes = node_view_size(p->view);
	for (size_t i = 0; ns && i < ns->n; i++)
		p->nodes_bytes += node_size(&ns->v[i]);
	p->counted = ns ? ns->n : 0;
	p->counted_version = p->rows.nodes_version;
	p->counted_view = p->view;
	return p->nodes_bytes;
}

static size_t text_size(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

/* Most of a job is what its user has sent, which also changes seldom. */
static size_t jobs_size(struct cached_cluster *p)
{
	const struct cluster_rows *r = &p->rows;
	if (p->counted_jobs == r->n_jobs && p->uses % RECOUNT)
		return p->jobs_bytes;
	p->jobs_bytes = 0;
	for (size_t i = 0; i < r->n_jobs; i++) {
		const struct job *j = &r->jobs[i];
		p->jobs_bytes += sizeof(*j) + TEXTS + job_params_size(&j->params) +
		                 text_size(j->message) + j->n_waits * sizeof(*j->waits);
	}
	p->counted_jobs = r->n_jobs;
	return p->jobs_bytes;
}

/* Tasks are many and come and go. Few have a message, so messages are counted only now and then. */
static size_t tasks_size(struct cached_cluster *p)
{
	const struct tasks *ts = p->rows.tasks;
	if (p->uses % RECOUNT == 0) {
		p->messages_bytes = 0;
		for (size_t i = 0; ts && i < ts->n; i++)
			p->messages_bytes += text_size(ts->v[i].message);
	}
	return p->messages_bytes + (ts ? ts->n : 0) * (sizeof(struct task) + TEXTS);
}

static size_t size_of(struct cached_cluster *p)
{
	const struct cluster_rows *r = &p->rows;
	size_t sum = sizeof(*p) + nodes_size(p) + jobs_size(p) + tasks_size(p);
	p->uses++;
	return sum + (r->nodes_loaded ? map_count(r->nodes_loaded) * TEXTS : 0);
}

/* ---- the cache ------------------------------------------------------------------------------- */

struct cluster_cache {
	pthread_mutex_t lock;
	struct lru *clusters;
};

void cluster_cache_start(void)
{
	metrics_register(cache_metrics, LOOM_COUNT(cache_metrics));
}

struct cluster_cache *cluster_cache_create(void)
{
	struct cluster_cache *b = loom_calloc(1, sizeof(*b));
	(void)pthread_mutex_init(&b->lock, NULL);
	b->clusters = lru_create(MAX_CLUSTERS, CLUSTER_CACHE_MAX, free_value);
	return b;
}

void cluster_cache_destroy(struct cluster_cache *b)
{
	if (!b)
		return;
	lru_destroy(b->clusters);
	(void)pthread_mutex_destroy(&b->lock);
	loom_free(b);
}

struct cached_cluster *cluster_cache_take(struct cluster_cache *b, int64_t cluster, int64_t seq)
{
	(void)pthread_mutex_lock(&b->lock);
	struct cached_cluster *p = lru_take(b->clusters, cluster, 0);
	(void)pthread_mutex_unlock(&b->lock);
	bool right = p && p->rows.seq == seq;
	metric_add(&cache_metrics[right ? CACHE_HIT : CACHE_MISS], 1);
	if (right)
		return p;
	cached_cluster_free(p);
	return NULL;
}

void cluster_cache_put(struct cluster_cache *b, struct cached_cluster *p)
{
	int64_t cluster = p->rows.cluster;
	size_t bytes = size_of(p);
	(void)pthread_mutex_lock(&b->lock);
	struct cached_cluster *other = lru_take(b->clusters, cluster, 0);
	/* A transaction that locked the cluster after ours may have stored its rows before us. */
	struct cached_cluster *old = other && other->rows.seq > p->rows.seq ? p : other;
	if (old == p) {
		p = other;
		bytes = size_of(p);
	}
	lru_put(b->clusters, cluster, 0, p, bytes);
	(void)pthread_mutex_unlock(&b->lock);
	cached_cluster_free(old);
}

size_t cluster_cache_count(struct cluster_cache *b, size_t *ret_bytes)
{
	(void)pthread_mutex_lock(&b->lock);
	size_t n = lru_count(b->clusters);
	*ret_bytes = lru_cost(b->clusters);
	(void)pthread_mutex_unlock(&b->lock);
	return n;
}
