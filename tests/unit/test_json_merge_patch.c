/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_merge_patch - the examples of RFC 7396, appendix A, and what they leave out. */
#include "common/json/merge_patch.h"

#include "tests/support/unit.h"

#include <stdio.h>

static const struct {
	const char *doc, *patch, *result;
} examples[] = {
	{ "{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}" },
	{ "{\"a\":\"b\"}", "{\"a\":null}", "{}" },
	{ "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}" },
	{ "{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}" },
	{ "{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}" },
	{ "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
	{ "{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}" },
	{ "[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]" },
	{ "{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]" },
	{ "{\"a\":\"foo\"}", "null", "null" },
	{ "{\"a\":\"foo\"}", "\"bar\"", "\"bar\"" },
	{ "{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}" },
	{ "[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
	{ "{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
	/* Texts with zeros keep their length, and a patch once more changes nothing. */
	{ "{\"a\":\"x\\u0000y\",\"b\":1}", "{\"b\":2}", "{\"a\":\"x\\u0000y\",\"b\":2}" },
};

START_TEST(is_merged)
{
	LOOM_CLEANUP(json_free) struct json *doc = NULL, *patch = NULL, *want = NULL;
	ck_assert_int_eq(json_parse_str(examples[_i].doc, &doc, NULL), 0);
	ck_assert_int_eq(json_parse_str(examples[_i].patch, &patch, NULL), 0);
	ck_assert_int_eq(json_parse_str(examples[_i].result, &want, NULL), 0);
	LOOM_CLEANUP(json_free) struct json *once = json_merge_patch(doc, patch);
	LOOM_CLEANUP(json_free) struct json *twice = json_merge_patch(once, patch);
	LOOM_CLEANUP_STR char *text = json_text(once);
	ck_assert_msg(json_equal(once, want), "%s", text);
	ck_assert(json_equal(twice, want));
}
END_TEST

START_TEST(of_nothing)
{
	LOOM_CLEANUP(json_free) struct json *patch = NULL;
	ck_assert_int_eq(json_parse_str("{\"a\":1,\"b\":null}", &patch, NULL), 0);
	LOOM_CLEANUP(json_free) struct json *made = json_merge_patch(NULL, patch);
	ck_assert_int_eq((int)json_len(made), 1);
}
END_TEST

/* As many members as a request may have; searching for each would take minutes. */
START_TEST(of_many)
{
	enum { MANY = JSON_MAX_VALUES };
	LOOM_CLEANUP(json_free) struct json *doc = json_new_obj(), *patch = json_new_obj();
	for (int i = 0; i < MANY; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "k%d", i);
		json_set_int(doc, key, i);
		json_set(patch, key, i % 2 ? json_new_null() : json_new_int(-i));
	}
	LOOM_CLEANUP(json_free) struct json *made = json_merge_patch(doc, patch);
	ck_assert_int_eq((int)json_len(made), MANY / 2);
	ck_assert_str_eq(json_key_at(made, 1), "k2");
	ck_assert_int_eq((int)json_get_int(made, "k2", 0), -2);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("merge_patch");
	tcase_add_loop_test(t, is_merged, 0, (int)LOOM_COUNT(examples));
	tcase_add_test(t, of_nothing);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, of_many);
	return UNIT_RUN("json_merge_patch", t);
}
