/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/job/quarantine_policy.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static const struct {
	const char *story;
	int64_t needed, strikes, failures, done, fresh, others, theirs;
	bool bad;
} cases[] = {
	{ "all that it tried failed, and others did it", 3, 3, 3, 0, 20, 1, 0, true },
	{ "not yet", 3, 2, 2, 0, 20, 1, 0, false },
	{ "one success between the failures", 3, 3, 3, 1, 20, 1, 0, true },
	{ "it does as much as it fails", 3, 3, 3, 2, 20, 1, 0, false },
	{ "a few failures among much work", 3, 20, 20, 900, 20, 3, 0, false },
	{ "there is nobody to compare with", 3, 9, 9, 0, 20, 0, 0, false },
	{ "a service that fails now here now there, with two", 3, 6, 6, 2, 20, 1, 5, false },
	{ "the same with four", 3, 6, 6, 2, 20, 3, 18, false },
	{ "one bad among four, the others rarely", 3, 12, 12, 1, 20, 3, 4, true },
	{ "two bad ones of three: both", 3, 6, 6, 0, 20, 2, 6, true },
	{ "each task fails at first, wherever: the first few", 3, 3, 3, 0, 20, 1, 2, false },
	{ "it had all that was new, and all of that fails at first", 3, 3, 3, 0, 0, 1, 0, false },
	{ "switched off", 0, 99, 99, 0, 20, 5, 0, false },
	{ "an operator wants more evidence", 10, 9, 9, 0, 20, 5, 0, false },
};

START_TEST(judged)
{
	const struct strike_record r = { .strikes = cases[_i].strikes,
		                         .failures = cases[_i].failures,
		                         .done = cases[_i].done,
		                         .fresh = cases[_i].fresh,
		                         .others = cases[_i].others,
		                         .theirs = cases[_i].theirs };
	ck_assert_msg(quarantine_is_bad(&r, cases[_i].needed) == cases[_i].bad, "%s",
	              cases[_i].story);
}
END_TEST

START_TEST(waits)
{
	const struct quarantine_config cfg = { .quarantine_probe_ms = 60000,
		                               .quarantine_cap_ms = 3600000 };
	static const int64_t want[] = { 60000, 120000, 240000, 480000, 960000, 1920000, 3600000 };
	for (size_t i = 0; i < LOOM_COUNT(want); i++)
		ck_assert_int_eq(quarantine_wait_ms(&cfg, (int64_t)i), want[i]);
	ck_assert_int_eq(quarantine_wait_ms(&cfg, INT32_MAX), 3600000);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("quarantine");
	tcase_add_loop_test(t, judged, 0, (int)LOOM_COUNT(cases));
	tcase_add_test(t, waits);
	return UNIT_RUN("quarantine", t);
}
