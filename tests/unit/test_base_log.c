/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/json/json.h"
#include "tests/support/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *in, *logfmt, *json;
} values[] = {
	{ "plain", "plain", "\"plain\"" },
	{ "a-b_c.d/e:f,g", "a-b_c.d/e:f,g", "\"a-b_c.d/e:f,g\"" },
	{ "", "\"\"", "\"\"" },
	{ "two words", "\"two words\"", "\"two words\"" },
	{ "a=b", "\"a=b\"", "\"a=b\"" },
	{ "say \"x\"", "\"say \\\"x\\\"\"", "\"say \\\"x\\\"\"" },
	{ "\"", "\"\\\"\"", "\"\\\"\"" },
	{ "back\\slash", "\"back\\\\slash\"", "\"back\\\\slash\"" },
	{ "l1\nl2\r\tx", "\"l1\\nl2\\r\\tx\"", "\"l1\\nl2\\r\\tx\"" },
	{ "\x1b[31m", "\"\\u001b[31m\"", "\"\\u001b[31m\"" },
	{ "\x01\x7f", "\"\\u0001\\u007f\"", "\"\\u0001\\u007f\"" },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"" },
	{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" },
	{ "\xc2\x85", "\"\\u0085\"", "\"\\u0085\"" }, /* C1: terminals obey it */
	{ "a\xff"
	  "b",
	  "\"a\\xffb\"", "\"a\\ufffdb\"" },
	{ "\xc3", "\"\\xc3\"", "\"\\ufffd\"" },
	{ "\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\"\\ufffd\\ufffd\\ufffd\"" },
	{ NULL, "\"\"", "\"\"" },
};

START_TEST(escapes_values)
{
	const struct log_field fields[] = { LOG_S("v", values[_i].in), LOG_I("n", -5), { 0 } };
	LOOM_CLEANUP_STR char *logfmt = loom_asprintf(" msg=hi v=%s n=-5", values[_i].logfmt);
	LOOM_CLEANUP_STR char *json =
		loom_asprintf(",\"msg\":\"hi\",\"v\":%s,\"n\":-5}", values[_i].json);
	char out[512];
	int n;

	log_setup("svc", LOG_LV_INFO, false);
	n = log_render(out, sizeof(out), LOG_LV_WARN, "hi", fields);
	ck_assert_int_eq(n, (int)strlen(out));
	ck_assert_msg(str_ends(out, logfmt), "%s", out);
	log_setup("svc", LOG_LV_INFO, true);
	(void)log_render(out, sizeof(out), LOG_LV_WARN, "hi", fields);
	ck_assert_msg(str_ends(out, json), "%s", out);
}
END_TEST

START_TEST(fixed_keys)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	char out[256], want[64];

	log_setup("loom-api", LOG_LV_INFO, false);
	(void)log_render(out, sizeof(out), LOG_LV_ERROR, "went wrong", NULL);
	(void)snprintf(want, sizeof(want), "Z level=error svc=loom-api pid=%d msg=\"went wrong\"",
	               (int)getpid());
	ck_assert_msg(str_ends(out, want), "%s", out);
	ck_assert(str_starts(out, "ts=2"));
	ck_assert_uint_eq(strcspn(out, " "), strlen("ts=2024-05-01T10:00:00.123Z"));
	log_setup("loom-api", LOG_LV_INFO, true);
	(void)log_render(out, sizeof(out), LOG_LV_DEBUG, "went wrong", NULL);
	ck_assert_int_eq(json_parse_str(out, &v, NULL), 0);
	ck_assert_uint_eq(json_len(v), 5);
	ck_assert_str_eq(json_get_str(v, "level"), "debug");
	ck_assert_str_eq(json_get_str(v, "svc"), "loom-api");
	ck_assert_int_eq(json_get_int(v, "pid", 0), getpid());
	ck_assert_str_eq(json_get_str(v, "msg"), "went wrong");
}
END_TEST

/* Whatever the room, the line stays well-formed and within it. */
START_TEST(truncates_cleanly)
{
	const struct log_field fields[] = {
		LOG_S("key", "gr\xc3\xbc\xc3\x9f e \"quoted\" \x1b"),
		LOG_I("number", 123456789),
		LOG_S("last", "x"),
		{ 0 },
	};

	for (unsigned size = 0; size < 260; size++) {
		char *out = loom_malloc(size ? size : 1); /* exact, so that ASan sees one past */
		struct json *v = NULL;
		int n;

		log_setup("svc", LOG_LV_INFO, true);
		n = log_render(out, size, LOG_LV_INFO, "a message", fields);
		ck_assert(n == 0 || ((unsigned)n < size && out[n] == '\0'));
		if (n) {
			ck_assert_msg(json_parse_str(out, &v, NULL) == 0, "%s", out);
			json_free(v);
		}
		log_setup("svc", LOG_LV_INFO, false);
		n = log_render(out, size, LOG_LV_INFO, "a message", fields);
		ck_assert(n == 0 || ((unsigned)n < size && out[n] == '\0'));
		loom_free(out);
	}
}
END_TEST

START_TEST(levels)
{
	enum log_level lv = LOG_LV_ERROR;

	ck_assert(log_level_parse("debug", &lv) && lv == LOG_LV_DEBUG);
	ck_assert(log_level_parse("WARN", &lv) && lv == LOG_LV_WARN);
	ck_assert(!log_level_parse("loud", &lv) && !log_level_parse("", &lv) && lv == LOG_LV_WARN);
	log_setup("svc", LOG_LV_WARN, false);
	ck_assert(!log_on(LOG_LV_INFO) && log_on(LOG_LV_WARN) && log_on(LOG_LV_ERROR));
}
END_TEST

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *arg)
{
	char id[16] = "abc";

	for (int i = 0; i < LINES; i++) {
		log_debug("too quiet");
		log_info("line", LOG_S("thread", (const char *)arg), LOG_S("id", id),
		         LOG_I("i", i));
	}
	return NULL;
}

/* O_APPEND and one write per line: lines of threads never mix. */
START_TEST(one_write_per_line)
{
	char path[] = "/tmp/loom-test-log-XXXXXX", line[512];
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC), lines = 0;
	char name[] = "a thread of its own";
	pthread_t threads[THREADS];
	FILE *f;

	ck_assert_int_ge(fd, 0);
	log_setup("svc", LOG_LV_INFO, false);
	log_set_fd(fd);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, name), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	log_set_fd(STDERR_FILENO);
	f = fdopen(fd, "r");
	ck_assert_ptr_nonnull(f);
	rewind(f);
	for (; fgets(line, sizeof(line), f); lines++) {
		ck_assert_msg(str_starts(line, "ts=") && str_ends(line, "\n"), "%s", line);
		ck_assert_ptr_nonnull(
			strstr(line, " msg=line thread=\"a thread of its own\" id=abc i="));
	}
	ck_assert_int_eq(lines, (intmax_t)THREADS * LINES);
	(void)fclose(f);
	(void)unlink(path);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, escapes_values, 0, LOOM_COUNT(values));
	tcase_add_test(tc, fixed_keys);
	tcase_add_test(tc, truncates_cleanly);
	tcase_add_test(tc, levels);
	tcase_add_test(tc, one_write_per_line);
	return UNIT_RUN("base_log", tc);
}
