/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_case - a server with handlers of all kinds, and a client that writes what it likes.
 */
#ifndef TESTS_SERVER_CASE_H
#define TESTS_SERVER_CASE_H

#include "common/net/http_server.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "tests/support/line.h"
#include "tests/support/secure.h"
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
#define TIMEOUT_MS 60000

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
	if (secure.by_tls)
		ck_assert_int_eq(http_server_tls(server, &secure.cfg, NULL), 0);
	ck_assert_int_eq(http_server_listen(server, "127.0.0.1:0"), 0);
	ck_assert_int_gt(http_server_port(server), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, NULL), 0);
}

static void start(void)
{
	start_with(NULL);
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
	int fd = line_open(http_server_port(server));
	if (secure.by_tls)
		ck_assert(line_tls(fd, &secure.ca, NULL, 0));
	return fd;
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(line_send(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Appends what comes to got; false at the end. */
static bool more(int fd, size_t *n)
{
	ck_assert_msg(line_readable(fd, TIMEOUT_MS), "nothing came; so far: %s", got);
	ssize_t r = line_recv(fd, got + *n, sizeof(got) - 1 - *n);
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
	line_close(fd);
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

/* ---- time ------------------------------------------------------------------------------------ */

static TCase *make_case(const char *name, void (*setup)(void), void (*teardown)(void))
{
	TCase *t = tcase_create(name);
	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup, teardown);
	return t;
}

static TCase *secured(TCase *t)
{
	tcase_add_unchecked_fixture(t, secure_on, secure_off);
	return t;
}

#endif
