/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/shares.h"

#include "common/base/map.h"
#include "common/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KNOWN 8192 /* tenants and clusters remembered; they are forgotten all together */

struct standing {
	int64_t running;
	uint64_t served; /* when last: the number of that service; 0 not that we know */
	int64_t place;
};

struct shares {
	struct map *tenants, *clusters, *places;
	uint64_t services;
	int64_t read_at;
	bool read;
};

struct shares *shares_create(void)
{
	struct shares *s = loom_calloc(1, sizeof(*s));
	s->tenants = map_create(loom_free);
	s->clusters = map_create(loom_free);
	s->places = map_create(loom_free);
	return s;
}

void shares_destroy(struct shares *s)
{
	if (!s)
		return;
	map_destroy(s->tenants);
	map_destroy(s->clusters);
	map_destroy(s->places);
	loom_free(s);
}

static struct standing *of(struct map **m, const char *key)
{
	struct standing *st = map_get(*m, key);
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

bool shares_stale(const struct shares *s, int64_t now, int64_t max_age_ms)
{
	return !s->read || now - s->read_at >= max_age_ms;
}

static void forget_running(struct map *m)
{
	const char *key;
	void *value;
	for (size_t it = 0; map_next(m, &it, &key, &value);)
		((struct standing *)value)->running = 0;
}

void shares_use(struct shares *s, const struct queue_use *v, size_t n, int64_t now)
{
	char key[24];
	forget_running(s->tenants);
	forget_running(s->clusters);
	for (size_t i = 0; i < n; i++) {
		of(&s->tenants, v[i].tenant)->running += v[i].running;
		of(&s->clusters, cluster_key(v[i].cluster, key))->running += v[i].running;
	}
	s->read_at = now;
	s->read = true;
}

void shares_given(struct shares *s, const char *tenant, int64_t cluster)
{
	char key[24];
	struct standing *t = of(&s->tenants, tenant);
	struct standing *c = of(&s->clusters, cluster_key(cluster, key));
	t->running++;
	c->running++;
	t->served = c->served = ++s->services;
}

/* ---- the order ------------------------------------------------------------------------------- */

struct ranked {
	struct share_offer o;
	struct standing tenant, cluster;
	int64_t in_cluster, in_tenant; /* how many would run if all before it in there were given */
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

static struct standing look(const struct map *m, const char *key)
{
	const struct standing *st = map_get(m, key);
	return st ? *st : (struct standing){ 0 };
}

void shares_order(const struct shares *s, struct share_offer *v, size_t n)
{
	if (n < 2)
		return;
	struct ranked *r = loom_calloc(n, sizeof(*r));
	char key[24];
	for (size_t i = 0; i < n; i++)
		r[i] = (struct ranked){ .o = v[i],
			                .tenant = look(s->tenants, v[i].tenant),
			                .cluster =
			                        look(s->clusters, cluster_key(v[i].cluster, key)) };
	qsort(r, n, sizeof(*r), in_clusters);
	for (size_t i = 0; i < n; i++)
		r[i].in_cluster = i && r[i - 1].o.cluster == r[i].o.cluster
		                          ? r[i - 1].in_cluster + 1
		                          : r[i].cluster.running;
	qsort(r, n, sizeof(*r), in_tenants);
	for (size_t i = 0; i < n; i++)
		r[i].in_tenant = i && str_eq(r[i - 1].o.tenant, r[i].o.tenant)
		                         ? r[i - 1].in_tenant + 1
		                         : r[i].tenant.running;
	qsort(r, n, sizeof(*r), in_all);
	for (size_t i = 0; i < n; i++)
		v[i] = r[i].o;
	loom_free(r);
}

/* ---- places ---------------------------------------------------------------------------------- */

static char *group_key(const struct queue_job *l)
{
	return loom_asprintf("%s %s", l->tenant, l->provider);
}

int64_t shares_place(const struct shares *s, const struct queue_job *group)
{
	LOOM_CLEANUP_STR char *key = group_key(group);
	return look(s->places, key).place;
}

void shares_set_place(struct shares *s, const struct queue_job *group, int64_t cluster)
{
	LOOM_CLEANUP_STR char *key = group_key(group);
	if (cluster)
		of(&s->places, key)->place = cluster;
	else
		map_del(s->places, key);
}
