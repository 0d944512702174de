/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/book.h"

#include "common/base/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BOOK_HIT, BOOK_MISSED };
static struct metric book_metrics[] = {
	[BOOK_HIT] = { "loom_scheduler_pages_hit_total",
	               "Clusters whose rows were known from the turn before.", METRIC_COUNTER },
	[BOOK_MISSED] = { "loom_scheduler_pages_missed_total",
	                  "Clusters whose rows had to be read.", METRIC_COUNTER },
};

enum { KEPT = 512, KEPT_ROWS = 20000 };

/* ---- pages ----------------------------------------------------------------------------------- */

struct page *page_create(int64_t cluster)
{
	struct page *p = loom_calloc(1, sizeof(*p));
	p->cluster = cluster;
	p->swept = map_create(NULL);
	return p;
}

void page_free(struct page *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_jobs; i++)
		job_fini(&p->jobs[i]);
	loom_free(p->jobs);
	sight_destroy(p->sight);
	tasks_free(p->tasks);
	nodes_free(p->nodes);
	map_destroy(p->swept);
	loom_free(p);
}

static int by_number(const void *key, const void *node)
{
	const int64_t *num = key;
	const struct node *n = node;
	return (*num > n->num) - (*num < n->num);
}

struct node *page_node(const struct page *p, const struct task *t)
{
	struct node *n = p->nodes && p->nodes->n ? bsearch(&t->node_num, p->nodes->v, p->nodes->n,
	                                                   sizeof(*p->nodes->v), by_number)
	                                         : NULL;
	return n && strcmp(n->id, t->node_id) == 0 ? n : NULL;
}

static size_t rows(const struct page *p)
{
	return 1 + p->n_jobs + (p->tasks ? p->tasks->n : 0) + (p->nodes ? p->nodes->n : 0);
}

/* ---- the book -------------------------------------------------------------------------------- */

struct book {
	pthread_mutex_t lock;
	struct page *v[KEPT];
	size_t n, rows;
	uint64_t ticks;
};

void book_start(void)
{
	metrics_register(book_metrics, LOOM_COUNT(book_metrics));
}

struct book *book_create(void)
{
	struct book *b = loom_calloc(1, sizeof(*b));
	(void)pthread_mutex_init(&b->lock, NULL);
	return b;
}

static struct page *take_out(struct book *b, size_t i)
{
	struct page *p = b->v[i];
	b->rows -= rows(p);
	b->v[i] = b->v[--b->n];
	return p;
}

void book_destroy(struct book *b)
{
	if (!b)
		return;
	while (b->n)
		page_free(take_out(b, b->n - 1));
	(void)pthread_mutex_destroy(&b->lock);
	loom_free(b);
}

static struct page *find(struct book *b, int64_t cluster)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i]->cluster == cluster)
			return take_out(b, i);
	return NULL;
}

struct page *book_take(struct book *b, int64_t cluster, int64_t seq)
{
	(void)pthread_mutex_lock(&b->lock);
	struct page *p = find(b, cluster);
	(void)pthread_mutex_unlock(&b->lock);
	bool right = p && p->seq == seq;
	metric_add(&book_metrics[right ? BOOK_HIT : BOOK_MISSED], 1);
	if (right)
		return p;
	page_free(p);
	return NULL;
}

/* The page put last stays, however large it is. */
static void make_room(struct book *b, size_t more)
{
	while (b->n == KEPT || (b->n && b->rows + more > KEPT_ROWS)) {
		size_t oldest = 0;
		for (size_t i = 1; i < b->n; i++)
			if (b->v[i]->used < b->v[oldest]->used)
				oldest = i;
		page_free(take_out(b, oldest));
	}
}

void book_put(struct book *b, struct page *p)
{
	(void)pthread_mutex_lock(&b->lock);
	struct page *other = find(b, p->cluster);
	/* Who locked the cluster after us may have been faster here. */
	struct page *old = other && other->seq > p->seq ? p : other;
	p = old == p ? other : p;
	make_room(b, rows(p));
	p->used = ++b->ticks;
	b->rows += rows(p);
	b->v[b->n++] = p;
	(void)pthread_mutex_unlock(&b->lock);
	page_free(old);
}
