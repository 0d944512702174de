/* SPDX-License-Identifier: Apache-2.0 */
/* How much each of many may use, beside others. */
#include "services/api/request/budget.h"

#include "tests/support/unit.h"

#include <stdio.h>

START_TEST(a_burst_and_then_the_rate)
{
	struct budget *b = budget_create(10, 50);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(budget_take(b, "loud", 1, 1000), 0);
	ck_assert_int_eq(budget_take(b, "loud", 1, 1000), 100);
	ck_assert_int_eq(budget_take(b, "quiet", 50, 1000), 0);
	/* Asked again all the time it still fills, in pieces of less than one. */
	for (int64_t now = 1001; now < 1100; now++)
		ck_assert_int_eq(budget_take(b, "loud", 1, now), 1100 - now);
	ck_assert_int_eq(budget_take(b, "loud", 1, 1100), 0);
	ck_assert_int_eq(budget_take(b, "loud", 1, 1100), 100);
	ck_assert_int_eq(budget_take(b, "loud", 5, 1500), 100);
	ck_assert_int_eq(budget_take(b, "loud", 4, 1500), 0);
	/* A clock that goes back gives nothing. */
	ck_assert_int_eq(budget_take(b, "loud", 1, 0), 100);
	budget_destroy(b);
}
END_TEST

START_TEST(it_is_full_after_any_time)
{
	struct budget *b = budget_create(1000000, 1000000);
	ck_assert_int_eq(budget_take(b, "x", 1000000, 0), 0);
	ck_assert_int_eq(budget_take(b, "x", 1000000, INT64_MAX / 2), 0);
	ck_assert_int_eq(budget_take(b, "x", 1, INT64_MAX / 2), 1);
	ck_assert_int_gt(budget_take(b, "new", 1000001, 0), 0);
	budget_destroy(b);
}
END_TEST

START_TEST(no_rate_is_no_bound)
{
	struct budget *b = budget_create(0, 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(budget_take(b, "x", INT64_MAX, 0), 0);
	budget_destroy(b);
}
END_TEST

START_TEST(any_number_of_names)
{
	struct budget *b = budget_create(1, 1);
	char name[24];
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "tenant %d", i);
		ck_assert_int_eq(budget_take(b, name, 1, 0), 0);
	}
	ck_assert_int_eq(budget_take(b, name, 1, 0), 1000);
	budget_destroy(b);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("budget");
	tcase_add_test(t, a_burst_and_then_the_rate);
	tcase_add_test(t, it_is_full_after_any_time);
	tcase_add_test(t, no_rate_is_no_bound);
	tcase_add_test(t, any_number_of_names);
	return UNIT_RUN("api_budget", t);
}
