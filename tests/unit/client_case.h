/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_case - a server for clients to call.
 */
#ifndef TESTS_CLIENT_CASE_H
#define TESTS_CLIENT_CASE_H

#include "common/net/http_client.h"
#include "common/net/http_server.h"

#include "common/base/log.h"
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static struct pool *pool;
static struct http_server *server;
static struct strs peers; /* loop */

/* ---- server ---------------------------------------------------------------------------------- */

static void echo(struct http_req *req, void *ctx)
{
	(void)ctx;
	size_t n;
	const char *body = http_body(req, &n), *type = http_header(req, "Content-Type");
	const char *mine = http_header(req, "X-Mine");
	http_reply_header(req, "X-Answer", "yes");
	http_reply_text(req, 200, "%s type=%s mine=%s expect=%s agent=%d body=%.*s",
	                http_method(req), type ? type : "-", mine ? mine : "-",
	                http_header(req, "Expect") ? "yes" : "no",
	                http_header(req, "User-Agent") != NULL, (int)n, body);
}

static void peer(struct http_req *req, void *ctx)
{
	(void)ctx;
	if (!strs_has(&peers, http_peer(req)))
		strs_add(&peers, http_peer(req));
	http_reply_text(req, 200, "%zu", peers.n);
}

static void busy(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_header(req, "Retry-After", "3");
	http_reply_problem(req, 503, "later");
}

/* Two headers, one with several in it, not all of which are ours. */
static void warned(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_header(req, "Warning",
	                  "110 cache \"stale\" \"Wed, 21 Oct 2026 07:28:00 GMT\", 299 - \"a, "
	                  "\\\"b\\\"\" \"Wed, 21 Oct 2026 07:28:00 GMT\", 299 loom \"c\"");
	http_reply_header(req, "warning", "299 loom \"d\", 299 loom \"without an end");
	http_reply_header(req, "Warning", "299 loom nothing");
	http_reply_text(req, 400, "no");
}

static void elsewhere(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_header(req, "Location", "/echo");
	http_reply_empty(req, 302);
}

static void never(struct http_req *req, void *arg)
{
	(void)arg;
	http_reply_empty(req, 204);
}

static void hold(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_on_close(req, never, NULL);
}

static void events(struct http_req *req, void *ctx)
{
	(void)ctx;
	sse_start(req);
	sse_event(req, 1, "a", "one");
	sse_event(req, 2, "b", "two");
	http_stream_end(req);
}

static void stream_gone(struct http_req *req, void *arg)
{
	(void)arg;
	http_stream_end(req);
}

static void endless(struct http_req *req, void *ctx)
{
	(void)ctx;
	sse_start(req);
	http_on_close(req, stream_gone, NULL);
	sse_comment(req, "hb");
}

static void big(struct http_req *req, void *ctx)
{
	(void)ctx;
	size_t n = 3u << 20;
	LOOM_CLEANUP_STR char *x = loom_malloc(n);
	memset(x, 'x', n);
	http_reply(req, 200, "text/plain", x, n);
}

static const struct http_route routes[] = {
	{ "GET", "/echo", HTTP_ON_POOL, echo },      { "POST", "/echo", HTTP_ON_POOL, echo },
	{ "PUT", "/echo", HTTP_ON_POOL, echo },      { "DELETE", "/echo", HTTP_ON_POOL, echo },
	{ "GET", "/peer", HTTP_ON_LOOP, peer },      { "GET", "/busy", HTTP_ON_LOOP, busy },
	{ "GET", "/away", HTTP_ON_LOOP, elsewhere }, { "GET", "/hold", HTTP_ON_LOOP, hold },
	{ "GET", "/events", HTTP_ON_LOOP, events },  { "GET", "/endless", HTTP_ON_LOOP, endless },
	{ "GET", "/big", HTTP_ON_LOOP, big },        { "GET", "/warned", HTTP_ON_LOOP, warned },
	{ NULL, NULL, HTTP_ON_LOOP, NULL },
};

static void start(void)
{
	log_setup("test", LOG_LV_ERROR, false);
	setenv("http_proxy", "http://127.0.0.1:9", 1); /* must not be used */
	loop = loop_create();
	pool = pool_create(loop, 2, 8);
	server = http_server_create(loop, pool, routes, NULL, NULL);
	ck_assert_int_eq(http_server_listen(server, "127.0.0.1:0"), 0);
}

static void stop(void)
{
	http_server_destroy(server);
	pool_destroy(pool);
	ck_assert_int_eq(loop_destroy(loop), 0);
	strs_fini(&peers);
	libevent_global_shutdown();
	curl_global_cleanup();
}

static const char *url(const char *path)
{
	static char text[256];
	snprintf(text, sizeof(text), "http://127.0.0.1:%d%s", http_server_port(server), path);
	return text;
}

/* ---- blocking -------------------------------------------------------------------------------- */

static int unused_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

struct asked {
	bool answer;
	int times;
	struct sockaddr_in last;
};

static bool ask(const struct sockaddr *addr, void *arg)
{
	struct asked *a = arg;
	a->times++;
	if (addr->sa_family == AF_INET)
		memcpy(&a->last, addr, sizeof(a->last));
	return a->answer;
}

#endif
