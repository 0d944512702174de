/* SPDX-License-Identifier: Apache-2.0 */
/* log_budget - a bucket for each tenant, filled at a steady rate. */
#include "services/api/log_budget.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#include <pthread.h>

#define MOST 4096 /* tenants remembered; all are forgotten together, which gives each a burst */

struct bucket {
	int64_t left, at; /* bytes; monotonic ms when that was so */
};

struct log_budget {
	pthread_mutex_t mutex;
	struct map *tenants;
};

struct log_budget *log_budget_create(void)
{
	struct log_budget *b = loom_calloc(1, sizeof(*b));
	(void)pthread_mutex_init(&b->mutex, NULL);
	b->tenants = map_create(loom_free);
	return b;
}

void log_budget_destroy(struct log_budget *b)
{
	if (!b)
		return;
	map_destroy(b->tenants);
	(void)pthread_mutex_destroy(&b->mutex);
	loom_free(b);
}

static struct bucket *bucket_of(struct log_budget *b, const char *tenant, int64_t now)
{
	struct bucket *found = map_get(b->tenants, tenant);
	if (found)
		return found;
	if (map_count(b->tenants) >= MOST) {
		map_destroy(b->tenants);
		b->tenants = map_create(loom_free);
	}
	found = loom_malloc(sizeof(*found));
	*found = (struct bucket){ LOG_BUDGET_BURST, now };
	map_set(b->tenants, tenant, found);
	return found;
}

bool log_budget_take(struct log_budget *b, const char *tenant, size_t bytes)
{
	int64_t now = clock_mono_ms();
	(void)pthread_mutex_lock(&b->mutex);
	struct bucket *k = bucket_of(b, tenant, now);
	int64_t more = (now - k->at) * LOG_BUDGET_RATE / 1000;
	k->left = k->left + more < LOG_BUDGET_BURST ? k->left + more : LOG_BUDGET_BURST;
	k->at = now;
	bool ok = k->left >= (int64_t)bytes;
	if (ok)
		k->left -= (int64_t)bytes;
	(void)pthread_mutex_unlock(&b->mutex);
	return ok;
}
