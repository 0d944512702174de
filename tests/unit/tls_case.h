/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_case - a server with certificates, and a client that speaks TLS itself.
 */
#ifndef TESTS_TLS_CASE_H
#define TESTS_TLS_CASE_H

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/http_client.h"
#include "common/net/http_server.h"
#include "tests/support/line.h"
#include "tests/support/secure.h"
#include "tests/support/unit.h"

#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_MS = 60000 };
#define GET "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

static struct loop *loop;
static struct http_server *server;
static pthread_t thread;

static void hello(struct http_req *req, void *ctx LOOM_UNUSED)
{
	http_reply_text(req, 200, "hello\n");
}

static void say_hello(void *req)
{
	http_reply_text(req, 200, "hello\n");
}

static void later(struct http_req *req, void *ctx LOOM_UNUSED)
{
	loop_post(loop, say_hello, req);
}

static const struct http_route routes[] = {
	{ "GET", "/later", HTTP_ON_LOOP, later },
	{ "GET", "/hello", HTTP_ON_LOOP, hello },
	{ NULL, NULL, HTTP_ON_LOOP, NULL },
};

static void *run_loop(void *arg LOOM_UNUSED)
{
	loop_run(loop);
	return NULL;
}

static void start(void)
{
	static const struct http_limits limits = { .head_s = 1, .max_conns = 64, .reserve = 4 };
	log_setup("test", LOG_LV_ERROR, false);
	loop = loop_create();
	server = http_server_create(loop, NULL, routes, NULL, &limits);
	ck_assert_int_eq(http_server_tls(server, &secure.cfg, NULL), 0);
	ck_assert_int_eq(http_server_listen(server, "0.0.0.0:0"), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, run_loop, NULL), 0);
}

static void stop(void)
{
	loop_stop(loop);
	pthread_join(thread, NULL);
	http_server_destroy(server);
	ck_assert_int_eq(loop_destroy(loop), 0);
	libevent_global_shutdown();
}

static char got[4096];

/* Reads until `text` has come, or with NULL until the server closes. */
static const char *until(int fd, const char *text)
{
	size_t n = 0;
	got[0] = '\0';
	while (!text || !strstr(got, text)) {
		ck_assert_msg(line_readable(fd, TIMEOUT_MS), "nothing came; so far: %s", got);
		ssize_t r = line_recv(fd, got + n, sizeof(got) - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
		got[n] = '\0';
	}
	return got;
}

static bool answered(int fd)
{
	return line_send(fd, GET, sizeof(GET) - 1) > 0 && strstr(until(fd, "hello\n"), "hello\n");
}

static int dial(const struct pki *who)
{
	int fd = line_open(http_server_port(server));
	ck_assert(line_tls(fd, &secure.ca, who, 0));
	return fd;
}

static int64_t metric(const char *name)
{
	struct buf b = BUF_INIT(1 << 20);
	metrics_write(&b);
	LOOM_CLEANUP_STR char *line = loom_asprintf("\n%s ", name);
	const char *at = strstr(buf_str(&b), line);
	ck_assert_msg(at, "no %s", name);
	int64_t value = strtoll(at + strlen(line), NULL, 10);
	buf_fini(&b);
	return value;
}

/* A peer may see that it was refused before the server has counted it. */
static void wait_until(const char *name, int64_t value)
{
	for (int64_t end = clock_mono_ms() + TIMEOUT_MS; metric(name) != value;) {
		ck_assert_msg(clock_mono_ms() < end, "%s is %lld", name, (long long)metric(name));
		poll(NULL, 0, 10);
	}
}

#endif
