/* SPDX-License-Identifier: Apache-2.0 */
/* How long machines were there, by intervals. */
#include "services/api/tenant/node_usage.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdlib.h>

#define H   3600
#define NOW (100 * H)

static const struct {
	struct node_usage asked;
	struct node_life lives[3];
	const char *answer; /* its data, or what it is refused for */
} cases[] = {
	/* none: one interval, of nothing */
	{ { -1, -1, NULL, NULL },
	  { { 0 } },
	  "{\"start\":0,\"end\":360000,\"data\":[{\"time\":0,\"value\":0}]}" },
	{ { 7, 9, "hour", NULL },
	  { { 0 } },
	  "{\"start\":7,\"end\":9,\"data\":[{\"time\":7,\"value\":0}]}" },
	/* from the first that was made to the last that went */
	{ { -1, -1, NULL, NULL },
	  { { 10, 20 }, { 15, 45 } },
	  "{\"start\":10,\"end\":45,\"data\":[{\"time\":10,\"value\":40}]}" },
	/* or to now, for one is there still */
	{ { -1, -1, NULL, "Hours" },
	  { { 10 * H, 11 * H }, { 90 * H, 0 } },
	  "{\"start\":36000,\"end\":360000,\"data\":[{\"time\":36000,\"value\":11}]}" },
	/* the first interval begins at start, the next at the full hour; the last is cut off */
	{ { 1800, 3 * H + 600, "hour", NULL },
	  { { 900, 3 * H + 1200 }, { H, 2 * H } },
	  "{\"start\":1800,\"end\":11400,\"data\":[{\"time\":1800,\"value\":1800},"
	  "{\"time\":3600,\"value\":7200},{\"time\":7200,\"value\":3600},{\"time\":10800,\"value\":600}]}" },
	{ { 0, 2 * H, "hour", "minutes" },
	  { { 0, 2 * H } },
	  "{\"start\":0,\"end\":7200,\"data\":[{\"time\":0,\"value\":60},{\"time\":3600,\"value\":60}]}" },
	{ { 0, 8000000000, NULL, "nanoseconds" },
	  { { 0, 8000000000 }, { 0, 8000000000 } },
	  "{\"start\":0,\"end\":8000000000,\"data\":[{\"time\":0,\"value\":9223372036854775807}]}" },
	{ { 0, NOW, "minute", NULL }, { { 0 } }, "groupby 'minute' is none of hour" },
	{ { 0, NOW, NULL, "years" }, { { 0 } }, "timeunit 'years' is none of" },
	{ { 9, 8, NULL, NULL }, { { 1, 2 } }, "end 8 is before start 9" },
	{ { 0, 400000LL * H, "hour", NULL }, { { 1, 2 } }, "at most 100000" },
};

START_TEST(machines_are_counted)
{
	struct node_lives l = { 0 };
	struct loom_err err = { 0 };
	struct json *o = NULL;
	for (size_t i = 0;
	     i < LOOM_COUNT(cases[_i].lives) && cases[_i].lives[i].from + cases[_i].lives[i].to;
	     i++)
		node_lives_add(&l, cases[_i].lives[i].from, cases[_i].lives[i].to);
	if (node_usage_check(&cases[_i].asked, &err) ||
	    node_usage_sum(&cases[_i].asked, &l, NOW, &o, &err)) {
		ck_assert_msg(strstr(err.msg, cases[_i].answer), "%s", err.msg);
	} else {
		char *text = json_text(o);
		ck_assert_str_eq(text, cases[_i].answer);
		loom_free(text);
	}
	json_free(o);
	node_lives_fini(&l);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("node usage");
	tcase_add_loop_test(t, machines_are_counted, 0, LOOM_COUNT(cases));
	return UNIT_RUN("api_node_usage", t);
}
