/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OK 0

static const struct {
	const char *in;
	int64_t want_int, value_int, want_uint;
	uint64_t value_uint;
} numbers[] = {
	{ "0", OK, 0, OK, 0 },
	{ "007", OK, 7, OK, 7 },
	{ "-1", OK, -1, -EINVAL, 0 },
	{ "9223372036854775807", OK, INT64_MAX, OK, INT64_MAX },
	{ "9223372036854775808", -ERANGE, 0, OK, 9223372036854775808u },
	{ "-9223372036854775808", OK, INT64_MIN, -EINVAL, 0 },
	{ "-9223372036854775809", -ERANGE, 0, -EINVAL, 0 },
	{ "18446744073709551615", -ERANGE, 0, OK, UINT64_MAX },
	{ "18446744073709551616", -ERANGE, 0, -ERANGE, 0 },
	{ "99999999999999999999999999", -ERANGE, 0, -ERANGE, 0 },
	{ "99999999999999999999999999x", -EINVAL, 0, -EINVAL, 0 },
	{ "", -EINVAL, 0, -EINVAL, 0 },
	{ "-", -EINVAL, 0, -EINVAL, 0 },
	{ "--1", -EINVAL, 0, -EINVAL, 0 },
	{ "+1", -EINVAL, 0, -EINVAL, 0 },
	{ " 1", -EINVAL, 0, -EINVAL, 0 },
	{ "1 ", -EINVAL, 0, -EINVAL, 0 },
	{ "0x10", -EINVAL, 0, -EINVAL, 0 },
	{ "1.0", -EINVAL, 0, -EINVAL, 0 },
	{ NULL, -EINVAL, 0, -EINVAL, 0 },
};

START_TEST(numbers_are_strict)
{
	int64_t i = 4711;
	uint64_t u = 4711;

	ck_assert_int_eq(str_to_int(numbers[_i].in, &i), numbers[_i].want_int);
	ck_assert_int_eq(i, numbers[_i].want_int ? 4711 : numbers[_i].value_int);
	ck_assert_int_eq(str_to_uint(numbers[_i].in, &u), numbers[_i].want_uint);
	ck_assert_uint_eq(u, numbers[_i].want_uint ? 4711 : numbers[_i].value_uint);
}
END_TEST

static const struct {
	const char *in;
	bool want;
} names[] = {
	{ "a", true },    { "hadoop-2.7_x", true }, { "...", true },       { "Z9", true },
	{ "", false },    { NULL, false },          { "a b", false },      { "a/b", false },
	{ ".", false },   { "..", false },          { "\xc3\xa9", false }, { "a\n", false },
	{ "a@b", false }, { "a[", false },
};

START_TEST(names_are_plain)
{
	ck_assert_int_eq(str_is_name(names[_i].in), names[_i].want);
}
END_TEST

START_TEST(names_have_a_length)
{
	char s[300];

	memset(s, 'x', sizeof(s));
	s[255] = '\0';
	ck_assert(str_is_name(s));
	s[255] = 'x';
	s[256] = '\0';
	ck_assert(!str_is_name(s));
}
END_TEST

START_TEST(comparisons)
{
	ck_assert(str_eq(NULL, NULL) && !str_eq(NULL, "") && !str_eq("", NULL) && str_eq("a", "a"));
	ck_assert(!str_eq("a", "A") && str_ieq("Content-Type", "cONTENT-tYPE"));
	ck_assert(!str_ieq("a", "ab") && !str_ieq("ab", "a") && !str_ieq("@", "`"));
	ck_assert(str_ieq(NULL, NULL) && !str_ieq("a", NULL) && !str_ieq("\xc3\x89", "\xc3\xa9"));
	ck_assert(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("a", "ab"));
	ck_assert(!str_starts(NULL, "a") && !str_ends(NULL, "a"));
	ck_assert(str_ends("abc", "bc") && str_ends("abc", "") && !str_ends("c", "bc"));
	ck_assert(str_blank(NULL) && str_blank("") && str_blank(" \t\r\n") && !str_blank(" x "));
}
END_TEST

static const struct {
	const char *in;
	size_t n, want;
} utf8[] = {
	{ "", 0, 0 },
	{ "a", 1, 1 },
	{ "", 1, 1 }, /* NUL is a character */
	{ "\x7f", 1, 1 },
	{ "\x80", 1, 0 },
	{ "\xc3\xa9", 2, 2 },
	{ "\xc3\xa9", 1, 0 },
	{ "\xc0\x80", 2, 0 },
	{ "\xc1\xbf", 2, 0 },
	{ "\xc3\x28", 2, 0 },
	{ "\xe0\xa0\x80", 3, 3 },
	{ "\xe0\x9f\xbf", 3, 0 },
	{ "\xed\x9f\xbf", 3, 3 },
	{ "\xed\xa0\x80", 3, 0 },
	{ "\xee\x80\x80", 3, 3 },
	{ "\xef\xbf\xbf", 3, 3 },
	{ "\xe2\x82", 2, 0 },
	{ "\xe2\x82\x41", 3, 0 },
	{ "\xf0\x90\x80\x80", 4, 4 },
	{ "\xf0\x8f\xbf\xbf", 4, 0 },
	{ "\xf4\x8f\xbf\xbf", 4, 4 },
	{ "\xf4\x90\x80\x80", 4, 0 },
	{ "\xf5\x80\x80\x80", 4, 0 },
	{ "\xff", 1, 0 },
};

START_TEST(utf8_sequences)
{
	ck_assert_uint_eq(str_utf8_len(utf8[_i].in, utf8[_i].n), utf8[_i].want);
}
END_TEST

START_TEST(string_lists)
{
	LOOM_CLEANUP(strs_fini) struct strs l = { 0 };
	char *joined = strs_join(&l, ", ");

	ck_assert_str_eq(joined, "");
	loom_free(joined);
	strs_sort(&l);
	strs_add(&l, "b");
	strs_addf(&l, "%s%d", "a", 1);
	for (int i = 0; i < 10; i++)
		strs_addf(&l, "x%d", i);
	ck_assert_uint_eq(l.n, 12);
	ck_assert(strs_has(&l, "b") && strs_has(&l, "x9") && !strs_has(&l, "x"));
	strs_sort(&l);
	joined = strs_join(&l, ", ");
	ck_assert_str_eq(joined, "a1, b, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9");
	loom_free(joined);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, numbers_are_strict, 0, LOOM_COUNT(numbers));
	tcase_add_loop_test(tc, names_are_plain, 0, LOOM_COUNT(names));
	tcase_add_test(tc, names_have_a_length);
	tcase_add_test(tc, comparisons);
	tcase_add_loop_test(tc, utf8_sequences, 0, LOOM_COUNT(utf8));
	tcase_add_test(tc, string_lists);
	return UNIT_RUN("base_str", tc);
}
