/* SPDX-License-Identifier: Apache-2.0 */
/* How much a tenant may write to its logs, beside others. */
#include "services/api/log_budget.h"

#include "tests/support/unit.h"

#include <stdio.h>

START_TEST(a_burst_and_no_more)
{
	struct log_budget *b = log_budget_create();
	size_t taken = 0;
	while (taken <= 2 * (size_t)LOG_BUDGET_BURST && log_budget_take(b, "loud", 128 << 10))
		taken += 128 << 10;
	ck_assert_uint_ge(taken, LOG_BUDGET_BURST);
	ck_assert_uint_lt(taken, 2 * (size_t)LOG_BUDGET_BURST);
	ck_assert(log_budget_take(b, "quiet", 128 << 10));
	ck_assert(!log_budget_take(b, "other", (size_t)LOG_BUDGET_BURST + 1));
	log_budget_destroy(b);
}
END_TEST

START_TEST(any_number_of_tenants)
{
	struct log_budget *b = log_budget_create();
	char name[24];
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "tenant %d", i);
		ck_assert(log_budget_take(b, name, LOG_BUDGET_BURST));
	}
	log_budget_destroy(b);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("log_budget");
	tcase_add_test(t, a_burst_and_no_more);
	tcase_add_test(t, any_number_of_tenants);
	return UNIT_RUN("api_log_budget", t);
}
