/* SPDX-License-Identifier: Apache-2.0 */
/* Renews sessions; each has at most one renewal in progress. */
#include "services/ui-gateway/renew.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/metrics.h"

#include <string.h>

enum {
	SWEEP_MS = 10 * 1000,
	KEPT_MS = 60 * 1000,   /* keeps a result for requests sent before the browser had it */
	REFUSED_MS = 3 * 1000, /* after a refusal, another copy's result may still arrive within
	                        * this time */
	AWAY_MS = 10 * 1000,   /* pause after a provider did not answer */
	THREADS = 1,           /* a provider that hangs holds them up, not the rest */
	WAIT_MS = 5 * 1000,    /* longest wait for one of them */
	SETTLED_MS = 1000,     /* the shortest time between renewals of a session */
	SESSIONS_MOST = 4096,  /* of 1 to 10 KiB each, renewed within KEPT_MS */
};

enum { M_RENEWED, M_FAILED, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_RENEWED] = { "loom_gateway_sessions_renewed_total",
	                "Sessions renewed by the OpenID provider", METRIC_COUNTER },
	[M_FAILED] = { "loom_gateway_sessions_not_renewed_total",
	               "Sessions not renewed: refused, or no answer", METRIC_COUNTER },
};

/* A waiting request. It is answered, or handed on, exactly once. */
struct waiter {
	struct waiter *next;
	struct http_req *req;
	void (*then)(struct http_req *req, void *arg);
	void *arg;
};

enum outcome { UNDER_WAY, RENEWED, REFUSED, AWAY };

struct renewal {
	struct renewals *all;
	enum outcome outcome;
	bool logged_out;
	int64_t begun, at; /* monotonic ms; at: of the outcome */
	struct ticket_session *old, *fresh;
	struct waiter *waiting;
	/* Results of the worker. */
	int rc;
	struct loom_err err;
};

struct renewals {
	struct loop *loop;
	struct pool *pool;
	struct login *login;
	struct map *by_id;
	struct loop_timer *sweep;
};

static void renewal_free(void *p)
{
	struct renewal *n = p;
	loom_assert(!n->waiting);
	ticket_session_free(n->old);
	ticket_session_free(n->fresh);
	loom_free(n);
}

static void session_free(void *p)
{
	ticket_session_free(p);
}

const struct ticket_session *renewals_session(const struct http_req *req)
{
	return http_data(req);
}

/* ---- going on -------------------------------------------------------------------------------- */

static bool is_over(const struct ticket_session *s)
{
	return clock_wall_ms() >= s->ends;
}

/* Continues with the old session; if it has expired loom-api says so. */
static void go_on(const struct renewal *n, const struct waiter *w)
{
	int64_t since = clock_mono_ms() - n->at;
	bool over = is_over(renewals_session(w->req));
	if (over && n->outcome == AWAY)
		http_reply_problem(w->req, 503, "the login service does not answer; try again");
	else if (over && n->outcome == REFUSED && since < REFUSED_MS)
		http_reply_problem(w->req, 503, "the session is being renewed; try again");
	else
		w->then(w->req, w->arg);
}

static void use(const struct renewal *n, const struct waiter *w)
{
	struct http_req *req = w->req;
	if (n->outcome != RENEWED || n->logged_out) {
		go_on(n, w);
		return;
	}
	/* A session too long for a browser still serves this request. */
	if (!login_keep(n->all->login, req, n->fresh))
		log_warn("a renewed session is too long for a browser", LOG_S("req", http_id(req)));
	http_set_data(req, ticket_session_copy(n->fresh), session_free);
	w->then(req, w->arg);
}

/* ---- a renewal ------------------------------------------------------------------------------- */

static void renew_work(void *arg)
{
	struct renewal *n = arg;
	n->rc = clock_mono_ms() - n->begun > WAIT_MS
	                ? err_set(&n->err, 503, "too many others are being renewed")
	                : login_renew(n->all->login, n->old, &n->fresh, &n->err);
}

static void renew_done(void *arg)
{
	struct renewal *n = arg;
	struct waiter *next, *w = n->waiting;
	n->waiting = NULL;
	n->outcome = !n->rc ? RENEWED : n->rc == 400 ? REFUSED : AWAY;
	n->at = clock_mono_ms();
	metric_add(&metrics[n->rc ? M_FAILED : M_RENEWED], 1);
	if (n->rc)
		log_info("a session was not renewed", LOG_S("reason", n->err.msg));
	for (; w; w = next) {
		next = w->next;
		use(n, w);
		loom_free(w);
	}
}

/* Need the request not wait? True if the outcome is newer than the session shown, or very
 * recent. */
static bool is_settled(const struct renewal *n, const struct ticket_session *s)
{
	int64_t since = clock_mono_ms() - n->at;
	switch (n->outcome) {
	case RENEWED:
		return n->fresh->issued > s->issued || !n->fresh->renewal || since < SETTLED_MS;
	case REFUSED:
		return true;
	case AWAY:
		return since < AWAY_MS;
	case UNDER_WAY:
	default:
		return false;
	}
}

static void wait_for(struct renewal *n, const struct waiter *like)
{
	struct waiter *w = loom_malloc(sizeof(*w)), **at = &n->waiting;
	*w = *like;
	w->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = w;
}

static void start(struct renewals *r, const struct waiter *w, const struct ticket_session *s)
{
	static const struct pool_share share = { "renewals", THREADS };
	struct renewal *n = loom_calloc(1, sizeof(*n));
	n->all = r;
	n->old = ticket_session_copy(s);
	n->begun = clock_mono_ms();
	if (map_count(r->by_id) >= SESSIONS_MOST ||
	    pool_submit_share(r->pool, &share, renew_work, renew_done, n)) {
		n->outcome = AWAY;
		n->at = clock_mono_ms();
		go_on(n, w);
		renewal_free(n);
		return;
	}
	wait_for(n, w);
	map_set(r->by_id, s->id, n);
}

void renewals_pass(struct renewals *r, struct http_req *req,
                   void (*then)(struct http_req *req, void *arg), void *arg)
{
	struct ticket_session *s = login_session(r->login, req);
	const struct waiter w = { NULL, req, then, arg };
	if (s)
		http_set_data(req, s, session_free);
	if (!s || !ticket_session_is_due(s, clock_wall_ms())) {
		then(req, arg);
		return;
	}
	struct renewal *n = map_get(r->by_id, s->id);
	if (n && n->outcome == UNDER_WAY)
		wait_for(n, &w);
	else if (n && (n->logged_out || is_settled(n, s)))
		use(n, &w);
	else
		start(r, &w, s);
}

void renewals_end(struct renewals *r, const char *id)
{
	struct renewal *n = map_get(r->by_id, id);
	if (n)
		n->logged_out = true;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void sweep(void *arg)
{
	struct renewals *r = arg;
	const char *id;
	void *value;
	int64_t now = clock_mono_ms();
	for (size_t it = 0; map_next(r->by_id, &it, &id, &value);) {
		const struct renewal *n = value;
		if (n->outcome != UNDER_WAY && now >= n->at + KEPT_MS)
			map_del(r->by_id, id);
	}
}

struct renewals *renewals_create(struct loop *loop, struct pool *pool, struct login *login)
{
	struct renewals *r = loom_calloc(1, sizeof(*r));
	r->loop = loop;
	r->pool = pool;
	r->login = login;
	r->by_id = map_create(renewal_free);
	r->sweep = loop_timer_create(loop, "renewed sessions", sweep, r);
	loop_timer_every(r->sweep, SWEEP_MS);
	metrics_register(metrics, M_COUNT);
	return r;
}

void renewals_stop(struct renewals *r)
{
	const char *id;
	void *value;
	for (size_t it = 0; r && map_next(r->by_id, &it, &id, &value);) {
		struct renewal *n = value;
		struct waiter *next, *w = n->waiting;
		n->waiting = NULL;
		for (; w; w = next) {
			next = w->next;
			http_reply_problem(w->req, 503, "this server is being stopped; try again");
			loom_free(w);
		}
	}
}

void renewals_destroy(struct renewals *r)
{
	if (!r)
		return;
	loop_timer_destroy(r->sweep);
	map_destroy(r->by_id);
	loom_free(r);
}
