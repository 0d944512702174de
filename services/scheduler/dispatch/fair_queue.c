/* SPDX-License-Identifier: Apache-2.0 */
/* fair_queue - orders offers by ranks within clusters, within tenants, and overall. */
#include "services/scheduler/dispatch/fair_queue.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/json/json.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most tenants, and most clusters, remembered. If there are more, all are forgotten, which costs at
 * most one round in which all count as equal. */
#define MAX_KNOWN 8192
/* A cluster that got no task among this many is forgotten: it has ended, or does not differ from
 * one that never got any. So memory depends on the running work, not on the number of clusters ever
 * seen. */
#define SERVED_LATELY 4096

/* Ranks of tenants are in fractions of a task, since a lead counts less than a task each. */
enum { RANK_UNIT = 16 };

struct usage {
	int64_t running;
	uint64_t served; /* number of the last service; 0: unknown */
	int64_t place;
	/* only for tenants: */
	int64_t given; /* tasks given since usage was last read */
	int64_t ahead; /* lead over the others from tasks given before, in RANK_UNIT */
	bool competes; /* had offers since usage was last read */
};

struct fair_queue {
	struct map *tenants, *clusters, *cursors;
	uint64_t services;
	int64_t read_at;
	bool read;
	_Atomic bool contended;
	pthread_mutex_t lock; /* protects tenants and clusters */
};

struct fair_queue *fair_queue_create(void)
{
	struct fair_queue *s = loom_calloc(1, sizeof(*s));
	s->tenants = map_create(loom_free);
	s->clusters = map_create(loom_free);
	s->cursors = map_create(loom_free);
	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

void fair_queue_destroy(struct fair_queue *s)
{
	if (!s)
		return;
	map_destroy(s->tenants);
	map_destroy(s->clusters);
	map_destroy(s->cursors);
	(void)pthread_mutex_destroy(&s->lock);
	loom_free(s);
}

static struct usage *of(struct map **m, const char *key)
{
	struct usage *st = map_get(*m, key);
	if (st)
		return st;
	if (map_count(*m) >= MAX_KNOWN) {
		map_destroy(*m);
		*m = map_create(loom_free);
	}
	st = loom_calloc(1, sizeof(*st));
	map_set(*m, key, st);
	return st;
}

static const char *cluster_key(int64_t cluster, char key[24])
{
	snprintf(key, 24, "%lld", (long long)cluster);
	return key;
}

bool fair_queue_stale(const struct fair_queue *s, int64_t now, int64_t max_age_ms)
{
	return !s->read || now - s->read_at >= max_age_ms;
}

static void forget_running(struct map *m)
{
	const char *key;
	void *value;
	for (size_t it = 0; map_next(m, &it, &key, &value);)
		((struct usage *)value)->running = 0;
}

static int64_t within(int64_t x, int64_t bound)
{
	return x < -bound ? -bound : x > bound ? bound : x;
}

/*
 * Counting running tasks is not enough. Results of a tenant with few clusters wait for each other's
 * locks, so that its tasks seem to run longer; and it is skipped while another batch holds its
 * cluster. It shows most because workers get their next task with the answer to a result. So a
 * tenant that was given more than the others ranks as if it ran more: a quarter of a task for each
 * task of its lead, but at most one task and an eighth of an equal share, because a tenant with
 * longer tasks is given fewer of them and still has its share.
 */
static void weigh(struct map *tenants)
{
	int64_t n = 0, given = 0, running = 0;
	const char *key;
	void *value;
	for (size_t it = 0; map_next(tenants, &it, &key, &value);) {
		const struct usage *u = value;
		if (!u->competes)
			continue;
		n++;
		given += u->given;
		running += u->running;
	}
	const int64_t all = n ? n : 1;
	const int64_t most = n ? RANK_UNIT + RANK_UNIT * running / n / 8 : 0;
	for (size_t it = 0; map_next(tenants, &it, &key, &value);) {
		struct usage *u = value;
		if (u->competes)
			u->ahead = within(u->ahead + RANK_UNIT * (u->given * n - given) / (4 * all),
			                  most);
		else
			u->ahead = 0;
		u->given = 0;
		u->competes = false;
	}
}

void fair_queue_use(struct fair_queue *s, const struct queue_use *v, size_t n, int64_t now)
{
	char key[24];
	(void)pthread_mutex_lock(&s->lock);
	forget_running(s->tenants);
	forget_running(s->clusters);
	for (size_t i = 0; i < n; i++) {
		of(&s->tenants, v[i].tenant)->running += v[i].running;
		of(&s->clusters, cluster_key(v[i].cluster, key))->running += v[i].running;
	}
	weigh(s->tenants);
	(void)pthread_mutex_unlock(&s->lock);
	s->read_at = now;
	s->read = true;
}

static void forget_idle(struct map *clusters, uint64_t services)
{
	const char *key;
	void *value;
	for (size_t it = 0; map_next(clusters, &it, &key, &value);) {
		if (((const struct usage *)value)->served + SERVED_LATELY < services)
			(void)map_del(clusters, key);
	}
}

void fair_queue_given(struct fair_queue *s, const char *tenant, int64_t cluster)
{
	char key[24];
	(void)pthread_mutex_lock(&s->lock);
	struct usage *t = of(&s->tenants, tenant);
	struct usage *c = of(&s->clusters, cluster_key(cluster, key));
	t->running++;
	t->given++;
	c->running++;
	t->served = c->served = ++s->services;
	if (s->services % SERVED_LATELY == 0)
		forget_idle(s->clusters, s->services);
	(void)pthread_mutex_unlock(&s->lock);
}

bool fair_queue_contended(const struct fair_queue *s)
{
	return atomic_load(&s->contended);
}

void fair_queue_set_contended(struct fair_queue *s, bool contended)
{
	atomic_store(&s->contended, contended);
}

struct json *fair_queue_show(struct fair_queue *s, size_t most)
{
	struct json *list = json_new_arr();
	const char *key;
	void *value;
	(void)pthread_mutex_lock(&s->lock);
	for (size_t it = 0; json_len(list) < most && map_next(s->tenants, &it, &key, &value);) {
		const struct usage *u = value;
		struct json *o = json_set_str(json_new_obj(), "tenant", key);
		json_set_int(o, "running", u->running);
		json_push(list, json_set_int(o, "served", (int64_t)u->served));
	}
	struct json *all = json_set(json_new_obj(), "tenants", list);
	json_set_int(all, "clusters", (int64_t)map_count(s->clusters));
	(void)pthread_mutex_unlock(&s->lock);
	return all;
}

/* ---- the order ------------------------------------------------------------------------------- */

struct ranked {
	struct fair_offer o;
	struct usage tenant, cluster;
	int64_t in_cluster, in_tenant; /* tasks running there once all before it are given */
};

static int sign(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int by_age(const struct ranked *x, const struct ranked *y)
{
	int d = sign(x->o.not_before, y->o.not_before);
	if (!d)
		d = sign(x->o.cluster, y->o.cluster);
	return d ? d : sign((int64_t)x->o.index, (int64_t)y->o.index);
}

static int in_clusters(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int d = sign(x->o.cluster, y->o.cluster);
	return d ? d : by_age(x, y);
}

static int in_tenants(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int d = strcmp(x->o.tenant, y->o.tenant);
	if (!d)
		d = sign(x->in_cluster, y->in_cluster);
	if (!d)
		d = sign((int64_t)x->cluster.served, (int64_t)y->cluster.served);
	return d ? d : by_age(x, y);
}

static int in_all(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int d = sign(x->in_tenant, y->in_tenant);
	if (!d)
		d = sign((int64_t)x->tenant.served, (int64_t)y->tenant.served);
	return d ? d : by_age(x, y);
}

static struct usage look(const struct map *m, const char *key)
{
	const struct usage *st = map_get(m, key);
	return st ? *st : (struct usage){ 0 };
}

void fair_queue_order(struct fair_queue *s, struct fair_offer *v, size_t n)
{
	if (!n)
		return;
	struct ranked *r = loom_calloc(n, sizeof(*r));
	char key[24];
	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		struct usage *t = of(&s->tenants, v[i].tenant);
		t->competes = true;
		r[i] = (struct ranked){ .o = v[i],
			                .tenant = *t,
			                .cluster =
			                        look(s->clusters, cluster_key(v[i].cluster, key)) };
	}
	(void)pthread_mutex_unlock(&s->lock);
	qsort(r, n, sizeof(*r), in_clusters);
	for (size_t i = 0; i < n; i++)
		r[i].in_cluster = i && r[i - 1].o.cluster == r[i].o.cluster
		                          ? r[i - 1].in_cluster + 1
		                          : r[i].cluster.running;
	qsort(r, n, sizeof(*r), in_tenants);
	for (size_t i = 0; i < n; i++)
		r[i].in_tenant = i && str_eq(r[i - 1].o.tenant, r[i].o.tenant)
		                         ? r[i - 1].in_tenant + RANK_UNIT
		                         : r[i].tenant.running * RANK_UNIT + r[i].tenant.ahead;
	qsort(r, n, sizeof(*r), in_all);
	for (size_t i = 0; i < n; i++)
		v[i] = r[i].o;
	loom_free(r);
}

/* ---- cursors --------------------------------------------------------------------------------- */

static char *group_key(const struct queue_job *l)
{
	return loom_asprintf("%s %s", l->tenant, l->provider);
}

int64_t fair_queue_cursor(const struct fair_queue *s, const struct queue_job *group)
{
	LOOM_CLEANUP_STR char *key = group_key(group);
	return look(s->cursors, key).place;
}

void fair_queue_set_cursor(struct fair_queue *s, const struct queue_job *group, int64_t cluster)
{
	LOOM_CLEANUP_STR char *key = group_key(group);
	if (cluster)
		of(&s->cursors, key)->place = cluster;
	else
		map_del(s->cursors, key);
}
