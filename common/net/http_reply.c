/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers, and the way of a request to a worker and back.
 *
 * On a worker an answer is only noted; it is sent when the handler has returned, so that the
 * request stays valid for the whole of the handler.  From any other thread it is posted.
 */
#include "common/net/http_internal.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/net/http_gzip.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <string.h>

/* More than this the loop does not compress: a millisecond. */
#define LOOP_GZIP ((size_t)32 << 10)

static _Thread_local struct http_req *on_worker; /* the request whose handler runs here */

const char *http_reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};
	for (size_t i = 0; i < LOOM_COUNT(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].text;
	}
	return status < 200   ? "Informational"
	       : status < 300 ? "Success"
	       : status < 400 ? "Redirection"
	       : status < 500 ? "Client Error"
	                      : "Server Error";
}

/* ---- sending (loop) -------------------------------------------------------------------------- */

static bool has_out_header(const struct http_req *r, const char *name)
{
	for (size_t i = 0; i < r->out_names.n; i++) {
		if (str_ieq(r->out_names.v[i], name))
			return true;
	}
	return false;
}

void reply_header_default(struct http_req *r, const char *name, const char *value)
{
	if (!has_out_header(r, name))
		http_reply_header(r, name, value);
}

static void add_header(void *req, const char *name, const char *value)
{
	http_reply_header(req, name, value);
}

void reply_add_headers(struct http_req *r)
{
	http_cors_headers(&r->server->cors, http_header(r, "Origin"), add_header, r);
	struct evkeyvalq *out = evhttp_request_get_output_headers(r->ev);
	if (r->type)
		reply_header_default(r, "Content-Type", r->type);
	reply_header_default(r, "X-Content-Type-Options", "nosniff");
	reply_header_default(r, "X-Request-ID", r->id);
	if (r->server->cache)
		reply_header_default(r, "Cache-Control", r->server->cache);
	char trace[TRACE_TEXT];
	trace_text(&r->trace, trace);
	reply_header_default(r, "traceresponse", trace);
	bool close = r->server->stopping || r->close;
	reply_header_default(r, "Connection", close ? "close" : "keep-alive");
	for (size_t i = 0; i < r->out_names.n; i++) {
		if (evhttp_add_header(out, r->out_names.v[i], r->out_values.v[i]) != 0)
			log_warn("illegal answer header dropped",
			         LOG_S("header", r->out_names.v[i]));
	}
}

void reply_count(struct http_req *r, int status)
{
	static const int by_class[] = { M_2XX, M_2XX, M_2XX, M_3XX, M_4XX, M_5XX };
	int64_t ms = (clock_mono_us() - r->started_us) / 1000;
	int class = status / 100;
	metric_add(&http_server_metrics[by_class[class < 0 || class > 5 ? 5 : class]], 1);
	/* A long poll or a stream says nothing about how fast we are. */
	if (!r->waited && !r->streaming)
		metric_observe_ms(&http_server_metrics[M_LATENCY], ms);
	if (r->server->answered && r->match.route)
		r->server->answered(r, status, r->server->ctx);
	log_debug("request", LOG_S("method", r->method), LOG_S("uri", r->target),
	          LOG_I("status", status), LOG_I("ms", ms), LOG_S("req", r->id),
	          LOG_S("trace", r->trace.id), LOG_S("peer", r->peer));
}

static void free_body(const void *data, size_t len, void *extra)
{
	(void)data;
	(void)len;
	loom_free(extra);
}

void reply_send(struct http_req *r, struct evbuffer *body)
{
	struct bufferevent *bev = r->conn->bev;
	struct evhttp_request *ev = r->ev;
	r->conn->req = NULL;
	r->ev = NULL;
	evhttp_send_reply(ev, r->status, http_reason(r->status), body);
	/* evhttp would see that the peer sends no more, and give it up before it has the answer. */
	bufferevent_disable(bev, EV_READ);
}

static bool may_have_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

static void send_now(void *arg)
{
	struct http_req *r = arg;
	r->on_close = NULL;
	reply_count(r, r->status);
	if (r->ev) {
		struct evbuffer *body = evbuffer_new();
		loom_assert(body);
		if (may_have_body(r->status)) {
			char length[24];
			snprintf(length, sizeof(length), "%zu", r->reply_len);
			reply_header_default(r, "Content-Length", length);
		}
		reply_add_headers(r);
		if (r->reply_len && may_have_body(r->status) && !r->head &&
		    evbuffer_add_reference(body, r->reply, r->reply_len, free_body, r->reply) == 0)
			r->reply = NULL;
		reply_send(r, body);
		evbuffer_free(body);
	}
	req_free(r);
}

/* ---- answering (any thread) ------------------------------------------------------------------ */

static void hand_over(struct http_req *r, loop_fn fn)
{
	if (on_worker == r)
		return; /* after_worker() sees to it */
	if (loop_is_here(r->server->loop))
		fn(r);
	else
		loop_post(r->server->loop, fn, r);
}

/* What a worker answers is compressed there; the loop has others to serve. */
static void compress(struct http_req *r, const char *type, char **data, size_t *len)
{
	if (*len < GZIP_LEAST || !gzip_helps(type) || has_out_header(r, "Content-Encoding"))
		return;
	reply_header_default(r, "Vary", "Accept-Encoding");
	if (!gzip_accepted(http_header(r, "Accept-Encoding")) ||
	    (*len > LOOP_GZIP && loop_is_here(r->server->loop)))
		return;
	char *small = gzip_make(*data, *len, GZIP_FAST, len);
	if (!small)
		return;
	loom_free(*data);
	*data = small;
	http_reply_header(r, "Content-Encoding", "gzip");
}

/* Takes data, which has len bytes. */
static void reply_owned(struct http_req *r, int status, const char *type, char *data, size_t len)
{
	loom_assert(r->state == REQ_OPEN && !r->defer);
	compress(r, type, &data, &len);
	r->state = REQ_ANSWERED;
	r->status = status;
	r->type = loom_strdup(type);
	r->reply = data;
	r->reply_len = len;
	hand_over(r, send_now);
}

void http_reply_header(struct http_req *req, const char *name, const char *value)
{
	strs_add(&req->out_names, name);
	strs_add(&req->out_values, value);
}

void http_reply(struct http_req *req, int status, const char *type, const void *data, size_t len)
{
	char *copy = NULL;
	if (len) {
		copy = loom_malloc(len);
		memcpy(copy, data, len);
	}
	reply_owned(req, status, type, copy, len);
}

void http_reply_empty(struct http_req *req, int status)
{
	reply_owned(req, status, NULL, NULL, 0);
}

/* faults (NULL: none) as http_reply_faults() has them. */
static void reply_problem(struct http_req *req, int status, const char *detail,
                          const struct json *faults);

static void ask_again(struct http_req *req, int status)
{
	if (status == 503 || status == 429)
		reply_header_default(req, "Retry-After", "1");
}

static void reply_text(struct http_req *req, int status, char *text)
{
	text = text_utf8(text); /* formats cut texts by bytes */
	if (status >= 400 && http_wants_problem(req)) {
		reply_problem(req, status, text, NULL);
		loom_free(text);
		return;
	}
	ask_again(req, status);
	reply_owned(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

void http_reply_text(struct http_req *req, int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = loom_vasprintf(fmt, ap);
	va_end(ap);
	reply_text(req, status, text);
}

static void reply_tree(struct http_req *req, int status, const char *type, const struct json *v)
{
	char *text = json_text(v);
	reply_owned(req, status, type, text, strlen(text));
}

void http_reply_json(struct http_req *req, int status, const struct json *v)
{
	reply_tree(req, status, "application/json", v);
}

/* What a URI's fragment may hold stays. Owned. */
static char *fragment(const char *pointer)
{
	struct buf b = BUF_INIT(16384);
	buf_addc(&b, '#');
	for (const char *s = pointer; s && *s; s++) {
		if ((*s > ' ' && *s < 127 && !strchr("\"#%<>[]\\^`{|}", *s)))
			buf_addc(&b, *s);
		else
			buf_addf(&b, "%%%02X", (unsigned)(unsigned char)*s);
	}
	return buf_take(&b);
}

static struct json *errors_of(const struct json *faults)
{
	struct json *list = json_new_arr();
	for (size_t i = 0; i < json_len(faults); i++) {
		const struct json *f = json_at(faults, i);
		LOOM_CLEANUP_STR char *at = fragment(json_get_str(f, "pointer"));
		struct json *e = json_set_str(json_new_obj(), "pointer", at);
		json_push(list, json_set_str(e, "detail", json_get_str(f, "detail")));
	}
	return list;
}

static void reply_problem(struct http_req *req, int status, const char *detail,
                          const struct json *faults)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	json_set_str(v, "type", "about:blank");
	json_set_str(v, "title", http_reason(status));
	json_set_int(v, "status", status);
	json_set_str(v, "detail", detail);
	json_set_str(v, "instance", req->id);
	if (faults)
		json_set(v, "errors", errors_of(faults));
	ask_again(req, status);
	reply_tree(req, status, "application/problem+json", v);
}

void http_reply_problem(struct http_req *req, int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	LOOM_CLEANUP_STR char *detail = loom_vasprintf(fmt, ap);
	va_end(ap);
	reply_problem(req, status, detail, NULL);
}

void http_reply_faults(struct http_req *req, int status, const struct json *faults,
                       const char *text)
{
	if (http_wants_problem(req))
		reply_problem(req, status, text, faults);
	else
		http_reply_text(req, status, "%s", text);
}

bool http_wants_problem(const struct http_req *req)
{
	const struct http_route *route = req->match.route;
	return (route && (route->run & HTTP_PROBLEM)) ||
	       http_accepts(http_header(req, "Accept"), "application/problem+json");
}

int http_body_json(struct http_req *req, struct json **ret, struct loom_err *err)
{
	struct loom_err e = { 0 };
	int rc = json_parse_few(req->body, req->body_len, req->server->limits.max_body, ret, &e);
	if (!rc)
		return 0;
	if (err)
		*err = e;
	http_reply_text(req, 400, "%s", e.msg);
	return 400;
}

/* ---- workers --------------------------------------------------------------------------------- */

static void run_deferred(void *arg)
{
	struct http_req *r = arg;
	void (*fn)(struct http_req *, void *) = r->defer;
	r->defer = NULL;
	r->waited = true;
	fn(r, r->defer_arg);
}

void http_defer(struct http_req *req, void (*fn)(struct http_req *, void *), void *arg)
{
	loom_assert(req->state == REQ_OPEN && !req->defer);
	req->defer = fn;
	req->defer_arg = arg;
	hand_over(req, run_deferred);
}

static void run_handler(void *arg)
{
	struct http_req *r = arg;
	void (*fn)(struct http_req *, void *) = r->defer;
	r->defer = NULL;
	on_worker = r;
	fn(r, r->defer_arg);
	on_worker = NULL;
}

static void after_worker(void *arg)
{
	struct http_req *r = arg;
	if (r->state == REQ_ANSWERED) {
		send_now(r);
	} else if (r->defer) {
		run_deferred(r);
	} else {
		log_error("handler gave no answer", LOG_S("method", r->method),
		          LOG_S("path", r->uri.path), LOG_S("req", r->id));
		http_reply_problem(r, 500, "no answer was made");
	}
}

static bool is_heavy(const struct http_req *r)
{
	return (r->match.route && r->match.route->run & HTTP_HEAVY) ||
	       r->body_len > HTTP_SMALL_BODY;
}

static int submit(struct http_req *r)
{
	struct http_server *s = r->server;
	const char *sharer = s->share ? s->share(r) : NULL;
	if (!sharer)
		return pool_submit(s->pool, run_handler, after_worker, r);
	bool heavy = is_heavy(r);
	LOOM_CLEANUP_STR char *name = loom_asprintf("%c%s", heavy ? '+' : '-', sharer);
	const struct pool_share share = { name, heavy ? pool_threads(s->pool, 8) : 0 };
	return pool_submit_share(s->pool, &share, run_handler, after_worker, r);
}

void http_to_pool(struct http_req *req, void (*fn)(struct http_req *, void *), void *arg)
{
	loom_assert(req->state == REQ_OPEN && !req->defer);
	req->defer = fn;
	req->defer_arg = arg;
	if (submit(req) == 0)
		return;
	req->defer = NULL;
	if (req->streaming)
		http_stream_abort(req);
	else
		http_reply_problem(req, 503, "the server is busy");
}
