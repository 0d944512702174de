/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maintains the audit log beside the requests, each second: writes the refusals counted so far,
 * moves new rows into the chain, drops rows that are too old. Loop thread; the statements run on a
 * worker.
 */
#include "services/api/request/audit.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/base/text.h"
#include "services/api/request/db_outage.h"
#include "services/api/request/legacy.h"
#include "services/api/watch/tally.h"

#include <stdio.h>
#include <string.h>

enum {
	TICK_MS = 1000,
	TICKS_TO_DROP = 5,
	ROUNDS = 50,       /* of sealing and dropping, per second */
	WINDOW_MS = 60000, /* equal refusals within this time become one row */
	MOST_KINDS = 256,  /* at most twice this many rows a minute; others are counted together */
	MOST_OF_PEER = 16,
	LAST_MS = 1000, /* for the rows left when the service stops */
};

/* Equal refusals, counted. */
struct kind {
	char *tenant, *home, *user, *token, *role, *peer, *request, *action, *object;
	int status;
	int64_t count;   /* not written yet */
	int64_t sending; /* the part of them being written as the row `id` */
	int64_t until;   /* monotonic ms: end of the window */
	bool first;      /* the first refusal of the window is not written yet */
	char id[AUDIT_ID];
};

struct audit {
	struct api *a;
	struct seal_key key;
	struct loop_timer *timer;
	struct map *kinds;
	int ticks;
	/* Of the running work. */
	bool busy, drop;
	bool sealed; /* rows came into the chain */
	struct audit_due due;
	struct audit_row *rows;
	struct strs texts; /* owns the texts of the rows */
	size_t n;
	int rc;
};

const struct seal_key *audit_key(const struct api *a)
{
	return &a->audit->key;
}

/* ---- counting -------------------------------------------------------------------------------- */

static void kind_free(void *arg)
{
	struct kind *k = arg;
	char *all[] = { k->tenant, k->home,    k->user,   k->token, k->role,
		        k->peer,   k->request, k->action, k->object };
	for (size_t i = 0; i < LOOM_COUNT(all); i++)
		loom_free(all[i]);
	loom_free(k);
}

static size_t of_peer(const struct audit *u, const char *peer)
{
	size_t n = 0, it = 0;
	const char *key;
	void *value;
	while (map_next(u->kinds, &it, &key, &value))
		n += str_eq(((struct kind *)value)->peer, peer);
	return n;
}

static char *fit(const char *text, size_t max)
{
	return text_utf8(loom_strndup(text, text_whole(text, strnlen(text, max))));
}

static struct kind *kind_new(const struct audit_row *r)
{
	struct kind *k = loom_calloc(1, sizeof(*k));
	*k = (struct kind){ .tenant = fit(r->tenant, 64),
		            .home = fit(r->home, 64),
		            .user = fit(r->user, 255),
		            .token = fit(r->token, 16),
		            .role = fit(r->role, 16),
		            .peer = fit(r->peer, 63),
		            .request = fit(r->request, 64),
		            .action = fit(r->action, 255),
		            .object = fit(r->object, 255),
		            .status = (int)r->status,
		            .until = clock_mono_ms() + WINDOW_MS,
		            .first = true };
	return k;
}

static struct kind *kind_of(struct audit *u, const struct audit_row *r)
{
	LOOM_CLEANUP_STR char *key =
		loom_asprintf("%s\n%lld\n%s\n%s\n%s\n%s", r->peer, (long long)r->status, r->tenant,
	                      r->user, r->token, r->action);
	struct kind *k = map_get(u->kinds, key);
	if (k)
		return k;
	bool rest = str_eq(r->action, "");
	bool full = map_count(u->kinds) >= MOST_KINDS;
	if (!(rest && str_eq(r->peer, "")) &&
	    (full || (!rest && of_peer(u, r->peer) >= MOST_OF_PEER))) {
		const struct audit_row others = { .tenant = "superadmin",
			                          .home = "",
			                          .user = "",
			                          .token = "",
			                          .role = "",
			                          .peer = full ? "" : r->peer,
			                          .request = "",
			                          .action = "",
			                          .object = "others",
			                          .status = 403 };
		return kind_of(u, &others);
	}
	k = kind_new(r);
	map_set(u->kinds, key, k);
	return k;
}

static void count(struct api *a, const struct audit_row *r)
{
	if (a->audit)
		kind_of(a->audit, r)->count++;
}

static bool is_refusal(int status)
{
	static const int all[] = { 401, 403, 404, 409, 412, 422 };
	for (size_t i = 0; i < LOOM_COUNT(all); i++) {
		if (status == all[i])
			return true;
	}
	return false;
}

void audit_answered(struct http_req *req, int status, void *api)
{
	static const struct identity nobody;
	static const struct audit_note none;
	struct api *a = api;
	const struct http_route *row = http_matched(req);
	if (!a->cfg.audit || !row || (status >= 400 && !is_refusal(status)))
		return;
	const struct route *r = api_routes_rule(a->routes, row);
	bool dispatched = request_needed(r) && http_data(req);
	const struct identity *who = dispatched ? request_who(req) : &nobody;
	const struct audit_note *n = dispatched ? request_note(req) : &none;
	/* A change made without audit_tx(): an answer repeated, or nothing to do. */
	if (status < 400 && (n->written || !audit_is_change(r)))
		return;
	LOOM_CLEANUP_STR char *action = loom_asprintf("%s %s", r->method, r->path);
	char from[64];
	LOOM_CLEANUP_STR char *forwarded = audit_forwarded(req);
	audit_from(a->cfg.trusted_proxies, http_peer(req), forwarded, from);
	const struct audit_row one = { .tenant = who->tenant_id,
		                       .home = who->home,
		                       .user = who->user,
		                       .token = who->token,
		                       .role = *who->user ? role_name(who->role) : "",
		                       .peer = from,
		                       .request = http_id(req),
		                       .action = action,
		                       .object = n->object ? n->object
		                                           : legacy_below(http_path(req)) + 1,
		                       .status = status };
	count(a, &one);
}

void audit_head_refused(struct api *a, const struct http_head *head, const struct route *r,
                        int status)
{
	LOOM_CLEANUP_STR char *action = loom_asprintf("%s %s", r->method, r->path);
	LOOM_CLEANUP_STR char *path = loom_strndup(head->target, strcspn(head->target, "?"));
	char from[64];
	if (!a->cfg.audit)
		return;
	LOOM_CLEANUP_STR char *forwarded = audit_head_forwarded(head);
	audit_from(a->cfg.trusted_proxies, head->peer, forwarded, from);
	const struct audit_row one = { .tenant = "",
		                       .home = "",
		                       .user = "",
		                       .token = "",
		                       .role = "",
		                       .peer = from,
		                       .request = "",
		                       .action = action,
		                       .object = legacy_below(path) + 1,
		                       .status = status };
	count(a, &one);
}

/* ---- the work -------------------------------------------------------------------------------- */

static const char *keep(struct audit *u, const char *text)
{
	strs_add(&u->texts, text);
	return u->texts.v[u->texts.n - 1];
}

static void add_row(struct audit *u, struct kind *k)
{
	if (!*k->id) {
		audit_id(k->id);
		k->sending = k->count;
	}
	u->rows = loom_realloc(u->rows, (u->n + 1) * sizeof(*u->rows));
	struct audit_row *r = &u->rows[u->n++];
	*r = (struct audit_row){ .tenant = keep(u, k->tenant),
		                 .home = keep(u, k->home),
		                 .user = keep(u, k->user),
		                 .token = keep(u, k->token),
		                 .role = keep(u, k->role),
		                 .peer = keep(u, k->peer),
		                 .request = keep(u, k->request),
		                 .action = keep(u, k->action),
		                 .object = keep(u, k->object),
		                 .status = k->status,
		                 .count = k->sending };
	memcpy(r->id, k->id, sizeof(r->id));
}

/* all: the service stops. */
static void collect(struct audit *u, bool all)
{
	int64_t now = clock_mono_ms();
	const char *key;
	void *value;
	for (size_t it = 0; map_next(u->kinds, &it, &key, &value);) {
		struct kind *k = value;
		bool over = k->until <= now;
		if (k->count && (all || over || k->first || *k->id))
			add_row(u, k);
		else if (over)
			map_del(u->kinds, key);
	}
}

static void written(struct audit *u, bool ok)
{
	int64_t now = clock_mono_ms();
	const char *key;
	void *value;
	for (size_t it = 0; ok && map_next(u->kinds, &it, &key, &value);) {
		struct kind *k = value;
		if (!*k->id)
			continue;
		k->count -= k->sending;
		k->sending = 0;
		*k->id = '\0';
		if (!k->first && k->until <= now)
			k->until = now + WINDOW_MS;
		k->first = false;
	}
	loom_free(u->rows);
	strs_fini(&u->texts);
	u->rows = NULL;
	u->texts = (struct strs){ 0 };
	u->n = 0;
}

static int rows_tx(struct db *db, void *arg)
{
	const struct audit *u = arg;
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n; i++)
		rc = audit_add(db, &u->rows[i]);
	return rc;
}

struct round {
	struct audit *u;
	int64_t done;
};

void audit_sealed(struct api *a)
{
	peers_catalog(a, TALLY_ALL, "audit");
}

static int seal_tx(struct db *db, void *arg)
{
	struct round *r = arg;
	return audit_seal(db, &r->u->key, &r->done);
}

static int drop_tx(struct db *db, void *arg)
{
	struct round *r = arg;
	return audit_expire(db, &r->u->key, r->u->due.now - r->u->a->cfg.audit_keep, &r->done);
}

static int look_read(struct db *db, void *arg)
{
	struct audit *u = arg;
	return audit_look(db, &u->due);
}

static bool is_old(const struct audit *u)
{
	int64_t keep = u->a->cfg.audit_keep;
	return u->drop && keep && u->due.oldest && u->due.oldest < u->due.now - keep;
}

static int rounds(struct audit *u, db_tx_fn fn)
{
	struct round r = { .u = u };
	int rc = 0, n = 0;
	do
		rc = db_tx(u->a->db, fn, &r);
	while (!rc && r.done && ++n < ROUNDS);
	return rc;
}

static void work(void *arg)
{
	struct audit *u = arg;
	u->rc = u->n ? db_tx(u->a->db, rows_tx, u) : 0;
	int rc = db_read(u->a->db, look_read, u);
	u->sealed = !rc && u->due.fresh;
	if (u->sealed)
		rc = rounds(u, seal_tx);
	if (!rc && is_old(u))
		rc = rounds(u, drop_tx);
	if (rc)
		log_debug("audit log not sealed", LOG_S("reason", err_name(rc)));
}

static void worked(void *arg)
{
	struct audit *u = arg;
	u->busy = false;
	written(u, !u->rc);
	if (u->sealed)
		audit_sealed(u->a);
}

static void tick(void *arg)
{
	struct audit *u = arg;
	if (u->busy || db_outage_now(u->a))
		return;
	u->drop = ++u->ticks % TICKS_TO_DROP == 0;
	collect(u, false);
	u->busy = !pool_submit(u->a->pool, work, worked, u);
	if (!u->busy)
		written(u, false);
}

int audit_start(struct api *a, struct loom_err *err)
{
	struct audit *u = loom_calloc(1, sizeof(*u));
	u->a = a;
	u->kinds = map_create(kind_free);
	a->audit = u;
	int rc = seal_key_init(a->cfg.bus.key_file, AUDIT_USE, &u->key, err);
	if (rc)
		return rc;
	/* Started even when auditing is off: rows written before must still be sealed. */
	u->timer = loop_timer_create(a->loop, "audit", tick, u);
	loop_timer_every(u->timer, TICK_MS);
	return 0;
}

void audit_stop(struct api *a)
{
	struct audit *u = a->audit;
	if (!u || u->busy)
		return;
	collect(u, true);
	if (u->n && db_tx_deadline(a->db, rows_tx, u, LAST_MS))
		log_warn("refusals of the last minute are not in the audit log");
	written(u, true);
}

void audit_free(struct api *a)
{
	struct audit *u = a->audit;
	if (!u)
		return;
	loop_timer_destroy(u->timer);
	written(u, false);
	map_destroy(u->kinds);
	seal_key_fini(&u->key);
	loom_free(u);
	a->audit = NULL;
}
