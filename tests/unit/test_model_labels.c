/* SPDX-License-Identifier: Apache-2.0 */
/* What may be a label, and what a change makes of a cluster's labels. */
#include "common/base/str.h"
#include "common/model/cluster/labels.h"
#include "tests/support/unit.h"

#include <string.h>

#define A63 "a23456789012345678901234567890123456789012345678901234567890123"

static const struct {
	const char *labels;
	const char *wrong; /* part of the message; NULL: it is fine */
} checks[] = {
	{ "null", NULL },
	{ "{}", NULL },
	{ "{'env':'test'}", NULL },
	{ "{'env':''}", NULL },
	{ "{'a':'b','A.b-c_9':'9'}", NULL },
	{ "{'example.com/team':'x'}", NULL },
	{ "{'a.b-c.d/team':'x'}", NULL },
	{ "{'" A63 "':'" A63 "'}", NULL },
	{ "{'" A63 "4':'x'}", "key 'a234" },
	{ "{'x':'" A63 "4'}", "value of 'x'" },
	{ "'env=test'", "labels must be an object" },
	{ "['env']", "labels must be an object" },
	{ "{'':'x'}", "key ''" },
	{ "{'-env':'x'}", "key '-env'" },
	{ "{'env.':'x'}", "key 'env.'" },
	{ "{'two words':'x'}", "key 'two words'" },
	{ "{'ok':'x','a\\u00fc':'x'}", "key 'a" },
	{ "{'/x':'x'}", "key '/x'" },
	{ "{'a/':'x'}", "key 'a/'" },
	{ "{'a/b/c':'x'}", "key 'a/b/c'" },
	{ "{'Example.com/x':'x'}", "key 'Example.com/x'" },
	{ "{'a..b/x':'x'}", "key 'a..b/x'" },
	{ "{'env':1}", "value of 'env' must be a string" },
	{ "{'env':null}", "value of 'env' must be a string" },
	{ "{'env':{}}", "value of 'env' must be a string" },
	{ "{'env':'a b'}", "value of 'env'" },
	{ "{'env':'a\\u0000b'}", "value of 'env'" },
	{ "{'env':'_'}", "value of 'env'" },
};

START_TEST(rules)
{
	LOOM_CLEANUP(json_free) struct json *labels = unit_json(checks[_i].labels);
	struct loom_err err = { 0 };
	int rc = labels_check(labels, &err);
	ck_assert_msg(rc == (checks[_i].wrong ? 400 : 0), "%s: %s", checks[_i].labels, err.msg);
	if (rc)
		ck_assert_msg(strstr(err.msg, checks[_i].wrong) != NULL, "%s: %s",
		              checks[_i].labels, err.msg);
}
END_TEST

static struct json *many(int n)
{
	struct json *o = json_new_obj();
	for (int i = 0; i < n; i++) {
		LOOM_CLEANUP_STR char *key = loom_asprintf("k%d", i);
		json_set_str(o, key, "v");
	}
	return o;
}

START_TEST(so_many_and_no_more)
{
	struct loom_err err;
	LOOM_CLEANUP(json_free) struct json *most = many(LABELS_MAX);
	LOOM_CLEANUP(json_free) struct json *over = many(LABELS_MAX + 1);
	LOOM_CLEANUP(json_free) struct json *swap = unit_json("{'k0':null,'other':'x'}");
	LOOM_CLEANUP(json_free) struct json *one = unit_json("{'other':'x'}");
	LOOM_CLEANUP(json_free) struct json *out = NULL;
	ck_assert_int_eq(labels_check(most, &err), 0);
	ck_assert_int_eq(labels_check(over, &err), 400);
	ck_assert_int_eq(labels_merge(most, one, &out, &err), 400);
	ck_assert_ptr_null(out);
	ck_assert_int_eq(labels_merge(most, swap, &out, &err), 0);
	ck_assert_uint_eq(json_len(out), LABELS_MAX);
}
END_TEST

static const struct {
	const char *labels, *change, *after; /* NULL: refused */
} merges[] = {
	{ "{}", "{'a':'1'}", "{'a':'1'}" },
	{ "null", "{'a':'1'}", "{'a':'1'}" },
	{ "{'a':'1','b':'2'}", "{'b':'3','c':''}", "{'a':'1','b':'3','c':''}" },
	{ "{'a':'1','b':'2'}", "{'b':null,'c':null}", "{'a':'1'}" },
	{ "{'a':'1'}", "{}", "{'a':'1'}" },
	{ "{'a':'1'}", "{'b':2}", NULL },
	{ "{'a':'1'}", "{'not a key':null}", NULL },
	{ "{'a':'1'}", "[]", NULL },
};

START_TEST(merging)
{
	LOOM_CLEANUP(json_free) struct json *labels = unit_json(merges[_i].labels);
	LOOM_CLEANUP(json_free) struct json *change = unit_json(merges[_i].change);
	LOOM_CLEANUP(json_free)
	struct json *want = merges[_i].after ? unit_json(merges[_i].after) : NULL;
	LOOM_CLEANUP(json_free) struct json *out = NULL;
	struct loom_err err;
	int rc = labels_merge(json_is(labels, JSON_NULL) ? NULL : labels, change, &out, &err);
	ck_assert_int_eq(rc, want ? 0 : 400);
	ck_assert(!want || json_equal(out, want));
}
END_TEST

START_TEST(key_and_value_in_one_text)
{
	struct loom_err err;
	LOOM_CLEANUP(json_free) struct json *o = json_new_obj();
	ck_assert_int_eq(labels_add(o, "env=test", &err), 0);
	ck_assert_int_eq(labels_add(o, "empty=", &err), 0);
	ck_assert_int_eq(labels_add(o, "env", &err), 400);
	ck_assert_int_eq(labels_add(o, "=x", &err), 400);
	ck_assert_int_eq(labels_add(o, "a=b=c", &err), 400);
	ck_assert_int_eq(labels_add(o, "env=test", &err), 0);
	ck_assert_int_eq(labels_add(o, "env=live", &err), 400);
	ck_assert_str_eq(json_get_str(o, "env"), "test");
	ck_assert_str_eq(json_get_str(o, "empty"), "");
	ck_assert_uint_eq(json_len(o), 2);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");
	tcase_add_loop_test(t, rules, 0, LOOM_COUNT(checks));
	tcase_add_test(t, so_many_and_no_more);
	tcase_add_loop_test(t, merging, 0, LOOM_COUNT(merges));
	tcase_add_test(t, key_and_value_in_one_text);
	return UNIT_RUN("labels", t);
}
