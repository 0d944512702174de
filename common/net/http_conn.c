/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each connection's bufferevent is made here, with a callback on its input buffer that runs when
 * bytes arrive and before evhttp reads them.  The guard looks at them first; from the first byte
 * it refuses on, they are cut off, so that evhttp never sees them.  Requests ahead of that one are
 * answered as usual; then the refusal is written and the connection closed.
 *
 * evhttp tells nobody about a new connection, but it is the argument of the bufferevent's
 * callbacks, so that a one-shot event right after the accept finds it ("adoption").
 */
#include "common/net/http_internal.h"

#include "common/base/clock.h"
#include "common/base/log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REFUSAL_MAX 4096
#define HEAD_KEPT   4096        /* bytes of room kept from one head to the next */
#define AHEAD_MAX   (64u << 10) /* four times what libevent reads at once */

/* ---- refusing -------------------------------------------------------------------------------- */

/* What a refusal says, as text or as a problem document; owned. */
static char *refusal_body(const struct server_conn *c)
{
	if (!c->problem)
		return loom_asprintf("%s\n", c->reason);
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	json_set_str(v, "type", "about:blank");
	json_set_str(v, "title", http_reason(c->refused));
	json_set_int(v, "status", c->refused);
	return json_text(json_set_str(v, "detail", c->reason));
}

static void add_header(void *text, const char *name, const char *value)
{
	buf_addf(text, "%s: %s\r\n", name, value);
}

static void send_refusal(struct server_conn *c)
{
	LOOM_CLEANUP_STR char *body = refusal_body(c);
	LOOM_CLEANUP(buf_fini) struct buf text = BUF_INIT(REFUSAL_MAX);
	buf_addf(&text,
	         "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n"
	         "X-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\n",
	         c->refused, http_reason(c->refused),
	         c->problem ? "application/problem+json" : "text/plain; charset=utf-8",
	         strlen(body));
	if (c->refused == 503)
		buf_adds(&text, "Retry-After: 1\r\n");
	if (c->refused == 405 && c->allow)
		buf_addf(&text, "Allow: %s\r\n", c->allow);
	http_cors_headers(&c->server->cors, c->origin, add_header, &text);
	buf_addf(&text, "Connection: close\r\n\r\n%s", body);
	loom_assert(!text.full);
	/* A fresh socket buffer has room for this; when it has not, the peer does not read anyway.
	 */
	if (conn_send(c, text.data, text.len) < 0)
		log_debug("refusal not sent", LOG_S("error", strerrordesc_np(errno)));
}

static void conn_refuse(struct server_conn *c)
{
	log_debug("request refused", LOG_I("status", c->refused), LOG_S("reason", c->reason));
	metric_add(&http_server_metrics[M_REFUSED], 1);
	if (!evbuffer_get_length(bufferevent_get_output(c->bev))) {
		send_refusal(c);
		conn_linger(c);
	}
	conn_close(c);
}

void conn_refuse_later(struct server_conn *c, int status, const char *reason)
{
	if (!c->refused) {
		c->refused = status;
		c->reason = reason;
	}
	conn_kick(c);
}

/* Cuts off all but the first `keep` bytes. */
static void cut_input(struct server_conn *c, struct evbuffer *in, size_t keep)
{
	struct evbuffer *kept = evbuffer_new();
	loom_assert(kept);
	c->muted = true;
	evbuffer_remove_buffer(in, kept, keep);
	evbuffer_drain(in, evbuffer_get_length(in));
	evbuffer_add_buffer(in, kept);
	c->muted = false;
	evbuffer_free(kept);
}

static void judge_head(struct server_conn *c)
{
	loom_assert(!c->head.full); /* the guard's limit comes first */
	if (c->withheld)
		buf_add(&c->whole, c->head.data, c->head.len);
	int status = admit_head(c, c->head.data);
	if (status)
		http_guard_refuse(&c->guard, status, c->why);
	c->guard.limits.max_body =
		c->streamed ? c->server->limits.max_streamed : c->server->limits.max_body;
	c->part_since_ms = clock_mono_ms();
	c->body_got = 0;
	if (http_guard_in_body(&c->guard))
		admit_read_ahead(c);
	if (c->head.cap > HEAD_KEPT)
		buf_fini(&c->head);
	else
		buf_reset(&c->head);
}

/* Shows the guard some bytes and keeps those of a head. */
static void guard_bytes(struct server_conn *c, char *bytes, size_t len)
{
	enum http_guard_stop stop = HTTP_GUARD_ALL;
	while ((len || stop == HTTP_GUARD_HEAD) && !c->guard.status && !c->streamed) {
		bool head = http_guard_before_head(&c->guard);
		size_t n = http_guard_next(&c->guard, bytes, len, &stop);
		if (head && !c->guard.status)
			buf_add(&c->head, bytes, n);
		else
			c->body_got += n;
		if (stop == HTTP_GUARD_HEAD)
			judge_head(c);
		if (stop == HTTP_GUARD_REQUEST) /* the next one's route is not known yet */
			c->guard.limits.max_body = c->server->limits.max_streamed;
		if (stop == HTTP_GUARD_EXTENSION) /* evhttp knows of none, but skips spaces */
			memset(bytes, ' ', n);
		bytes += n;
		len -= n;
	}
}

/* Shows the guard the last `added` bytes; false if libevent did not give them all. */
static bool feed_guard(struct server_conn *c, struct evbuffer *in, size_t added)
{
	struct evbuffer_ptr at;
	struct evbuffer_iovec v[16];
	if (evbuffer_ptr_set(in, &at, evbuffer_get_length(in) - added, EVBUFFER_PTR_SET) != 0)
		return false;
	while (added && !c->guard.status && !c->streamed) {
		int n = evbuffer_peek(in, (ev_ssize_t)added, &at, v, LOOM_COUNT(v));
		size_t step = 0;
		for (int i = 0; i < n && i < (int)LOOM_COUNT(v) && step < added; i++) {
			size_t take = v[i].iov_len < added - step ? v[i].iov_len : added - step;
			guard_bytes(c, v[i].iov_base, take);
			step += take;
		}
		added -= step;
		if (!step || (added && evbuffer_ptr_set(in, &at, step, EVBUFFER_PTR_ADD) != 0))
			return false;
	}
	return true;
}

/* Of a body in chunks, evhttp has moved what came before into a buffer of its own. */
static void note_held(struct server_conn *c, const struct evbuffer *in)
{
	size_t moved = c->guard.chunked ? (size_t)c->body_got : 0;
	admit_holds(c, evbuffer_get_length(in) + moved + c->withheld + c->ahead.len);
}

/* Where in the input the request begins whose head is being read, or was read last. */
static size_t head_at(const struct server_conn *c, struct evbuffer *in)
{
	uint64_t first = c->received - c->withheld - evbuffer_get_length(in);
	return c->guard.start > first ? (size_t)(c->guard.start - first) : 0;
}

/* Puts a head that came in pieces back to where its last piece, of those added, begins. */
static void give_whole(struct server_conn *c, struct evbuffer *in, size_t added)
{
	struct evbuffer *front = evbuffer_new();
	loom_assert(front);
	c->muted = true;
	evbuffer_remove_buffer(in, front, evbuffer_get_length(in) - added);
	evbuffer_drain(in, c->whole.len - c->withheld);
	evbuffer_add(front, c->whole.data, c->whole.len);
	evbuffer_prepend_buffer(in, front);
	c->muted = false;
	evbuffer_free(front);
	buf_fini(&c->whole);
	c->withheld = 0;
}

/* evhttp gets the head alone, and that no body follows. */
static void give_streamed(struct server_conn *c, struct evbuffer *in)
{
	size_t at = head_at(c, in), n = (size_t)(c->guard.fed - c->guard.start);
	char *all = (char *)evbuffer_pullup(in, -1);
	LOOM_CLEANUP_STR char *head = loom_strndup(all + at, n);
	buf_add(&c->ahead, all + at + n, evbuffer_get_length(in) - at - n);
	loom_assert(!c->ahead.full);
	body_hide(head, n);
	cut_input(c, in, at);
	c->muted = true;
	evbuffer_add(in, head, n);
	c->muted = false;
}

/* evhttp sees heads only when they are whole: until then one may be changed, or refused. */
static void give_heads(struct server_conn *c, struct evbuffer *in, size_t added)
{
	if (c->whole.len)
		give_whole(c, in, added);
	if (c->streamed) {
		give_streamed(c, in);
	} else if (http_guard_in_head(&c->guard)) {
		cut_input(c, in, head_at(c, in));
		c->withheld = c->head.len;
	}
}

/* evhttp reads on while it has not come to the head that stands in its input. */
static void keep_ahead(struct server_conn *c, struct evbuffer *in, size_t added)
{
	size_t at = evbuffer_get_length(in) - added;
	const char *all = (const char *)evbuffer_pullup(in, -1);
	buf_add(&c->ahead, all + at, added);
	if (c->ahead.full)
		conn_refuse_later(c, 503, "too much at once");
	cut_input(c, in, at);
}

static void on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct server_conn *c = arg;
	size_t len = evbuffer_get_length(in), added = info->n_added;
	c->record_read = false;
	if (info->n_deleted && conn_has_more(c))
		conn_kick(c);
	if (c->muted || (!c->evcon && !added))
		return;
	loom_assert(c->evcon); /* nothing is read before the adoption */
	note_held(c, in);
	if (!added || added > len)
		return;
	if (c->refused) {
		cut_input(c, in, len - added);
		return;
	}
	if (c->streamed) {
		keep_ahead(c, in, added);
		return;
	}
	c->received += added;
	if (http_guard_before_head(&c->guard) && !http_guard_in_head(&c->guard)) {
		c->part_since_ms = clock_mono_ms();
		if (c->queued)
			admit_waits(c);
	}
	if (!feed_guard(c, in, added) && !c->guard.status)
		http_guard_refuse(&c->guard, 500, "input lost");
	if (!c->guard.status)
		give_heads(c, in, added);
	note_held(c, in);
	if (!c->guard.status && !admit_memory(c))
		http_guard_refuse(&c->guard, 503, "too many requests at once");
	if (!c->guard.status)
		return;
	/* What belongs to requests that the guard has let through whole stays for evhttp. */
	cut_input(c, in, head_at(c, in));
	c->withheld = 0;
	note_held(c, in);
	conn_refuse_later(c, c->guard.status, c->guard.reason);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void conn_free(struct server_conn *c)
{
	struct http_server *s = c->server;
	if (c->evcon) {
		s->by_fd[c->fd] = NULL;
		admit_gone(c);
	}
	evbuffer_remove_cb_entry(bufferevent_get_input(c->bev), c->watch);
	event_free(c->kick);
	buf_fini(&c->head);
	buf_fini(&c->whole);
	buf_fini(&c->ahead);
	loom_free(c->why);
	loom_free(c->allow);
	loom_free(c->origin);
	loom_free(c);
}

/* evhttp is about to free the connection, for whatever reason. */
static void on_evcon_close(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	struct server_conn *c = arg;
	struct http_req *r = c->req;
	c->req = NULL;
	conn_farewell(c);
	conn_free(c);
	if (r)
		req_gone(r);
}

void conn_close(struct server_conn *c)
{
	evhttp_connection_free(c->evcon);
}

static void remember(struct http_server *s, struct server_conn *c)
{
	size_t need = (size_t)c->fd + 1;
	if (need > s->by_fd_size) {
		size_t size = need * 2;
		s->by_fd = loom_realloc(s->by_fd, size * sizeof(struct server_conn *));
		memset(s->by_fd + s->by_fd_size, 0,
		       (size - s->by_fd_size) * sizeof(struct server_conn *));
		s->by_fd_size = size;
	}
	s->by_fd[c->fd] = c;
}

static void list_unadopted(struct server_conn *c)
{
	struct http_server *s = c->server;
	bufferevent_incref(c->bev);
	c->next = s->unadopted;
	if (c->next)
		c->next->prev = c;
	s->unadopted = c;
}

static void unlist_unadopted(struct server_conn *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		c->server->unadopted = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->prev = c->next = NULL;
}

static void drop_unadopted(struct server_conn *c)
{
	struct bufferevent *bev = c->bev;
	unlist_unadopted(c);
	conn_free(c);
	bufferevent_decref(bev);
}

void conns_drop(struct http_server *s)
{
	while (s->unadopted)
		drop_unadopted(s->unadopted);
	lingers_drop(s);
}

/* false: evhttp has given the connection up already, and c is freed. */
static bool adopt(struct server_conn *c)
{
	struct http_server *s = c->server;
	void *evcon = NULL;
	bufferevent_getcb(c->bev, NULL, NULL, NULL, &evcon);
	c->fd = bufferevent_getfd(c->bev);
	if (!evcon || c->fd < 0) {
		drop_unadopted(c);
		return false;
	}
	c->evcon = evcon;
	c->part_since_ms = clock_mono_ms();
	unlist_unadopted(c);
	bufferevent_decref(c->bev);
	evhttp_connection_set_closecb(c->evcon, on_evcon_close, c);
	int one = 1;
	if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
		log_debug("no TCP_NODELAY", LOG_S("error", strerrordesc_np(errno)));
	remember(s, c);
	conn_pace(c);
	admit_connection(c);
	return true;
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct server_conn *c = arg;
	if (!c->evcon && !adopt(c))
		return;
	if (c->kill || (c->refused && c->req && c->req->streaming))
		conn_close(c);
	else if (c->refused && c->guard.complete <= c->done)
		conn_refuse(c);
	else
		conn_stir(c);
}

void conn_kick(struct server_conn *c)
{
	event_active(c->kick, 0, 0);
}

void conn_give_way(struct server_conn *c)
{
	if (!http_guard_in_head(&c->guard) && !http_guard_in_body(&c->guard)) {
		conn_close(c);
		return;
	}
	c->refused = 503;
	c->reason = "others wait for the place that this request takes up";
	conn_refuse(c);
}

void conn_request_done(struct evhttp_request *ev, void *arg)
{
	(void)ev;
	struct server_conn *c = arg;
	c->done++;
	if (c->done > c->guard.complete) /* a streamed one, before its end */
		conn_linger(c);
	c->part_since_ms = clock_mono_ms();
	c->body_got = 0; /* the next one's, which was not read meanwhile */
	admit_waits(c);
	if (c->refused || conn_has_more(c))
		conn_kick(c);
}

struct server_conn *conn_of(struct http_server *s, struct evhttp_request *ev)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(ev);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evcon));
	loom_assert(fd >= 0 && (size_t)fd < s->by_fd_size);
	struct server_conn *c = s->by_fd[fd];
	loom_assert(c && c->evcon == evcon);
	return c;
}

static struct bufferevent *on_new_connection(struct event_base *base, void *arg)
{
	struct http_server *s = arg;
	struct bufferevent *bev = conn_bufferevent(s, base);
	if (!bev)
		return NULL;
	struct server_conn *c = loom_calloc(1, sizeof(*c));
	struct http_guard_limits limits = { .max_head = s->limits.max_head,
		                            .max_headers = HTTP_HEADERS_MAX,
		                            .max_body = s->limits.max_streamed };
	c->server = s;
	c->bev = bev;
	c->ssl = s->tls ? bufferevent_openssl_get_ssl(bev) : NULL;
	c->fd = -1;
	c->head = BUF_INIT(s->limits.max_head + 1);
	c->whole = BUF_INIT(s->limits.max_head + 1);
	c->ahead = BUF_INIT(AHEAD_MAX);
	http_guard_init(&c->guard, &limits);
	admit_read_ahead(c);
	c->watch = evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	c->kick = event_new(base, -1, 0, on_kick, c);
	loom_assert(c->watch && c->kick);
	list_unadopted(c);
	conn_kick(c);
	return bev;
}

void conn_setup(struct http_server *s)
{
	evhttp_set_bevcb(s->http, on_new_connection, s);
}
