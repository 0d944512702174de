/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/known.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/model/provisioner.h"

#include <pthread.h>

enum { REMEMBERED_MS = 1000, MOST = 4096 };

struct known {
	pthread_mutex_t mutex;
	struct map *until; /* by id: int64_t, monotonic ms */
};

struct known *known_create(void)
{
	struct known *k = loom_calloc(1, sizeof(*k));
	pthread_mutex_init(&k->mutex, NULL);
	k->until = map_create(loom_free);
	return k;
}

void known_destroy(struct known *k)
{
	if (!k)
		return;
	map_destroy(k->until);
	pthread_mutex_destroy(&k->mutex);
	loom_free(k);
}

static bool remembered(struct known *k, const char *id)
{
	pthread_mutex_lock(&k->mutex);
	const int64_t *until = map_get(k->until, id);
	bool yes = until && *until > clock_mono_ms();
	pthread_mutex_unlock(&k->mutex);
	return yes;
}

static void remember(struct known *k, const char *id, int64_t asked)
{
	int64_t *until = loom_malloc(sizeof(*until));
	*until = asked + REMEMBERED_MS;
	pthread_mutex_lock(&k->mutex);
	if (map_count(k->until) >= MOST) {
		map_destroy(k->until);
		k->until = map_create(loom_free);
	}
	map_set(k->until, id, until);
	pthread_mutex_unlock(&k->mutex);
}

struct question {
	const char *id;
	bool known;
};

static int read_known(struct db *db, void *arg)
{
	struct question *q = arg;
	return provisioner_known(db, q->id, &q->known);
}

int known_ask(struct known *k, struct db_pool *db, const char *id, bool *ret)
{
	struct question q = { .id = id };
	*ret = remembered(k, id);
	if (*ret)
		return 0;
	int64_t asked = clock_mono_ms();
	int rc = db_read(db, read_known, &q);
	if (!rc && q.known)
		remember(k, id, asked);
	*ret = q.known;
	return rc;
}

void known_forget(struct known *k, const char *id)
{
	pthread_mutex_lock(&k->mutex);
	map_del(k->until, id);
	pthread_mutex_unlock(&k->mutex);
}
