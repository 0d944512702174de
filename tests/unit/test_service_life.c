/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a service: ready, draining, stopped, told of a new configuration. */
#include "tests/unit/service_case.h"

/* ---- running it ------------------------------------------------------------------------------ */

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

/* ---- life ------------------------------------------------------------------------------------ */

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
	kill(c.pid, SIGUSR1);
	kill(c.pid, SIGUSR2);
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

START_TEST(ends_when_its_loop_hangs)
{
	struct child c;
	struct loom_err err = { 0 };
	up(&c, args("--watchdog-ms=200ms"));
	LOOM_CLEANUP_STR char *url = loom_asprintf("http://127.0.0.1:%d/hang", c.port);
	struct http_call call = { .method = "POST", .url = url };
	ck_assert_int_ne(http_call(NULL, &call, &err), 0);
	http_call_fini(&call);
	ck_assert_int_eq(child_end(&c), 1);
	has(c.log, "the main loop has not turned for 200 ms");
	lacks(c.text, "stop\n");
}
END_TEST

/* As by `docker pause`: nothing of it ran meanwhile. */
START_TEST(goes_on_after_it_was_frozen)
{
	struct child c;
	char a[4096];
	up(&c, args("--watchdog-ms=3s"));
	kill(c.pid, SIGSTOP);
	sleep(4);
	kill(c.pid, SIGCONT);
	ck_assert_int_eq(ask(&c, "GET", "/livez", a, sizeof(a)), 200);
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(child_end(&c), 0);
	lacks(c.log, "has not turned");
}
END_TEST

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
	heard(fd, "EXTEND_TIMEOUT_USEC=5300000"); /* drain_ms, and 5 s to end */
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
	tcase_add_test(life, ends_when_its_loop_hangs);
	tcase_add_test(life, goes_on_after_it_was_frozen);
	tcase_add_test(life, tells_the_service_manager);
	return UNIT_RUN("service_life", life);
}
