/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over real sockets; the client writes raw bytes. The loop runs in its own thread.
 */
#include "common/net/http_server.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define H          "Host: a\r\n"
#define TIMEOUT_MS 5000

static struct loop *loop;
static struct pool *pool;
static struct http_server *server;
static pthread_t thread;
static atomic_int secret, closes, echoes, holds;
static struct http_req *held; /* loop */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int at_gate;

/* ---- handlers -------------------------------------------------------------------------------- */

static void hello(struct http_req *req, void *ctx)
{
	(void)ctx;
	ck_assert(loop_is_here(http_loop(req)));
	http_reply_text(req, 200, "hello %s", http_method(req));
}

static void count_secret(struct http_req *req, void *ctx)
{
	(void)ctx;
	secret++;
	http_reply_text(req, 200, "secret");
}

static void echo(struct http_req *req, void *ctx)
{
	(void)ctx;
	size_t n;
	const char *body = http_body(req, &n);
	ck_assert(!loop_is_here(http_loop(req)));
	echoes++;
	http_reply(req, 200, "application/octet-stream", body, n);
	ck_assert_str_eq(http_path(req), "/echo"); /* valid until the handler returns */
}

static void item(struct http_req *req, void *ctx)
{
	(void)ctx;
	const char *q = http_query(req, "q"), *h = http_header(req, "x-thing");
	http_reply_header(req, "X-Bad", "a\r\nInjected: 1");
	http_reply_text(req, 200, "id=%s q=%s h=%s path=%s raw=%s", http_param(req, "id"),
	                q ? q : "-", h ? h : "-", http_path(req), http_raw_uri(req));
}

static void rest(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_text(req, 200, "rest=%s", http_param(req, "rest"));
}

static void parse(struct http_req *req, void *ctx)
{
	(void)ctx;
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	struct loom_err err;
	if (http_body_json(req, &v, &err))
		return;
	http_reply_json(req, 201, v);
}

static void on_gone(struct http_req *req, void *arg)
{
	(void)arg;
	ck_assert(http_gone(req));
	closes++;
	if (req == held)
		held = NULL;
	http_reply_empty(req, 204);
}

static void hold(struct http_req *req, void *ctx)
{
	(void)ctx;
	held = req;
	holds++;
	http_on_close(req, on_gone, NULL);
}

static void release(struct http_req *req, void *ctx)
{
	(void)ctx;
	bool had = held;
	if (held)
		http_reply_text(held, 200, "released");
	held = NULL;
	http_reply_text(req, 200, had ? "yes" : "no");
}

static void deferred(struct http_req *req, void *arg)
{
	ck_assert(loop_is_here(http_loop(req)));
	http_reply_text(req, 200, "deferred %s", (const char *)arg);
}

static void defer(struct http_req *req, void *ctx)
{
	(void)ctx;
	static char word[] = "indeed";
	http_defer(req, deferred, word);
}

static void on_a_worker(struct http_req *req, void *arg)
{
	ck_assert(!loop_is_here(http_loop(req)));
	http_defer(req, deferred, arg);
}

static void to_pool(struct http_req *req, void *ctx)
{
	(void)ctx;
	static char word[] = "from a worker", here[] = "here";
	if (http_query(req, "here"))
		http_defer(req, deferred, here);
	else
		http_to_pool(req, on_a_worker, word);
}

static void silent(struct http_req *req, void *ctx)
{
	(void)req;
	(void)ctx;
}

static void blocked(struct http_req *req, void *ctx)
{
	(void)ctx;
	at_gate++;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	http_reply_text(req, 200, "passed");
}

static void events(struct http_req *req, void *ctx)
{
	(void)ctx;
	sse_start(req);
	sse_comment(req, "hb");
	sse_event(req, 7, "task", "{\"a\":1}");
	sse_event(req, -1, NULL, "two\nlines");
	http_stream_end(req);
}

static void on_stream_gone(struct http_req *req, void *arg)
{
	(void)arg;
	closes++;
	ck_assert_int_eq(http_stream_write(req, "x", 1), -EPIPE);
	http_stream_end(req);
}

static void endless(struct http_req *req, void *ctx)
{
	(void)ctx;
	sse_start(req);
	http_on_close(req, on_stream_gone, NULL);
	sse_comment(req, "hb");
}

static void flood(struct http_req *req, void *ctx)
{
	(void)ctx;
	static char block[65536];
	long left = 0, n = 0;
	http_stream_start(req, 200, "text/plain");
	while (n++ < 64)
		left = http_stream_write(req, block, sizeof(block));
	ck_assert_int_gt(left, 64 * 65536L);
	http_stream_end(req);
}

static void cut_short(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_stream_abort(req);
}

static void broken_off(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_stream_start(req, 200, "text/plain");
	http_stream_on_drained(req, cut_short, NULL);
	http_on_close(req, on_stream_gone, NULL); /* not called: we are who ends it */
	http_stream_write(req, "part", 4);
}

static void next_drop(struct http_req *req, void *arg)
{
	int *left = arg;
	if ((*left)-- == 0)
		http_stream_end(req);
	else
		http_stream_write(req, "drop.", 5);
}

static void drip(struct http_req *req, void *ctx)
{
	(void)ctx;
	static int left;
	left = 3;
	http_stream_start(req, 200, "text/plain");
	http_stream_on_drained(req, next_drop, &left);
	http_stream_write(req, "first.", 6);
}

static void data(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_text(req, 200, "%s %s", (const char *)http_data(req), http_id(req));
}

static bool before(struct http_req *req, void *ctx)
{
	(void)ctx;
	if (http_header(req, "X-Deny")) {
		http_reply_problem(req, 403, "not %s", "you");
		return false;
	}
	http_set_data(req, loom_strdup("somebody"), loom_free);
	return true;
}

static const struct http_route routes[] = {
	{ "GET", "/hello", HTTP_ON_LOOP, hello },
	{ "POST", "/hello", HTTP_ON_LOOP, hello },
	{ "DELETE", "/hello", HTTP_ON_LOOP, hello },
	{ "GET", "/secret", HTTP_ON_LOOP, count_secret },
	{ "POST", "/echo", HTTP_ON_POOL, echo },
	{ "POST", "/small", HTTP_ON_POOL | HTTP_SMALL, echo },
	{ "GET", "/health", HTTP_ON_LOOP | HTTP_HEALTH, hello },
	{ "PUT", "/echo", HTTP_ON_POOL, echo },
	{ "DELETE", "/echo", HTTP_ON_POOL, echo },
	{ "GET", "/items/special", HTTP_ON_LOOP, hello },
	{ "GET", "/items/{id}", HTTP_ON_POOL, item },
	{ "GET", "/files/{rest*}", HTTP_ON_LOOP, rest },
	{ "POST", "/json", HTTP_ON_POOL, parse },
	{ "POST", "/problem", HTTP_ON_POOL | HTTP_PROBLEM, parse },
	{ "GET", "/hold", HTTP_ON_LOOP, hold },
	{ "POST", "/release", HTTP_ON_LOOP, release },
	{ "GET", "/defer", HTTP_ON_POOL, defer },
	{ "GET", "/to-pool", HTTP_ON_LOOP, to_pool },
	{ "GET", "/silent", HTTP_ON_POOL, silent },
	{ "GET", "/blocked", HTTP_ON_POOL, blocked },
	{ "GET", "/events", HTTP_ON_LOOP, events },
	{ "GET", "/endless", HTTP_ON_LOOP, endless },
	{ "GET", "/flood", HTTP_ON_LOOP, flood },
	{ "GET", "/broken", HTTP_ON_LOOP, broken_off },
	{ "GET", "/drip", HTTP_ON_LOOP, drip },
	{ "GET", "/data", HTTP_ON_LOOP, data },
	{ NULL, NULL, HTTP_ON_LOOP, NULL },
};

/* ---- fixture --------------------------------------------------------------------------------- */

static void *run_loop(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

static int refuse_some(const struct http_head *head, const struct http_route *route, void *ctx,
                       struct loom_err *err)
{
	(void)ctx;
	ck_assert_ptr_nonnull(route);
	return http_head_value(head, "x-refuse") ? err_set(err, 401, "who are you?") : 0;
}

static void start_with(const struct http_limits *limits)
{
	log_setup("test", LOG_LV_ERROR, false);
	loop = loop_create();
	pool = pool_create(loop, 2, 4);
	server = http_server_create(loop, pool, routes, NULL, limits);
	http_server_before(server, before);
	http_server_check(server, refuse_some);
	ck_assert_int_eq(http_server_listen(server, "127.0.0.1:0"), 0);
	ck_assert_int_gt(http_server_port(server), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, NULL), 0);
}

static void start(void)
{
	start_with(NULL);
}

static void start_small(void)
{
	static const struct http_limits small = { .max_head = 1024,
		                                  .max_body = 2048,
		                                  .max_conns = 3,
		                                  .reserve = 2,
		                                  .idle_s = 1,
		                                  .head_s = 1,
		                                  .body_s = 3,
		                                  .body_grace_s = 1,
		                                  .body_rate = 100 };
	start_with(&small);
}

static void start_crowded(void)
{
	static const struct http_limits few = { .max_conns = 64,
		                                .peer_conns = 32,
		                                .max_bodies = 256 << 10,
		                                .names = "loom.example, a" };
	start_with(&few);
}

static void end_held(void *arg)
{
	(void)arg;
	if (held)
		http_reply_empty(held, 204);
	held = NULL;
}

static void stop(void)
{
	loop_post(loop, end_held, NULL);
	loop_stop(loop);
	pthread_join(thread, NULL);
	http_server_destroy(server);
	pool_destroy(pool);
	ck_assert_int_eq(loop_destroy(loop), 0);
	libevent_global_shutdown();
}

/* ---- client ---------------------------------------------------------------------------------- */

static char got[8u << 20];

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		                  .sin_port = htons((uint16_t)http_server_port(server)),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Appends what comes to got; false at the end. */
static bool more(int fd, size_t *n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ck_assert_msg(poll(&p, 1, TIMEOUT_MS) == 1, "nothing came; so far: %s", got);
	ssize_t r = recv(fd, got + *n, sizeof(got) - 1 - *n, 0);
	if (r <= 0)
		return false;
	*n += (size_t)r;
	got[*n] = '\0';
	return true;
}

/* Reads until `text` has come `times` times; the connection stays open. */
static const char *until(int fd, const char *text, int times)
{
	size_t n = 0;
	got[0] = '\0';
	for (;;) {
		const char *p = got;
		int seen = 0;
		while ((p = strstr(p, text)) && ++seen < times)
			p += strlen(text);
		if (p)
			return got;
		ck_assert_msg(more(fd, &n), "closed before \"%s\" in: %s", text, got);
	}
}

/* Reads until the server closes. */
static const char *all(int fd)
{
	size_t n = 0;
	got[0] = '\0';
	while (more(fd, &n))
		;
	close(fd);
	return got;
}

static const char *once(const char *request)
{
	int fd = dial();
	put(fd, request);
	return all(fd);
}

#define get(path)        once("GET " path " HTTP/1.1\r\n" H "Connection: close\r\n\r\n")
#define has(text, sub)   ck_assert_msg(strstr(text, sub), "no \"%s\" in: %s", sub, text)
#define lacks(text, sub) ck_assert_msg(!strstr(text, sub), "\"%s\" in: %s", sub, text)

static int count(const char *text, const char *sub)
{
	int n = 0;
	for (const char *p = text; (p = strstr(p, sub)); p += strlen(sub))
		n++;
	return n;
}

static void wait_for(atomic_int *v, int want)
{
	for (int64_t end = clock_mono_ms() + TIMEOUT_MS; *v < want;) {
		ck_assert_msg(clock_mono_ms() < end, "%d of %d", *v, want);
		poll(NULL, 0, 1);
	}
}

/* ---- answers --------------------------------------------------------------------------------- */

START_TEST(answers)
{
	const char *a = get("/hello");
	has(a, "HTTP/1.1 200 OK\r\n");
	has(a, "Content-Type: text/plain; charset=utf-8\r\n");
	has(a, "Content-Length: 9\r\n");
	has(a, "Connection: close\r\n");
	has(a, "X-Request-ID: ");
	has(a, "Date: ");
	has(a, "\r\n\r\nhello GET");
	lacks(a, "Server:");
	lacks(a, "chunked");

	a = once("GET /data HTTP/1.1\r\n" H "X-Request-ID: mine-1\r\nConnection: close\r\n\r\n");
	has(a, "X-Request-ID: mine-1\r\n");
	has(a, "somebody mine-1");
	a = once("GET /data HTTP/1.1\r\n" H "X-Deny: 1\r\nConnection: close\r\n\r\n");
	has(a, "403 Forbidden");
	has(a, "application/problem+json");
	has(a, "\"detail\":\"not you\"");
	has(a, "\"status\":403");
}
END_TEST

START_TEST(routes_and_uris)
{
	const char *a = get("/items/a%20b?x=1&q=c+d%26&q=2");
	has(a, "id=a b q=c d& h=- path=/items/a b raw=/items/a%20b?x=1&q=c+d%26&q=2");
	lacks(a, "Injected");
	has(get("//items//x/?q"), "id=x q= h=- path=/items/x ");
	has(get("/items/special/"), "hello GET");
	has(once("GET /items/y HTTP/1.1\r\n" H "X-THING: t\r\nConnection: close\r\n\r\n"), "h=t");
	has(get("/files/a/b%2Dc/d"), "rest=a/b-c/d");
	has(get("/files"), "rest=");

	a = get("/nowhere/at/all?x=1");
	has(a, "404 Not Found");
	has(a, "/nowhere/at/all?x=1");
	has(get("/items"), "404 Not Found");
	has(get("/items/a/b"), "404 Not Found");
	has(get("/"), "404 Not Found");

	a = once("PATCH /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	has(a, "405 Method Not Allowed");
	has(a, "Allow: GET, POST, DELETE, HEAD\r\n");
	has(a, "\r\n\r\n/hello");
	has(once("OPTIONS /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "204 ");
	a = once("OPTIONS * HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	has(a, "204 ");
	has(a, "Allow: HEAD, GET");
	has(once("HEAD /echo HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "405 ");

	static const char *const bad[] = { "/items/%",   "/items/%4",    "/items/%zz",
		                           "/%00",       "/files/..",    "/files/%2e%2E",
		                           "/./hello",   "/files/a%2fb", "/hello?q=%f",
		                           "/hello?%=1", "/items/%0a",   "/items/%7f" };
	for (size_t i = 0; i < LOOM_COUNT(bad); i++) {
		char text[256];
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
		         bad[i]);
		has(once(text), "400 Bad Request");
	}
}
END_TEST

START_TEST(bodies)
{
	int fd = dial();
	put(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
	has(until(fd, "hello", 1), "Content-Length: 5");
	put(fd,
	    "PUT /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n");
	put(fd, "0\r\n\r\n");
	has(until(fd, "abcde", 1), "Content-Length: 5");
	put(fd, "DELETE /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nxyz");
	has(until(fd, "xyz", 1), "200 OK");
	put(fd, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	has(until(fd, "\r\n\r\n", 1), "100 Continue");
	put(fd, "last");
	has(until(fd, "last", 1), "200 OK");
	put(fd, "POST /echo HTTP/1.0\r\n\r\n");
	has(all(fd), "Content-Length: 0");
	ck_assert_int_eq(echoes, 5);
}
END_TEST

START_TEST(big_body)
{
	size_t n = 4u << 20;
	LOOM_CLEANUP_STR char *big = loom_malloc(n + 1);
	for (size_t i = 0; i < n; i++)
		big[i] = (char)('a' + i % 23);
	big[n] = '\0';
	int fd = dial();
	put(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 4194304\r\nConnection: close\r\n\r\n");
	put(fd, big);
	const char *a = strstr(all(fd), "\r\n\r\n");
	ck_assert_ptr_nonnull(a);
	ck_assert(strcmp(a + 4, big) == 0);
	has(once("POST /echo HTTP/1.1\r\n" H "Content-Length: 4194305\r\n\r\n"), "413 ");
}
END_TEST

START_TEST(json_bodies)
{
	const char *a = once("POST /json HTTP/1.1\r\n" H "Connection: close\r\n"
	                     "Content-Length: 7\r\n\r\n{\"a\":1}");
	has(a, "201 Created");
	has(a, "Content-Type: application/json\r\n");
	has(a, "{\"a\":1}");
	a = once("POST /json HTTP/1.1\r\n" H
	         "Connection: close\r\nContent-Length: 4\r\n\r\n{\"a\"");
	has(a, "400 Bad Request");
	has(a, "text/plain");
	has(a, "line 1");
	a = once("POST /json HTTP/1.1\r\n" H "Accept: text/html, Application/Problem+JSON;q=0.5\r\n"
	         "Connection: close\r\nContent-Length: 1\r\n\r\nx");
	has(a, "400 Bad Request");
	has(a, "Content-Type: application/problem+json\r\n");
	has(a, "\"detail\":\"line 1");
	a = once("POST /json HTTP/1.1\r\n" H "Accept: application/problem+json;q=0\r\n"
	         "Connection: close\r\nContent-Length: 1\r\n\r\nx");
	has(a, "Content-Type: text/plain");
	/* What is refused before its body is taken, too. */
	a = once("POST /nowhere HTTP/1.1\r\n" H "Accept: application/problem+json\r\n"
	         "Content-Length: 1\r\n\r\nx");
	has(a, "404 Not Found");
	has(a, "Content-Type: application/problem+json\r\n");
	has(a, "\"status\":404");
	a = once("POST /problem HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	has(a, "400 Bad Request");
	has(a, "application/problem+json");
}
END_TEST

START_TEST(keep_alive_and_pipelining)
{
	int fd = dial();
	for (int i = 0; i < 3; i++) {
		put(fd, "GET /hello HTTP/1.1\r\n" H "\r\n");
		has(until(fd, "hello GET", 1), "Connection: keep-alive\r\n");
	}
	put(fd, "GET /hello HTTP/1.1\r\n" H "\r\nPOST /echo HTTP/1.1\r\n" H
	        "Content-Length: 2\r\n\r\nxy"
	        "DELETE /hello HTTP/1.1\r\n" H "\r\nGET /items/z HTTP/1.1\r\n" H
	        "Connection: close\r\n\r\n");
	const char *a = all(fd);
	ck_assert_int_eq(count(a, "HTTP/1.1 200 OK"), 4);
	const char *p = strstr(a, "hello GET");
	ck_assert_ptr_nonnull(p);
	p = strstr(p, "xy");
	ck_assert_ptr_nonnull(p);
	p = strstr(p, "hello DELETE");
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(strstr(p, "id=z"));

	fd = dial();
	put(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	has(until(fd, "hello GET", 1), "200 OK");
	close(fd);
	has(once("GET /hello HTTP/1.0\r\n\r\n"), "Connection: close\r\n");
}
END_TEST

START_TEST(half_closed_client_gets_its_answer)
{
	for (int i = 0; i < 20; i++) {
		int fd = dial();
		put(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
		shutdown(fd, SHUT_WR);
		has(all(fd), "hello");
	}
}
END_TEST

/* ---- refusals -------------------------------------------------------------------------------- */

static const struct {
	const char *in;
	const char *status;
} refused[] = {
	/* each tries to hide a second request, which must not be found */
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length : 37\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: 0\r\nContent-Length: 37\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: +0\r\n\r\nGET /secret HTTP/1.1\r\n" H
	  "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "0\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	{ "GET /secret HTTP/1.1\r\n\r\n", "400 " },
	{ "GET /secret HTTP/1.1\r\n" H H "\r\n", "400 " },
	{ "GET /secret HTTP/1.1\n" H "\n", "400 " },
	{ "GET /secret HTTP/1.1\r\n" H ": x\r\n\r\n", "400 " },
	{ "GET /secret HTTP/1.1\r\n" H "a b: x\r\n\r\n", "400 " },
	{ "GET /secret HTTP/1.1\r\n" H "A: x\r\n y\r\n\r\n", "400 " },
	{ "GET /secret HTTP/1.99999999999\r\n" H "\r\n", "505 " },
	{ "BREW /secret HTTP/1.1\r\n" H "\r\n", "501 " },
	{ "GET ftp://a/secret HTTP/1.1\r\n" H "\r\n", "400 " },
	{ "GET http://u@a/secret HTTP/1.1\r\n" H "\r\n", "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0 x\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "400 " },
	/* judged by its head: what follows is not looked at */
	{ "POST /nowhere HTTP/1.1\r\n" H "Content-Length: 37\r\n\r\nGET /secret HTTP/1.1\r\n" H
	  "\r\n",
	  "404 " },
	{ "PUT /hello HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	  "0\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n",
	  "405 " },
	{ "POST /files/../x HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nxGET /secret HTTP/1.1\r\n" H
	  "\r\n",
	  "400 " },
	{ "POST /small HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\nGET /secret HTTP/1.1\r\n" H
	  "\r\n",
	  "413 " },
	{ "POST /small HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "411 " },
	{ "POST /hello HTTP/1.1\r\n" H "X-Refuse: 1\r\nContent-Length: 37\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "401 " },
	{ "POST /hello HTTP/1.1\r\n" H "Expect: wonders\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n",
	  "417 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 37\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "415 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "0\r\n\r\nGET /secret HTTP/1.1\r\n" H "\r\n",
	  "415 " },
	{ "GET * HTTP/1.1\r\n" H "\r\n", "400 " },
	{ "OPTIONS *x HTTP/1.1\r\n" H "\r\n", "400 " },
	{ "POST /hello HTTP/1.1\r\n" H "Content-Length: 99999999999\r\n\r\n"
	  "GET /secret HTTP/1.1\r\n" H "\r\n",
	  "413 " },
};

static void check_refusal(const char *a, const char *status)
{
	has(a, status);
	has(a, "Connection: close\r\n");
	has(a, "Content-Type: text/plain; charset=utf-8\r\n");
	lacks(a, "secret");
	ck_assert_int_eq(count(a, "HTTP/1.1 "), 1);
	ck_assert_int_eq(secret, 0);
}

START_TEST(refusals)
{
	check_refusal(once(refused[_i].in), refused[_i].status);
}
END_TEST

START_TEST(refusals_in_small_pieces)
{
	int fd = dial(), one = 1;
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	for (const char *p = refused[_i].in; *p; p++)
		if (send(fd, p, 1, MSG_NOSIGNAL) != 1)
			break; /* refused and closed already */
	check_refusal(all(fd), refused[_i].status);
}
END_TEST

START_TEST(refusal_behind_a_good_request)
{
	char text[1024];
	/* one that is answered at once, and one that is still with a worker */
	static const char *const first[] = { "GET /hello HTTP/1.1\r\n" H "\r\n",
		                             "POST /echo HTTP/1.1\r\n" H
		                             "Content-Length: 9\r\n\r\nhello GET" };
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%s%s", first[i], refused[_i].in);
		const char *a = once(text);
		has(a, "200 OK");
		has(a, "hello GET");
		has(a, refused[_i].status);
		ck_assert_int_eq(count(a, "HTTP/1.1 "), 2);
		ck_assert_int_eq(secret, 0);
	}
}
END_TEST

START_TEST(refusal_during_a_stream_ends_it)
{
	int fd = dial();
	put(fd, "GET /endless HTTP/1.1\r\n" H "\r\n");
	until(fd, ": hb", 1);
	put(fd, "GET /secret HTTP/1.1\r\nHost : a\r\n\r\n");
	all(fd);
	wait_for(&closes, 1);
	ck_assert_int_eq(secret, 0);
}
END_TEST

START_TEST(limits)
{
	char text[8192], x[4096];
	memset(x, 'x', sizeof(x));
	snprintf(text, sizeof(text), "GET /hello HTTP/1.1\r\n" H "X: %.2000s\r\n\r\n", x);
	has(once(text), "431 ");
	snprintf(text, sizeof(text), "GET /%.2000s HTTP/1.1\r\n" H "\r\n", x);
	has(once(text), "414 ");
	snprintf(text, sizeof(text),
	         "POST /echo HTTP/1.1\r\n" H "Content-Length: 2049\r\n\r\n%.2049s", x);
	has(once(text), "413 ");
	snprintf(text, sizeof(text),
	         "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
	         "800\r\n%.2048s\r\n1\r\nx\r\n0\r\n\r\n",
	         x);
	has(once(text), "413 ");
	ck_assert_int_eq(echoes, 0);

	int fd[3];
	for (int i = 0; i < 3; i++) {
		fd[i] = dial();
		put(fd[i], "GET /hold HTTP/1.1\r\n" H "\r\n");
		wait_for(&holds, i + 1);
	}
	const char *a = get("/hello");
	has(a, "503 Service Unavailable");
	has(a, "Retry-After: 1");
	a = get("/health"); /* on the reserve */
	has(a, "200 OK");
	has(a, "Connection: close");
	int waits[2] = { dial(), dial() }; /* they are the reserve, and give way */
	has(get("/health"), "200 OK");
	all(waits[0]);
	close(waits[1]);
	close(fd[0]);
	wait_for(&closes, 1);
	has(get("/hello"), "200 OK");
	close(fd[1]);
	close(fd[2]);
	wait_for(&closes, 3);
	all(dial()); /* idle for a second */
}
END_TEST

START_TEST(slow_body_is_refused)
{
	struct pollfd p = { .events = POLLIN };
	for (int chunked = 0; chunked < 2; chunked++) {
		int fd = p.fd = dial();
		put(fd, chunked ? "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
		                  "5dc\r\n"
		                : "POST /echo HTTP/1.1\r\n" H "Content-Length: 1500\r\n\r\n");
		while (poll(&p, 1, 50) == 0) /* 20 bytes a second, never idle */
			if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
				break;
		has(all(fd), "408 Request Timeout");
		fd = p.fd = dial(); /* fast enough, but without end */
		put(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 2000\r\n\r\n");
		while (poll(&p, 1, 50) == 0)
			if (send(fd, "xxxxxxxxxx", 10, MSG_NOSIGNAL) != 10)
				break;
		has(all(fd), "408 Request Timeout");
	}
	ck_assert_int_eq(echoes, 0);
}
END_TEST

START_TEST(slow_head_is_refused)
{
	int fd = dial();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	put(fd, "GET /hello HTTP/1.1\r\nX: ");
	while (poll(&p, 1, 50) == 0) /* never idle, never done */
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
			break;
	has(all(fd), "408 Request Timeout");
}
END_TEST

/* ---- crowds ---------------------------------------------------------------------------------- */

START_TEST(dawdlers_give_way)
{
	static const char *const unfinished[] = { "", "GET /hel",
		                                  "POST /echo HTTP/1.1\r\n" H
		                                  "Content-Length: 9\r\n\r\nx" };
	enum { MANY = 200 };
	int fd[MANY];
	for (int i = 0; i < MANY; i++) {
		fd[i] = dial();
		put(fd[i], unfinished[i % 3]);
	}
	for (int i = 0; i < 100; i++)
		has(get("/hello"), "200 OK");
	int mine = dial(); /* one that works is not taken for one that dawdles */
	for (int i = 0; i < 100; i++) {
		put(mine, "GET /hello HTTP/1.1\r\n" H "\r\n");
		until(mine, "hello GET", 1);
		int fresh = dial();
		put(fresh, unfinished[i % 3]);
		close(fresh);
	}
	close(mine);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
}
END_TEST

START_TEST(bodies_are_bounded_together)
{
	static char some[16 << 10];
	enum { MANY = 40 };
	int fd[MANY];
	memset(some, 'x', sizeof(some));
	some[sizeof(some) - 1] = '\0';
	for (int i = 0; i < MANY; i++) { /* 640 KiB, of 256 */
		fd[i] = dial();
		put(fd[i], "POST /echo HTTP/1.1\r\n" H "Content-Length: 40000\r\n\r\n");
		(void)send(fd[i], some, sizeof(some) - 1, MSG_NOSIGNAL);
	}
	char text[256];
	snprintf(text, sizeof(text),
	         "POST /echo HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 10000\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		int mine = dial();
		put(mine, text);
		ck_assert_int_eq(send(mine, some, 10000, MSG_NOSIGNAL), 10000);
		has(all(mine), "200 OK");
	}
	int closed = 0;
	for (int i = 0; i < MANY; i++) {
		struct pollfd p = { .fd = fd[i], .events = POLLIN };
		closed += poll(&p, 1, 0) == 1;
		close(fd[i]);
	}
	ck_assert_int_ge(closed, MANY / 2);
	ck_assert_int_eq(echoes, 20);
}
END_TEST

START_TEST(hosts_by_name)
{
	static const struct {
		const char *request, *status;
	} rows[] = {
		{ "GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n", "200 " },
		{ "GET /hello HTTP/1.1\r\nHost: [::1]:80\r\n", "200 " },
		{ "GET /hello HTTP/1.1\r\nHost: LocalHost:8100\r\n", "200 " },
		{ "GET /hello HTTP/1.1\r\nHost: Loom.Example.:55054\r\n", "200 " },
		{ "GET /hello HTTP/1.1\r\nHost: evil.example\r\n", "421 " },
		{ "GET /hello HTTP/1.1\r\nHost: loom.example.evil\r\n", "421 " },
		{ "GET /hello HTTP/1.1\r\nHost: 127.0.0.1.evil.example:80\r\n", "421 " },
		{ "GET http://evil.example/hello HTTP/1.1\r\nHost: 127.0.0.1\r\n", "421 " },
		{ "GET http://loom.example/hello HTTP/1.1\r\nHost: evil.example\r\n", "200 " },
		{ "GET /health HTTP/1.1\r\nHost: evil.example\r\n", "200 " },
		{ "GET /nowhere HTTP/1.1\r\nHost: evil.example\r\n", "421 " },
		{ "GET /hello HTTP/1.0\r\n", "200 " },
	};
	char text[256];
	for (size_t i = 0; i < LOOM_COUNT(rows); i++) {
		snprintf(text, sizeof(text), "%sConnection: close\r\n\r\n", rows[i].request);
		const char *a = once(text);
		ck_assert_msg(strncmp(a + 9, rows[i].status, 4) == 0, "%s%s", text, a);
	}
}
END_TEST

START_TEST(forms_that_must_be_understood)
{
	const char *a = once("HEAD /hello HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	has(a, "200 OK");
	has(a, "Content-Length: 10\r\n");
	ck_assert_str_eq(strstr(a, "\r\n\r\n"), "\r\n\r\n");
	int fd = dial();
	put(fd, "HEAD /endless HTTP/1.1\r\n" H "\r\n"); /* a stream has a head, too */
	has(until(fd, "\r\n\r\n", 1), "text/event-stream");
	wait_for(&closes, 1);
	put(fd, "HEAD /items/7 HTTP/1.1\r\n" H "\r\nGET /hello HTTP/1.1\r\n" H "\r\n");
	a = until(fd, "hello GET", 1);
	ck_assert_int_eq(count(a, "200 OK"), 2);
	lacks(a, "id=7");
	close(fd);

	a = once("GET http://b:1/items/x?q=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	has(a, "id=x q=1 h=- path=/items/x raw=/items/x?q=1");
	has(once("GET HTTP://b HTTP/1.1\r\n" H "\r\n"), "404 ");
	has(once("GET http://b?q HTTP/1.1\r\n" H "\r\n"), "404 ");

	static const char chunked[] = "POST /echo HTTP/1.1\r\n" H
				      "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
				      "3;a=b\r\nabc\r\n2 ; x=\"y;z\" ;\r\nde\r\n0;last\r\n\r\n";
	has(once(chunked), "\r\n\r\nabcde");
	int one = 1;
	fd = dial();
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one));
	for (const char *p = chunked; *p; p++)
		ck_assert_int_eq(send(fd, p, 1, MSG_NOSIGNAL), 1);
	has(all(fd), "\r\n\r\nabcde");

	a = once("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	ck_assert_int_eq(count(a, "Connection:"), 1);
}
END_TEST

/* ---- time ------------------------------------------------------------------------------------ */

START_TEST(workers_busy)
{
	int fd[6];
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 6; i++) { /* two run, four wait */
		fd[i] = dial();
		put(fd[i], "GET /blocked HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
		if (i == 1)
			wait_for(&at_gate, 2);
	}
	for (int64_t end = clock_mono_ms() + TIMEOUT_MS; pool_backlog(pool) < 4;)
		ck_assert(clock_mono_ms() < end);
	const char *a = get("/items/x");
	has(a, "503 ");
	has(a, "Retry-After: 1");
	has(a, "application/problem+json");
	has(get("/hello"), "200 OK"); /* the loop is not blocked */
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 6; i++)
		has(all(fd[i]), "passed");
}
END_TEST

START_TEST(deferred_and_silent)
{
	has(get("/defer"), "deferred indeed");
	has(get("/to-pool"), "deferred from a worker");
	has(get("/to-pool?here"), "deferred here");
	has(get("/silent"), "500 ");
}
END_TEST

START_TEST(long_poll)
{
	int fd = dial();
	put(fd, "GET /hold HTTP/1.1\r\n" H "\r\n");
	/* on another connection, until the first has been taken up */
	while (!strstr(once("POST /release HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "yes"))
		;
	has(until(fd, "released", 1), "200 OK");
	put(fd, "GET /hello HTTP/1.1\r\n" H "\r\n"); /* still good */
	until(fd, "hello", 1);
	close(fd);
	ck_assert_int_eq(closes, 0);
}
END_TEST

START_TEST(client_gone_during_long_poll)
{
	int fd = dial();
	put(fd, "GET /hold HTTP/1.1\r\n" H "\r\n");
	get("/hello");
	close(fd);
	wait_for(&closes, 1);
	has(once("POST /release HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), "no");
}
END_TEST

START_TEST(client_gone_while_a_worker_has_the_request)
{
	pthread_mutex_lock(&gate);
	int fd = dial();
	put(fd, "GET /blocked HTTP/1.1\r\n" H "\r\n");
	wait_for(&at_gate, 1);
	struct linger now = { .l_onoff = 1 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd); /* reset */
	pthread_mutex_unlock(&gate);
	has(get("/hello"), "200 OK");
}
END_TEST

START_TEST(server_sent_events)
{
	const char *a = get("/events");
	has(a, "Content-Type: text/event-stream\r\n");
	has(a, "Cache-Control: no-store\r\n");
	has(a, "Transfer-Encoding: chunked\r\n");
	has(a, ": hb\n\n");
	has(a, "retry: 500\n\n");
	has(a, "id: 7\nevent: task\ndata: {\"a\":1}\n\n");
	has(a, "data: two\ndata: lines\n\n");
	a = once("GET /events HTTP/1.0\r\n\r\n");
	lacks(a, "chunked");
	has(a, "\r\n\r\nretry: 500\n\n: hb\n\nid: 7");

	int fd = dial();
	put(fd, "GET /endless HTTP/1.1\r\n" H "\r\n");
	until(fd, ": hb", 1);
	close(fd);
	wait_for(&closes, 1);
}
END_TEST

START_TEST(much_is_buffered_and_counted)
{
	const char *a = get("/flood");
	has(a, "200 OK");
}
END_TEST

START_TEST(streams_drain_and_break_off)
{
	const char *a = get("/drip");
	ck_assert_int_eq(count(a, "drop."), 3);
	has(a, "\r\n0\r\n\r\n");
	has(once("GET /drip HTTP/1.0\r\n\r\n"), "\r\n\r\nfirst.drop.drop.drop.");
	a = get("/broken");
	has(a, "\r\npart\r\n");
	lacks(a, "\r\n0\r\n");
	has(get("/hello"), "200 OK");
	ck_assert_int_eq(closes, 0);
}
END_TEST

START_TEST(destroyed_with_open_requests)
{
	int fd = dial(), fd2 = dial();
	put(fd, "GET /hold HTTP/1.1\r\n" H "\r\n");
	put(fd2, "GET /endless HTTP/1.1\r\n" H "\r\n");
	until(fd2, ": hb", 1);
	pthread_mutex_lock(&gate);
	int fd3 = dial();
	put(fd3, "GET /blocked HTTP/1.1\r\n" H "\r\n");
	wait_for(&at_gate, 1);
	has(get("/hello"), "200 OK");
	loop_stop(loop);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(http_server_busy(server), 3);
	http_server_destroy(server);
	ck_assert_int_eq(closes, 2);
	pthread_mutex_unlock(&gate);
	pool_destroy(pool);
	ck_assert_int_eq(loop_destroy(loop), 0);
	libevent_global_shutdown();
	close(fd);
	close(fd2);
	close(fd3);
}
END_TEST

START_TEST(listening)
{
	struct loop *l = loop_create();
	static const struct http_route none[] = { { NULL, NULL, HTTP_ON_LOOP, NULL } };
	struct http_server *a = http_server_create(l, NULL, none, NULL, NULL);
	struct http_server *b = http_server_create(l, NULL, none, NULL, NULL);
	char addr[64];
	ck_assert_int_eq(http_server_listen(a, "127.0.0.1"), -EINVAL);
	ck_assert_int_eq(http_server_listen(a, "127.0.0.1:"), -EINVAL);
	ck_assert_int_lt(http_server_listen(a, "127.0.0.1:http"), 0);
	ck_assert_int_eq(http_server_listen(a, "[::1]:0"), 0);
	ck_assert_int_eq(http_server_listen(a, "[::1]:0"), -EALREADY);
	snprintf(addr, sizeof(addr), "[::1]:%d", http_server_port(a));
	ck_assert_int_eq(http_server_listen(b, addr), -EADDRINUSE);
	http_server_destroy(a);
	http_server_destroy(b);
	ck_assert_int_eq(loop_destroy(l), 0);
	libevent_global_shutdown();
}
END_TEST

static TCase *make_case(const char *name, void (*setup)(void), void (*teardown)(void))
{
	TCase *t = tcase_create(name);
	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup, teardown);
	return t;
}

int main(void)
{
	TCase *t = make_case("server", start, stop);
	tcase_add_test(t, answers);
	tcase_add_test(t, routes_and_uris);
	tcase_add_test(t, bodies);
	tcase_add_test(t, big_body);
	tcase_add_test(t, json_bodies);
	tcase_add_test(t, keep_alive_and_pipelining);
	tcase_add_test(t, forms_that_must_be_understood);
	tcase_add_test(t, half_closed_client_gets_its_answer);
	tcase_add_test(t, workers_busy);
	tcase_add_test(t, deferred_and_silent);
	tcase_add_test(t, long_poll);
	tcase_add_test(t, client_gone_during_long_poll);
	tcase_add_test(t, client_gone_while_a_worker_has_the_request);
	tcase_add_test(t, server_sent_events);
	tcase_add_test(t, much_is_buffered_and_counted);
	tcase_add_test(t, streams_drain_and_break_off);
	tcase_add_test(t, refusal_during_a_stream_ends_it);
	tcase_add_loop_test(t, refusals, 0, (int)LOOM_COUNT(refused));
	tcase_add_loop_test(t, refusals_in_small_pieces, 0, (int)LOOM_COUNT(refused));
	tcase_add_loop_test(t, refusal_behind_a_good_request, 0, (int)LOOM_COUNT(refused));
	TCase *small = make_case("small", start_small, stop);
	tcase_add_test(small, limits);
	tcase_add_test(small, slow_head_is_refused);
	tcase_add_test(small, slow_body_is_refused);
	TCase *crowd = make_case("crowd", start_crowded, stop);
	tcase_add_test(crowd, dawdlers_give_way);
	tcase_add_test(crowd, bodies_are_bounded_together);
	tcase_add_test(crowd, hosts_by_name);
	TCase *life = make_case("life", NULL, NULL);
	tcase_add_test(life, listening);
	TCase *destroy = make_case("destroy", start, NULL);
	tcase_add_test(destroy, destroyed_with_open_requests);
	return UNIT_RUN("net_server", t, small, crowd, life, destroy);
}
