/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_internal - what the parts of the HTTP server share; not for use outside common/net.
 *
 * A connection (http_conn.c) owns the guard and says when it is over.  A request (http_request.c)
 * is a copy of what was asked, so that a worker never touches libevent; `ev` is evhttp's request
 * while the connection lives, NULL from then on.  All on the loop's thread but where said.
 */
#ifndef LOOM_NET_HTTP_INTERNAL_H
#define LOOM_NET_HTTP_INTERNAL_H

#include "common/base/metrics.h"
#include "common/net/http_guard.h"
#include "common/net/http_router.h"
#include "common/net/http_server.h"
#include "common/net/http_uri.h"

struct bufferevent;
struct evbuffer_cb_entry;
struct event;
struct evhttp;
struct evhttp_bound_socket;
struct evhttp_connection;
struct evhttp_request;

struct lingerer;

struct server_conn {
	struct http_server *server;
	struct server_conn *prev, *next; /* of those not yet adopted */
	struct bufferevent *bev;
	struct evhttp_connection *evcon; /* NULL until adopted */
	struct evbuffer_cb_entry *watch;
	struct event *kick;
	struct http_guard guard;
	uint64_t received;     /* bytes, ever */
	int64_t head_since_ms; /* while a head is being read */
	uint64_t seen, done;   /* requests dispatched; of those, answered to the end */
	struct http_req *req;  /* being answered */
	int refused;           /* status to refuse the connection with, 0: fine */
	const char *reason;
	bool kill;  /* at once, whatever is under way */
	bool muted; /* our own changes to the input buffer */
	int fd;
};

struct http_server {
	struct http_server *next;
	struct loop *loop;
	struct pool *pool;
	const struct http_route *routes;
	void *ctx;
	struct http_limits limits;
	bool (*before)(struct http_req *, void *ctx);
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct loop_timer *accept_again, *sweep;
	int port;
	struct server_conn **by_fd;
	size_t by_fd_size;
	unsigned conns, lingering, busy;
	struct server_conn *unadopted;
	struct lingerer *lingers;
	bool stopping; /* accepts no more; answers close their connection */
	bool closed;   /* destroyed, but requests are still out */
};

enum req_state { REQ_OPEN, REQ_ANSWERED };

struct http_req {
	struct http_server *server;
	struct server_conn *conn;
	struct evhttp_request *ev;
	struct event *closed; /* watches for the peer going away */
	struct loop_timer *late_close;
	enum req_state state; /* of whoever has the request in hand */
	bool streaming;       /* loop only */
	bool problem, waited, v10, head;
	int64_t started_us;

	char *method, *target, *body, *peer;
	size_t body_len;
	char id[65];
	struct http_uri uri;
	struct http_match match;
	struct strs names, values; /* headers */
	void *data;
	void (*free_data)(void *);

	struct strs out_names, out_values;
	int status;
	char *type, *reply;
	size_t reply_len;

	void (*defer)(struct http_req *, void *);
	void *defer_arg;
	void (*on_close)(struct http_req *, void *);
	void *close_arg;
	void (*on_drained)(struct http_req *, void *);
	void *drained_arg;
};

enum {
	M_2XX,
	M_3XX,
	M_4XX,
	M_5XX,
	M_REFUSED,
	M_LATENCY,
	M_CONNS,
	M_BUSY,
	M_COUNT,
};
extern struct metric http_server_metrics[M_COUNT];

/* http_conn.c */
void conn_setup(struct http_server *s); /* makes evhttp create its connections through us */
struct server_conn *conn_of(struct http_server *s, struct evhttp_request *ev);
void conn_request_done(struct evhttp_request *ev, void *arg); /* evhttp's completion callback */
void conn_kick(struct server_conn *c);
void conn_close(struct server_conn *c); /* at once; c is gone */
void conns_sweep(void *server);         /* refuses heads that take too long */
void conns_drop(struct http_server *s); /* what evhttp_free() leaves */

/* http_request.c: NULL when the target or a header cannot be taken, with status and reason. */
struct http_req *req_create(struct server_conn *c, struct evhttp_request *ev,
                            const char **ret_reason);
void req_gone(struct http_req *r); /* the connection is over */
void req_free(struct http_req *r); /* frees the server with the last one when it was destroyed */

/* http_reply.c */
void reply_run_on_pool(struct http_req *r); /* hands r to its handler on a worker */
void reply_header_default(struct http_req *r, const char *name, const char *value);
void reply_add_headers(struct http_req *r);
void reply_count(struct http_req *r, int status);

/* http_server.c */
void server_free(struct http_server *s);

#endif
