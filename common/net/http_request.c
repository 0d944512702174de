/* SPDX-License-Identifier: Apache-2.0 */
/* The copy of a request that handlers see: made on the loop, read from any thread. */
#include "common/net/http_internal.h"

#include "common/base/clock.h"
#include "common/base/ids.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <string.h>

static const char *method_name(enum evhttp_cmd_type type)
{
	static const struct {
		enum evhttp_cmd_type type;
		const char *name;
	} names[] = {
		{ EVHTTP_REQ_GET, "GET" },       { EVHTTP_REQ_HEAD, "HEAD" },
		{ EVHTTP_REQ_POST, "POST" },     { EVHTTP_REQ_PUT, "PUT" },
		{ EVHTTP_REQ_DELETE, "DELETE" }, { EVHTTP_REQ_OPTIONS, "OPTIONS" },
		{ EVHTTP_REQ_PATCH, "PATCH" },   { EVHTTP_REQ_TRACE, "TRACE" },
	};
	for (size_t i = 0; i < LOOM_COUNT(names); i++) {
		if (names[i].type == type)
			return names[i].name;
	}
	return "";
}

static void copy_headers(struct http_req *r, struct evhttp_request *ev)
{
	struct evkeyvalq *q = evhttp_request_get_input_headers(ev);
	for (struct evkeyval *h = q->tqh_first; h; h = h->next.tqe_next) {
		strs_add(&r->names, h->key);
		strs_add(&r->values, h->value);
	}
}

static void copy_body(struct http_req *r, struct evhttp_request *ev)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(ev);
	size_t n = evbuffer_get_length(in);
	r->body = loom_malloc(n + 1);
	ev_ssize_t got = evbuffer_remove(in, r->body, n);
	r->body_len = got > 0 ? (size_t)got : 0;
	r->body[r->body_len] = '\0';
}

/* The caller's own id when it can be logged and sent back as it is; else a new one. */
static void choose_id(struct http_req *r)
{
	const char *given = http_header(r, "X-Request-ID");
	size_t n = given ? strlen(given) : 0;
	bool good = n > 0 && n < sizeof(r->id);
	for (size_t i = 0; i < n && good; i++)
		good = given[i] > ' ' && given[i] < 0x7f;
	if (good)
		memcpy(r->id, given, n + 1);
	else
		id_random_hex(r->id, 8);
}

/* Two of them are none: it is not known whose is right. */
static const char *traceparent_of(const struct http_req *r)
{
	const char *found = NULL;
	for (size_t i = 0; i < r->names.n; i++) {
		if (!str_ieq(r->names.v[i], "traceparent"))
			continue;
		if (found)
			return NULL;
		found = r->values.v[i];
	}
	return found;
}

/* Without a traceparent that is good it belongs to no trace. */
static char *tracestate_of(const struct http_req *r)
{
	const char **found = loom_calloc(r->names.n + 1, sizeof(*found));
	size_t n = 0;
	for (size_t i = 0; i < r->names.n; i++) {
		if (str_ieq(r->names.v[i], "tracestate"))
			found[n++] = r->values.v[i];
	}
	char *state = trace_state(found, n);
	loom_free(found);
	return state;
}

static void choose_trace(struct http_req *r)
{
	if (trace_parse(traceparent_of(r), &r->trace)) {
		memcpy(r->parent, r->trace.span, sizeof(r->parent));
		trace_new_span(&r->trace);
		r->trace_state = tracestate_of(r);
	} else {
		trace_new(&r->trace);
	}
}

struct http_req *req_create(struct server_conn *c, struct evhttp_request *ev,
                            const char **ret_reason)
{
	struct http_req *r = loom_calloc(1, sizeof(*r));
	char *address = NULL;
	ev_uint16_t port = 0;
	evhttp_connection_get_peer(c->evcon, &address, &port);
	r->server = c->server;
	r->conn = c;
	r->ev = ev;
	r->started_us = clock_mono_us();
	r->method = loom_strdup(method_name(evhttp_request_get_command(ev)));
	const char *target = evhttp_request_get_uri(ev);
	r->target = loom_strdup(http_target_path(target, NULL, NULL));
	/* evhttp takes an absolute target for a proxy's and closes behind it. */
	r->streamed = c->seen > c->guard.complete; /* or its body would have been read */
	r->close =
		(ev->major == 1 && ev->minor == 0) || *target != '/' || c->reserve || r->streamed;
	r->head = evhttp_request_get_command(ev) == EVHTTP_REQ_HEAD;
	bool v6 = address && strchr(address, ':');
	r->peer = loom_asprintf(v6 ? "[%s]:%u" : "%s:%u", address ? address : "?", port);
	copy_headers(r, ev);
	if (r->close) /* or evhttp adds a Connection header of its own */
		(void)evhttp_remove_header(evhttp_request_get_input_headers(ev), "Connection");
	copy_body(r, ev);
	admit_body(c->server, (int64_t)r->body_len);
	choose_id(r);
	choose_trace(r);
	*ret_reason = NULL;
	if (http_uri_parse(&r->uri, r->target, ret_reason) != 0 && !r->uri.path)
		r->uri.path = loom_strdup("/");
	r->server->busy++;
	metric_add(&http_server_metrics[M_BUSY], 1);
	return r;
}

void req_gone(struct http_req *r)
{
	body_stop(r);
	/* evhttp lets go of a request that is still being answered; from then on it is ours. */
	if (!evhttp_request_get_connection(r->ev))
		evhttp_request_free(r->ev);
	r->ev = NULL;
	r->conn = NULL;
	if (r->closed)
		event_free(r->closed);
	r->closed = NULL;
	void (*fn)(struct http_req *, void *) = r->on_close;
	r->on_close = NULL;
	if (fn)
		fn(r, r->close_arg); /* may free r */
}

void req_free(struct http_req *r)
{
	struct http_server *s = r->server;
	body_stop(r);
	if (r->closed)
		event_free(r->closed);
	loop_timer_destroy(r->late_close);
	if (r->data && r->free_data)
		r->free_data(r->data);
	loom_free(r->method);
	loom_free(r->target);
	loom_free(r->body);
	loom_free(r->peer);
	loom_free(r->type);
	loom_free(r->trace_state);
	loom_free(r->reply);
	http_uri_fini(&r->uri);
	http_match_fini(&r->match);
	strs_fini(&r->names);
	strs_fini(&r->values);
	strs_fini(&r->out_names);
	strs_fini(&r->out_values);
	admit_body(s, -(int64_t)r->body_len);
	loom_free(r);
	s->busy--;
	s->just_answered = true;
	metric_add(&http_server_metrics[M_BUSY], -1);
	if (s->closed && !s->busy)
		server_free(s);
}

/* ---- accessors ------------------------------------------------------------------------------- */

static const char *find(const struct strs *names, const struct strs *values, const char *name,
                        bool (*equal)(const char *, const char *))
{
	for (size_t i = 0; i < names->n; i++) {
		if (equal(names->v[i], name))
			return values->v[i];
	}
	return NULL;
}

const char *http_method(const struct http_req *req)
{
	return req->method;
}

const char *http_path(const struct http_req *req)
{
	return req->uri.path;
}

const char *http_raw_uri(const struct http_req *req)
{
	return req->target;
}

const char *http_param(const struct http_req *req, const char *name)
{
	return find(&req->match.names, &req->match.values, name, str_eq);
}

const char *http_query(const struct http_req *req, const char *name)
{
	return find(&req->uri.names, &req->uri.values, name, str_eq);
}

const char *http_query_nth(const struct http_req *req, const char *name, size_t n)
{
	for (size_t i = 0; i < req->uri.names.n; i++) {
		if (str_eq(req->uri.names.v[i], name) && !n--)
			return req->uri.values.v[i];
	}
	return NULL;
}

bool http_query_at(const struct http_req *req, size_t i, const char **name, const char **value)
{
	if (i >= req->uri.names.n)
		return false;
	*name = req->uri.names.v[i];
	*value = req->uri.values.v[i];
	return true;
}

const char *http_header(const struct http_req *req, const char *name)
{
	return find(&req->names, &req->values, name, str_ieq);
}

bool http_header_at(const struct http_req *req, size_t i, const char **name, const char **value)
{
	if (i >= req->names.n)
		return false;
	*name = req->names.v[i];
	*value = req->values.v[i];
	return true;
}

const char *http_body(const struct http_req *req, size_t *ret_len)
{
	if (ret_len)
		*ret_len = req->body_len;
	return req->body;
}

const char *http_peer(const struct http_req *req)
{
	return req->peer;
}

const struct http_route *http_matched(const struct http_req *req)
{
	return req->match.route;
}

void *http_ctx(const struct http_req *req)
{
	return req->server->ctx;
}

const char *http_id(const struct http_req *req)
{
	return req->id;
}

const struct trace *http_trace(const struct http_req *req)
{
	return &req->trace;
}

const char *http_trace_parent(const struct http_req *req)
{
	return req->parent;
}

const char *http_trace_state(const struct http_req *req)
{
	return req->trace_state;
}

int64_t http_age_us(const struct http_req *req)
{
	return clock_mono_us() - req->started_us;
}

struct loop *http_loop(const struct http_req *req)
{
	return req->server->loop;
}

void http_set_data(struct http_req *req, void *data, void (*free_data)(void *))
{
	if (req->data && req->free_data)
		req->free_data(req->data);
	req->data = data;
	req->free_data = free_data;
}

void *http_data(const struct http_req *req)
{
	return req->data;
}
