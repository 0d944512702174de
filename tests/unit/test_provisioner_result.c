/* SPDX-License-Identifier: Apache-2.0 */
#include "services/provisioner/result.h"

#include "common/base/str.h"
#include "common/base/text.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text, *says; /* NULL: fine */
} answers[] = {
	{ "", NULL },
	{ " \n\t", NULL },
	{ "{}", NULL },
	{ "{\"result\":{\"a\":1},\"ipaddresses\":{\"access_v4\":\"1.2.3.4\"},\"hostname\":\"h\","
	  "\"message\":\"m\",\"status\":200,\"more\":[]}",
	  NULL },
	{ "{\"result\":null,\"hostname\":null}", NULL },
	{ "{", "line" },
	{ "{}{}", "line" },
	{ "nonsense", "line" },
	{ "[]", "not a JSON object" },
	{ "5", "not a JSON object" },
	{ "{\"result\":[]}", "result is not an object" },
	{ "{\"result\":\"x\"}", "result is not an object" },
	{ "{\"ipaddresses\":[]}", "ipaddresses is not an object" },
	{ "{\"ipaddresses\":{\"access_v4\":5}}", "ipaddresses.access_v4 is not a string" },
	{ "{\"ipaddresses\":{\"access_v4\":\"1\\u0000\"}}",
	  "ipaddresses.access_v4 holds a control" },
	{ "{\"ipaddresses\":{\"bind_v4\":\"10.9.0.1\\n\"}}",
	  "ipaddresses.bind_v4 ends in a newline" },
	{ "{\"ipaddresses\":{\"bind_v4\":\"10.9.0.1 evil.example\"}}",
	  "not an IPv4 or IPv6 address" },
	{ "{\"ipaddresses\":{\"bind_v4\":\"\"}}", "not an IPv4 or IPv6 address" },
	{ "{\"ipaddresses\":{\"bind_v6\":\"fe80::1\"}}", NULL },
	{ "{\"ipaddresses\":{\"access_v4\":null,\"bind_v4\":\"10.0.0.1\"}}", NULL },
	{ "{\"hostname\":{}}", "hostname is not a string" },
	{ "{\"hostname\":\"web1\\n\"}", "hostname ends in a newline" },
	{ "{\"hostname\":\"a\\tb\"}", "hostname holds a control character" },
	{ "{\"hostname\":\"a\\u0000b\"}", "hostname holds a control character" },
	{ "{\"hostname\":\"web1 evil.example\"}", "hostname is not a host name" },
	{ "{\"hostname\":\"-oProxyCommand=x\"}", "hostname is not a host name" },
	{ "{\"hostname\":\"../web1\"}", "hostname is not a host name" },
	{ "{\"hostname\":\"$(reboot)\"}", "hostname is not a host name" },
	{ "{\"hostname\":\"\\u00fc.example\"}", "hostname is not a host name" },
	{ "{\"hostname\":\"web_1.Example-2.org\"}", NULL },
	{ "{\"message\":7}", "message is not a string" },
	{ "{\"status\":\"bad\"}", "status" },
	{ "{\"status\":-1}", "status" },
	{ "{\"status\":1000}", "status" },
	{ "{\"a\":1,\"a\":2}", "line" },
};

START_TEST(checks_answers)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	struct loom_err err = { 0 };
	int r = result_parse(answers[_i].text, strlen(answers[_i].text), &v, &err);

	if (!answers[_i].says) {
		ck_assert_msg(r == 0, "%s: %s", answers[_i].text, err.msg);
		ck_assert(json_is(v, JSON_OBJECT));
		return;
	}
	ck_assert_int_gt(r, 0);
	ck_assert_msg(strstr(err.msg, answers[_i].says), "%s: %s", answers[_i].text, err.msg);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
	char text[4096];
	struct json *v = NULL;

	memset(text, '[', sizeof(text));
	memcpy(text, "{\"result\":", 10);
	ck_assert_int_gt(result_parse(text, sizeof(text), &v, NULL), 0);
}
END_TEST

/* What the server takes: 48 levels, names of addresses of at most 255 bytes. */
START_TEST(the_servers_limits_hold_here)
{
	static const int levels[] = { 45, 46, 47, 48, 60 };
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(4096);

	for (size_t i = 0; i < LOOM_COUNT(levels); i++) {
		buf_reset(&b);
		buf_adds(&b, "{\"result\":{\"a\":");
		for (int n = 0; n < levels[i]; n++)
			buf_addc(&b, '[');
		buf_adds(&b, "1");
		for (int n = 0; n < levels[i]; n++)
			buf_addc(&b, ']');
		buf_adds(&b, "}}");
		json_free(v);
		v = NULL;
		ck_assert_int_eq(result_parse(buf_str(&b), b.len, &v, NULL) != 0, levels[i] > 46);
	}
	for (int n = 255; n <= 256; n++) {
		buf_reset(&b);
		buf_addf(&b, "{\"ipaddresses\":{\"%0*d\":\"10.0.0.1\"}}", n, 7);
		json_free(v);
		v = NULL;
		ck_assert_int_eq(result_parse(buf_str(&b), b.len, &v, NULL) != 0, n > 255);
	}
}
END_TEST

/* What the provider made stays known by name although the rest of the answer is no good. */
START_TEST(a_bad_answer_keeps_the_name)
{
	static const char text[] = "{\"result\":{\"providerid\":\"i-1\"},\"hostname\":\"web1\\n\"}";
	LOOM_CLEANUP(json_free) struct json *finish = json_new_obj();
	struct outcome o;
	struct run_end end = { .result = text, .result_len = strlen(text) };

	outcome_init(&o, NULL);
	outcome_add(&o, &end, 1000);
	outcome_write(&o, finish);
	outcome_fini(&o);
	ck_assert_int_eq(json_get_int(finish, "status", 0), 1);
	ck_assert_str_eq(json_get_str(json_get(finish, "result"), "providerid"), "i-1");
	ck_assert_ptr_null(json_get_str(finish, "hostname"));
	ck_assert_str_eq(json_get_str(finish, "message"),
	                 "the plugin's result is not usable: hostname ends in a newline");
}
END_TEST

#define TIMED_OUT (-2)
#define TOO_LARGE (-3)

static const struct {
	int exit_code; /* TIMED_OUT; TOO_LARGE: 0 with an oversized answer; else -signal - 100 */
	const char *answer;
	const char *want; /* the finish message without the outputs */
} ends[] = {
	{ 0, "", "{\"status\":0,\"result\":{}}" },
	{ 0,
	  "{\"result\":{\"k\":\"v\"},\"hostname\":\"h\",\"ipaddresses\":{\"access_v4\":\"1.1.1.1\"},"
	  "\"message\":\"made\",\"status\":7,\"x\":1}",
	  "{\"status\":0,\"result\":{\"k\":\"v\"},\"message\":\"made\","
	  "\"ipaddresses\":{\"access_v4\":\"1.1.1.1\"},\"hostname\":\"h\"}" },
	{ 0, "{",
	  "{\"status\":1,\"result\":{},\"message\":\"the plugin's result is not usable: *\"}" },
	{ TOO_LARGE, "{}",
	  "{\"status\":1,\"result\":{},\"message\":\"the plugin's result is not usable: *\"}" },
	{ 3, "",
	  "{\"status\":1,\"result\":{},\"message\":\"the plugin failed with exit code 3\"}" },
	{ 3, "{\"message\":\"disk full\",\"result\":{\"k\":1},\"hostname\":\"h\"}",
	  "{\"status\":1,\"result\":{\"k\":1},\"message\":\"disk full\"}" },
	{ 3, "{\"status\":201}",
	  "{\"status\":201,\"result\":{},\"message\":\"the plugin failed with exit code 3\"}" },
	{ 201, "garbage",
	  "{\"status\":1,\"result\":{},\"message\":\"the plugin failed with exit code 201\"}" },
	{ 100, "{\"message\":\"wrong password\"}",
	  "{\"status\":1,\"result\":{},\"message\":\"wrong password\",\"retry\":false}" },
	{ 100, "",
	  "{\"status\":1,\"result\":{},\"message\":\"the plugin gave up\",\"retry\":false}" },
	{ TIMED_OUT, "{\"message\":\"half way\"}",
	  "{\"status\":1,\"result\":{},\"message\":\"the plugin was stopped at its time limit of 5 s\"}" },
	{ -109, "",
	  "{\"status\":1,\"result\":{},\"message\":\"the plugin was killed by signal 9\"}" },
};

static struct run_end make_end(int i)
{
	struct run_end end = { .exit_code = ends[i].exit_code,
		               .result = ends[i].answer,
		               .result_len = strlen(ends[i].answer) };

	if (end.exit_code == TIMED_OUT)
		end.timed_out = true;
	if (end.exit_code < -100)
		end.signo = -end.exit_code - 100;
	if (end.exit_code == TOO_LARGE)
		end.result_too_large = true;
	if (end.exit_code < 0)
		end.exit_code = end.result_too_large ? 0 : -1;
	return end;
}

/* A "*" ends the comparison of the message, whose rest is the parser's. */
static void check_finish(const char *got, const char *want)
{
	LOOM_CLEANUP(json_free) struct json *a = NULL;
	LOOM_CLEANUP(json_free) struct json *b = NULL;

	ck_assert_int_eq(json_parse_str(got, &a, NULL), 0);
	ck_assert_int_eq(json_parse_str(want, &b, NULL), 0);
	const char *message = json_get_str(b, "message");
	if (message && str_ends(message, "*")) {
		size_t n = strlen(message) - 1;
		ck_assert_int_eq(strncmp(json_get_str(a, "message"), message, n), 0);
		json_del(a, "message");
		json_del(b, "message");
	}
	json_del(a, "stdout");
	json_del(a, "stderr");
	ck_assert_msg(json_equal(a, b), "got %s, want %s", got, want);
}

START_TEST(ends_become_finish_messages)
{
	LOOM_CLEANUP(outcome_fini) struct outcome o;
	LOOM_CLEANUP(json_free) struct json *finish = json_new_obj();
	struct run_end end = make_end(_i);

	outcome_init(&o, NULL);
	outcome_add(&o, &end, 5000);
	outcome_write(&o, finish);
	LOOM_CLEANUP_STR char *text = json_text(finish);
	check_finish(text, ends[_i].want);
}
END_TEST

static const struct {
	int stream;
	const char *output, *want;
} words[] = {
	{ RUN_STDERR, "trying\n\ngiving up\n\n", "exit code 3: giving up" },
	{ RUN_STDOUT, "no such package", "exit code 3: no such package" },
	{ RUN_STDERR, " \n\t\n", "exit code 3" },
	{ RUN_STDERR, "10%\r20%\rdisk full\r\n", "exit code 3: disk full" },
	{ RUN_STDERR, "cut \xc3\n", "exit code 3: cut \xef\xbf\xbd" },
};

START_TEST(a_failure_has_the_last_words)
{
	LOOM_CLEANUP(outcome_fini) struct outcome o;
	struct run_end end = { .exit_code = 3, .result = "" };

	outcome_init(&o, NULL);
	outcome_output(&o, RUN_STDOUT, "begun\n", words[_i].stream == RUN_STDERR ? 0 : 6);
	outcome_output(&o, words[_i].stream, words[_i].output, strlen(words[_i].output));
	outcome_add(&o, &end, 5000);
	ck_assert_msg(str_ends(o.message, words[_i].want), "%s", o.message);
}
END_TEST

START_TEST(what_is_too_long_is_cut_between_characters)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(8192);
	LOOM_CLEANUP(outcome_fini) struct outcome o;
	struct run_end end = { .exit_code = 3, .result = "" };

	for (int i = 0; i < 1000; i++)
		buf_adds(&b, "\xc3\xa9");
	buf_addc(&b, 'x');
	outcome_init(&o, NULL);
	outcome_output(&o, RUN_STDERR, buf_str(&b), b.len);
	outcome_add(&o, &end, 1000);
	ck_assert_ptr_null(strstr(o.message, "\xef\xbf\xbd"));
	ck_assert(str_ends(o.message, "\xa9x"));
	outcome_fail(&o, false, buf_str(&b) + 1); /* begins inside of one: that is seen */
	ck_assert_uint_eq(text_whole(o.message, strlen(o.message)), strlen(o.message));
	ck_assert(strlen(o.message) >= 1022 && strlen(o.message) <= 1024);
}
END_TEST

static void add(struct outcome *o, const char *answer)
{
	struct run_end end = { .result = answer, .result_len = strlen(answer) };

	outcome_add(o, &end, 1000);
}

/* Before it is cut, or the first part of a secret would be left. */
START_TEST(words_and_results_hold_no_secret)
{
	LOOM_CLEANUP(redact_destroy) struct redact *r = redact_create();
	LOOM_CLEANUP(outcome_fini) struct outcome o;
	LOOM_CLEANUP(json_free) struct json *finish = json_new_obj();
	char text[1200];
	redact_add(r, "hunter2-hunter2");
	redact_compile(r);
	snprintf(text, sizeof(text),
	         "{'message':'%01015d%s','status':2,'result':{'url':'a:%s@b',"
	         "'ssh-auth':{'password':'%s'}}}",
	         0, "hunter2-hunter2", "hunter2-hunter2", "hunter2-hunter2");
	LOOM_CLEANUP(json_free) struct json *answer = unit_json(text);
	LOOM_CLEANUP_STR char *said = json_text(answer);
	struct run_end end = { .exit_code = 1, .result = said, .result_len = strlen(said) };

	outcome_init(&o, r);
	outcome_add(&o, &end, 1000);
	outcome_write(&o, finish);
	ck_assert(str_ends(json_get_str(finish, "message"), "0********"));
	ck_assert_str_eq(json_get_str(json_get(finish, "result"), "url"), "a:********@b");
	ck_assert_str_eq(json_str(json_path(finish, "result/ssh-auth/password")),
	                 "hunter2-hunter2");
}
END_TEST

START_TEST(several_plugins_merge)
{
	LOOM_CLEANUP(outcome_fini) struct outcome o;
	LOOM_CLEANUP(json_free) struct json *finish = json_new_obj();

	outcome_init(&o, NULL);
	add(&o,
	    "{\"result\":{\"a\":1,\"b\":{\"x\":1}},\"ipaddresses\":{\"access_v4\":\"10.0.0.1\"}}");
	add(&o, "{}");
	add(&o,
	    "{\"result\":{\"b\":{\"y\":2},\"c\":3},\"ipaddresses\":{\"bind_v4\":\"10.0.0.2\"}}");
	outcome_write(&o, finish);
	LOOM_CLEANUP_STR char *text = json_text(finish);
	check_finish(text, "{\"status\":0,\"result\":{\"a\":1,\"b\":{\"y\":2},\"c\":3},"
	                   "\"ipaddresses\":{\"bind_v4\":\"10.0.0.2\"}}");
}
END_TEST

START_TEST(many_results_together_are_bounded)
{
	LOOM_CLEANUP(outcome_fini) struct outcome o;
	LOOM_CLEANUP_STR char *big = loom_malloc(200001);

	outcome_init(&o, NULL);
	memset(big, 'x', 200000);
	big[200000] = '\0';
	for (int i = 0; i < 3; i++) {
		LOOM_CLEANUP_STR char *answer =
			loom_asprintf("{\"result\":{\"k%d\":\"%s\"}}", i, big);
		ck_assert(!o.failed);
		add(&o, answer);
	}
	ck_assert(o.failed);
	ck_assert_ptr_null(o.result);
	ck_assert_ptr_nonnull(strstr(o.message, "longer than"));
}
END_TEST

START_TEST(keeps_the_tail_of_the_output)
{
	LOOM_CLEANUP(outcome_fini) struct outcome o;
	LOOM_CLEANUP(json_free) struct json *finish = json_new_obj();
	LOOM_CLEANUP_STR char *big = loom_malloc(10000);

	outcome_init(&o, NULL);
	memset(big, 'a', 10000);
	outcome_output(&o, RUN_STDOUT, big, 10000);
	outcome_output(&o, RUN_STDOUT, "the end", 7);
	for (int i = 0; i < 3000; i++)
		outcome_output(&o, RUN_STDERR, "\xC3\xA4", 2);
	outcome_output(&o, RUN_STDERR, "x", 1);
	outcome_fail(&o, true, "no");
	outcome_write(&o, finish);
	const char *out = json_get_str(finish, "stdout");
	ck_assert_uint_eq(strlen(out), RESULT_TAIL);
	ck_assert(str_ends(out, "aathe end"));
	/* The first character was cut in two: it is left out. */
	const char *err = json_get_str(finish, "stderr");
	ck_assert_uint_eq(strlen(err), RESULT_TAIL - 1);
	ck_assert(str_starts(err, "\xC3\xA4") && str_ends(err, "\xC3\xA4x"));
	ck_assert(!json_get_bool(finish, "retry", true));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("result");
	tcase_add_loop_test(tc, checks_answers, 0, (int)LOOM_COUNT(answers));
	tcase_add_test(tc, deep_nesting_is_refused);
	tcase_add_test(tc, the_servers_limits_hold_here);
	tcase_add_test(tc, a_bad_answer_keeps_the_name);
	tcase_add_loop_test(tc, a_failure_has_the_last_words, 0, (int)LOOM_COUNT(words));
	tcase_add_test(tc, what_is_too_long_is_cut_between_characters);
	tcase_add_loop_test(tc, ends_become_finish_messages, 0, (int)LOOM_COUNT(ends));
	tcase_add_test(tc, words_and_results_hold_no_secret);
	tcase_add_test(tc, several_plugins_merge);
	tcase_add_test(tc, many_results_together_are_bounded);
	tcase_add_test(tc, keeps_the_tail_of_the_output);
	return UNIT_RUN("provisioner_result", tc);
}
