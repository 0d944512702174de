/* SPDX-License-Identifier: Apache-2.0 */
/* tally - a sum, or a hash of all, read on a worker. */
#include "services/api/watch/tally.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/callback/callback.h"
#include "common/model/callback/callback_target.h"
#include "common/model/catalog/entity_list.h"
#include "common/model/cluster/cluster_list.h"
#include "common/model/identity/audit.h"
#include "common/model/identity/own_role.h"
#include "common/model/identity/tenant.h"
#include "common/model/identity/token.h"
#include "common/model/worker/provisioner.h"
#include "services/api/request/db_outage.h"

#include <stdio.h>

enum {
	REST = 20,        /* rests this many times as long as reading took */
	REST_MS = 50,     /* plus this */
	POLL_REST = 1000, /* the same factor for reading again without a notice */
};

struct tally {
	struct tally *next;
	struct api *a;
	struct tally_of of;
	struct tally_reader *readers;
	bool reading, again;
	int64_t took_us, read_ms; /* duration of the last reading; its end, monotonic */
	int64_t now;
	struct loop_timer *rest;
	int rc;
};

struct tally_of tally_of_rows(enum tally_list list, const char *tenant, const char *owner)
{
	struct tally_of of = { .list = list, .own = owner };
	snprintf(of.tenant, sizeof(of.tenant), "%s", tenant);
	snprintf(of.owner, sizeof(of.owner), "%s", owner ? owner : "");
	return of;
}

struct tally_of tally_of_clusters(const struct identity *who)
{
	return tally_of_rows(TALLY_CLUSTERS, who->tenant_id, auth_sees_all(who) ? NULL : who->user);
}

struct tally_of tally_of_entities(const char *tenant, enum entity_kind kind)
{
	struct tally_of of = tally_of_rows(TALLY_DOCUMENTS, tenant, NULL);
	of.kind = kind;
	return of;
}

struct tally_of tally_of_files(const struct plugin_resource_at *at)
{
	struct tally_of of = tally_of_rows(TALLY_PLUGIN_FILES, at->tenant, NULL);
	of.kind = at->kind;
	snprintf(of.plugin, sizeof(of.plugin), "%s", at->plugin);
	snprintf(of.type, sizeof(of.type), "%s", at->type);
	snprintf(of.name, sizeof(of.name), "%s", at->name ? at->name : "");
	return of;
}

/* ---- how each is read ------------------------------------------------------------------------ */

static const char *owner_of(const struct tally_of *of)
{
	return of->own ? of->owner : NULL;
}

static int clusters(struct db *db, const struct tally_of *of, int64_t *ret)
{
	return cluster_list_tally(db, of->tenant, owner_of(of), ret);
}

static int documents(struct db *db, const struct tally_of *of, int64_t *ret)
{
	return entity_list_tally(db, of->tenant, of->kind, ret);
}

static int users(struct db *db, const struct tally_of *of, int64_t *ret)
{
	return account_tally(db, of->tenant, ret);
}

static int roles(struct db *db, const struct tally_of *of, int64_t *ret)
{
	return own_role_tally(db, of->tenant, ret);
}

static int tokens(struct db *db, const struct tally_of *of, int64_t *ret)
{
	return token_tally(db, of->tenant, owner_of(of), ret);
}

static int tenants(struct db *db, const struct tally_of *of LOOM_UNUSED, int64_t *ret)
{
	return tenants_tally(db, ret);
}

static int provisioners(struct db *db, const struct tally_of *of LOOM_UNUSED, int64_t *ret)
{
	return provisioners_tally(db, ret);
}

static int callback_targets(struct db *db, const struct tally_of *of, int64_t *ret)
{
	return callback_target_tally(db, of->tenant, ret);
}

static const char *tenant_of(const struct tally_of *of)
{
	return *of->tenant ? of->tenant : NULL;
}

static int callbacks(struct db *db, const struct tally_of *of, int64_t *ret)
{
	return callback_tally(db, tenant_of(of), ret);
}

static int audit(struct db *db, const struct tally_of *of, int64_t *ret)
{
	return audit_tally(db, tenant_of(of), ret);
}

static int plugin_files(struct db *db, const struct tally_of *of, int64_t *ret)
{
	const struct plugin_resource_at at = { .tenant = of->tenant,
		                               .kind = of->kind,
		                               .plugin = of->plugin,
		                               .type = of->type,
		                               .name = *of->name ? of->name : NULL };
	return plugin_resources_tally(db, &at, ret);
}

static const struct {
	const char *collection; /* in notices; of documents that of their kind */
	bool events;            /* what happens to clusters changes it */
	int (*read)(struct db *db, const struct tally_of *of, int64_t *ret);
} lists[TALLIES_] = {
	[TALLY_CLUSTERS] = { NULL, true, clusters },
	[TALLY_DOCUMENTS] = { NULL, false, documents },
	[TALLY_USERS] = { "users", false, users },
	[TALLY_ROLES] = { "roles", false, roles },
	[TALLY_TOKENS] = { "tokens", false, tokens },
	[TALLY_TENANTS] = { "tenants", false, tenants },
	[TALLY_PROVISIONERS] = { "provisioners", false, provisioners },
	[TALLY_CALLBACK_TARGETS] = { "callbacktargets", false, callback_targets },
	[TALLY_CALLBACKS] = { "callbacks", true, callbacks },
	[TALLY_AUDIT] = { "audit", false, audit },
	[TALLY_PLUGIN_FILES] = { "pluginfiles", false, plugin_files },
};

/* ---- worker ---------------------------------------------------------------------------------- */

struct look {
	const struct tally_of *of;
	int64_t now;
};

static int look_read(struct db *db, void *arg)
{
	struct look *l = arg;
	return lists[l->of->list].read(db, l->of, &l->now);
}

int tally_now(struct api *a, const struct tally_of *of, int64_t *ret)
{
	struct look l = { of, 0 };
	int rc = db_read(a->db, look_read, &l);
	*ret = l.now;
	return rc;
}

static void work(void *arg)
{
	struct tally *t = arg;
	int64_t began = clock_mono_us();
	t->rc = tally_now(t->a, &t->of, &t->now);
	t->took_us = clock_mono_us() - began;
}

/* ---- loop ------------------------------------------------------------------------------------ */

static bool same(const struct tally_of *a, const struct tally_of *b)
{
	return a->list == b->list && a->kind == b->kind && a->own == b->own &&
	       str_eq(a->tenant, b->tenant) && str_eq(a->owner, b->owner) &&
	       str_eq(a->plugin, b->plugin) && str_eq(a->type, b->type) && str_eq(a->name, b->name);
}

static void kick(struct tally *t);

static void rested(void *arg)
{
	struct tally *t = arg;
	if (t->again && !t->reading)
		kick(t);
}

static struct tally *find(struct api *a, const struct tally_of *of)
{
	struct tally *t = a->tallies;
	while (t && !same(&t->of, of))
		t = t->next;
	if (t)
		return t;
	t = loom_calloc(1, sizeof(*t));
	*t = (struct tally){ .next = a->tallies, .a = a, .of = *of };
	t->rest = loop_timer_create(a->loop, "tally", rested, t);
	a->tallies = t;
	return t;
}

/* Frees a tally without readers once its reading is done. */
static void let_go(struct tally *t)
{
	if (t->readers || t->reading)
		return;
	struct tally **at = &t->a->tallies;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	loop_timer_destroy(t->rest);
	loom_free(t);
}

static void notify_readers(struct tally *t)
{
	struct tally_reader *next;
	for (struct tally_reader *r = t->readers; r; r = next) {
		next = r->next;
		if (r->known != t->now)
			r->changed(r, t->now);
	}
}

static void done(void *arg)
{
	struct tally *t = arg;
	t->read_ms = clock_mono_ms();
	/* During a database outage just wait: the next poll reads again. */
	if (!t->rc)
		notify_readers(t);
	t->reading = false;
	if (t->again && t->readers)
		kick(t);
	else
		let_go(t);
}

static void kick(struct tally *t)
{
	int64_t rest =
		t->read_ms ? t->read_ms + REST_MS + t->took_us * REST / 1000 - clock_mono_ms() : 0;
	t->again = t->reading || rest > 0;
	if (!t->reading && rest > 0)
		loop_timer_arm(t->rest, rest);
	if (t->again || db_outage_now(t->a)) /* otherwise the next poll reads */
		return;
	LOOM_CLEANUP_STR char *name = loom_asprintf("~%s", t->of.tenant);
	const struct pool_share share = { name, 0 };
	t->reading = !pool_submit_share(t->a->pool, &share, work, done, t);
}

static bool is_of(const struct tally_of *of, const char *tenant)
{
	return !*of->tenant || !*tenant || str_eq(of->tenant, tenant);
}

void tallies_event(struct api *a, const char *tenant_id)
{
	for (struct tally *t = a->tallies; t; t = t->next) {
		if (lists[t->of.list].events && is_of(&t->of, tenant_id))
			kick(t);
	}
}

static bool is_about(const struct tally_of *of, const char *kind)
{
	if (of->list == TALLY_DOCUMENTS)
		return str_blank(kind) || str_eq(kind, entity_collection(of->kind));
	return !str_blank(kind) && str_eq(kind, lists[of->list].collection);
}

void tallies_catalog(struct api *a, const char *tenant_id, const char *kind)
{
	for (struct tally *t = a->tallies; t; t = t->next) {
		if (is_about(&t->of, kind) && is_of(&t->of, tenant_id))
			kick(t);
	}
}

void tallies_poll(struct api *a)
{
	for (struct tally *t = a->tallies; t; t = t->next) {
		if (t->read_ms + t->took_us * POLL_REST / 1000 <= clock_mono_ms())
			kick(t);
	}
}

void tally_join(struct tally_reader *r, struct api *a, const struct tally_of *of)
{
	struct tally *t = r->tally = find(a, of);
	r->next = t->readers;
	t->readers = r;
	kick(t);
}

void tally_leave(struct tally_reader *r)
{
	if (!r->tally)
		return;
	struct tally_reader **at = &r->tally->readers;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	let_go(r->tally);
	r->tally = NULL;
}
