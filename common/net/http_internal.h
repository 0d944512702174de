/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_internal - shared by the parts of the HTTP server; not for use outside common/net.
 *
 * A connection (http_conn.c) owns the guard and tells when it is over.  A request (http_request.c)
 * is a copy of the client's request, so that a worker never touches libevent; `ev` is evhttp's
 * request while the connection lives, then NULL.  Everything on the loop's thread unless stated
 * otherwise.
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
struct evbuffer;
struct evbuffer_cb_entry;
struct event;
struct evhttp;
struct evhttp_bound_socket;
struct evhttp_connection;
struct evhttp_request;

struct lingerer;
struct ssl_st;
struct tls;

struct server_conn {
	struct http_server *server;
	struct server_conn *prev, *next; /* of those not yet adopted */
	struct bufferevent *bev;
	struct ssl_st *ssl;              /* of bev; NULL: plain */
	struct evhttp_connection *evcon; /* NULL until adopted */
	struct evbuffer_cb_entry *watch;
	struct event *kick;
	struct http_guard guard;
	uint64_t received;     /* bytes, ever */
	int64_t part_since_ms; /* start of the present head or body */
	uint64_t body_got;     /* bytes of the present body */
	uint64_t seen, done;   /* requests dispatched; requests fully answered */
	struct http_req *req;  /* the request being answered */
	struct buf head;       /* the head being read */
	size_t withheld;       /* its bytes that evhttp gets only once it is complete */
	struct buf whole;      /* the original head, if it came in several pieces */
	bool streamed;         /* http_body.c reads the body of the last request, */
	struct buf ahead;      /* and this part of it came together with the head */
	int refused;           /* status to refuse the connection with, 0: fine */
	const char *reason;
	char *why, *allow; /* owned: the reason, and its Allow header; NULL: none */
	char *origin;      /* owned: Origin of the head judged last; NULL: none */
	bool problem;      /* send a refusal as a problem document */
	bool kill;         /* close at once, whatever is under way */
	bool muted;        /* ignore our own changes to the input buffer */
	bool record_read;  /* by TLS: the next one waits for its turn */
	int fd;

	/* http_admit.c */
	TAILQ_ENTRY(server_conn) place; /* among the connections that wait for their peer, */
	bool queued;                    /* if it is one of them */
	bool reserve;                   /* serves only a health route */
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
	const char *cache; /* NULL: no such header */
	http_check check;
	void (*answered)(struct http_req *, int status, void *ctx);
	struct http_cors cors;
	struct tls *tls; /* NULL: plain */
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct loop_timer *accept_again, *sweep;
	int port;
	struct server_conn **by_fd;
	size_t by_fd_size;
	unsigned conns, lingering, busy;
	bool just_answered; /* anything, since the last http_server_rests() */
	struct server_conn *unadopted;
	struct lingerer *lingers;
	TAILQ_HEAD(, server_conn) waiting; /* for their peer, the longest first */
	struct map *peers;                 /* address to struct http_peer */
	size_t held;                       /* bytes of unanswered requests */
	bool stopping;                     /* accepts no more connections; answers close theirs */
	bool closed;                       /* destroyed, but requests are still out */
};

enum req_state { REQ_OPEN, REQ_ANSWERED };

struct http_req {
	struct http_server *server;
	struct server_conn *conn;
	struct evhttp_request *ev;
	struct event *closed; /* watches for the peer going away */
	struct loop_timer *late_close;
	enum req_state state; /* owned by the present holder of the request */
	bool streaming;       /* loop only */
	bool waited, head, close;
	bool streamed;         /* its body is streamed: */
	struct event *body_ev; /* reads it; NULL: not wanted, or ended */
	http_body_fn on_body;
	void *body_arg;
	int64_t started_us;

	char *method, *target, *body, *peer;
	size_t body_len;
	char id[65];
	struct trace trace; /* its own span */
	char *trace_state;  /* tracestate of the caller; owned; NULL: none */
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
void conn_setup(struct http_server *s); /* makes evhttp create connections through us */
struct server_conn *conn_of(struct http_server *s, struct evhttp_request *ev);
void conn_request_done(struct evhttp_request *ev, void *arg); /* evhttp's completion callback */
void conn_kick(struct server_conn *c);
void conn_close(struct server_conn *c); /* at once; frees c */
/* Refuses (reason is a literal) after the earlier requests have been answered. */
void conn_refuse_later(struct server_conn *c, int status, const char *reason);
void conn_give_way(struct server_conn *c); /* closes one that waits for its peer; frees c */
void conns_drop(struct http_server *s);    /* frees connections that evhttp_free() leaves */

/* http_tls.c */
struct bufferevent *conn_bufferevent(const struct http_server *s, struct event_base *base);
void conn_pace(struct server_conn *c); /* what has come is taken before the peer's end is seen */
bool conn_shakes(const struct server_conn *c); /* is its TLS handshake unfinished? */
/* Like non-blocking recv() and send(), through TLS if it is used. */
ssize_t conn_recv(struct server_conn *c, void *to, size_t len);
ssize_t conn_send(const struct server_conn *c, const void *data, size_t len);
bool conn_has_more(const struct server_conn *c); /* data read from the socket, not yet received */
void conn_stir(const struct server_conn *c);     /* there is room for that data again */
void conn_farewell(const struct server_conn *c); /* call before closing it */

/* http_linger.c */
/* Lets the peer still read the unsent rest, although the connection is being closed. */
void conn_linger(const struct server_conn *c);
void lingers_drop(struct http_server *s);

/* http_body.c */
/* Rewrites a head so that it announces no body, in the same number of bytes. */
void body_hide(char *head, size_t len);
void body_stop(struct http_req *r);           /* the rest is not wanted */
bool body_waits(const struct server_conn *c); /* waits for us: the peer is not to blame */

/* http_admit.c */
struct http_limits admit_limits(const struct http_limits *given); /* fills in all defaults */
void admit_connection(struct server_conn *c);                     /* a new one */
void admit_gone(struct server_conn *c);
void admit_waits(struct server_conn *c); /* now waits for its peer */
void admit_busy(struct server_conn *c);  /* now we are answering */
void admit_holds(struct server_conn *c, size_t bytes);
void admit_body(struct http_server *s, int64_t bytes); /* of dispatched requests; may be < 0 */
bool admit_memory(struct server_conn *c);              /* false: no room for the bytes of c */
void admit_read_ahead(struct server_conn *c);          /* sets the read-ahead limit */
/* Judges a head (changed in place): 0, or the status to refuse with, c->why and c->allow set. */
int admit_head(struct server_conn *c, char *text);
void admit_sweep(void *server); /* refuses heads and bodies that take too long */

/* http_request.c: NULL if the target or a header is refused, with status and reason. */
struct http_req *req_create(struct server_conn *c, struct evhttp_request *ev,
                            const char **ret_reason);
void req_gone(struct http_req *r); /* the connection is over */
void req_free(struct http_req *r); /* if the server was destroyed, the last request frees it */

/* http_reply.c */
void reply_header_default(struct http_req *r, const char *name, const char *value);
void reply_add_headers(struct http_req *r);
void reply_send(struct http_req *r, struct evbuffer *body); /* its last word */
void reply_count(struct http_req *r, int status);

/* http_server.c */
void server_free(struct http_server *s);

#endif
