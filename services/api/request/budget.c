/* SPDX-License-Identifier: Apache-2.0 */
/* budget - token buckets that fill at a steady rate. */
#include "services/api/request/budget.h"

#include "common/base/lru.h"
#include "common/base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

enum { MOST = 16384, PARTS = 1000 /* of one unit: a ms seldom brings a whole one */ };

struct budget {
	pthread_mutex_t mutex;
	int64_t rate, burst;
	struct lru *buckets;
};

struct bucket {
	int64_t left, at; /* left: in parts, as of `at` (monotonic ms) */
};

struct budget *budget_create(int64_t rate, int64_t burst)
{
	struct budget *b = loom_calloc(1, sizeof(*b));
	pthread_mutex_init(&b->mutex, NULL);
	b->rate = rate;
	b->burst = burst;
	b->buckets = lru_create(MOST, SIZE_MAX, loom_free);
	return b;
}

void budget_destroy(struct budget *b)
{
	if (!b)
		return;
	lru_destroy(b->buckets);
	pthread_mutex_destroy(&b->mutex);
	loom_free(b);
}

static struct bucket *bucket_of(struct budget *b, const char *name, int64_t now)
{
	int64_t k[2];
	crypto_generichash((unsigned char *)k, sizeof(k), (const unsigned char *)name, strlen(name),
	                   NULL, 0);
	struct bucket *found = lru_get(b->buckets, k[0], k[1]);
	if (found)
		return found;
	found = loom_malloc(sizeof(*found));
	*found = (struct bucket){ b->burst * PARTS, now };
	lru_put(b->buckets, k[0], k[1], found, 1);
	return found;
}

static void fill(const struct budget *b, struct bucket *k, int64_t now)
{
	int64_t room = b->burst * PARTS - k->left, since = now - k->at;
	/* By then the bucket is full; multiplying years of idleness by the rate would overflow. */
	if (since > room / b->rate)
		k->left += room;
	else if (since > 0)
		k->left += since * b->rate;
	if (since > 0)
		k->at = now;
}

static int64_t ask(struct budget *b, const char *name, int64_t amount, int64_t now, bool take)
{
	if (!b->rate)
		return 0;
	pthread_mutex_lock(&b->mutex);
	struct bucket *k = bucket_of(b, name, now);
	fill(b, k, now);
	int64_t lacks = amount * PARTS - k->left;
	if (lacks <= 0 && take)
		k->left -= amount * PARTS;
	pthread_mutex_unlock(&b->mutex);
	return lacks <= 0 ? 0 : (lacks + b->rate - 1) / b->rate;
}

int64_t budget_take(struct budget *b, const char *name, int64_t amount, int64_t now)
{
	return ask(b, name, amount, now, true);
}

int64_t budget_wait(struct budget *b, const char *name, int64_t amount, int64_t now)
{
	return ask(b, name, amount, now, false);
}
