/* SPDX-License-Identifier: Apache-2.0 */
/* A whole service in a forked child: its command line, its signals, its routes. */
#include "tests/unit/service_case.h"

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
	{ { "--cuont=1" }, 64, NULL, "flag: --cuont=1; did you mean --count? (--help " },
	{ { "--slow_drain" }, 64, NULL, "flag: --slow_drain; did you mean --slow-drain? (" },
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

int main(void)
{
	TCase *t = tcase_create("command line");
	tcase_add_loop_test(t, command_line, 0, (int)LOOM_COUNT(lines));
	tcase_add_test(t, file_environment_and_flags);
	return UNIT_RUN("service", t);
}
