/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/operation/planning_share.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

/* A step is a tenant and what happens: "A+" its turn has come, "A?" others are asked about its job,
 * "A!" nobody was to be asked, "A-" its planning is over, "A/" that of a job that was asked about.
 * *n: so often. said: of each turn and each end one character. */
static const struct {
	const char *steps;
	const char *said; /* of + y or n: may it begin; of - and /: was anybody refused */
	const char *last; /* whose turn it was at the end */
} cases[] = {
	{ "", "", "" },
	{ "A+ A-", "yn", "A" },
	/* a thread is left for others */
	{ "A+ A+ B+", "yny", "B" },
	{ "A+ A+ A- A+", "ynyy", "A" },
	/* a refusal is told once, to whoever ends first */
	{ "A+ B+ A+ B- A-", "yynyn", "A" },
	/* a turn that was refused is over, too */
	{ "B+ A+ B+", "yyn", "B" },
	/* while others are asked the thread is free */
	{ "A+ A? A+", "yy", "A" },
	{ "A+ A? A! A+", "yn", "A" },
	{ "A+ A? A+ A/ A+ A- A+", "yynnyy", "A" },
	/* but only for so many */
	{ "A+?*31 A+ A- A+ A? A+ B+ A/ A+", "*ynynyyy", "A" },
	/* and a tenant that has nothing under way is as new */
	{ "A+ A- B+ B- A+", "ynyny", "A" },
};

static char did(struct planning_share *s, const char *tenant, char what)
{
	switch (what) {
	case '+':
		return planning_share_begin(s, tenant) ? 'y' : 'n';
	case '-':
	case '/':
		return planning_share_end(s, tenant, what == '/') ? 'y' : 'n';
	default:
		planning_share_ask(s, tenant, what == '?');
		return '\0';
	}
}

static void begin_and_ask(struct planning_share *s, const char *tenant, int times)
{
	for (int i = 0; i < times; i++) {
		ck_assert(planning_share_begin(s, tenant));
		planning_share_ask(s, tenant, true);
	}
}

START_TEST(turns)
{
	LOOM_CLEANUP(planning_share_destroy)
	struct planning_share *s = planning_share_create();
	char said[64] = "", last[PLANNING_TENANT];
	size_t n = 0;
	for (const char *p = cases[_i].steps; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
		const char tenant[2] = { p[0], '\0' };
		if (p[2] == '?') {
			begin_and_ask(s, tenant, PLANNING_ASKED - 1);
			said[n++] = '*';
			continue;
		}
		char c = did(s, tenant, p[1]);
		if (c)
			said[n++] = c;
	}
	planning_share_last(s, last);
	ck_assert_str_eq(said, cases[_i].said);
	ck_assert_str_eq(last, cases[_i].last);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("planning_share");
	tcase_add_loop_test(t, turns, 0, LOOM_COUNT(cases));
	return UNIT_RUN("planning_share", t);
}
