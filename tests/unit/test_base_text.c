/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign text: repaired UTF-8, and nothing left that steers a terminal. */
#include "common/base/text.h"

#include "tests/support/unit.h"

#include <string.h>

#define BAD "\xef\xbf\xbd"

static const struct {
	const char *in, *out;
} repaired[] = {
	{ "", "" },
	{ "plain \xc3\xa4 \xe6\xbc\xa2", "plain \xc3\xa4 \xe6\xbc\xa2" },
	{ "cut \xe6\xbc", "cut " BAD },
	{ "cut \xe6", "cut " BAD },
	{ "\xf0\x9f\x98 and on", BAD " and on" },
	{ "\xff\xfe", BAD BAD },
	{ "\xc3(", BAD "(" },
	{ "\xed\xa0\x80", BAD },
	{ "a\x80", "a" BAD },
};

START_TEST(utf8_is_repaired)
{
	LOOM_CLEANUP_STR char *got = text_utf8(loom_strdup(repaired[_i].in));
	ck_assert_str_eq(got, repaired[_i].out);
}
END_TEST

static const struct {
	const char *in, *out;
} shown[] = {
	{ "plain \xc3\xa4\tx", "plain \xc3\xa4\tx" },
	{ "\x1b]0;pwn\a\x1b[31m", "\\x1b]0;pwn\\x07\\x1b[31m" },
	{ "\xc2\x9b"
	  "31m",
	  "\\x9b31m" }, /* the one-byte CSI, as UTF-8 */
	{ "\x9b"
	  "31m",
	  "\\x9b31m" }, /* and raw */
	{ "a\rb\bc\x7f", "a\\x0db\\x08c\\x7f" },
	{ "a\nb", "a\\x0ab" },
	{ "\xe2\x80\xae"
	  "exe.txt",
	  "\\u202eexe.txt" },
	{ "\xe2\x81\xa6\xef\xbb\xbf\xe2\x80\x8b", "\\u2066\\ufeff\\u200b" },
	{ "\xf3\xa0\x81\x81", "\\ue0041" },
	{ "cut \xe6\xbc", "cut \\xe6\\xbc" },
};

START_TEST(escapes_are_shown)
{
	LOOM_CLEANUP_STR char *got = text_shown(shown[_i].in, strlen(shown[_i].in), TEXT_LINE);
	ck_assert_str_eq(got, shown[_i].out);
}
END_TEST

START_TEST(lines_stay_if_wanted)
{
	LOOM_CLEANUP_STR char *got = text_shown("a\nb\0c", 5, TEXT_LINES);
	ck_assert_str_eq(got, "a\nb\\x00c");
	static const char json[] = "{\"a\":\"\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81\"}\n";
	LOOM_CLEANUP_STR char *same = text_shown(json, strlen(json), TEXT_JSON);
	ck_assert_str_eq(same, "{\"a\":\"\\u009b\\u202e\\udb40\\udc41\"}\n");
}
END_TEST

START_TEST(characters_are_not_cut)
{
	static const struct {
		const char *in;
		size_t whole;
	} rows[] = {
		{ "", 0 },
		{ "abc", 3 },
		{ "a\xc3", 1 },
		{ "a\xc3\xa4", 3 },
		{ "a\xe6\xbc", 1 },
		{ "\xf0\x9f\x98", 0 },
		{ "a\xbc\xbc", 3 },
		{ "\xf0\x9f\x98\x80", 4 },
		{ "\xbc\xbc\xbc\xbc", 4 },
	};
	for (size_t i = 0; i < LOOM_COUNT(rows); i++)
		ck_assert_uint_eq(text_whole(rows[i].in, strlen(rows[i].in)), rows[i].whole);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("all");
	tcase_add_loop_test(t, utf8_is_repaired, 0, (int)LOOM_COUNT(repaired));
	tcase_add_loop_test(t, escapes_are_shown, 0, (int)LOOM_COUNT(shown));
	tcase_add_test(t, lines_stay_if_wanted);
	tcase_add_test(t, characters_are_not_cut);
	return UNIT_RUN("base_text", t);
}
