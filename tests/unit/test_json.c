/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json *parse(const char *text)
{
	struct loom_err err = { 0 };
	struct json *v = NULL;

	ck_assert_msg(json_parse_str(text, &v, &err) == 0, "%s: %s", text, err.msg);
	return v;
}

static const struct {
	const char *in, *out; /* out NULL: as in */
} good[] = {
	{ "null", NULL },
	{ "true", NULL },
	{ " false ", "false" },
	{ "0", NULL },
	{ "-0", NULL },
	{ "5.0", NULL },
	{ "1e5", NULL },
	{ "-12.50E+07", NULL },
	{ "123456789012345678901234567890", NULL },
	{ "\"\"", NULL },
	{ "[]", NULL },
	{ "{}", NULL },
	{ "\t[ 1 ,\r\n\"a\" , null ] ", "[1,\"a\",null]" },
	{ "{\"z\":1,\"a\":{\"m\":[{},[]]},\"\":null}", NULL },
	{ "\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"", "\"/\\b\\f\\n\\r\\t\\\"\\\\\"" },
	{ "\"\\u0041\\u00e9\\u20ac\"", "\"A\xc3\xa9\xe2\x82\xac\"" },
	{ "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" },
	{ "\"\\uD800\\uDC00\\udbff\\udfff\"", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"" },
	{ "\"\\\\ud800\"", NULL }, /* an escaped backslash, not a surrogate */
	{ "\"a\\u0000b\\u001f\"", NULL },
	{ "\"\x7f\xc2\x80\xef\xbf\xbf\"", NULL },
	{ "{\"a\":1,\"A\":2,\"a \":3}", NULL }, /* keys differ in case and space */
	{ "[{\"a\":1},{\"a\":1}]", NULL },
	{ "{\"a\":{\"a\":{\"a\":0}}}", NULL },
	{ "{\"\\u0061\\\"\":1}", "{\"a\\\"\":1}" },
};

START_TEST(accepts)
{
	LOOM_CLEANUP(json_free) struct json *v = parse(good[_i].in);
	LOOM_CLEANUP_STR char *text = json_text(v);
	LOOM_CLEANUP(json_free) struct json *again = parse(text);
	LOOM_CLEANUP(json_free) struct json *copy = json_copy(v);

	ck_assert_str_eq(text, good[_i].out ? good[_i].out : good[_i].in);
	ck_assert(json_equal(v, again) && json_equal(v, copy));
}
END_TEST

static const struct {
	const char *in, *error;
} bad[] = {
	{ "", "line 1, column 1: the text ends too early" },
	{ " \n ", "line 2, column 2: the text ends too early" },
	{ "{\"a\":[1", "line 1, column 8: the text ends too early" },
	{ "\"abc", "line 1, column 5: the text ends too early" },
	{ "tru", "line 1, column 3: an illegal word" },
	{ "{\n    \"name\": 1,\n    \"name\": 2\n}", "line 3, column 5: duplicate key \"name\"" },
	{ "{\n    \"x\": {\"name\": 1, \"name\": {}}}",
	  "line 2, column 22: duplicate key \"name\"" },
	{ "{\"\xc3\xa9\":1,\"\\u00e9\":2}", "line 1, column 8: duplicate key \"\xc3\xa9\"" },
	{ "{\"a\\\\\":1,\"a\\\\\":2}", "line 1, column 10: duplicate key \"a\\\"" },
	{ "[1,]", "line 1, column 4: a value was expected here" },
	{ "[,1]", "line 1, column 2: a value was expected here" },
	{ "{\"a\":}", "line 1, column 6: a value was expected here" },
	{ "}", "line 1, column 1: a value was expected here" },
	{ "[1 2]", "line 1, column 4: ',' or ']' was expected" },
	{ "[\"a\" \"b c\"]", "line 1, column 6: ',' or ']' was expected" },
	{ "{\"a\":1\n \"b\":2}", "line 2, column 2: ',' or '}' was expected" },
	{ "{\"a\":1,}", "line 1, column 8: a member name in double quotes was expected" },
	{ "{1:2}", "line 1, column 2: a member name in double quotes was expected" },
	{ "{a:1}", "line 1, column 2: an illegal character" },
	{ "{'a':1}", "line 1, column 2: an illegal character" },
	{ "{\"a\" true}", "line 1, column 6: ':' was expected after the member name" },
	{ "{\"a\"=1}", "line 1, column 5: an illegal character" },
	{ "1 2", "line 1, column 3: data after the JSON value" },
	{ "{}\n\n{}", "line 3, column 1: data after the JSON value" },
	{ "8\"", "line 1, column 2: data after the JSON value" },
	{ "{}\n\"abc", "line 2, column 1: data after the JSON value" },
	{ "[] tru", "line 1, column 4: data after the JSON value" },
	{ "[] -", "line 1, column 4: data after the JSON value" },
	{ "{}}", "line 1, column 3: data after the JSON value" },
	{ "-", "line 1, column 1: a malformed number" },
	{ "[1.]", "line 1, column 3: a malformed number" },
	{ "[1.5e]", "line 1, column 5: a malformed number" },
	{ "NaN", "line 1, column 1: an illegal character" },
	{ "Infinity", "line 1, column 1: an illegal character" },
	{ "[+1]", "line 1, column 2: an illegal character" },
	{ "/* x */ 1", "line 1, column 1: comments are not allowed" },
	{ "\"\\x\"", "line 1, column 2: an illegal escape in a string" },
	{ "\"\\u12g4\"", "line 1, column 5: \\u needs four hexadecimal digits" },
	{ "\"a\nb\"", "line 1, column 2: a control character in a string" },
	{ "\"\\ud800\"", "line 1, column 2: a surrogate without its other half" },
	{ "\"ab\\udc00\"", "line 1, column 4: a surrogate without its other half" },
	{ "\"\\ud800x\"", "line 1, column 2: a surrogate without its other half" },
	{ "\"\\ud800\\n\"", "line 1, column 2: a surrogate without its other half" },
	{ "\"\\ud800\\u0041\"", "line 1, column 2: a surrogate without its other half" },
	{ "\"\\ud800\\ud800\\udc00\"", "line 1, column 2: a surrogate without its other half" },
	{ "{\"\\udfff\":1}", "line 1, column 3: a surrogate without its other half" },
	{ "{\"a\\u0000\":1}", "line 1, column 4: a NUL character in a member name" },
	{ "\"a\xff\"", "line 1, column 3: byte 0xff is not UTF-8" },
	{ "\"\xc3\xa9\xc3\"", "line 1, column 3: byte 0xc3 is not UTF-8" },
	{ "\"\xc0\x80\"", "line 1, column 2: byte 0xc0 is not UTF-8" },
	{ "\"\xed\xa0\x80\"", "line 1, column 2: byte 0xed is not UTF-8" },
	{ "\"\xf4\x90\x80\x80\"", "line 1, column 2: byte 0xf4 is not UTF-8" },
	{ "\xef\xbb\xbf{}", "line 1, column 1: an illegal character" },
};

START_TEST(refuses)
{
	struct loom_err err = { 0 };
	struct json *v = NULL;

	ck_assert_int_eq(json_parse_str(bad[_i].in, &v, &err), 400);
	ck_assert_str_eq(err.msg, bad[_i].error);
	ck_assert_int_eq(err.status, 400);
	ck_assert_ptr_null(v);
	ck_assert_int_eq(json_parse_str(bad[_i].in, &v, NULL), 400);
}
END_TEST

START_TEST(refuses_every_cut)
{
	static const char text[] =
		"{\"a\":[1.5e3,true,null,\"x\\ud83d\\ude00\\n\"],\"b\":{\"c\":\"\"}}";
	struct json *v = NULL;

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *copy = loom_malloc(n); /* exact, so that ASan sees one past */

		memcpy(copy, text, n);
		ck_assert_int_eq(json_parse(copy, n, 0, &v, NULL), 400);
		loom_free(copy);
	}
	ck_assert_int_eq(json_parse(text, sizeof(text), 0, &v, NULL), 400); /* with its NUL */
	ck_assert_int_eq(json_parse(text, sizeof(text) - 1, 0, &v, NULL), 0);
	json_free(v);
}
END_TEST

/* "[0,0,...]" of n values; what a stranger sends has a limit, what we wrote ourselves has none. */
static int parse_many(size_t n, bool few, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	LOOM_CLEANUP_STR char *text = loom_malloc(2 * n);
	for (size_t i = 1; i < n; i++) {
		text[2 * i - 1] = '0';
		text[2 * i] = ',';
	}
	text[0] = '[';
	text[2 * (n - 1)] = ']';
	return few ? json_parse_few(text, 2 * n - 1, 0, &v, err)
	           : json_parse(text, 2 * n - 1, 0, &v, err);
}

START_TEST(number_of_values)
{
	struct loom_err err = { 0 };
	ck_assert_int_eq(parse_many(JSON_MAX_VALUES, true, &err), 0);
	ck_assert_int_eq(parse_many(JSON_MAX_VALUES + 1, true, &err), 400);
	ck_assert_msg(strstr(err.msg, "more than 100000 values") != NULL, "%s", err.msg);
	ck_assert_int_eq(parse_many(JSON_MAX_VALUES + 1, false, &err), 0);
}
END_TEST

static int parse_nested(unsigned depth, char open, char close, struct loom_err *err)
{
	char *text = loom_malloc(depth * 6 + 2), *p = text;
	struct json *v = NULL;
	int r;

	for (unsigned i = 0; i < depth; i++)
		p += open == '[' ? sprintf(p, "[") : sprintf(p, "{\"a\":");
	if (open == '{')
		*p++ = '1';
	for (unsigned i = 0; i < depth; i++)
		*p++ = close;
	*p = '\0';
	r = json_parse(text, (size_t)(p - text), 0, &v, err);
	json_free(v);
	loom_free(text);
	return r;
}

START_TEST(caps_depth)
{
	struct loom_err err = { 0 };

	ck_assert_int_eq(parse_nested(64, '[', ']', &err), 0);
	ck_assert_int_eq(parse_nested(65, '[', ']', &err), 400);
	ck_assert_str_eq(err.msg, "line 1, column 65: nested deeper than 64 levels");
	ck_assert_int_eq(parse_nested(64, '{', '}', &err), 0);
	ck_assert_int_eq(parse_nested(65, '{', '}', &err), 400);
	ck_assert_str_eq(err.msg, "line 1, column 321: nested deeper than 64 levels");
	ck_assert_int_eq(parse_nested(1000000, '[', ']', &err), 400);
}
END_TEST

START_TEST(caps_size)
{
	struct loom_err err = { 0 };
	struct json *v = NULL;
	size_t n = JSON_MAX_BYTES + 1;
	char *text;

	ck_assert_int_eq(json_parse("\"12345678\"", 10, 9, &v, &err), 400);
	ck_assert_str_eq(err.msg, "larger than 9 bytes");
	ck_assert_int_eq(json_parse("\"12345678\"", 10, 10, &v, &err), 0);
	json_free(v);
	text = loom_malloc(n);
	memset(text, 'x', n);
	text[0] = text[n - 2] = text[n - 1] = '"';
	ck_assert_int_eq(json_parse(text, n, 0, &v, &err), 400);
	ck_assert_str_eq(err.msg, "larger than 16777216 bytes");
	ck_assert_int_eq(json_parse(text, n - 1, 0, &v, &err), 0);
	ck_assert_uint_eq(json_str_len(v), n - 3);
	json_free(v);
	loom_free(text);
}
END_TEST

/* Many members stay quick, and the duplicate among them is found. */
START_TEST(large_objects)
{
	enum { MEMBERS = 50000 };
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(JSON_MAX_BYTES);
	struct loom_err err = { 0 };
	struct json *v = NULL;

	buf_addc(&b, '{');
	for (int i = 0; i < MEMBERS; i++)
		buf_addf(&b, "\"k%d\":%d,\n", i, i);
	buf_adds(&b, "\"last\":0}");
	ck_assert_int_eq(json_parse(b.data, b.len, 0, &v, &err), 0);
	ck_assert_uint_eq(json_len(v), MEMBERS + 1);
	ck_assert_int_eq(json_get_int(v, "k49999", -1), 49999);
	json_free(v);
	b.len--;
	buf_adds(&b, ",\n\"k777\":1}");
	ck_assert_int_eq(json_parse(b.data, b.len, 0, &v, &err), 400);
	ck_assert_str_eq(err.msg, "line 50002, column 1: duplicate key \"k777\"");
}
END_TEST

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

static const struct {
	const char *text;
	int levels; /* it has */
} nested[] = {
	{ "1", 0 },
	{ "\"text\"", 0 },
	{ "[]", 0 },
	{ "{}", 0 },
	{ "[1]", 1 },
	{ "{\"a\":null}", 1 },
	{ "[[],{}]", 1 },
	{ "[1,[2,{\"a\":3}],4]", 3 },
	{ "{\"a\":{\"b\":[{\"c\":1}]}}", 4 },
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
	tcase_add_test(tc, number_of_values);
	tcase_add_loop_test(tc, accepts, 0, LOOM_COUNT(good));
	tcase_add_loop_test(tc, refuses, 0, LOOM_COUNT(bad));
	tcase_add_test(tc, refuses_every_cut);
	tcase_add_test(tc, caps_depth);
	tcase_add_test(tc, caps_size);
	tcase_add_test(tc, large_objects);
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
	return UNIT_RUN("json", cases());
}
