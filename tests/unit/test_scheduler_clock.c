/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the database's clock was set between two readings. */
#include "services/scheduler/job/clock_sweep.h"
#include "tests/support/unit.h"

enum { S = 1000, HOUR = 3600 * S };

/* The first reading is 5000000 at 100 to 110; then db at asked to answered. */
static const struct {
	int64_t db, asked, answered, least, most;
} cases[] = {
	{ 5001 * S, 1105, 1115, 0, 0 },
	{ 5000 * S + 300, 1105, 1115, 0, 0 }, /* by too little to be told */
	{ 5003 * S, 1105, 5115, 0, 0 },       /* a slow answer may be from then */
	{ 5001 * S + HOUR, 1105, 1115, HOUR - 2 * S, HOUR },
	{ 5001 * S - HOUR, 1105, 1115, -HOUR, -HOUR + 2 * S },
	{ 5001 * S - 8 * S, 1105, 1115, -8 * S, -6 * S },
	{ 5000 * S + HOUR - 2 * S, HOUR + 105, HOUR + 115, 0, 0 }, /* drifted in an hour */
};

START_TEST(steps_are_told_from_delays)
{
	struct clock_seen seen = { 0 };
	const struct clock_seen first = { 5000 * S, 100, 110 },
				now = { cases[_i].db, cases[_i].asked, cases[_i].answered };
	ck_assert_int_eq(clock_step(&seen, &first), 0);
	int64_t step = clock_step(&seen, &now);
	ck_assert_int_ge(step, cases[_i].least);
	ck_assert_int_le(step, cases[_i].most);
	ck_assert_int_eq(seen.db, cases[_i].db);
	ck_assert_int_eq(seen.asked, cases[_i].asked);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("clock");
	tcase_add_loop_test(tc, steps_are_told_from_delays, 0, sizeof(cases) / sizeof(cases[0]));
	return UNIT_RUN("scheduler_clock", tc);
}
