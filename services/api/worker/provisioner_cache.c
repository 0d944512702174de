/* SPDX-License-Identifier: Apache-2.0 */
/* Caches for a moment which provisioners are registered. */
#include "services/api/worker/provisioner_cache.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/model/worker/provisioner.h"

#include <pthread.h>
#include <string.h>

enum { REMEMBERED_MS = 1000, NOTED_MS = 30000, MOST = 4096, MAX_TENANT = 64 };

struct provisioner_cache {
	pthread_mutex_t mutex;
	struct map *until; /* by id: int64_t, monotonic ms */
};

struct provisioner_cache *provisioner_cache_create(void)
{
	struct provisioner_cache *k = loom_calloc(1, sizeof(*k));
	pthread_mutex_init(&k->mutex, NULL);
	k->until = map_create(loom_free);
	return k;
}

void provisioner_cache_destroy(struct provisioner_cache *k)
{
	if (!k)
		return;
	map_destroy(k->until);
	pthread_mutex_destroy(&k->mutex);
	loom_free(k);
}

static bool remembered(struct provisioner_cache *k, const char *id)
{
	pthread_mutex_lock(&k->mutex);
	const int64_t *until = map_get(k->until, id);
	bool yes = until && *until > clock_mono_ms();
	pthread_mutex_unlock(&k->mutex);
	return yes;
}

static void remember(struct provisioner_cache *k, const char *id, int64_t until_ms)
{
	int64_t *until = loom_malloc(sizeof(*until));
	*until = until_ms;
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

int provisioner_cache_ask(struct provisioner_cache *k, struct db_pool *db, const char *id,
                          bool *ret)
{
	struct question q = { .id = id };
	*ret = remembered(k, id);
	if (*ret)
		return 0;
	int64_t asked = clock_mono_ms();
	int rc = db_read(db, read_known, &q);
	if (!rc && q.known)
		remember(k, id, asked + REMEMBERED_MS);
	*ret = q.known;
	return rc;
}

struct note {
	const char *id, *tenant;
};

static int note_tx(struct db *db, void *arg)
{
	const struct note *n = arg;
	return provisioner_note_tenant(db, n->id, n->tenant);
}

static char *pair(const char *id, const char *tenant)
{
	return loom_asprintf("%s\n%s", id, tenant);
}

/* No tenant has such a long name, so nothing is noted for it. */
static bool is_noted(struct provisioner_cache *k, const char *key, const char *tenant)
{
	return strlen(tenant) > MAX_TENANT || remembered(k, key);
}

bool provisioner_cache_has(struct provisioner_cache *k, const char *id, const char *tenant)
{
	LOOM_CLEANUP_STR char *key = tenant ? pair(id, tenant) : NULL;
	return remembered(k, id) && (!key || is_noted(k, key, tenant));
}

int provisioner_cache_note_tenant(struct provisioner_cache *k, struct db_pool *db, const char *id,
                                  const char *tenant)
{
	LOOM_CLEANUP_STR char *key = pair(id, tenant);
	struct note n = { id, tenant };
	if (is_noted(k, key, tenant))
		return 0;
	int rc = db_tx(db, note_tx, &n);
	if (!rc)
		remember(k, key, clock_mono_ms() + NOTED_MS);
	return rc;
}

/* A little longer than it may be at one task, unless task_timeout_ms says more: then the task keeps
 * it registered. */
#define SILENT_MS (31LL * 60 * 1000)

struct silent {
	const char *id, *tenant;
	char *host;
};

static int silent_tx(struct db *db, void *arg)
{
	const struct silent *s = arg;
	return provisioner_put_silent(db, s->id, s->tenant, s->host, SILENT_MS);
}

/* The host in a worker's id "HOST.PID", for the list of provisioners. */
static char *host_of(const char *id)
{
	const char *dot = strrchr(id, '.');
	return loom_strndup(id, dot ? (size_t)(dot - id) : strlen(id));
}

int provisioner_cache_put_silent(struct provisioner_cache *k, struct db_pool *db, const char *id,
                                 const char *tenant)
{
	LOOM_CLEANUP_STR char *key = pair(id, "silent"), *host = host_of(id);
	struct silent s = { id, tenant, host };
	bool known = false;
	int rc = provisioner_cache_ask(k, db, id, &known);
	if (rc || (known && remembered(k, key)))
		return rc;
	rc = db_tx(db, silent_tx, &s);
	if (!rc)
		remember(k, key, clock_mono_ms() + NOTED_MS);
	return rc;
}

void provisioner_cache_forget(struct provisioner_cache *k, const char *id)
{
	pthread_mutex_lock(&k->mutex);
	map_del(k->until, id);
	pthread_mutex_unlock(&k->mutex);
}
