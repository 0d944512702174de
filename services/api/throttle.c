/* SPDX-License-Identifier: Apache-2.0 */
/* Who gave a wrong password how often. */
#include "services/api/throttle.h"

#include "common/base/lru.h"
#include "common/base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

enum { MOST = 16384, FIRST_MS = 1000 };

struct throttle {
	pthread_mutex_t mutex;
	struct lru *tries;
};

struct tries {
	int wrong;
	int64_t until; /* monotonic ms */
};

struct throttle *throttle_create(void)
{
	struct throttle *t = loom_calloc(1, sizeof(*t));
	pthread_mutex_init(&t->mutex, NULL);
	t->tries = lru_create(MOST, SIZE_MAX, loom_free);
	return t;
}

void throttle_destroy(struct throttle *t)
{
	if (!t)
		return;
	lru_destroy(t->tries);
	pthread_mutex_destroy(&t->mutex);
	loom_free(t);
}

static void numbers_of(const char *key, int64_t ret[2])
{
	crypto_generichash((unsigned char *)ret, 2 * sizeof(*ret), (const unsigned char *)key,
	                   strlen(key), NULL, 0);
}

int64_t throttle_wait(struct throttle *t, const char *key, int64_t now)
{
	int64_t k[2];
	numbers_of(key, k);
	pthread_mutex_lock(&t->mutex);
	const struct tries *e = lru_get(t->tries, k[0], k[1]);
	int64_t wait = e && e->until > now ? e->until - now : 0;
	pthread_mutex_unlock(&t->mutex);
	return wait;
}

void throttle_wrong(struct throttle *t, const char *key, int64_t now)
{
	int64_t k[2];
	numbers_of(key, k);
	pthread_mutex_lock(&t->mutex);
	struct tries *e = lru_take(t->tries, k[0], k[1]);
	if (!e)
		e = loom_calloc(1, sizeof(*e));
	int64_t wait = 0;
	if (++e->wrong >= THROTTLE_FREE)
		wait = FIRST_MS << (e->wrong - THROTTLE_FREE < 16 ? e->wrong - THROTTLE_FREE : 16);
	e->until = now + (wait < THROTTLE_MOST_MS ? wait : THROTTLE_MOST_MS);
	lru_put(t->tries, k[0], k[1], e, 1);
	pthread_mutex_unlock(&t->mutex);
}

void throttle_right(struct throttle *t, const char *key)
{
	int64_t k[2];
	numbers_of(key, k);
	pthread_mutex_lock(&t->mutex);
	loom_free(lru_take(t->tries, k[0], k[1]));
	pthread_mutex_unlock(&t->mutex);
}
