/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers in pieces, and noticing that the peer has gone.
 *
 * evhttp does not read while a request is being answered, so that a closed connection would go
 * unseen: who waits (http_on_close) or streams gets an event on the socket's closing.
 */
#include "common/net/http_internal.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

static void on_closed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct http_req *r = arg;
	conn_close(r->conn);
}

static void watch_close(struct http_req *r)
{
	if (!r->ev || r->closed)
		return;
	r->closed = event_new(loop_base(r->server->loop), r->conn->fd, EV_CLOSED, on_closed, r);
	loom_assert(r->closed);
	if (event_add(r->closed, NULL) != 0) {
		event_free(r->closed);
		r->closed = NULL;
	}
}

static void call_on_close(void *arg)
{
	struct http_req *r = arg;
	void (*fn)(struct http_req *, void *) = r->on_close;
	r->on_close = NULL;
	if (fn)
		fn(r, r->close_arg);
}

void http_on_close(struct http_req *req, void (*fn)(struct http_req *, void *), void *arg)
{
	req->on_close = fn;
	req->close_arg = arg;
	req->waited = true;
	if (!fn)
		return;
	if (req->ev)
		watch_close(req);
	else if (!req->late_close)
		req->late_close =
			loop_timer_create(req->server->loop, "http_on_close", call_on_close, req);
	if (!req->ev)
		loop_timer_arm(req->late_close, 0);
}

bool http_gone(const struct http_req *req)
{
	return !req->ev;
}

/* HEAD: nothing follows. To the handler it looks as if the peer had gone. */
static void answer_head(struct http_req *r)
{
	if (r->closed)
		event_free(r->closed);
	r->closed = NULL;
	reply_send(r, NULL);
	r->conn = NULL;
	if (r->on_close)
		http_on_close(r, r->on_close, r->close_arg);
}

void http_stream_start(struct http_req *req, int status, const char *type)
{
	loom_assert(req->state == REQ_OPEN && !req->streaming);
	req->streaming = true;
	req->status = status;
	req->type = loom_strdup(type);
	if (!req->ev)
		return;
	reply_add_headers(req);
	if (req->head) {
		answer_head(req);
		return;
	}
	evhttp_send_reply_start(req->ev, status, http_reason(status));
	watch_close(req);
}

void http_stream_on_drained(struct http_req *req, void (*fn)(struct http_req *, void *), void *arg)
{
	req->on_drained = fn;
	req->drained_arg = arg;
}

static void on_written(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	struct http_req *r = arg;
	if (r->on_drained)
		r->on_drained(r, r->drained_arg);
}

long http_stream_write(struct http_req *req, const void *data, size_t len)
{
	loom_assert(req->streaming);
	if (!req->ev)
		return -EPIPE;
	struct evbuffer *piece = evbuffer_new();
	loom_assert(piece);
	if (evbuffer_add(piece, data, len) != 0)
		loom_assert(len == 0);
	evhttp_send_reply_chunk_with_cb(req->ev, piece, on_written, req);
	evbuffer_free(piece);
	return (long)evbuffer_get_length(bufferevent_get_output(req->conn->bev));
}

void http_stream_end(struct http_req *req)
{
	loom_assert(req->streaming);
	struct evhttp_request *ev = req->ev;
	if (ev) {
		req->conn->req = NULL;
		req->ev = NULL;
		evhttp_send_reply_end(ev);
	}
	reply_count(req, req->status);
	req_free(req);
}

void http_stream_abort(struct http_req *req)
{
	loom_assert(req->streaming);
	req->on_close = NULL;
	if (req->ev)
		conn_close(req->conn);
	http_stream_end(req);
}
