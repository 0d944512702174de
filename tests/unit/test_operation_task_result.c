/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a result that is too long, and what stands for one that cannot be stored. */
#include "common/operation/task_result.h"

#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

static struct json *parsed(const char *text)
{
	struct json *v = NULL;
	ck_assert_int_eq(json_parse_str(text, &v, NULL), 0);
	return v;
}

/* A text of n times `unit`, then `end`. */
static char *many(const char *unit, size_t n, const char *end)
{
	struct buf b = BUF_INIT(1 << 20);
	for (size_t i = 0; i < n; i++)
		buf_adds(&b, unit);
	buf_adds(&b, end);
	return buf_take(&b);
}

static const struct {
	const char *unit;
	size_t n;
	const char *end;
	size_t left;
} outputs[] = {
	{ "x", 10, "end", 13 },
	{ "x", TASK_RESULT_TAIL, "", TASK_RESULT_TAIL },
	{ "x", TASK_RESULT_TAIL, "end", TASK_RESULT_TAIL },
	/* characters stay whole */
	{ "\xc3\xa9", TASK_RESULT_TAIL, "", TASK_RESULT_TAIL },
	{ "\xc3\xa9", TASK_RESULT_TAIL, "x", TASK_RESULT_TAIL - 1 },
	{ "\xe2\x82\xac", TASK_RESULT_TAIL, "", TASK_RESULT_TAIL - 1 },
	{ "\xf0\x9f\x98\x80", TASK_RESULT_TAIL, "xyz", TASK_RESULT_TAIL - 1 },
};

START_TEST(the_end_of_an_output_is_left)
{
	static const char *const names[] = { "stdout", "stderr", "message" };
	LOOM_CLEANUP_STR char *text = many(outputs[_i].unit, outputs[_i].n, outputs[_i].end);
	LOOM_CLEANUP(json_free) struct json *v = parsed("{\"status\": 1, \"other\": \"x\"}");
	for (size_t i = 0; i < LOOM_COUNT(names); i++)
		json_set_str(v, names[i], text);
	task_result_cut(v);
	for (size_t i = 0; i < LOOM_COUNT(names); i++) {
		const char *left = json_get_str(v, names[i]);
		ck_assert_uint_eq(strlen(left), outputs[_i].left);
		ck_assert_str_eq(left, text + strlen(text) - strlen(left));
	}
	ck_assert_str_eq(json_get_str(v, "other"), "x");
}
END_TEST

START_TEST(what_is_no_output_is_left_alone)
{
	LOOM_CLEANUP(json_free)
	struct json *v = parsed("{\"stdout\": [1], \"stderr\": null, \"message\": 7}"),
		    *before = json_copy(v), *list = parsed("[1]");
	task_result_cut(v);
	ck_assert(json_equal(v, before));
	task_result_cut(list);
}
END_TEST

static const struct {
	const char *before, *after;
} addresses[] = {
	{ "{\"a\": null, \"b\": \"10.0.0.1\", \"c\": null}", "{\"b\": \"10.0.0.1\"}" },
	{ "{\"a\": null}", "{}" },
	{ "[null]", "[null]" },
	{ "7", "7" },
};

START_TEST(an_address_that_is_null_is_none)
{
	LOOM_CLEANUP(json_free) struct json *after = parsed(addresses[_i].after);
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	json_set(v, "ipaddresses", parsed(addresses[_i].before));
	task_result_tidy(v);
	ck_assert(json_equal(json_get(v, "ipaddresses"), after));
}
END_TEST

START_TEST(too_many_addresses_are_refused_whatever_they_are)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	struct json *all = json_new_obj();
	for (int i = 0; i <= TASK_RESULT_NULLS; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "a%d", i);
		json_set(all, name, json_new_null());
	}
	json_set(v, "ipaddresses", all);
	task_result_tidy(v);
	ck_assert_uint_eq(json_len(all), TASK_RESULT_NULLS + 1);
	ck_assert_int_ne(task_result_check(v, NULL), 0);
}
END_TEST

static const struct {
	const char *finish, *failure;
} failures[] = {
	{ "{}", "{\"status\": 1, \"message\": \"why\"}" },
	{ "[1]", "{\"status\": 1, \"message\": \"why\"}" },
	{ "{\"taskId\": \"t\", \"workerId\": \"w\", \"provisionerId\": \"p\", \"tenantId\": \"a\","
	  " \"status\": 0, \"stdout\": \"x\", \"hostname\": \"web 1\", \"next\": 3,"
	  " \"result\": {\"providerid\": \"i-1\", \"more\": 5}}",
	  "{\"taskId\": \"t\", \"workerId\": \"w\", \"provisionerId\": \"p\", \"tenantId\": \"a\","
	  " \"status\": 1, \"message\": \"why\", \"result\": {\"providerid\": \"i-1\"}}" },
	{ "{\"attempt\": 2, \"claim\": \"c\", \"result\": {\"providerid\": 17}}",
	  "{\"attempt\": 2, \"claim\": \"c\", \"status\": 1, \"message\": \"why\","
	  " \"result\": {\"providerid\": 17}}" },
	{ "{\"result\": {\"providerid\": {\"a\": 1}}}", "{\"status\": 1, \"message\": \"why\"}" },
	{ "{\"result\": [\"providerid\"]}", "{\"status\": 1, \"message\": \"why\"}" },
};

START_TEST(a_failure_stands_for_it)
{
	LOOM_CLEANUP(json_free) struct json *finish = parsed(failures[_i].finish);
	LOOM_CLEANUP(json_free) struct json *wanted = parsed(failures[_i].failure);
	LOOM_CLEANUP(json_free) struct json *failure = task_result_failure(finish, "why");
	LOOM_CLEANUP_STR char *text = json_text(failure);
	ck_assert_msg(json_equal(failure, wanted), "%s", text);
	ck_assert_int_eq(task_result_check(failure, NULL), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("task_result");
	tcase_add_loop_test(t, the_end_of_an_output_is_left, 0, LOOM_COUNT(outputs));
	tcase_add_test(t, what_is_no_output_is_left_alone);
	tcase_add_loop_test(t, an_address_that_is_null_is_none, 0, LOOM_COUNT(addresses));
	tcase_add_test(t, too_many_addresses_are_refused_whatever_they_are);
	tcase_add_loop_test(t, a_failure_stands_for_it, 0, LOOM_COUNT(failures));
	return UNIT_RUN("operation_task_result", t);
}
