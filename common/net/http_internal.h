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

#include "common/base/buf.h"
#include "common/base/map.h"
#include "common/base/metrics.h"
#include "common/net/http_cors.h"
#include "common/net/http_guard.h"
#include "common/net/http_router.h"
#include "common/net/http_server.h"
#include "common/net/http_uri.h"

#include <netinet/in.h>
#include <sys/queue.h>

struct bufferevent;
struct http_peer;
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
	int64_t part_since_ms; /* when the head or body that is being read began */
	uint64_t body_got;     /* bytes of that body */
	uint64_t seen, done;   /* requests dispatched; of those, answered to the end */
	struct http_req *req;  /* being answered */
	struct buf head;       /* the one being read */
	size_t withheld;       /* bytes of it that evhttp gets when it is whole */
	struct buf whole;      /* that head as it came, when it came in several pieces */
	bool streamed;         /* the body of the last request is read by http_body.c, */
	struct buf ahead;      /* and this of it has come along with the head */
	int refused;           /* status to refuse the connection with, 0: fine */
	const char *reason;
	char *why, *allow; /* owned: a reason, the Allow header that goes with it; NULL: none */
	char *origin;      /* owned: of the head that was judged last; NULL: none */
	bool problem;      /* a refusal is to be a problem document */
	bool kill;         /* at once, whatever is under way */
	bool muted;        /* our own changes to the input buffer */
	int fd;

	/* http_admit.c */
	TAILQ_ENTRY(server_conn) place; /* among those that wait for their peer, */
	bool queued;                    /* if it is one */
	bool reserve;                   /* for a health route only */
	struct http_peer *peer;
	char peer_name[INET6_ADDRSTRLEN];
	size_t held; /* bytes of requests not dispatched */
};

struct http_server {
	struct http_server *next;
	struct loop *loop;
	struct pool *pool;
	const struct http_route *routes;
	void *ctx;
	struct http_limits limits;
	bool (*before)(struct http_req *, void *ctx);
	const char *(*share)(const struct http_req *);
	http_check check;
	void (*answered)(struct http_req *, int status, void *ctx);
	struct http_cors cors;
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct loop_timer *accept_again, *sweep;
	int port;
	struct server_conn **by_fd;
	size_t by_fd_size;
	unsigned conns, lingering, busy;
	struct server_conn *unadopted;
	struct lingerer *lingers;
	TAILQ_HEAD(, server_conn) waiting; /* for their peer, the longest first */
	struct map *peers;                 /* address to struct http_peer */
	size_t held;                       /* bytes of requests not answered */
	bool stopping;                     /* accepts no more; answers close their connection */
	bool closed;                       /* destroyed, but requests are still out */
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
	bool waited, head, close;
	bool streamed;         /* its body: */
	struct event *body_ev; /* reads it; NULL: nobody wants it, or it has ended */
	http_body_fn on_body;
	void *body_arg;
	int64_t started_us;

	char *method, *target, *body, *peer;
	size_t body_len;
	char id[65];
	struct trace trace; /* it, as a span */
	char parent[17];    /* the caller's span; "": the trace begins here */
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
	M_HELD,
	M_DISPLACED,
	M_COUNT,
};
extern struct metric http_server_metrics[M_COUNT];

/* http_conn.c */
void conn_setup(struct http_server *s); /* makes evhttp create its connections through us */
struct server_conn *conn_of(struct http_server *s, struct evhttp_request *ev);
void conn_request_done(struct evhttp_request *ev, void *arg); /* evhttp's completion callback */
void conn_kick(struct server_conn *c);
void conn_close(struct server_conn *c); /* at once; c is gone */
/* Refuses (reason is a literal) when the requests ahead have been answered. */
void conn_refuse_later(struct server_conn *c, int status, const char *reason);
void conn_give_way(struct server_conn *c); /* closes one that waits for its peer; c is gone */
void conns_drop(struct http_server *s);    /* what evhttp_free() leaves */

/* http_linger.c */
/* What the connection has left to send, the peer gets to read although it is being closed. */
void conn_linger(const struct server_conn *c);
void lingers_drop(struct http_server *s);

/* http_body.c */
/* Makes a head say that no body follows, in as many bytes. */
void body_hide(char *head, size_t len);
void body_stop(struct http_req *r);           /* nobody wants the rest */
bool body_waits(const struct server_conn *c); /* for us: the peer is not to blame */

/* http_admit.c */
struct http_limits admit_limits(const struct http_limits *given); /* with all defaults */
void admit_connection(struct server_conn *c);                     /* a new one */
void admit_gone(struct server_conn *c);
void admit_waits(struct server_conn *c); /* for its peer, from now on */
void admit_busy(struct server_conn *c);  /* it is we who answer now */
void admit_holds(struct server_conn *c, size_t bytes);
void admit_body(struct http_server *s, int64_t bytes); /* of requests dispatched: more or less */
bool admit_memory(struct server_conn *c);              /* false: no room for what c holds */
void admit_read_ahead(struct server_conn *c);          /* sets how much */
/* Judges a head (changed in place): 0, or the status to refuse with, c->why and c->allow set. */
int admit_head(struct server_conn *c, char *text);
void admit_sweep(void *server); /* refuses heads and bodies that take too long */

/* http_request.c: NULL when the target or a header cannot be taken, with status and reason. */
struct http_req *req_create(struct server_conn *c, struct evhttp_request *ev,
                            const char **ret_reason);
void req_gone(struct http_req *r); /* the connection is over */
void req_free(struct http_req *r); /* frees the server with the last one when it was destroyed */

/* http_reply.c */
void reply_header_default(struct http_req *r, const char *name, const char *value);
void reply_add_headers(struct http_req *r);
void reply_count(struct http_req *r, int status);

/* http_server.c */
void server_free(struct http_server *s);

#endif
