/* SPDX-License-Identifier: Apache-2.0 */
/* lru - a hash table whose entries are also in a ring, the most recently used first. */
#include "common/base/lru.h"

#include "common/base/mem.h"

struct entry {
	struct entry *next;          /* in its bucket */
	struct entry *newer, *older; /* in the ring */
	int64_t a, b;
	void *value;
	size_t cost;
};

struct lru {
	struct entry **buckets;
	size_t n_buckets;  /* a power of two, more than there may be values */
	struct entry ring; /* its older: the newest; its newer: the oldest */
	size_t n, cost, max_values, max_cost;
	void (*destroy)(void *value);
};

struct lru *lru_create(size_t max_values, size_t max_cost, void (*destroy)(void *value))
{
	loom_assert(max_values && destroy);
	struct lru *l = loom_calloc(1, sizeof(*l));
	*l = (struct lru){
		.n_buckets = 1, .max_values = max_values, .max_cost = max_cost, .destroy = destroy
	};
	while (l->n_buckets <= max_values)
		l->n_buckets *= 2;
	l->buckets = loom_calloc(l->n_buckets, sizeof(*l->buckets));
	l->ring.newer = l->ring.older = &l->ring;
	return l;
}

static struct entry **find(struct lru *l, int64_t a, int64_t b)
{
	uint64_t h = (uint64_t)a * 0x9e3779b97f4a7c15u;
	h = (h ^ (uint64_t)b) * 0x9e3779b97f4a7c15u;
	struct entry **at = &l->buckets[(h >> 20) & (l->n_buckets - 1)];
	while (*at && ((*at)->a != a || (*at)->b != b))
		at = &(*at)->next;
	return at;
}

static void ring_remove(struct entry *e)
{
	e->newer->older = e->older;
	e->older->newer = e->newer;
}

static void ring_add(struct lru *l, struct entry *e)
{
	e->newer = &l->ring;
	e->older = l->ring.older;
	e->older->newer = e;
	l->ring.older = e;
}

static void *remove_at(struct lru *l, struct entry **at)
{
	struct entry *e = *at;
	loom_assert(e);
	void *value = e->value;
	*at = e->next;
	ring_remove(e);
	l->n--;
	l->cost -= e->cost;
	loom_free(e);
	return value;
}

static void drop_oldest(struct lru *l)
{
	const struct entry *e = l->ring.newer;
	l->destroy(remove_at(l, find(l, e->a, e->b)));
}

void lru_destroy(struct lru *l)
{
	if (!l)
		return;
	while (l->n)
		drop_oldest(l);
	loom_free(l->buckets);
	loom_free(l);
}

void *lru_get(struct lru *l, int64_t a, int64_t b)
{
	struct entry *e = *find(l, a, b);
	if (!e)
		return NULL;
	ring_remove(e);
	ring_add(l, e);
	return e->value;
}

void *lru_take(struct lru *l, int64_t a, int64_t b)
{
	struct entry **at = find(l, a, b);
	return *at ? remove_at(l, at) : NULL;
}

void lru_put(struct lru *l, int64_t a, int64_t b, void *value, size_t cost)
{
	void *old = lru_take(l, a, b);
	if (old)
		l->destroy(old);
	while (l->n == l->max_values || (l->n && l->cost + cost > l->max_cost))
		drop_oldest(l);
	struct entry *e = loom_calloc(1, sizeof(*e)), **at = find(l, a, b);
	*e = (struct entry){ .a = a, .b = b, .value = value, .cost = cost };
	*at = e;
	ring_add(l, e);
	l->n++;
	l->cost += cost;
}

size_t lru_count(const struct lru *l)
{
	return l->n;
}

size_t lru_cost(const struct lru *l)
{
	return l->cost;
}
