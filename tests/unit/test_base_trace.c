/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"
#include "common/base/trace.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#define ID   "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static const struct {
	const char *text;
	bool good, sampled;
} rows[] = {
	{ "00-" ID "-" SPAN "-01", true, true },
	{ "00-" ID "-" SPAN "-00", true, false },
	{ "00-" ID "-" SPAN "-ff", true, true },
	{ "00-" ID "-" SPAN "-fe", true, false },
	/* A version to come: what is known of it counts. */
	{ "cc-" ID "-" SPAN "-01", true, true },
	{ "cc-" ID "-" SPAN "-01-what-is-new", true, true },
	{ "cc-" ID "-" SPAN "-01.what-is-new", false, false },
	{ "ff-" ID "-" SPAN "-01", false, false },
	{ "00-" ID "-" SPAN "-01-", false, false },
	{ "00-" ID "-" SPAN "-01 ", false, false },
	{ " 00-" ID "-" SPAN "-01", false, false },
	{ "00-" ID "-" SPAN "-1", false, false },
	{ "00-" ID "-" SPAN "-0x", false, false },
	{ "0-" ID "-" SPAN "-01", false, false },
	{ "00_" ID "-" SPAN "-01", false, false },
	{ "00-" ID "_" SPAN "-01", false, false },
	{ "00-" ID "-" SPAN "_01", false, false },
	{ "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", false, false },
	{ "00-" ID "-B7AD6B7169203331-01", false, false },
	{ "00-00000000000000000000000000000000-" SPAN "-01", false, false },
	{ "00-" ID "-0000000000000000-01", false, false },
	{ "00-" ID "-", false, false },
	{ "", false, false },
	{ NULL, false, false },
};

START_TEST(parses_traceparents)
{
	struct trace t = { 0 };
	ck_assert_int_eq(trace_parse(rows[_i].text, &t), rows[_i].good);
	if (!rows[_i].good)
		return;
	ck_assert_str_eq(t.id, ID);
	ck_assert_str_eq(t.span, SPAN);
	ck_assert_int_eq(t.sampled, rows[_i].sampled);
	char text[TRACE_TEXT];
	trace_text(&t, text);
	ck_assert_str_eq(text, t.sampled ? "00-" ID "-" SPAN "-01" : "00-" ID "-" SPAN "-00");
}
END_TEST

START_TEST(makes_traces)
{
	struct trace a, b, again;
	char text[TRACE_TEXT];
	trace_new(&a);
	trace_new(&b);
	ck_assert_str_ne(a.id, b.id);
	trace_text(&a, text);
	ck_assert(trace_parse(text, &again));
	ck_assert_str_eq(again.id, a.id);
	ck_assert_str_eq(again.span, a.span);
	ck_assert(again.sampled);
	trace_new_span(&again);
	ck_assert_str_eq(again.id, a.id);
	ck_assert_str_ne(again.span, a.span);
}
END_TEST

/* By whoever knows the trace and the name, from whichever span of it. */
START_TEST(names_spans)
{
	struct trace in, one, same, other;
	trace_new(&in);
	trace_named(&in, "job 1", &one);
	trace_named(&one, "job 1", &same);
	trace_named(&in, "job 2", &other);
	ck_assert_str_eq(one.id, in.id);
	ck_assert_uint_eq(strlen(one.span), 16);
	ck_assert_str_eq(one.span, same.span);
	ck_assert_str_ne(one.span, other.span);
	trace_new(&in);
	trace_named(&in, "job 1", &other);
	ck_assert_str_ne(one.span, other.span);
	in.sampled = false;
	trace_named(&in, "job 1", &other);
	ck_assert(!other.sampled);
}
END_TEST

#define X32  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X128 X32 X32 X32 X32

/* Values of headers, with '|' between, and what is passed on. */
static const struct {
	const char *said, *state;
} states[] = {
	{ "a=1", "a=1" },
	{ "a=1,b=2", "a=1,b=2" },
	{ " a=1 ,\t b=2 ", "a=1,b=2" },
	{ "a=1|b=2", "a=1,b=2" },
	{ "a=1,,b=2,", "a=1,b=2" },
	{ "0t@vendor=x y", "0t@vendor=x y" },
	{ "a-b*c/d_e=!~", "a-b*c/d_e=!~" },
	{ "", NULL },
	{ " , ", NULL },
	{ "a", NULL },
	{ "a=", NULL },
	{ "=1", NULL },
	{ "A=1", NULL },
	{ "_a=1", NULL },
	{ "a =1", NULL },
	{ "a=1=2", NULL },
	{ "a=\x01", NULL },
	{ "a=\xc3\xa9", NULL },
	{ "a=1,a=2", NULL },
	{ "a=1|a=2", NULL },
	{ "a=1,B=2", NULL },
	{ "a=" X128 X128, "a=" X128 X128 },
	{ "a=" X128 X128 "x", NULL },
	/* too long together: a long one goes before those behind it */
	{ "a=" X128 X128 ",b=" X128 X128 ",c=1", "c=1" },
	{ "a=" X32 X32 X32 ",b=" X32 X32 X32 ",c=" X32 X32 X32 ",d=" X32 X32 X32 ",e=" X32 X32 X32
	  ",f=" X32 X32 X32,
	  "a=" X32 X32 X32 ",b=" X32 X32 X32 ",c=" X32 X32 X32 ",d=" X32 X32 X32
	  ",e=" X32 X32 X32 },
};

START_TEST(passes_states_on)
{
	LOOM_CLEANUP_STR char *all = loom_strdup(states[_i].said);
	const char *values[4];
	size_t n = 0;
	for (char *at = all; at; n++) {
		char *bar = strchr(at, '|');
		values[n] = at;
		at = bar ? bar + 1 : NULL;
		if (bar)
			*bar = '\0';
	}
	LOOM_CLEANUP_STR char *state = trace_state(values, n);
	ck_assert_pstr_eq(state, states[_i].state);
}
END_TEST

/* Members are so many at most; without a header there is nothing. */
START_TEST(bounds_states)
{
	char text[400] = "";
	const char *values[] = { text };
	for (size_t i = 0; i < 33; i++) {
		LOOM_CLEANUP_STR char *state = trace_state(values, 1);
		ck_assert(i ? state != NULL : !state);
		size_t len = strlen(text);
		snprintf(text + len, sizeof(text) - len, "%sk%zu=1", i ? "," : "", i);
	}
	ck_assert_ptr_null(trace_state(values, 1));
	ck_assert_ptr_null(trace_state(NULL, 0));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, parses_traceparents, 0, LOOM_COUNT(rows));
	tcase_add_loop_test(tc, passes_states_on, 0, LOOM_COUNT(states));
	tcase_add_test(tc, bounds_states);
	tcase_add_test(tc, makes_traces);
	tcase_add_test(tc, names_spans);
	return UNIT_RUN("base_trace", tc);
}
