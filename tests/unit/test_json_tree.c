/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values: read, compared, built and written. */
#include "tests/unit/json_case.h"

static const struct {
	const char *in;
	int64_t is_int, n;
	int64_t is_bool; /* -1: not one */
	const char *str;
} scalars[] = {
	{ "5", true, 5, -1, "5" },
	{ "\"10\"", true, 10, -1, "10" },
	{ "\"-3\"", true, -3, -1, "-3" },
	{ "5.0", true, 5, -1, "5.0" },
	{ "1e3", true, 1000, -1, "1e3" },
	{ "5.5", false, 0, -1, "5.5" },
	{ "1e300", false, 0, -1, "1e300" },
	{ "1e999", false, 0, -1, "1e999" },
	{ "9223372036854775807", true, INT64_MAX, -1, "9223372036854775807" },
	{ "-9223372036854775808", true, INT64_MIN, -1, "-9223372036854775808" },
	{ "9223372036854775808", false, 0, -1, "9223372036854775808" },
	{ "\"5.0\"", false, 0, -1, "5.0" },
	{ "\"\"", false, 0, -1, "" },
	{ "\"5\\u0000\"", false, 0, -1, "5" },
	{ "true", false, 0, 1, "true" },
	{ "false", false, 0, 0, "false" },
	{ "\"true\"", false, 0, 1, "true" },
	{ "\"false\"", false, 0, 0, "false" },
	{ "\"True\"", false, 0, -1, "True" },
	{ "1", true, 1, -1, "1" },
	{ "null", false, 0, -1, NULL },
	{ "[]", false, 0, -1, NULL },
	{ "{}", false, 0, -1, NULL },
};

START_TEST(reads_scalars_leniently)
{
	LOOM_CLEANUP(json_free) struct json *v = parse(scalars[_i].in);
	int64_t n = 4711;
	bool b = true;

	ck_assert_int_eq(json_int(v, &n), scalars[_i].is_int);
	ck_assert_int_eq(n, scalars[_i].is_int ? scalars[_i].n : 4711);
	ck_assert_int_eq(json_bool(v, &b), scalars[_i].is_bool >= 0);
	ck_assert_int_eq(b, scalars[_i].is_bool != 0);
	ck_assert(str_eq(json_str(v), scalars[_i].str));
}
END_TEST

START_TEST(reads_members)
{
	LOOM_CLEANUP(json_free)
	struct json *v =
		parse("{\"s\":\"x\",\"n\":7,\"q\":\"8\",\"t\":true,\"f\":\"false\",\"z\":null,"
	              "\"a\":[\"p\",1,{\"b\":[0,5]}],\"nul\":\"a\\u0000b\"}");

	ck_assert_str_eq(json_get_str(v, "s"), "x");
	ck_assert_str_eq(json_get_str(v, "n"), "7");
	ck_assert_ptr_null(json_get_str(v, "z"));
	ck_assert_ptr_null(json_get_str(v, "none"));
	ck_assert_ptr_null(json_get_str(v, "a"));
	ck_assert_int_eq(json_get_int(v, "q", 0), 8);
	ck_assert_int_eq(json_get_int(v, "s", -1), -1);
	ck_assert_int_eq(json_get_int(v, "z", -1), -1);
	ck_assert(json_get_bool(v, "t", false) && !json_get_bool(v, "f", true));
	ck_assert(json_get_bool(v, "none", true) && json_get_bool(v, "n", true));
	ck_assert_uint_eq(json_str_len(json_get(v, "nul")), 3);
	ck_assert_uint_eq(json_str_len(json_get(v, "t")), 4);
	ck_assert_uint_eq(json_len(json_get(v, "a")), 3);
	ck_assert_uint_eq(json_len(json_get(v, "s")), 0);
	ck_assert(json_is(json_get(v, "z"), JSON_NULL) && json_is(json_get(v, "none"), JSON_NULL));
	ck_assert(json_arr_has_str(json_get(v, "a"), "p"));
	ck_assert(json_arr_has_str(json_get(v, "a"), "1"));
	ck_assert(!json_arr_has_str(json_get(v, "a"), "q") && !json_arr_has_str(v, "p"));
	ck_assert(!json_arr_has_str(json_get(v, "a"), NULL));
	ck_assert_str_eq(json_key_at(v, 1), "n");
	ck_assert_str_eq(json_str(json_value_at(v, 1)), "7");
	ck_assert_ptr_null(json_key_at(v, 8));
	ck_assert_ptr_null(json_value_at(json_get(v, "a"), 0));
	ck_assert_ptr_null(json_at(v, 0));
	ck_assert_ptr_null(json_at(json_get(v, "a"), 3));
	ck_assert_str_eq(json_type_name(json_type(json_get(v, "a"))), "array");
}
END_TEST

static const struct {
	const char *path, *want;
} paths[] = {
	{ "a", "{\"b\":[{\"c\":1},[2,3]],\"0\":4}" },
	{ "a/b/0/c", "1" },
	{ "a/b/1/1", "3" },
	{ "a/0", "4" }, /* a number as a member name */
	{ "", "5" },    /* the empty member name */
	{ "a/", NULL },
	{ "/a", NULL },
	{ "a/b/2", NULL },
	{ "a/b/-1", NULL },
	{ "a/b/x", NULL },
	{ "a/b/0/c/d", NULL },
	{ "none/b", NULL },
};

START_TEST(tells_what_is_deeper)
{
	LOOM_CLEANUP(json_free) struct json *v = parse(nested[_i].text);
	for (int levels = 0; levels < 6; levels++)
		ck_assert_int_eq(json_deeper(v, levels), nested[_i].levels > levels);
}
END_TEST

START_TEST(follows_paths)
{
	LOOM_CLEANUP(json_free)
	struct json *v = parse("{\"a\":{\"b\":[{\"c\":1},[2,3]],\"0\":4},\"\":5}");
	const struct json *at = json_path(v, paths[_i].path);
	LOOM_CLEANUP_STR char *text = at ? json_text(at) : NULL;

	ck_assert(str_eq(text, paths[_i].want));
	ck_assert_ptr_null(json_path(NULL, paths[_i].path));
}
END_TEST

static const struct {
	const char *a, *b;
	bool want;
} pairs[] = {
	{ "{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true },
	{ "{\"a\":1}", "{\"a\":1,\"b\":null}", false },
	{ "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false },
	{ "{\"a\":null}", "{\"b\":null}", false },
	{ "[1,2]", "[2,1]", false },
	{ "[1]", "[1,2]", false },
	{ "5", "5.0", true },
	{ "100", "1e2", true },
	{ "5", "\"5\"", false },
	{ "9007199254740993", "9007199254740992", false },
	{ "\"a\\u0000b\"", "\"a\\u0000c\"", false },
	{ "true", "false", false },
	{ "null", "null", true },
	{ "[]", "{}", false },
};

START_TEST(compares)
{
	LOOM_CLEANUP(json_free) struct json *a = parse(pairs[_i].a);
	LOOM_CLEANUP(json_free) struct json *b = parse(pairs[_i].b);

	ck_assert_int_eq(json_equal(a, b), pairs[_i].want);
	ck_assert_int_eq(json_equal(b, a), pairs[_i].want);
}
END_TEST

START_TEST(builds)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	struct json *arr = json_new_arr();
	char *text;

	json_push(json_push(json_push(arr, json_new_int(INT64_MIN)), json_new_null()), NULL);
	json_push(arr, json_new_number("-1.50e+3"));
	json_set_str(v, "s", "x");
	json_set_str(v, "absent", NULL);
	json_set_int(v, "n", 1);
	json_set_bool(v, "b", true);
	json_set(v, "a", arr);
	json_set(v, "none", NULL);
	json_set_int(v, "n", 2); /* replaced in its place */
	json_set(v, "n", json_get(v, "n"));
	json_set(v, "raw", json_new_strn("a\0b", 3));
	json_del(v, "s");
	json_del(v, "s");
	json_del(v, json_key_at(v, 1));
	text = json_text(v);
	ck_assert_str_eq(text, "{\"n\":2,\"a\":[-9223372036854775808,null,-1.50e+3],"
	                       "\"raw\":\"a\\u0000b\"}");
	loom_free(text);
	ck_assert_ptr_null(json_copy(NULL));
	ck_assert_ptr_null(json_new_str(NULL));
	json_free(NULL);
}
END_TEST

/* Setting, replacing and deleting on both sides of where the index begins. */
START_TEST(builds_large_objects)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	LOOM_CLEANUP(json_free) struct json *copy = NULL;
	char key[16];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		json_set_int(v, key, i);
	}
	for (int i = 0; i < 100; i += 2) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		json_del(v, key);
		(void)snprintf(key, sizeof(key), "k%d", i + 1);
		json_set_int(v, key, -i);
	}
	copy = json_copy(v);
	ck_assert_uint_eq(json_len(copy), 50);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		ck_assert_int_eq(json_get_int(v, key, 1), i % 2 ? 1 - i : 1);
		ck_assert_int_eq(json_get_int(copy, key, 1), i % 2 ? 1 - i : 1);
	}
	ck_assert(json_equal(v, copy));
}
END_TEST

static const struct {
	const char *in;
	size_t n;
	const char *out;
} written[] = {
	{ "a\xff"
	  "b",
	  3,
	  "\"a\xef\xbf\xbd"
	  "b\"" },
	{ "\xc3", 1, "\"\xef\xbf\xbd\"" },
	{ "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ "\x00\x1f\x20", 3, "\"\\u0000\\u001f \"" },
	{ "</script>&'=", 12, "\"</script>&'=\"" },
	{ "", 0, "\"\"" },
};

START_TEST(writes_clean_strings)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(100);
	LOOM_CLEANUP(json_free) struct json *back = NULL;

	json_write_str(written[_i].in, written[_i].n, &b);
	ck_assert_str_eq(b.data, written[_i].out);
	back = parse(b.data);
	ck_assert(json_is(back, JSON_STRING));
}
END_TEST

START_TEST(emits_members)
{
	struct buf b = BUF_INIT(1000), small = BUF_INIT(9);
	struct json *list = parse("[1,\"x\"]");

	buf_addc(&b, '{');
	json_emit_str(&b, "absent", NULL);
	json_emit_str(&b, "a \"key\"", "line\nbreak \xff { ");
	json_emit_text(&b, "inner", "{");
	json_emit_int(&b, "least", INT64_MIN);
	buf_addc(&b, '}');
	json_emit_value(&b, "absent", NULL);
	json_emit_value(&b, "list", list);
	json_emit_text(&b, "absent", NULL);
	json_emit_str(&b, "empty", "");
	buf_addc(&b, '}');
	ck_assert_str_eq(buf_str(&b),
	                 "{\"a \\\"key\\\"\":\"line\\nbreak \xef\xbf\xbd { \","
	                 "\"inner\":{\"least\":-9223372036854775808},\"list\":[1,\"x\"],"
	                 "\"empty\":\"\"}");
	json_free(parse(buf_str(&b)));
	buf_addc(&small, '{');
	json_emit_str(&small, "name", "too long");
	json_emit_int(&small, "n", 1);
	ck_assert(small.full);
	json_free(list);
	buf_fini(&b);
	buf_fini(&small);
}
END_TEST

START_TEST(writing_minds_the_maximum)
{
	LOOM_CLEANUP(json_free) struct json *v = parse("[1,2,3,4,5]");
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(5);

	json_write(v, &b);
	ck_assert(b.full && b.len <= 5);
	buf_reset(&b);
	json_write(NULL, &b);
	ck_assert_str_eq(b.data, "null");
}
END_TEST

static TCase *cases(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, reads_scalars_leniently, 0, LOOM_COUNT(scalars));
	tcase_add_test(tc, reads_members);
	tcase_add_loop_test(tc, tells_what_is_deeper, 0, LOOM_COUNT(nested));
	tcase_add_loop_test(tc, follows_paths, 0, LOOM_COUNT(paths));
	tcase_add_loop_test(tc, compares, 0, LOOM_COUNT(pairs));
	tcase_add_test(tc, builds);
	tcase_add_test(tc, builds_large_objects);
	tcase_add_loop_test(tc, writes_clean_strings, 0, LOOM_COUNT(written));
	tcase_add_test(tc, writing_minds_the_maximum);
	tcase_add_test(tc, emits_members);
	return tc;
}

int main(void)
{
	return UNIT_RUN("json_tree", cases());
}
