/* SPDX-License-Identifier: Apache-2.0 */
/* Listening, and finding the handler of each request. */
#include "common/net/http_internal.h"

#include "common/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_PAUSE_MS 100
#define SWEEP_MS        1000
#define SLACK           65536 /* the guard's limits come first; evhttp's are a second fence */

struct metric http_server_metrics[M_COUNT] = {
	[M_2XX] = { "loom_http_responses_2xx_total", "Answers with a 2xx status", METRIC_COUNTER },
	[M_3XX] = { "loom_http_responses_3xx_total", "Answers with a 3xx status", METRIC_COUNTER },
	[M_4XX] = { "loom_http_responses_4xx_total", "Answers with a 4xx status", METRIC_COUNTER },
	[M_5XX] = { "loom_http_responses_5xx_total", "Answers with a 5xx status", METRIC_COUNTER },
	[M_REFUSED] = { "loom_http_refused_total",
	                "Connections closed for a request that is not well formed or over a limit",
	                METRIC_COUNTER },
	[M_LATENCY] = { "loom_http_request_duration_ms",
	                "Time to an answer, long polls and streams left out", METRIC_HISTOGRAM_MS },
	[M_CONNS] = { "loom_http_connections", "Open connections", METRIC_GAUGE },
	[M_BUSY] = { "loom_http_requests_in_progress", "Requests not yet answered", METRIC_GAUGE },
	[M_HELD] = { "loom_http_request_bytes", "Bytes of requests not yet answered",
	             METRIC_GAUGE },
	[M_DISPLACED] = { "loom_http_displaced_total",
	                  "Waiting connections closed to make room for others", METRIC_COUNTER },
};

static _Thread_local struct http_server *servers; /* of the loop that runs in this thread */

/* ---- dispatch -------------------------------------------------------------------------------- */

static void add_header(void *req, const char *name, const char *value)
{
	http_reply_header(req, name, value);
}

/* What a path can be asked, and for browsers whether pages of another origin may. */
static void answer_options(struct http_req *r)
{
	if (!strs_has(&r->match.allow, "OPTIONS"))
		strs_add(&r->match.allow, "OPTIONS");
	LOOM_CLEANUP_STR char *allow = strs_join(&r->match.allow, ", ");
	http_reply_header(r, "Allow", allow);
	if (http_header(r, "Access-Control-Request-Method"))
		http_cors_preflight(&r->server->cors, http_header(r, "Origin"), allow, add_header,
		                    r);
	http_reply_empty(r, 204);
}

static void answer_no_route(struct http_req *r)
{
	if (!r->match.allow.n) {
		http_reply_text(r, 404, "Problem accessing: %s. Reason: Not Found", r->target);
		return;
	}
	LOOM_CLEANUP_STR char *allow = strs_join(&r->match.allow, ", ");
	http_reply_header(r, "Allow", allow);
	http_reply_text(r, 405, "%s", r->target);
}

/* "OPTIONS *": what there is at all. */
static void allow_all(struct http_req *r)
{
	strs_add(&r->match.allow, "HEAD");
	for (const struct http_route *k = r->server->routes; k->method; k++) {
		if (!strs_has(&r->match.allow, k->method))
			strs_add(&r->match.allow, k->method);
	}
}

static void dispatch(struct http_req *r)
{
	struct http_server *s = r->server;
	if (str_eq(r->target, "*")) {
		allow_all(r);
		answer_options(r);
		return;
	}
	http_router_match(s->routes, r->method, &r->uri.segments, &r->match);
	const struct http_route *route = r->match.route;
	if (!route) {
		if (r->match.allow.n && str_eq(r->method, "OPTIONS"))
			answer_options(r);
		else
			answer_no_route(r);
		return;
	}
	if (s->before && !s->before(r, s->ctx))
		return;
	if (route->run & HTTP_ON_POOL)
		http_to_pool(r, route->fn, s->ctx);
	else
		route->fn(r, s->ctx);
}

/* evhttp's callback for every request. */
static void on_request(struct evhttp_request *ev, void *arg)
{
	struct server_conn *c = conn_of(arg, ev);
	evhttp_request_set_on_complete_cb(ev, conn_request_done, c);
	if (++c->seen > c->guard.complete + c->streamed) {
		/* evhttp has found a request where the guard has not: whoever is right, end it. */
		log_error("request that the guard has not seen", LOG_I("fd", c->fd));
		c->kill = true;
		conn_kick(c);
		return;
	}
	const char *bad;
	c->req = req_create(c, ev, &bad);
	admit_busy(c);
	admit_read_ahead(c);
	if (bad)
		http_reply_text(c->req, 400, "%s", bad);
	else
		dispatch(c->req);
}

/* ---- listening ------------------------------------------------------------------------------- */

/* Of "HOST:PORT" the last colon, if that is what it is; getaddrinfo takes 70000 for 4464. */
static const char *port_in(const char *addr)
{
	const char *colon = strrchr(addr, ':');
	int64_t port;
	return colon && !str_to_int(colon + 1, &port) && port >= 0 && port <= 65535 ? colon : NULL;
}

static int resolve(const char *addr, struct addrinfo **ret)
{
	const char *colon = port_in(addr);
	if (!colon)
		return -EINVAL;
	size_t n = (size_t)(colon - addr);
	if (n > 2 && addr[0] == '[' && addr[n - 1] == ']') {
		addr++;
		n -= 2;
	}
	LOOM_CLEANUP_STR char *host = loom_strndup(addr, n);
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		                  .ai_socktype = SOCK_STREAM };
	int rc = getaddrinfo(n ? host : NULL, colon + 1, &hints, ret);
	return rc == 0 ? 0 : rc == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
}

static int open_listener(const struct addrinfo *ai, int *ret_fd)
{
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, 512) != 0) {
		int rc = -errno;
		loom_close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

static int port_of(int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	char port[NI_MAXSERV] = "";
	int64_t n = 0;
	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0 ||
	    getnameinfo((struct sockaddr *)&sa, len, NULL, 0, port, sizeof(port), NI_NUMERICSERV) !=
	            0 ||
	    str_to_int(port, &n) != 0)
		return 0;
	return (int)n;
}

static void accept_again(void *arg)
{
	struct http_server *s = arg;
	if (s->bound)
		evconnlistener_enable(evhttp_bound_socket_get_listener(s->bound));
}

/* Mostly: out of descriptors. The socket stays readable, so pause instead of spinning.
 * The argument is evhttp's own, which leads to our server only by looking for it. */
static void on_accept_error(struct evconnlistener *lev, void *http)
{
	log_warn("accept failed", LOG_S("error", strerrordesc_np(errno)));
	for (struct http_server *s = servers; s; s = s->next) {
		if (s->http == http) {
			evconnlistener_disable(lev);
			loop_timer_arm(s->accept_again, ACCEPT_PAUSE_MS);
		}
	}
}

const char *http_server_listen_words(int rc)
{
	return rc == -EINVAL ? "not HOST:PORT with a port from 0 to 65535" : strerrordesc_np(-rc);
}

int http_server_listen_check(const char *setting, const char *addr, struct loom_err *err)
{
	return port_in(addr) ? 0
	                     : err_set(err, 400, "%s: cannot listen on %s: %s", setting, addr,
	                               http_server_listen_words(-EINVAL));
}

int http_server_listen(struct http_server *s, const char *addr)
{
	if (s->bound)
		return -EALREADY;
	struct addrinfo *list = NULL;
	int fd = -1, rc = resolve(addr, &list);
	if (rc)
		return rc;
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		rc = open_listener(ai, &fd);
		if (!rc)
			break;
	}
	freeaddrinfo(list);
	if (rc)
		return rc;
	s->bound = evhttp_accept_socket_with_handle(s->http, fd);
	if (!s->bound) {
		loom_close(fd);
		return -EIO;
	}
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(s->bound), on_accept_error);
	s->port = port_of(fd);
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void set_limits(struct http_server *s, const struct http_limits *limits)
{
	s->limits = admit_limits(limits);
	evhttp_set_max_headers_size(s->http, (ev_ssize_t)(s->limits.max_head + SLACK));
	evhttp_set_max_body_size(s->http, (ev_ssize_t)(s->limits.max_body + SLACK));
	evhttp_set_timeout(s->http, s->limits.idle_s);
}

static void register_metrics(void)
{
	static bool done; /* start-up thread only, as metrics_register() itself */
	if (!done)
		metrics_register(http_server_metrics, M_COUNT);
	done = true;
}

struct http_server *http_server_create(struct loop *l, struct pool *pool,
                                       const struct http_route *routes, void *ctx,
                                       const struct http_limits *limits)
{
	for (const struct http_route *r = routes; r->method; r++)
		loom_assert(!(r->run & HTTP_ON_POOL) || pool);
	register_metrics();
	struct http_server *s = loom_calloc(1, sizeof(*s));
	s->loop = l;
	s->pool = pool;
	s->routes = routes;
	s->ctx = ctx;
	TAILQ_INIT(&s->waiting);
	s->peers = map_create(loom_free);
	s->http = evhttp_new(loop_base(l));
	loom_assert(s->http);
	set_limits(s, limits);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
	                                            EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
	                                            EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH |
	                                            EVHTTP_REQ_TRACE);
	evhttp_set_default_content_type(s->http, NULL);
	evhttp_set_gencb(s->http, on_request, s);
	conn_setup(s);
	s->accept_again = loop_timer_create(l, "http accept", accept_again, s);
	s->sweep = loop_timer_create(l, "http sweep", admit_sweep, s);
	loop_timer_every(s->sweep, SWEEP_MS);
	s->next = servers;
	servers = s;
	return s;
}

void http_server_before(struct http_server *s, bool (*before)(struct http_req *, void *ctx))
{
	s->before = before;
}

void http_server_cache(struct http_server *s, const char *control)
{
	s->cache = control;
}

void http_server_share(struct http_server *s, const char *(*share)(const struct http_req *))
{
	s->share = share;
}

void http_server_check(struct http_server *s, http_check check)
{
	s->check = check;
}

void http_server_answered(struct http_server *s,
                          void (*answered)(struct http_req *, int status, void *ctx))
{
	s->answered = answered;
}

void http_server_cors(struct http_server *s, const struct http_cors *c)
{
	s->cors = *c;
}

int http_server_port(const struct http_server *s)
{
	return s->port;
}

void http_server_stop_accepting(struct http_server *s)
{
	s->stopping = true;
	if (s->bound)
		evhttp_del_accept_socket(s->http, s->bound);
	s->bound = NULL;
}

bool http_server_rests(struct http_server *s)
{
	bool rests = !s->busy && !s->just_answered;
	s->just_answered = false;
	return rests;
}

void server_free(struct http_server *s)
{
	loom_free(s->by_fd);
	map_destroy(s->peers);
	loom_free(s);
}

void http_server_destroy(struct http_server *s)
{
	if (!s)
		return;
	http_server_stop_accepting(s);
	for (struct http_server **at = &servers; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	s->busy++; /* so that the last request does not free s under our feet */
	evhttp_free(s->http);
	s->http = NULL;
	conns_drop(s);
	loop_timer_destroy(s->accept_again);
	loop_timer_destroy(s->sweep);
	tls_destroy(s->tls);
	s->busy--;
	s->closed = true;
	if (!s->busy)
		server_free(s);
}
