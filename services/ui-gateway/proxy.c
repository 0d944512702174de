/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards requests from the page to the API, including bodies and streams. */
#include "services/ui-gateway/proxy.h"

#include "services/ui-gateway/rules.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <stdatomic.h>
#include <string.h>

#define HEAD_MS   60000              /* the answer must begin within this time */
#define WHOLE_MAX ((int64_t)1 << 20) /* longer answers are streamed */
#define HIGH_MARK (256l << 10)       /* unsent bytes that pause the API's answer */

struct proxy {
	struct loop *loop;
	struct http_client *client;
	const char *api_uri;
	const struct sessions *sessions;
	struct renewals *renewals;
	struct exchange *all;
	atomic_long n_exchanges, n_streams; /* over all exchanges */
};

/* A request in progress. It ends exactly once, in finish(). */
struct exchange {
	struct exchange *prev, *next;
	struct proxy *proxy;
	struct http_req *req;
	struct http_fetch *fetch;
	struct loop_timer *patience, *over; /* over: ends a stream with its session; or NULL */
	int status;                         /* 0: no head yet */
	char *type;
	bool flowing, events, paused;
	struct buf whole;
};

enum { M_EXCHANGES, M_STREAMS, M_PAUSES, M_NO_ANSWER, M_BROKEN, M_REFUSED, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_EXCHANGES] = { "loom_gateway_exchanges", "Forwarded requests in progress",
	                  METRIC_GAUGE },
	[M_STREAMS] = { "loom_gateway_streams", "Event streams held for browsers", METRIC_GAUGE },
	[M_PAUSES] = { "loom_gateway_pauses_total", "Answers paused because of a slow reader",
	               METRIC_COUNTER },
	[M_NO_ANSWER] = { "loom_gateway_no_answer_total", "Requests that the API did not answer",
	                  METRIC_COUNTER },
	[M_BROKEN] = { "loom_gateway_broken_answers_total", "Answers that broke off",
	               METRIC_COUNTER },
	[M_REFUSED] = { "loom_gateway_foreign_requests_total",
	                "Changes refused because another site's page requested them",
	                METRIC_COUNTER },
};

/* ---- one exchange's life --------------------------------------------------------------------- */

static struct exchange *begin(struct proxy *p, struct http_req *req)
{
	struct exchange *x = loom_calloc(1, sizeof(*x));
	x->proxy = p;
	x->req = req;
	x->whole = BUF_INIT((size_t)WHOLE_MAX);
	x->next = p->all;
	if (x->next)
		x->next->prev = x;
	p->all = x;
	metric_add(&metrics[M_EXCHANGES], 1);
	p->n_exchanges++;
	return x;
}

/* The caller has answered the request, or does so next. */
static void finish(struct exchange *x)
{
	if (x->fetch)
		http_fetch_cancel(x->fetch);
	if (x->prev)
		x->prev->next = x->next;
	else
		x->proxy->all = x->next;
	if (x->next)
		x->next->prev = x->prev;
	metric_add(&metrics[M_EXCHANGES], -1);
	x->proxy->n_exchanges--;
	if (x->events) {
		metric_add(&metrics[M_STREAMS], -1);
		x->proxy->n_streams--;
	}
	loop_timer_destroy(x->patience);
	loop_timer_destroy(x->over);
	buf_fini(&x->whole);
	loom_free(x->type);
	loom_free(x);
}

static void on_client_gone(struct http_req *req, void *arg)
{
	struct exchange *x = arg;
	bool flowing = x->flowing;
	finish(x);
	if (flowing)
		http_stream_end(req);
	else
		http_reply_empty(req, 502); /* the client is gone */
}

static void on_patience_lost(void *arg)
{
	struct exchange *x = arg;
	struct http_req *req = x->req;
	finish(x);
	metric_add(&metrics[M_NO_ANSWER], 1);
	http_reply_problem(req, 504, "Loom's API has not answered for %d seconds", HEAD_MS / 1000);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static const char *find(const struct strs *headers, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < headers->n; i++) {
		const char *h = headers->v[i];
		if (strncasecmp(h, name, n) == 0 && h[n] == ':')
			return h + n + 1 + strspn(h + n + 1, " \t");
	}
	return NULL;
}

static void pass_headers(struct exchange *x, const struct strs *headers)
{
	const char *connection = find(headers, "Connection");
	for (size_t i = 0; i < headers->n; i++) {
		const char *value;
		LOOM_CLEANUP_STR char *name = rules_split(headers->v[i], &value);
		if (name && rules_pass_answer(name, connection))
			http_reply_header(x->req, name, value);
	}
}

/* The answer to a HEAD has no body, so its length must be passed on. */
static void pass_length(struct exchange *x, const struct strs *headers)
{
	const char *length = find(headers, "Content-Length");
	if (length && str_eq(http_method(x->req), "HEAD"))
		http_reply_header(x->req, "Content-Length", length);
}

static bool is_whole(const struct exchange *x, const struct strs *headers)
{
	const char *length = find(headers, "Content-Length");
	int64_t n;
	return x->status == 204 || x->status == 304 || str_eq(http_method(x->req), "HEAD") ||
	       (length && str_to_int(length, &n) == 0 && n >= 0 && n <= WHOLE_MAX);
}

static void on_drained(struct http_req *req, void *arg)
{
	(void)req;
	struct exchange *x = arg;
	if (!x->paused)
		return;
	x->paused = false;
	http_fetch_pause(x->fetch, false);
}

static void end_stream(void *arg)
{
	struct exchange *x = arg;
	struct http_req *req = x->req;
	http_on_close(req, NULL, NULL);
	finish(x);
	http_stream_end(req);
}

static void begin_stream(struct exchange *x)
{
	const struct ticket_session *s = renewals_session(x->req);
	metric_add(&metrics[M_STREAMS], 1);
	x->proxy->n_streams++;
	if (!s)
		return;
	int64_t left = s->over - clock_wall_ms();
	x->over = loop_timer_create(x->proxy->loop, "session", end_stream, x);
	loop_timer_arm(x->over, left > 0 ? left : 0);
}

static void on_head(struct http_fetch *f, int status, const struct strs *headers, void *arg)
{
	(void)f;
	struct exchange *x = arg;
	const char *type = find(headers, "Content-Type");
	loop_timer_disarm(x->patience);
	x->status = status;
	x->type = loom_strdup(type);
	x->events = type && str_starts(type, "text/event-stream");
	x->flowing = !is_whole(x, headers);
	if (x->events)
		begin_stream(x);
	pass_headers(x, headers);
	pass_length(x, headers);
	if (!x->flowing)
		return;
	http_stream_on_drained(x->req, on_drained, x);
	http_stream_start(x->req, status, type);
}

static void on_data(struct http_fetch *f, const char *data, size_t len, void *arg)
{
	struct exchange *x = arg;
	if (!x->flowing) {
		buf_add(&x->whole, data, len);
		return;
	}
	if (http_stream_write(x->req, data, len) <= HIGH_MARK || x->paused)
		return;
	x->paused = true;
	metric_add(&metrics[M_PAUSES], 1);
	http_fetch_pause(f, true);
}

/* Logs why the connection failed; the page's user could not fix it. */
static void answer_broken(struct exchange *x, const char *error)
{
	struct http_req *req = x->req;
	bool flowing = x->flowing, begun = x->status != 0;
	metric_add(&metrics[begun ? M_BROKEN : M_NO_ANSWER], 1);
	log_warn("no complete answer from the API", LOG_S("error", error),
	         LOG_S("path", http_path(req)), LOG_S("req", http_id(req)));
	finish(x);
	if (flowing) {
		http_stream_abort(req);
	} else if (begun) {
		http_reply_problem(req, 502, "the answer of Loom's API broke off; try again");
	} else {
		http_reply_problem(req, 502, "Loom's API does not answer at the moment; try again");
	}
}

static void on_done(struct http_fetch *f, const char *error, void *arg)
{
	(void)f;
	struct exchange *x = arg;
	struct http_req *req = x->req;
	x->fetch = NULL; /* the fetch frees itself */
	if (error || x->whole.full) {
		answer_broken(x, error ? error : "it is too long");
		return;
	}
	http_on_close(req, NULL, NULL);
	if (x->flowing)
		http_stream_end(req);
	else
		http_reply(req, x->status, x->type, buf_str(&x->whole), x->whole.len);
	finish(x);
}

/* ---- the request ----------------------------------------------------------------------------- */

static void make_headers(struct strs *out, const struct proxy *p, const struct http_req *req)
{
	const char *name, *value, *connection = http_header(req, "Connection");
	for (size_t i = 0; http_header_at(req, i, &name, &value); i++) {
		if (*value && rules_pass_request(name, connection))
			strs_addf(out, "%s: %s", name, value);
	}
	session_headers(p->sessions, req, renewals_session(req), out);
	strs_addf(out, "X-Request-ID: %s", http_id(req));
	session_forwarded(req, out);
}

static bool carries_body(const char *method, size_t len)
{
	return len || str_eq(method, "POST") || str_eq(method, "PUT") || str_eq(method, "PATCH");
}

/* RFC 9110 9.2.2: a proxy sends again only what may be done twice. */
static bool may_be_sent_twice(const struct http_req *req)
{
	return !str_eq(http_method(req), "POST") || http_header(req, "Idempotency-Key");
}

static const struct http_fetch_ops fetch_ops = { on_head, on_data, on_done };

static void pass_on(struct http_req *req, void *arg)
{
	struct proxy *p = arg;
	LOOM_CLEANUP(strs_fini) struct strs headers = { 0 };
	make_headers(&headers, p, req);
	LOOM_CLEANUP_STR char *url =
		rules_url(p->api_uri, http_param(req, "rest"), http_raw_uri(req));
	size_t len;
	const char *body = http_body(req, &len);
	struct exchange *x = begin(p, req);
	const struct http_call call = {
		.method = http_method(req),
		.url = url,
		.headers = &headers,
		.trust = p->sessions->trust,
		.body = carries_body(http_method(req), len) ? body : NULL,
		.body_len = len,
		.timeout_ms = -1,
		.once = !may_be_sent_twice(req),
	};
	x->patience = loop_timer_create(p->loop, "answer", on_patience_lost, x);
	loop_timer_arm(x->patience, HEAD_MS);
	http_on_close(req, on_client_gone, x);
	x->fetch = http_fetch_start(p->client, &call, &fetch_ops, x);
}

void proxy_pass(struct proxy *p, struct http_req *req)
{
	const char *why = session_refusal(p->sessions, req);
	if (why) {
		metric_add(&metrics[M_REFUSED], 1);
		http_reply_problem(req, 403, "%s", why);
		return;
	}
	renewals_pass(p->renewals, req, pass_on, p);
}

/* ---- the proxy ------------------------------------------------------------------------------- */

struct proxy *proxy_create(struct loop *l, struct http_client *client, const char *api_uri,
                           const struct sessions *sessions, struct renewals *renewals)
{
	struct proxy *p = loom_calloc(1, sizeof(*p));
	p->loop = l;
	p->client = client;
	p->api_uri = api_uri;
	p->sessions = sessions;
	p->renewals = renewals;
	metrics_register(metrics, M_COUNT);
	return p;
}

void proxy_destroy(struct proxy *p)
{
	if (!p)
		return;
	loom_assert(!p->all);
	loom_free(p);
}

struct proxy_load proxy_load(const struct proxy *p)
{
	return (struct proxy_load){ p->n_exchanges, p->n_streams };
}

/* session NULL: ends the streams of all. */
static void end_streams(struct proxy *p, const char *session)
{
	struct exchange *next;
	for (struct exchange *x = p->all; x; x = next) {
		next = x->next;
		const struct ticket_session *s = renewals_session(x->req);
		if (x->events && (!session || (s && str_eq(s->id, session))))
			end_stream(x);
	}
}

void proxy_end_streams(struct proxy *p)
{
	end_streams(p, NULL);
}

void proxy_end_session(struct proxy *p, const char *session)
{
	end_streams(p, session);
}
