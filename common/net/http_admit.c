/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is let in, and how long one may keep others waiting: connections, unfinished requests and
 * the memory they hold have limits, for all and for each peer.
 *
 * Connections that wait for their peer (idle, or with a request not yet whole) stand in a queue in
 * the order in which they began to wait.  Where there is no more room, a newcomer takes the place
 * of the first of them whose peer has no less than its own; so who holds the most goes first, and a
 * client with one connection is served beside thousands that dawdle.  Beyond the limit a few
 * connections are kept for the routes that say whether the service lives.
 */
#include "common/net/http_internal.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LOOK_AT   512         /* waiting connections, before giving up */
#define WORTH     4096        /* bytes a connection must hold to be closed for its memory */
#define SMALL_MAX (16u << 10) /* bytes read ahead while no body is wanted */

struct http_peer {
	unsigned conns;
	size_t held; /* bytes of requests not answered */
};

/* ---- peers ----------------------------------------------------------------------------------- */

/* A host, which in IPv6 may choose among the addresses of its network. */
static void peer_name(int fd, char name[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	socklen_t len = sizeof(sa);
	snprintf(name, INET6_ADDRSTRLEN, "?");
	if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0)
		return;
	if (sa.ss_family == AF_INET) {
		memcpy(&v4, &sa, sizeof(v4));
		(void)inet_ntop(AF_INET, &v4.sin_addr, name, INET6_ADDRSTRLEN);
	} else if (sa.ss_family == AF_INET6) {
		memcpy(&v6, &sa, sizeof(v6));
		if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
			memset(v6.sin6_addr.s6_addr + 8, 0, 8);
		(void)inet_ntop(AF_INET6, &v6.sin6_addr, name, INET6_ADDRSTRLEN);
	}
}

static void peer_join(struct server_conn *c)
{
	char name[INET6_ADDRSTRLEN];
	peer_name(c->fd, name);
	c->peer = map_get(c->server->peers, name);
	if (!c->peer) {
		c->peer = loom_calloc(1, sizeof(*c->peer));
		map_set(c->server->peers, name, c->peer);
	}
	memcpy(c->peer_name, name, sizeof(name));
	c->peer->conns++;
}

static void peer_leave(struct server_conn *c)
{
	if (c->peer && --c->peer->conns == 0)
		map_del(c->server->peers, c->peer_name);
	c->peer = NULL;
}

/* ---- the queue of those that wait ------------------------------------------------------------ */

static void dequeue(struct server_conn *c)
{
	if (c->queued)
		TAILQ_REMOVE(&c->server->waiting, c, place);
	c->queued = false;
}

void admit_waits(struct server_conn *c)
{
	dequeue(c);
	TAILQ_INSERT_TAIL(&c->server->waiting, c, place);
	c->queued = true;
}

void admit_busy(struct server_conn *c)
{
	dequeue(c);
}

/* Closes one that waits in favour of `by`; false when there is none. */
static bool displace(struct server_conn *by, bool for_memory)
{
	int left = LOOK_AT;
	for (struct server_conn *c = TAILQ_FIRST(&by->server->waiting); c && left--;
	     c = TAILQ_NEXT(c, place)) {
		if (c == by || c->refused || (for_memory && c->held < WORTH))
			continue;
		if (for_memory ? c->peer->held < by->peer->held : c->peer->conns < by->peer->conns)
			continue;
		metric_add(&http_server_metrics[M_DISPLACED], 1);
		conn_give_way(c);
		return true;
	}
	return false;
}

/* ---- connections ----------------------------------------------------------------------------- */

void admit_connection(struct server_conn *c)
{
	struct http_server *s = c->server;
	peer_join(c);
	s->conns++;
	metric_add(&http_server_metrics[M_CONNS], 1);
	admit_waits(c);
	bool many = c->peer->conns > s->limits.peer_conns;
	if (!many && s->conns <= s->limits.max_conns)
		return;
	if (displace(c, false))
		return;
	c->reserve = true;
	if (s->conns > s->limits.max_conns + s->limits.reserve)
		conn_refuse_later(c, 503, "too many connections");
}

void admit_gone(struct server_conn *c)
{
	admit_holds(c, 0);
	dequeue(c);
	peer_leave(c);
	c->server->conns--;
	metric_add(&http_server_metrics[M_CONNS], -1);
}

/* ---- memory ---------------------------------------------------------------------------------- */

void admit_body(struct http_server *s, int64_t bytes)
{
	s->held = (size_t)((int64_t)s->held + bytes);
	metric_add(&http_server_metrics[M_HELD], bytes);
}

void admit_holds(struct server_conn *c, size_t bytes)
{
	int64_t more = (int64_t)bytes - (int64_t)c->held;
	c->held = bytes;
	c->peer->held = (size_t)((int64_t)c->peer->held + more);
	admit_body(c->server, more);
}

bool admit_memory(struct server_conn *c)
{
	while (c->server->held > c->server->limits.max_bodies) {
		if (!displace(c, true))
			return c->held < WORTH; /* a small request is not what fills it */
	}
	return true;
}

void admit_read_ahead(struct server_conn *c)
{
	const struct http_limits *l = &c->server->limits;
	/* evhttp waits for a whole body in this buffer; beyond that, the peer has to wait. */
	size_t body = http_guard_in_body(&c->guard) ? l->max_body + 65536 : SMALL_MAX;
	bufferevent_setwatermark(c->bev, EV_READ, 0, l->max_head + body);
}

/* ---- heads ----------------------------------------------------------------------------------- */

static int check_route(const struct http_head *h, const struct http_match *m, struct loom_err *err)
{
	if (m->route)
		return 0;
	if (!m->allow.n)
		return err_set(err, 404, "Problem accessing: %s. Reason: Not Found", h->target);
	return err_set(err, 405, "%s", h->target);
}

static int check_length(const struct server_conn *c, const struct http_route *route,
                        struct loom_err *err)
{
	if (!(route->run & HTTP_STREAMED) && c->guard.length > c->server->limits.max_body)
		return err_set(err, 413, "request body too large");
	if (!(route->run & HTTP_SMALL) || (!c->guard.chunked && c->guard.length <= HTTP_SMALL_BODY))
		return 0;
	if (c->guard.chunked)
		return err_set(err, 411, "%s takes %zu bytes at most: say how long the body is",
		               route->pattern, HTTP_SMALL_BODY);
	return err_set(err, 413, "%s takes %zu bytes at most", route->pattern, HTTP_SMALL_BODY);
}

/* A body is read as it comes. */
static int check_coding(const struct http_head *h, struct loom_err *err)
{
	const char *coding = http_head_value(h, "Content-Encoding");
	if (str_blank(coding) || str_ieq(coding, "identity"))
		return 0;
	return err_set(err, 415,
	               "a body with Content-Encoding %s is not understood; send it without one",
	               coding);
}

static int check(struct server_conn *c, const struct http_head *h, const struct http_match *m,
                 struct loom_err *err)
{
	const struct http_server *s = c->server;
	const struct http_route *route = m->route;
	bool body = c->guard.chunked || c->guard.length;
	bool health = route && (route->run & HTTP_HEALTH);
	if (c->reserve && !health)
		return err_set(err, 503, "too many connections");
	if (s->limits.names && h->host && !health && !http_host_is_ours(h->host, s->limits.names))
		return err_set(err, 421, "this server does not go by the name of %s", h->host);
	int rc = body ? check_route(h, m, err) : 0;
	if (!rc && s->check && route)
		rc = s->check(h, route, s->ctx, err);
	if (!rc && body)
		rc = check_coding(h, err);
	if (!rc && body && route)
		rc = check_length(c, route, err);
	return rc;
}

int admit_head(struct server_conn *c, char *text)
{
	struct http_head h;
	struct http_match m = { 0 };
	struct http_uri uri;
	struct loom_err err = { 0 };
	const char *bad;
	char *address = NULL;
	ev_uint16_t port;
	http_head_parse(&h, text);
	evhttp_connection_get_peer(c->evcon, &address, &port);
	h.peer = address ? address : "?";
	loom_free(c->origin);
	c->origin = loom_strdup(http_head_value(&h, "Origin"));
	c->problem = http_accepts(http_head_value(&h, "Accept"), "application/problem+json");
	if (http_uri_parse(&uri, h.target, &bad) == 0)
		http_router_match(c->server->routes, h.method, &uri.segments, &m);
	else
		err_set(&err, 400, "%s", bad);
	if (!err.status)
		(void)check(c, &h, &m, &err);
	if (err.status == 405) {
		LOOM_CLEANUP_STR char *allow = strs_join(&m.allow, ", ");
		loom_free(c->allow);
		c->allow = loom_take(allow);
	}
	if (err.status) {
		loom_free(c->why);
		c->why = text_utf8(loom_strdup(err.msg));
	}
	c->streamed = !err.status && m.route && (m.route->run & HTTP_STREAMED) &&
	              (c->guard.chunked || c->guard.length);
	http_match_fini(&m);
	http_uri_fini(&uri);
	return err.status;
}

/* ---- time ------------------------------------------------------------------------------------ */

static const char *dawdles(const struct server_conn *c, int64_t now)
{
	const struct http_limits *l = &c->server->limits;
	int64_t spent = now - c->part_since_ms;
	/* While another request is answered, nothing is read: the peer is not to blame. */
	if (c->refused || c->guard.complete > c->done || body_waits(c))
		return NULL;
	if (conn_shakes(c))
		return spent > (int64_t)l->head_s * 1000 ? "TLS handshake took too long" : NULL;
	if (http_guard_in_head(&c->guard))
		return spent > (int64_t)l->head_s * 1000 ? "request head took too long" : NULL;
	if (!http_guard_in_body(&c->guard))
		return NULL;
	if (!c->streamed && spent > (int64_t)l->body_s * 1000)
		return "request body took too long";
	int64_t due = (spent - (int64_t)l->body_grace_s * 1000) * l->body_rate / 1000;
	return due > 0 && (uint64_t)due > c->body_got ? "request body came too slowly" : NULL;
}

void admit_sweep(void *server)
{
	struct http_server *s = server;
	int64_t now = clock_mono_ms();
	for (size_t i = 0; i < s->by_fd_size; i++) {
		struct server_conn *c = s->by_fd[i];
		const char *why = c ? dawdles(c, now) : NULL;
		if (why)
			conn_refuse_later(c, 408, why);
	}
}

/* ---- limits ---------------------------------------------------------------------------------- */

const struct config_key http_config_keys[] = {
	{ "http_connections", CFG_INT, offsetof(struct http_config, connections), "4096", 16, 60000,
	  0, "connections at once to each port" },
	{ "http_peer_connections", CFG_INT, offsetof(struct http_config, peer_connections), "0", 0,
	  60000, 0, "of these from one address; 0: three quarters" },
	{ "http_request_mib", CFG_INT, offsetof(struct http_config, request_mib), "64", 8, 65536, 0,
	  "memory for requests that are being read or answered, MiB for each port" },
	{ "host_names", CFG_STR, offsetof(struct http_config, host_names), "", 0, 0, 0,
	  "names that clients may call this server by, besides addresses, localhost and its own; "
	  "comma-separated, * for any" },
	{ 0 },
};

struct http_limits http_config_limits(const struct http_config *cfg)
{
	return (struct http_limits){ .max_conns = (unsigned)cfg->connections,
		                     .peer_conns = (unsigned)cfg->peer_connections,
		                     .max_bodies = (size_t)cfg->request_mib << 20,
		                     .names = cfg->host_names };
}

#define OR(value, otherwise) ((value) ? (value) : (otherwise))

struct http_limits admit_limits(const struct http_limits *given)
{
	struct http_limits l = given ? *given : (struct http_limits){ 0 };
	l.max_head = OR(l.max_head, 32u << 10);
	l.max_body = OR(l.max_body, 4u << 20);
	l.max_streamed = l.max_streamed > l.max_body ? l.max_streamed : l.max_body;
	l.max_bodies = OR(l.max_bodies, 64u << 20);
	l.max_conns = OR(l.max_conns, 4096);
	l.peer_conns = OR(l.peer_conns, l.max_conns < 16 ? l.max_conns : l.max_conns / 4 * 3);
	l.reserve = OR(l.reserve, 64);
	l.idle_s = OR(l.idle_s, 75);
	l.head_s = OR(l.head_s, 30);
	l.body_s = OR(l.body_s, 120);
	l.body_grace_s = OR(l.body_grace_s, 5);
	l.body_rate = OR(l.body_rate, 1024);
	return l;
}
