/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/json_case.h"

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
	return tc;
}

int main(void)
{
	return UNIT_RUN("json", cases());
}
