/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies that are read as they come.
 *
 * evhttp takes a body whole before it says that there is a request. Of a streamed one it is shown
 * the head alone, which says that no body follows, so that it hands the request out at once; it
 * reads nothing while a request is being answered, and the body is read here, straight from the
 * socket and past the guard. What comes behind such a body is not read: the connection is closed.
 */
#include "common/net/http_internal.h"

#include "common/base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { READ_AT_ONCE = 64 << 10 };

/* ---- the head that evhttp sees --------------------------------------------------------------- */

static bool line_is(const char *line, const char *end, const char *name)
{
	size_t n = strlen(name);
	return (size_t)(end - line) > n && strncasecmp(line, name, n) == 0 && line[n] == ':';
}

void body_hide(char *head, size_t len)
{
	static const char none[] = "Content-Length:";
	for (char *line = head, *end; line < head + len; line = end + 2) {
		end = memchr(line, '\r', len - (size_t)(line - head));
		if (!end) /* the guard lets no such head through */
			return;
		if (!line_is(line, end, "Content-Length") &&
		    !line_is(line, end, "Transfer-Encoding"))
			continue;
		memset(line, '0', (size_t)(end - line));
		memcpy(line, none, sizeof(none) - 1);
	}
}

/* ---- the body -------------------------------------------------------------------------------- */

void body_stop(struct http_req *r)
{
	if (r->body_ev)
		event_free(r->body_ev);
	r->body_ev = NULL;
}

bool body_waits(const struct server_conn *c)
{
	if (!c->streamed)
		return false;
	const struct event *ev = c->req ? c->req->body_ev : NULL;
	return !ev || !event_pending(ev, EV_READ, NULL);
}

/* What has come; 0: nothing yet. The peer's end is the connection's. */
static size_t receive(struct server_conn *c, char *to)
{
	ssize_t n = conn_recv(c, to, READ_AT_ONCE);
	if (n > 0)
		return (size_t)n;
	if (!n || (errno != EAGAIN && errno != EINTR))
		conn_close(c);
	return 0;
}

/* Takes the framing out, in place. Returns how many bytes are left, all of the body. */
static size_t unframe(struct server_conn *c, char *bytes, size_t len, bool *ret_end)
{
	uint64_t complete = c->guard.complete;
	size_t kept = 0;
	for (size_t at = 0; at < len && !c->guard.status && c->guard.complete == complete;) {
		size_t body = http_guard_body_bytes(&c->guard, len - at), n = body ? body : 1;
		if (http_guard_feed(&c->guard, bytes + at, n) == 0 && body) {
			memmove(bytes + kept, bytes + at, body);
			kept += body;
		}
		at += n;
	}
	*ret_end = c->guard.complete != complete;
	return kept;
}

/* The last thing that its callers do: the request may be answered by it, and gone. */
static void hand_out(struct http_req *r, char *bytes, size_t len)
{
	struct server_conn *c = r->conn;
	bool end = false;
	c->body_got += len;
	size_t kept = unframe(c, bytes, len, &end);
	if (c->guard.status) {
		body_stop(r);
		conn_refuse_later(c, c->guard.status, c->guard.reason);
		return;
	}
	if (end)
		body_stop(r);
	if (kept || end)
		r->on_body(r, bytes, kept, end, r->body_arg);
}

/* The event tells what the socket has; what came with it before, nobody else would. */
static void come_again(struct http_req *r)
{
	if (r->conn->ahead.len || conn_has_more(r->conn))
		event_active(r->body_ev, EV_READ, 0);
}

static void on_readable(evutil_socket_t fd LOOM_UNUSED, short what LOOM_UNUSED, void *arg)
{
	struct http_req *r = arg;
	struct server_conn *c = r->conn;
	if (c->ahead.len) {
		LOOM_CLEANUP(buf_fini) struct buf ahead = c->ahead;
		c->ahead = (struct buf){ 0 };
		come_again(r);
		hand_out(r, ahead.data, ahead.len);
		return;
	}
	char bytes[READ_AT_ONCE];
	size_t n = receive(c, bytes);
	if (!n)
		return;
	come_again(r);
	hand_out(r, bytes, n);
}

static void begin(struct http_req *r)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct server_conn *c = r->conn;
	/* The answers ahead of this one have been sent, so that there is room. */
	if (http_header(r, "Expect") && !c->ahead.len)
		(void)conn_send(c, go_on, sizeof(go_on) - 1);
	c->part_since_ms = clock_mono_ms();
	c->body_got = 0;
	event_add(r->body_ev, NULL);
	come_again(r);
}

void http_body_read(struct http_req *req, http_body_fn fn, void *arg)
{
	loom_assert(!req->on_body);
	req->on_body = fn;
	req->body_arg = arg;
	if (!req->streamed) {
		fn(req, req->body, req->body_len, true, arg);
		return;
	}
	if (!req->ev)
		return;
	req->body_ev = event_new(loop_base(req->server->loop), req->conn->fd, EV_READ | EV_PERSIST,
	                         on_readable, req);
	loom_assert(req->body_ev);
	begin(req);
}

void http_body_pause(struct http_req *req, bool pause)
{
	if (!req->body_ev)
		return;
	if (pause) {
		event_del(req->body_ev);
		return;
	}
	/* It is not the peer who was slow. */
	req->conn->part_since_ms = clock_mono_ms();
	req->conn->body_got = 0;
	event_add(req->body_ev, NULL);
	come_again(req);
}
