/* SPDX-License-Identifier: Apache-2.0 */
/* planning_share - counts each tenant's jobs under way, and remembers whose turn it was. */
#include "services/scheduler/operation/planning_share.h"

#include "common/base/map.h"

#include <pthread.h>
#include <stdio.h>

struct use {
	unsigned planned, asked;
};

struct planning_share {
	pthread_mutex_t lock;
	struct map *uses; /* of tenants with jobs under way */
	char last[PLANNING_TENANT];
	bool refused;
};

struct planning_share *planning_share_create(void)
{
	struct planning_share *s = loom_calloc(1, sizeof(*s));
	s->uses = map_create(loom_free);
	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

void planning_share_destroy(struct planning_share *s)
{
	if (!s)
		return;
	map_destroy(s->uses);
	(void)pthread_mutex_destroy(&s->lock);
	loom_free(s);
}

void planning_share_last(struct planning_share *s, char ret[PLANNING_TENANT])
{
	(void)pthread_mutex_lock(&s->lock);
	snprintf(ret, PLANNING_TENANT, "%s", s->last);
	(void)pthread_mutex_unlock(&s->lock);
}

static bool has_room(const struct use *u)
{
	return !u || (u->planned < PLANNING_EACH && u->planned + u->asked < PLANNING_ASKED);
}

bool planning_share_begin(struct planning_share *s, const char *tenant)
{
	(void)pthread_mutex_lock(&s->lock);
	struct use *u = map_get(s->uses, tenant);
	bool ok = has_room(u);
	if (ok && !u) {
		u = loom_calloc(1, sizeof(*u));
		map_set(s->uses, tenant, u);
	}
	if (ok)
		u->planned++;
	else
		s->refused = true;
	snprintf(s->last, sizeof(s->last), "%s", tenant);
	(void)pthread_mutex_unlock(&s->lock);
	return ok;
}

void planning_share_ask(struct planning_share *s, const char *tenant, bool asked)
{
	(void)pthread_mutex_lock(&s->lock);
	struct use *u = map_get(s->uses, tenant);
	loom_assert(u && (asked ? u->planned : u->asked));
	u->planned += asked ? -1u : 1u;
	u->asked += asked ? 1u : -1u;
	(void)pthread_mutex_unlock(&s->lock);
}

bool planning_share_end(struct planning_share *s, const char *tenant, bool asked)
{
	(void)pthread_mutex_lock(&s->lock);
	struct use *u = map_get(s->uses, tenant);
	loom_assert(u && (asked ? u->asked : u->planned));
	(*(asked ? &u->asked : &u->planned))--;
	if (!u->asked && !u->planned)
		(void)map_del(s->uses, tenant);
	bool refused = s->refused;
	s->refused = false;
	(void)pthread_mutex_unlock(&s->lock);
	return refused;
}
