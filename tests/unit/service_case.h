/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_case - a service in a process of its own.
 */
#ifndef TESTS_SERVICE_CASE_H
#define TESTS_SERVICE_CASE_H

#include "common/net/http_client.h"
#include "common/service/sd_notify.h"
#include "common/service/service.h"
#include "tests/support/unit.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 60000

/* ---- the service ----------------------------------------------------------------------------- */

struct settings {
	char *listen, *secret;
	int64_t count, wait;
	bool refuse_start, unready, slow_drain, no_drain_end;
};

static struct settings settings;
static const struct config_key keys[] = {
	{ "listen", CFG_STR, offsetof(struct settings, listen), "127.0.0.1:0", 0, 0, CFG_REQUIRED,
	  "where to listen" },
	{ "a_secret", CFG_STR, offsetof(struct settings, secret), "", 0, 0, CFG_SECRET, "hush" },
	{ "count", CFG_INT, offsetof(struct settings, count), "3", 1, 10, 0, "how many" },
	{ "wait", CFG_DURATION, offsetof(struct settings, wait), "5s", 0, 60000, CFG_RELOAD,
	  "how long" },
	{ "refuse_start", CFG_BOOL, offsetof(struct settings, refuse_start), "no", 0, 0, 0, "" },
	{ "unready", CFG_BOOL, offsetof(struct settings, unready), "no", 0, 0, 0, "" },
	{ "slow_drain", CFG_BOOL, offsetof(struct settings, slow_drain), "no", 0, 0, 0, "" },
	{ "no_drain_end", CFG_BOOL, offsetof(struct settings, no_drain_end), "no", 0, 0, 0, "" },
	{ 0 },
};
static const struct config_table tables[] = { { keys, &settings }, { 0 } };

static struct http_server *server;
static struct pool *pool;
static struct service *self;

static void quit(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_text(req, 200, "%s", service_draining(self) ? "draining" : "running");
	service_drained(self);
}

static void waits(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_text(req, 200, "%d %d", (int)settings.wait, (int)settings.count);
}

static void hang(struct http_req *req, void *ctx)
{
	(void)req;
	(void)ctx;
	puts("hanging");
	(void)fflush(stdout);
	for (;;)
		pause();
}

static const struct http_route routes[] = {
	SERVICE_ROUTES,
	{ "POST", "/hang", HTTP_ON_LOOP, hang },
	{ "GET", "/waits", HTTP_ON_LOOP, waits },
	{ "POST", "/quit", HTTP_ON_LOOP, quit },
	{ 0 },
};

static int start(struct service *s, void *ctx, struct loom_err *err)
{
	(void)ctx;
	self = s;
	pool = pool_create(service_loop(s), 1, 8);
	if (settings.refuse_start)
		return err_set(err, 500, "told not to start");
	server = http_server_create(service_loop(s), pool, routes, NULL, NULL);
	ck_assert_int_eq(http_server_listen(server, settings.listen), 0);
	printf("port %d id %s\n", http_server_port(server), service_id(s));
	(void)fflush(stdout);
	return 0;
}

static void drain(struct service *s, void *ctx)
{
	(void)ctx;
	puts("drain");
	(void)fflush(stdout);
	if (!settings.slow_drain && !settings.no_drain_end)
		service_drained(s);
}

static void stop(struct service *s, void *ctx)
{
	(void)s;
	(void)ctx;
	http_server_destroy(server);
	pool_destroy(pool);
	puts("stop");
	(void)fflush(stdout);
}

static bool ready(struct service *s, void *ctx, struct loom_err *err)
{
	(void)ctx;
	ck_assert(!loop_is_here(service_loop(s)));
	return !settings.unready || !err_set(err, 503, "no luck today");
}

static const struct service_def def = {
	.name = "loom-test",
	.summary = "A service for tests.",
	.tables = tables,
	.start = start,
	.drain = drain,
	.stop = stop,
	.ready = ready,
	.drain_ms = 300,
};

/* ---- running it ------------------------------------------------------------------------------ */

struct child {
	pid_t pid;
	int out, err;
	char text[65536]; /* what stdout said */
	char log[65536];
	int port;
};

static void child_start(struct child *c, const char *const *args)
{
	int out[2], err[2];
	memset(c, 0, sizeof(*c));
	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(pipe(err), 0);
	c->pid = fork();
	ck_assert_int_ge(c->pid, 0);
	if (c->pid == 0) {
		char *argv[16] = { strdup("loom-test") };
		int n = 1;
		for (; args && args[n - 1]; n++)
			argv[n] = strdup(args[n - 1]);
		dup2(out[1], 1);
		dup2(err[1], 2);
		close(out[0]);
		close(out[1]);
		close(err[0]);
		close(err[1]);
		int code = service_run(&def, n, argv);
		while (n)
			free(argv[--n]);
		exit(code); /* leak check included */
	}
	close(out[1]);
	close(err[1]);
	c->out = out[0];
	c->err = err[0];
}

/* Reads one stream until the text is there, or (NULL) to its end. */
static void read_until(int fd, char *to, size_t size, const char *text)
{
	size_t n = strlen(to);
	while (!text || !strstr(to, text)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ck_assert_msg(poll(&p, 1, TIMEOUT_MS) == 1, "waited for \"%s\": %s", text, to);
		ssize_t r = read(fd, to + n, size - 1 - n);
		if (r <= 0) {
			ck_assert_msg(!text, "ended before \"%s\": %s", text, to);
			return;
		}
		n += (size_t)r;
		to[n] = '\0';
	}
}

static int child_end(struct child *c)
{
	int status;
	read_until(c->out, c->text, sizeof(c->text), NULL);
	read_until(c->err, c->log, sizeof(c->log), NULL);
	close(c->out);
	close(c->err);
	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	ck_assert_msg(WIFEXITED(status), "signal %d: %s", WTERMSIG(status), c->log);
	return WEXITSTATUS(status);
}

#define args(...)        ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define has(text, sub)   ck_assert_msg(strstr(text, sub), "no \"%s\" in: %s", sub, text)
#define lacks(text, sub) ck_assert_msg(!strstr(text, sub), "\"%s\" in: %s", sub, text)

#endif
