/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_tokens - ends streams and held takes whose token was revoked, or whose permissions changed:
 * its user was deleted or got another role, or a role was edited. Each copy of the API checks the
 * tokens of its own open streams in the database, twice a second, so that no notice is needed.
 */
#include "services/api/watch/watch.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/model/identity/own_role.h"
#include "services/api/request/db_outage.h"

#include <string.h>

enum { CHECK_MS = 400 };

struct token_checks {
	struct api *a;
	struct loop_timer *timer;
	struct map *asked; /* uint64_t stamps by key, 0: invalid; owned by the worker while it
	                    * reads */
	bool reading, destroyed;
	int rc;
};

/* The token's id; for a provider's token, which has no row, the role that may change. NULL: there
 * is nothing to check. Owned. */
static char *key_of(const struct identity *who)
{
	if (who->foreign)
		return *who->own[0] ? loom_asprintf("%s\n%s", who->home, who->own[0]) : NULL;
	return *who->token ? loom_strdup(who->token) : NULL;
}

static bool is_role(const char *key)
{
	return strchr(key, '\n');
}

/* ---- worker ---------------------------------------------------------------------------------- */

static int role_read(struct db *db, const char *key, uint64_t *ret)
{
	LOOM_CLEANUP_STR char *tenant = loom_strndup(key, strcspn(key, "\n"));
	struct own_role role;
	int rc = own_role_get(db, tenant, strchr(key, '\n') + 1, &role);
	*ret = rc ? 0 : (uint64_t)role.changed;
	own_role_fini(&role);
	return rc == OWN_ROLE_E_NONE ? 0 : rc;
}

static int tokens_read(struct db *db, const struct map *asked, const char *const *ids, size_t n)
{
	struct token_stamps found = { 0 };
	int rc = n ? token_stamps(db, ids, n, &found) : 0;
	for (size_t i = 0; i < found.n; i++)
		*(uint64_t *)map_get(asked, found.v[i].id) = found.v[i].stamp;
	loom_free(found.v);
	return rc;
}

static int all_read(struct db *db, void *arg)
{
	const struct token_checks *t = arg;
	const char **ids = loom_calloc(map_count(t->asked) + 1, sizeof(*ids)), *key;
	void *stamp;
	size_t n = 0;
	int rc = 0;
	for (size_t it = 0; !rc && map_next(t->asked, &it, &key, &stamp);) {
		*(uint64_t *)stamp = 0;
		if (is_role(key))
			rc = role_read(db, key, stamp);
		else
			ids[n++] = key;
	}
	if (!rc)
		rc = tokens_read(db, t->asked, ids, n);
	loom_free(ids);
	return rc;
}

static void work(void *arg)
{
	struct token_checks *t = arg;
	t->rc = db_read(t->a->db, all_read, t);
}

/* ---- loop ------------------------------------------------------------------------------------ */

static void checks_free(struct token_checks *t)
{
	map_destroy(t->asked);
	loom_free(t);
}

static void ask_for(const struct token_checks *t, const char *key)
{
	if (!map_get(t->asked, key))
		map_set(t->asked, key, loom_calloc(1, sizeof(uint64_t)));
}

static void ask_for_stream(struct watch *w, void *arg)
{
	LOOM_CLEANUP_STR char *key = key_of(&w->who);
	if (key)
		ask_for(arg, key);
}

static bool ask_for_take(const char *token, uint64_t stamp LOOM_UNUSED, void *arg)
{
	ask_for(arg, token);
	return false;
}

/* A key missing from `asked` arrived during the reading. */
static bool is_other(const char *key, uint64_t stamp, void *arg)
{
	const struct token_checks *t = arg;
	const uint64_t *now = map_get(t->asked, key);
	return now && *now != stamp;
}

static void end_other(struct watch *w, void *arg)
{
	LOOM_CLEANUP_STR char *key = key_of(&w->who);
	if (key && is_other(key, w->who.stamp, arg)) {
		w->lapsed = true;
		watch_end(w);
	}
}

static void done(void *arg)
{
	struct token_checks *t = arg;
	t->reading = false;
	if (t->destroyed) {
		checks_free(t);
	} else if (!t->rc) { /* on failure nothing is known; ask again */
		watch_each(t->a, end_other, t);
		takes_end(t->a, is_other, t);
	}
}

static void check(void *arg)
{
	struct token_checks *t = arg;
	static const struct pool_share share = { "~shown tokens", 0 };
	if (t->reading || db_outage_now(t->a))
		return;
	map_destroy(t->asked);
	t->asked = map_create(loom_free);
	watch_each(t->a, ask_for_stream, t);
	takes_end(t->a, ask_for_take, t);
	t->reading = map_count(t->asked) && !pool_submit_share(t->a->pool, &share, work, done, t);
}

struct token_checks *token_checks_create(struct api *a)
{
	struct token_checks *t = loom_calloc(1, sizeof(*t));
	t->a = a;
	t->asked = map_create(loom_free);
	t->timer = loop_timer_create(a->loop, "shown tokens", check, t);
	loop_timer_every(t->timer, CHECK_MS);
	return t;
}

void token_checks_destroy(struct token_checks *t)
{
	loop_timer_destroy(t->timer);
	t->destroyed = true;
	if (!t->reading)
		checks_free(t);
}
