/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server - evhttp behind a strict validator (http_guard.h), with routes as a table.
 *
 * The validator watches the same bytes that evhttp parses and refuses (400, connection closed)
 * everything that two parsers could read differently: a malformed, doubled, signed or spaced
 * Content-Length or Transfer-Encoding, odd chunk sizes, a missing or doubled Host, an illegal
 * header name, bare LF, and anything over the limits.  A head is judged before its body is read: an
 * unknown route, a foreign host name, a too long body and refusals of the service's own check are
 * answered at once. The time and memory of a peer are limited as well (struct http_limits).
 *
 * HEAD is answered like GET without the body; OPTIONS, unless it has its own row, with the methods
 * of the path.
 *
 * A handler runs on the loop (HTTP_ON_LOOP: must not block; may keep the request and answer later,
 * or stream) or on a worker (HTTP_ON_POOL: plain sequential code; answers before it returns, or
 * hands the request on with http_defer()). Each request is answered exactly once.
 * Reply functions may be called from either thread; stream functions only on the loop.
 * A request stays valid until it is answered, even when its connection is gone.
 */
#ifndef LOOM_NET_HTTP_SERVER_H
#define LOOM_NET_HTTP_SERVER_H

#include "common/base/buf.h"
#include "common/base/config.h"
#include "common/base/trace.h"
#include "common/json/json.h"
#include "common/net/http_cors.h"
#include "common/net/http_head.h"
#include "common/net/pool.h"
#include "common/net/tls.h"

struct http_server;
struct http_req;

enum http_run {
	HTTP_ON_LOOP = 0,
	HTTP_ON_POOL = 1,
	HTTP_HEALTH = 2,    /* reports health: answered on the reserve, and for any Host */
	HTTP_SMALL = 4,     /* its body has at most HTTP_SMALL_BODY bytes */
	HTTP_HEAVY = 8,     /* may be expensive: few at once per share (http_server_share()) */
	HTTP_PROBLEM = 16,  /* refusals are always problem documents */
	HTTP_STREAMED = 32, /* runs as soon as its head has come: http_body_read() */
};
#define HTTP_SMALL_BODY ((size_t)64 << 10)

typedef void (*http_handler)(struct http_req *req, void *ctx);

struct http_route {
	const char *method;  /* "GET" */
	const char *pattern; /* "/v2/clusters/{id}"; a trailing "/{rest*}" matches the rest */
	int run;             /* enum http_run, one or more */
	http_handler fn;
};

struct http_limits {
	size_t max_head;       /* request line and headers, bytes; 0 = 32 KiB */
	size_t max_body;       /* bytes; 0 = 4 MiB */
	uint64_t max_streamed; /* bytes of a streamed body; 0 = max_body */
	size_t max_bodies;     /* bytes of all unanswered requests; 0 = 64 MiB */
	unsigned
		max_conns; /* 0 = 4096; a newcomer takes the place of one that waits, or gets 503 */
	unsigned peer_conns; /* per address (IPv6: per /64); 0 = three quarters of max_conns */
	unsigned reserve;    /* 0 = 64; beyond max_conns, for health routes only */
	int idle_s;          /* 0 = 75; closes a connection without any byte for this time */
	int head_s;          /* 0 = 30; a request head that takes longer is refused (408) */
	int body_s;          /* 0 = 120; the same for a body, */
	int body_grace_s;    /* 0 = 5; which may begin slowly, but afterwards must come at */
	int body_rate;       /* 0 = 1024; bytes per second at least */
	const char *names;   /* the Host header must be an address, this machine's name or one of
	                      * these (421), see http_head.h; NULL: any will do */
};

/* The configurable part of it. */
struct http_config {
	int64_t connections, peer_connections, request_mib;
	char *host_names;
};
extern const struct config_key http_config_keys[];
/* host_names is borrowed. */
struct http_limits http_config_limits(const struct http_config *cfg);

/* routes ends with a NULL method and is kept by reference. before (may be NULL) runs on the loop
 * for each request ahead of its handler; it returns false if it has answered. */
struct http_server *http_server_create(struct loop *l, struct pool *pool,
                                       const struct http_route *routes, void *ctx,
                                       const struct http_limits *limits);
void http_server_before(struct http_server *s, bool (*before)(struct http_req *, void *ctx));
/* Cache-Control of answers that do not set it themselves; NULL: none. */
void http_server_cache(struct http_server *s, const char *control);
/* Names the share of the workers that a request uses (pool.h); NULL: none. Borrowed until it is
 * answered. Requests of heavy routes, and those with a body of more than HTTP_SMALL_BODY, form a
 * separate share, for which at most one in eight threads works. */
void http_server_share(struct http_server *s, const char *(*share)(const struct http_req *));
/* Runs on the loop when the head of a request with a route has come, before its body is read: 0, or
 * a status with err filled, which closes the connection. */
typedef int (*http_check)(const struct http_head *head, const struct http_route *route, void *ctx,
                          struct loom_err *err);
void http_server_check(struct http_server *s, http_check check);
/* Runs on the loop once for each request with a route, when it is answered, with the status. The
 * request is still complete. */
void http_server_answered(struct http_server *s,
                          void (*answered)(struct http_req *, int status, void *ctx));
/* Lets pages of other origins read all answers; tells their browsers what they may send, by the
 * routes. The strings of c are borrowed. */
void http_server_cors(struct http_server *s, const struct http_cors *c);
/* Uses TLS if cfg names a certificate; call before listening. cfg is borrowed. 0, or an error with
 * err filled. */
LOOM_MUST_CHECK int http_server_tls(struct http_server *s, const struct tls_config *cfg,
                                    struct loom_err *err);
/* "127.0.0.1:55054"; port 0 takes a free one. 0 or -errno. */
LOOM_MUST_CHECK int http_server_listen(struct http_server *s, const char *addr);
const char *http_server_listen_words(int rc); /* why listening failed */
/* Can addr be an address to listen on? 0, or an error with err, which calls it by its setting. */
LOOM_MUST_CHECK int http_server_listen_check(const char *setting, const char *addr,
                                             struct loom_err *err);
int http_server_port(const struct http_server *s);
void http_server_stop_accepting(struct http_server *s);
/* Is every request answered, and was none answered since the last call? The latest answers may not
 * be sent yet: ask again after some milliseconds before destroying the server. */
bool http_server_rests(struct http_server *s);
void http_server_destroy(struct http_server *s); /* closes open connections */

const char *http_method(const struct http_req *req);
const char *http_path(const struct http_req *req);                    /* decoded */
const char *http_raw_uri(const struct http_req *req);                 /* as sent: path and query */
const char *http_param(const struct http_req *req, const char *name); /* decoded; NULL if none */
const char *http_query(const struct http_req *req, const char *name); /* first one; NULL if none */
/* The n-th one of that name, from 0; NULL if there are fewer. */
const char *http_query_nth(const struct http_req *req, const char *name, size_t n);
/* Walks all query parameters: for (size_t i = 0; http_query_at(req, i, &n, &v); i++) */
bool http_query_at(const struct http_req *req, size_t i, const char **name, const char **value);
const char *http_header(const struct http_req *req, const char *name); /* case-insensitive */
/* Walks all request headers: for (size_t i = 0; http_header_at(req, i, &n, &v); i++) */
bool http_header_at(const struct http_req *req, size_t i, const char **name, const char **value);
const char *http_body(const struct http_req *req, size_t *ret_len); /* never NULL */
const char *http_peer(const struct http_req *req);                  /* "ip:port", "[ip]:port" */
bool http_by_tls(const struct http_req *req);                       /* was it sent through TLS? */
const struct http_route *http_matched(const struct http_req *req);  /* its route */
void *http_ctx(const struct http_req *req);                         /* of its server */
const char *http_id(const struct http_req *req); /* request id: X-Request-ID, or a new one */
/* Its span: in the caller's trace if there is a valid traceparent, else in a new one. */
const struct trace *http_trace(const struct http_req *req);
const char *http_trace_parent(const struct http_req *req); /* the caller's span; "": none */
const char *http_trace_state(const struct http_req *req);  /* tracestate to pass on; NULL: none */
int64_t http_age_us(const struct http_req *req);           /* since it was read */
struct loop *http_loop(const struct http_req *req);
void http_set_data(struct http_req *req, void *data, void (*free_data)(void *)); /* e.g. identity */
void *http_data(const struct http_req *req);

/* Should a refusal of this request be a problem document? Yes, if its route (HTTP_PROBLEM) or its
 * Accept header demands it. http_reply_text() applies this to statuses from 400 on. */
bool http_wants_problem(const struct http_req *req);
/* Parses the body as JSON of at most JSON_MAX_VALUES values: 0, or answers 400 and returns 400,
 * with err (may be NULL) filled. The answer is text/plain, or a problem document if that is
 * wanted. */
LOOM_MUST_CHECK int http_body_json(struct http_req *req, struct json **ret, struct loom_err *err);

/*
 * Bodies that are read as they come (HTTP_STREAMED), on the loop. fn gets each part, and `end` with
 * the last part or in a later call without bytes. The server itself handles a client that breaks
 * off, sends too slowly or violates HTTP; http_on_close() reports it. Answering also ends the
 * reading, and closes the connection. This call also tells a client that asked (Expect:
 * 100-continue) to send.
 */
typedef void (*http_body_fn)(struct http_req *req, const void *data, size_t len, bool end,
                             void *arg);
void http_body_read(struct http_req *req, http_body_fn fn, void *arg);
void http_body_pause(struct http_req *req, bool pause); /* back-pressure */

void http_reply_header(struct http_req *req, const char *name,
                       const char *value); /* before reply */
void http_reply(struct http_req *req, int status, const char *type, const void *data, size_t len);
void http_reply_empty(struct http_req *req, int status);
/* 503 and 429 also get Retry-After: 1 unless set. */
void http_reply_text(struct http_req *req, int status, const char *fmt, ...) LOOM_PRINTF(3, 4);
void http_reply_json(struct http_req *req, int status, const struct json *v); /* borrows v */
/* RFC 9457: application/problem+json with type about:blank, title (of the status), status, detail
 * and instance (request id); and Retry-After as above. */
void http_reply_problem(struct http_req *req, int status, const char *fmt, ...) LOOM_PRINTF(3, 4);
/* A refusal for several faults: as text, or as a problem document with `errors`: for each fault
 * {"pointer", "detail"} (json/schema.h), with the pointer as a URI fragment, as in RFC 9457. */
void http_reply_faults(struct http_req *req, int status, const struct json *faults,
                       const char *text);
const char *http_reason(int status);

/* Hands a request from a worker to the loop: fn(req, arg) runs there and must answer; at once if
 * the caller is on the loop. */
void http_defer(struct http_req *req, void (*fn)(struct http_req *, void *arg), void *arg);
/* From the loop: fn(req, arg) runs on a worker, like a handler with HTTP_ON_POOL. If the pool is
 * full the request is answered with 503, or its stream aborted. */
void http_to_pool(struct http_req *req, void (*fn)(struct http_req *, void *arg), void *arg);

/* Streams (loop only): a chunked answer. write returns the number of bytes not yet sent, or -EPIPE
 * if the peer is gone (then end it). on_close is called once if the peer goes before the answer or
 * end. */
void http_stream_start(struct http_req *req, int status, const char *type);
long http_stream_write(struct http_req *req, const void *data, size_t len);
void http_stream_end(struct http_req *req);
/* Closes the connection without ending the answer, so that the peer knows that it is incomplete. */
void http_stream_abort(struct http_req *req);
/* Calls fn whenever everything written has been sent (back-pressure). */
void http_stream_on_drained(struct http_req *req, void (*fn)(struct http_req *, void *arg),
                            void *arg);
void http_on_close(struct http_req *req, void (*fn)(struct http_req *, void *arg), void *arg);
bool http_gone(const struct http_req *req);

/* Server-sent events over a stream. */
void sse_start(struct http_req *req);
long sse_event(struct http_req *req, int64_t id /* < 0: none */, const char *event,
               const char *data /* one line */);
/* Renders an event, to send it to many clients by http_stream_write(). */
void sse_add(struct buf *to, int64_t id, const char *event, const char *data);
long sse_comment(struct http_req *req, const char *text);

/* /livez, /readyz, /metrics for any server: add them as rows of the table, see service.h. */

#endif
