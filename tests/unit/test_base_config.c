/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/config.h"
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct common {
	char *host, *password;
	int64_t port, timeout, poll;
};

struct service {
	bool tls;
	char *name;
	int64_t any;
};

static const struct config_key common_keys[] = {
	{ "db_host", CFG_STR, offsetof(struct common, host), "127.0.0.1", 0, 0, 0, "host name" },
	{ "db_port", CFG_INT, offsetof(struct common, port), "3306", 1, 65535, 0, "port" },
	{ "db_password", CFG_STR, offsetof(struct common, password), NULL, 0, 0, CFG_SECRET,
	  "password" },
	{ "db_timeout", CFG_DURATION, offsetof(struct common, timeout), "5s", 100, 60000, 0,
	  "longest statement" },
	{ "poll_ms", CFG_DURATION, offsetof(struct common, poll), "2s", 0, 0, CFG_REQUIRED,
	  "how often" },
	{ 0 },
};

static const struct config_key service_keys[] = {
	{ "tls", CFG_BOOL, offsetof(struct service, tls), "no", 0, 0, 0, "encrypt" },
	{ "name", CFG_STR, offsetof(struct service, name), NULL, 0, 0, CFG_REQUIRED, "who it is" },
	{ "any", CFG_INT, offsetof(struct service, any), "-7", 0, 0, 0, "any number" },
	{ 0 },
};

static struct common common;
static struct service service;
static const struct config_table tables[] = {
	{ common_keys, &common },
	{ service_keys, &service },
	{ 0 },
};

static void setup(void)
{
	ck_assert_int_eq(config_defaults(tables, NULL), 0);
}

static void teardown(void)
{
	config_fini(tables);
	ck_assert_ptr_null(common.host);
}

START_TEST(defaults)
{
	ck_assert_str_eq(common.host, "127.0.0.1");
	ck_assert_str_eq(common.password, "");
	ck_assert_int_eq(common.port, 3306);
	ck_assert_int_eq(common.timeout, 5000);
	ck_assert(!service.tls);
	ck_assert_str_eq(service.name, "");
	ck_assert_int_eq(service.any, -7);
}
END_TEST

static const struct {
	const char *key, *value;
	const char *error; /* NULL: taken */
} settings[] = {
	{ "db_host", "", NULL },
	{ "db_host", "# not = a comment", NULL },
	{ "db_host", "a\nb", "db_host: a value is one line" },
	{ "db_port", "1", NULL },
	{ "db_port", "65535", NULL },
	{ "db_port", "0", "db_port: 0 is not between 1 and 65535" },
	{ "db_port", "65536", "db_port: 65536 is not between 1 and 65535" },
	{ "db_port", "99999999999999999999",
	  "db_port: 99999999999999999999 is not between 1 and 65535" },
	{ "db_port", "80x", "db_port: \"80x\" is not a whole number" },
	{ "db_port", "", "db_port: \"\" is not a whole number" },
	{ "db_timeout", "1m", NULL },
	{ "db_timeout", "99ms", "db_timeout: 99ms is not between 100ms and 1m" },
	{ "db_timeout", "30", "db_timeout: 30 has no unit: 30s, 30m, 30h or 30d is meant" },
	{ "db_timeout", "0", "db_timeout: 0 is not between 100ms and 1m" },
	{ "poll_ms", "250", NULL },
	{ "db_timeout", "2m", "db_timeout: 2m is not between 100ms and 1m" },
	{ "db_timeout", "soon", "db_timeout: \"soon\" is not a duration (250ms, 5s, 3m, 2h, 7d)" },
	{ "any", "-9223372036854775808", NULL },
	{ "any", "9223372036854775808",
	  "any: 9223372036854775808 is not between -9223372036854775808 and 9223372036854775807" },
	{ "tls", "TRUE", NULL },
	{ "tls", "on", "tls: \"on\" is not true or false" },
	{ "tls", "", "tls: \"\" is not true or false" },
	{ "db-host", "x", "unknown key \"db-host\"; did you mean db_host?" },
	{ "db_pasword", "x", "unknown key \"db_pasword\"; did you mean db_password?" },
	{ "nonsense", "x", "unknown key \"nonsense\"" },
	{ "", "x", "unknown key \"\"" },
};

START_TEST(sets_values)
{
	struct loom_err err = { .status = 400 };
	int r = config_set(tables, settings[_i].key, settings[_i].value, &err);

	if (!settings[_i].error) {
		ck_assert_int_eq(r, 0);
		return;
	}
	ck_assert_int_gt(r, 0);
	ck_assert_int_eq(err.status, 0);
	ck_assert_str_eq(err.msg, settings[_i].error);
	ck_assert_int_eq(common.port, 3306); /* untouched */
	ck_assert_int_eq(common.timeout, 5000);
	ck_assert_str_eq(common.host, "127.0.0.1");
}
END_TEST

static const struct {
	const char *value;
	bool want;
} booleans[] = {
	{ "true", true },   { "yes", true }, { "1", true },  { "Yes", true },
	{ "false", false }, { "no", false }, { "0", false }, { "FALSE", false },
};

START_TEST(booleans_have_words)
{
	service.tls = !booleans[_i].want;
	ck_assert_int_eq(config_set(tables, "tls", booleans[_i].value, NULL), 0);
	ck_assert_int_eq(service.tls, booleans[_i].want);
}
END_TEST

static int load(const char *text, size_t len, struct loom_err *err, char path[32])
{
	int fd, r;

	(void)snprintf(path, 32, "/tmp/loom-test-conf-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	loom_close(fd);
	r = config_load_file(tables, path, err);
	(void)unlink(path);
	return r;
}

START_TEST(loads_a_file)
{
	static const char text[] = "\xef\xbb\xbf# a comment\n"
				   "\xef\xbb\xbf\n"
				   "  db_host =  db.example.org  \r\n"
				   "db_password=p#=\"ss \n"
				   "\t# indented comment = nothing\n"
				   "db_timeout = 1500ms\n"
				   "db_port = 1\n"
				   "db_port = 2\n"
				   "tls = yes";
	char path[32];

	ck_assert_int_eq(load(text, strlen(text), NULL, path), 0);
	ck_assert_str_eq(common.host, "db.example.org");
	ck_assert_str_eq(common.password, "p#=\"ss");
	ck_assert_int_eq(common.timeout, 1500);
	ck_assert_int_eq(common.port, 2);
	ck_assert(service.tls);
}
END_TEST

static const struct {
	const char *text;
	size_t len; /* 0: strlen */
	const char *error;
} bad_files[] = {
	{ "db_port = 1\ncolour = red\n", 0, ":2: unknown key \"colour\"" },
	{ "\n\ndb_port = abc\n", 0, ":3: db_port: \"abc\" is not a whole number" },
	{ "db_port\n", 0, ":1: \"key = value\" was expected" },
	{ "= x\n", 0, ":1: unknown key \"\"" },
	{ "db_host = a\0b\n", 14, ":1: a NUL character" },
	{ "[section]\n", 0, ":1: \"key = value\" was expected" },
};

START_TEST(names_the_line)
{
	struct loom_err err = { 0 };
	size_t len = bad_files[_i].len ? bad_files[_i].len : strlen(bad_files[_i].text);
	LOOM_CLEANUP_STR char *want = NULL;
	char path[32];

	ck_assert_int_gt(load(bad_files[_i].text, len, &err, path), 0);
	want = loom_asprintf("%s%s", path, bad_files[_i].error);
	ck_assert_str_eq(err.msg, want);
}
END_TEST

START_TEST(a_file_must_be_readable)
{
	struct loom_err err = { 0 };

	ck_assert_int_gt(config_load_file(tables, "/nonexistent/loom.conf", &err), 0);
	ck_assert_str_eq(err.msg, "/nonexistent/loom.conf: No such file or directory");
	ck_assert_int_gt(config_load_file(tables, "/tmp", &err), 0);
	ck_assert_str_eq(err.msg, "/tmp: Is a directory");
}
END_TEST

START_TEST(loads_the_environment)
{
	struct loom_err err = { 0 };

	ck_assert_int_eq(setenv("LOOM_DB_HOST", "env", 1), 0);
	ck_assert_int_eq(setenv("LOOM_TLS", "1", 1), 0);
	ck_assert_int_eq(setenv("LOOM_UNKNOWN_KEY", "1", 1), 0);
	ck_assert_int_eq(config_load_env(tables, &err), 0);
	ck_assert_str_eq(common.host, "env");
	ck_assert(service.tls);
	ck_assert_int_eq(common.port, 3306);
	ck_assert_int_eq(setenv("LOOM_DB_PORT", "many", 1), 0);
	ck_assert_int_gt(config_load_env(tables, &err), 0);
	ck_assert_str_eq(err.msg, "LOOM_DB_PORT: \"many\" is not a whole number");
}
END_TEST

START_TEST(required_keys)
{
	struct loom_err err = { 0 };

	ck_assert_int_gt(config_check(tables, &err), 0);
	ck_assert_str_eq(err.msg, "name is not set (who it is)");
	ck_assert_int_eq(config_set(tables, "name", "x", NULL), 0);
	ck_assert_int_eq(config_check(tables, &err), 0);
}
END_TEST

static char *printed(void (*fn)(const struct config_table *, FILE *))
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(f);
	fn(tables, f);
	ck_assert_int_eq(fclose(f), 0);
	return text;
}

START_TEST(prints_what_it_can_load)
{
	LOOM_CLEANUP_STR char *before = NULL;
	LOOM_CLEANUP_STR char *after = NULL;
	char path[32];

	ck_assert_int_eq(config_set(tables, "db_password", "hunter2", NULL), 0);
	ck_assert_int_eq(config_set(tables, "db_timeout", "1500ms", NULL), 0);
	before = printed(config_print);
	ck_assert_str_eq(before, "db_host = 127.0.0.1\n"
	                         "db_port = 3306\n"
	                         "db_password = ********\n"
	                         "db_timeout = 1500ms\n"
	                         "poll_ms = 2s\n"
	                         "tls = false\n"
	                         "name =\n"
	                         "any = -7\n");
	ck_assert_int_eq(load(before, strlen(before), NULL, path), 0);
	after = printed(config_print);
	ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(helps)
{
	LOOM_CLEANUP_STR char *text = printed(config_help);

	ck_assert_ptr_nonnull(
		strstr(text, "  --db-host=TEXT                 host name (default 127.0.0.1)\n"));
	ck_assert_ptr_nonnull(strstr(text, "  --db-timeout=TIME "));
	ck_assert_ptr_nonnull(
		strstr(text, "--name=TEXT                    who it is (required)\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "--poll-ms=TIME                 how often (default 2s)\n"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, defaults);
	tcase_add_loop_test(tc, sets_values, 0, LOOM_COUNT(settings));
	tcase_add_loop_test(tc, booleans_have_words, 0, LOOM_COUNT(booleans));
	tcase_add_test(tc, loads_a_file);
	tcase_add_loop_test(tc, names_the_line, 0, LOOM_COUNT(bad_files));
	tcase_add_test(tc, a_file_must_be_readable);
	tcase_add_test(tc, loads_the_environment);
	tcase_add_test(tc, required_keys);
	tcase_add_test(tc, prints_what_it_can_load);
	tcase_add_test(tc, helps);
	return UNIT_RUN("base_config", tc);
}
