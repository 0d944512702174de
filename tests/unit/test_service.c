/* SPDX-License-Identifier: Apache-2.0 */
/* A whole service in a forked child: its command line, its signals, its routes. */
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

#define TIMEOUT_MS 10000

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

static const struct http_route routes[] = {
	SERVICE_ROUTES,
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

static void up_quiet(struct child *c, const char *const *args)
{
	child_start(c, args);
	read_until(c->out, c->text, sizeof(c->text), "\n");
	ck_assert_int_eq(sscanf(c->text, "port %d", &c->port), 1); /* NOLINT(cert-err34-c) */
}

static void up(struct child *c, const char *const *args)
{
	up_quiet(c, args);
	read_until(c->err, c->log, sizeof(c->log), "msg=started");
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

static int ask(struct child *c, const char *method, const char *path, char *answer, size_t size)
{
	char url[128];
	struct loom_err err = { 0 };
	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", c->port, path);
	struct http_call call = { .method = method, .url = url };
	int r = http_call(NULL, &call, &err);
	ck_assert_msg(r == 0, "%s", err.msg);
	snprintf(answer, size, "%s", buf_str(&call.answer));
	http_call_fini(&call);
	return call.status;
}

#define args(...)        ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
#define has(text, sub)   ck_assert_msg(strstr(text, sub), "no \"%s\" in: %s", sub, text)
#define lacks(text, sub) ck_assert_msg(!strstr(text, sub), "\"%s\" in: %s", sub, text)

/* ---- command line ---------------------------------------------------------------------------- */

static const struct {
	const char *args[6];
	int code;
	const char *out, *err;
} lines[] = {
	{ { "--help" }, 0, "--log-level=TEXT", NULL },
	{ { "--count=99", "-h" }, 0, "A service for tests.", NULL },
	{ { "--version" }, 0, " (libevent 2.1.12", NULL },
	{ { "--check-config" }, 0, "the configuration is right", NULL },
	{ { "--print-config" }, 0, "count = 3\n", NULL },
	{ { "--print-config", "--count", "7" }, 0, "count = 7\n", NULL },
	{ { "--count=8", "--print-config", "--a-secret=xyzzy" }, 0, "count = 8\n", NULL },
	{ { "--print-config", "--unready" }, 0, "unready = true\n", NULL },
	{ { "--print-config", "--unready=no", "--refuse-start" }, 0, "unready = false\n", NULL },
	{ { "--print-config", "--listen", "--version" }, 0, "listen = --version\n", NULL },
	{ { "--nonsense" }, 64, NULL, "loom-test: unknown flag: --nonsense " },
	{ { "--nonsense=1", "--check-config" }, 64, NULL, "unknown flag: --nonsense=1 " },
	{ { "--slow_drain" }, 64, NULL, "unknown flag: --slow_drain " },
	{ { "-x" }, 64, NULL, "unknown flag: -x " },
	{ { "--" }, 64, NULL, "unknown flag: -- " },
	{ { "word" }, 64, NULL, "unexpected argument: word " },
	{ { "--count" }, 64, NULL, "flag without a value: --count " },
	{ { "--config" }, 64, NULL, "flag without a value: --config " },
	{ { "--config=" }, 64, NULL, "flag without a value: --config " },
	{ { "--count=11" }, 78, NULL, "count" },
	{ { "--wait=1x" }, 78, NULL, "wait" },
	{ { "--log-level=loud" }, 78, NULL, "log_level: \"loud\"" },
	{ { "--log-format=xml", "--check-config" }, 78, NULL, "log_format: \"xml\"" },
	{ { "--listen=" }, 78, NULL, "listen" },
	{ { "--config=/nonexistent/file" }, 78, NULL, "/nonexistent/file" },
	{ { "--check-ready", "--listen=127.0.0.1:1" }, 1, NULL, "loom-test: not ready: " },
	{ { "--check-ready", "--listen=here" }, 1, NULL, "not ready: no address to ask at" },
	{ { "--check-ready", "--count=11" }, 78, NULL, "count" },
	{ { "--refuse-start" }, 1, "stop\n", "told not to start" },
};

START_TEST(command_line)
{
	struct child c;
	child_start(&c, lines[_i].args);
	int code = child_end(&c);
	ck_assert_msg(code == lines[_i].code, "%d: %s%s", code, c.text, c.log);
	has(c.text, lines[_i].out ? lines[_i].out : "");
	has(c.log, lines[_i].err ? lines[_i].err : "");
	lacks(c.text, "xyzzy");
	if (code == 64) { /* one line, nothing else */
		ck_assert_str_eq(c.text, "");
		ck_assert_ptr_eq(strchr(c.log, '\n'), c.log + strlen(c.log) - 1);
	}
}
END_TEST

START_TEST(file_environment_and_flags)
{
	char path[] = "/tmp/loom-test-XXXXXX", flag[64];
	struct child c;
	int fd = mkstemp(path);
	static const char good[] = "# comment\ncount = 4\nwait = 7s\na_secret = abc\n";
	ck_assert_int_eq(write(fd, good, strlen(good)), (ssize_t)strlen(good));
	setenv("LOOM_WAIT", "8s", 1);
	snprintf(flag, sizeof(flag), "--config=%s", path);
	child_start(&c, args("--print-config", flag));
	ck_assert_int_eq(child_end(&c), 0);
	has(c.text, "count = 4\n");
	has(c.text, "wait = 8s\n");
	lacks(c.text, "abc");
	child_start(&c, args("--config", path, "--wait", "9s", "--print-config"));
	ck_assert_int_eq(child_end(&c), 0);
	has(c.text, "wait = 9s\n");

	static const char bad[] = "colour = red\n";
	ck_assert_int_eq(write(fd, bad, strlen(bad)), (ssize_t)strlen(bad));
	child_start(&c, args(flag));
	ck_assert_int_eq(child_end(&c), 78);
	snprintf(flag, sizeof(flag), "%s:5", path);
	has(c.log, flag);
	has(c.log, "colour");
	close(fd);
	unlink(path);
}
END_TEST

/* ---- life ------------------------------------------------------------------------------------ */

START_TEST(starts_answers_and_drains)
{
	struct child c;
	char a[32768];
	up(&c, NULL);
	has(c.text, " id ");
	ck_assert_int_eq(ask(&c, "GET", "/livez", a, sizeof(a)), 200);
	ck_assert_int_eq(ask(&c, "GET", "/readyz", a, sizeof(a)), 200);
	ck_assert_int_eq(ask(&c, "GET", "/metrics", a, sizeof(a)), 200);
	has(a, "\nloom_http_responses_2xx_total 2\n");
	has(a, "\nloom_http_requests_in_progress 1\n");
	has(a, "\nloom_process_open_fds ");
	has(a, "\nloom_process_resident_memory_bytes ");
	has(a, "loom_http_request_duration_seconds_bucket");
	kill(c.pid, SIGHUP);
	kill(c.pid, SIGPIPE);
	ck_assert_int_eq(ask(&c, "GET", "/livez", a, sizeof(a)), 200);
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(child_end(&c), 0);
	has(c.text, "drain\nstop\n");
	has(c.log, "msg=draining");
	has(c.log, "msg=stopped");
	lacks(c.log, "left behind");
}
END_TEST

START_TEST(not_ready)
{
	struct child c;
	char a[4096];
	up(&c, args("--unready"));
	ck_assert_int_eq(ask(&c, "GET", "/readyz", a, sizeof(a)), 503);
	has(a, "no luck today");
	kill(c.pid, SIGINT);
	ck_assert_int_eq(child_end(&c), 0);
}
END_TEST

/* A second process with the same configuration, as a container's health check runs it. */
static const struct {
	const char *listens, *asks;
	bool unready;
} probes[] = {
	{ "127.0.0.1:0", "127.0.0.1", false }, { "127.0.0.1:0", "localhost", false },
	{ "0.0.0.0:0", "0.0.0.0", false },     { "0.0.0.0:0", "", false },
	{ "127.0.0.1:0", "127.0.0.1", true },
};

START_TEST(tells_a_health_check)
{
	struct child c, probe;
	char listens[64], asks[64];
	snprintf(listens, sizeof(listens), "--listen=%s", probes[_i].listens);
	up(&c, args(listens, probes[_i].unready ? "--unready" : "--wait=5s"));
	snprintf(asks, sizeof(asks), "--listen=%s:%d", probes[_i].asks, c.port);
	child_start(&probe, args("--check-ready", asks));
	ck_assert_int_eq(child_end(&probe), probes[_i].unready);
	has(probe.text, probes[_i].unready ? "" : "loom-test: ready\n");
	has(probe.log, probes[_i].unready ? "loom-test: not ready: " : "");
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(child_end(&c), 0);
}
END_TEST

START_TEST(draining_is_seen_and_ends)
{
	struct child c;
	char a[4096];
	up(&c, args("--slow-drain"));
	kill(c.pid, SIGTERM);
	read_until(c.err, c.log, sizeof(c.log), "msg=draining");
	ck_assert_int_eq(ask(&c, "GET", "/readyz", a, sizeof(a)), 503);
	has(a, "draining");
	ck_assert_int_eq(ask(&c, "GET", "/livez", a, sizeof(a)), 200);
	ck_assert_int_eq(ask(&c, "POST", "/quit", a, sizeof(a)), 200);
	ck_assert_str_eq(a, "draining");
	ck_assert_int_eq(child_end(&c), 0);
	lacks(c.log, "timed out");
}
END_TEST

START_TEST(drain_is_bounded)
{
	struct child c;
	up(&c, args("--no-drain-end"));
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(child_end(&c), 0);
	has(c.log, "drain timed out");
	has(c.text, "stop\n");
}
END_TEST

START_TEST(second_signal_exits_at_once)
{
	struct child c;
	up(&c, args("--no-drain-end"));
	kill(c.pid, SIGTERM);
	read_until(c.out, c.text, sizeof(c.text), "drain\n");
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(child_end(&c), 1);
	lacks(c.text, "stop\n");
}
END_TEST

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	(void)fputs(text, f);
	(void)fclose(f);
}

START_TEST(reads_its_configuration_again)
{
	char path[] = "/tmp/loom-test-XXXXXX", a[32768];
	struct child c;
	close(mkstemp(path));
	put(path, "wait = 5s\nlog_level = warn\n");
	up_quiet(&c, args("--config", path, "--count=4"));
	kill(c.pid, SIGHUP);
	put(path, "wait = 6s\ncount = 5\nlisten = 127.0.0.1:1\nlog_level = info\n");
	kill(c.pid, SIGHUP);
	read_until(c.err, c.log, sizeof(c.log), "not in force until a restart\" key=listen");
	ck_assert_int_eq(ask(&c, "GET", "/waits", a, sizeof(a)), 200);
	ck_assert_str_eq(a, "6000 4"); /* the flag still wins */
	put(path, "wait = 7s\ncolour = red\n");
	kill(c.pid, SIGHUP);
	read_until(c.err, c.log, sizeof(c.log), "unknown key");
	ck_assert_int_eq(ask(&c, "GET", "/waits", a, sizeof(a)), 200);
	ck_assert_str_eq(a, "6000 4");
	unlink(path);
	kill(c.pid, SIGHUP);
	read_until(c.err, c.log, sizeof(c.log), "No such file");
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(child_end(&c), 0);
	has(c.log, "\"configuration changed\" key=wait");
	has(c.log, "\"configuration changed\" key=log_level");
	lacks(c.log, "key=count");
}
END_TEST

START_TEST(json_log)
{
	struct child c;
	child_start(&c, args("--log-format", "json"));
	read_until(c.err, c.log, sizeof(c.log), "\"msg\":\"started\"");
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(child_end(&c), 0);
}
END_TEST

/* ---- service manager ------------------------------------------------------------------------- */

static int notify_socket(char path[64])
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	snprintf(path, 64, "@loom-test-%d", (int)getpid());
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(sa.sun_path + 1, path + 1, strlen(path) - 1);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void heard(int fd, const char *want)
{
	char text[256];
	do {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ck_assert_int_eq(poll(&p, 1, TIMEOUT_MS), 1);
		ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
		ck_assert_int_gt(n, 0);
		text[n] = '\0';
		/* the watchdog's beats come in between */
	} while (strcmp(text, "WATCHDOG=1") == 0 && strcmp(want, "WATCHDOG=1") != 0);
	ck_assert_str_eq(text, want);
}

START_TEST(tells_the_service_manager)
{
	struct child c;
	char path[64];
	int fd = notify_socket(path);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "100000", 1);
	up(&c, NULL);
	heard(fd, "READY=1");
	heard(fd, "WATCHDOG=1");
	heard(fd, "WATCHDOG=1");
	kill(c.pid, SIGTERM);
	heard(fd, "STOPPING=1");
	ck_assert_int_eq(child_end(&c), 0);
	close(fd);

	ck_assert_int_eq((int)sd_notify_watchdog_ms(), 50);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_int_eq((int)sd_notify_watchdog_ms(), 0);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	ck_assert_int_eq(sd_notify_send("READY=1"), -ENOENT);
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_int_eq(sd_notify_send("READY=1"), 0);
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(sd_notify_send("READY=1"), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("command line");
	tcase_add_loop_test(t, command_line, 0, (int)LOOM_COUNT(lines));
	tcase_add_test(t, file_environment_and_flags);
	TCase *life = tcase_create("life");
	tcase_set_timeout(life, 30);
	tcase_add_test(life, starts_answers_and_drains);
	tcase_add_test(life, not_ready);
	tcase_add_loop_test(life, tells_a_health_check, 0, (int)LOOM_COUNT(probes));
	tcase_add_test(life, draining_is_seen_and_ends);
	tcase_add_test(life, drain_is_bounded);
	tcase_add_test(life, second_signal_exits_at_once);
	tcase_add_test(life, reads_its_configuration_again);
	tcase_add_test(life, json_log);
	tcase_add_test(life, tells_the_service_manager);
	return UNIT_RUN("service", t, life);
}
