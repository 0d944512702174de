/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/worker/worker_share.h"
#include "tests/support/unit.h"

#include <string.h>

enum { P = 3, T = 2 };

static const struct {
	int64_t capacity[P], wanted[T], had[P * T], has[P * T];
} cases[] = {
	/* the first one as far as it goes, then the next */
	{ { 4, 4, 4 }, { 6, 0 }, { 0 }, { 4, 0, 2, 0, 0, 0 } },
	{ { 4, 4, 4 }, { 6, 3 }, { 0 }, { 4, 0, 2, 2, 0, 1 } },
	/* what there is stays where it is */
	{ { 4, 4, 4 }, { 6, 3 }, { 0, 0, 0, 0, 4, 0 }, { 2, 2, 0, 1, 4, 0 } },
	/* fewer are wanted: taken from the first */
	{ { 4, 4, 4 }, { 1, 0 }, { 4, 0, 2, 0, 0, 0 }, { 0, 0, 1, 0, 0, 0 } },
	/* what one tenant gives back another gets */
	{ { 4, 0, 0 }, { 1, 3 }, { 4, 0, 0, 0, 0, 0 }, { 1, 3, 0, 0, 0, 0 } },
	/* there is not enough */
	{ { 1, 1, 0 }, { 5, 5 }, { 0 }, { 1, 0, 1, 0, 0, 0 } },
	/* a provisioner came back smaller: no more are added there */
	{ { 2, 4, 0 }, { 5, 0 }, { 4, 0, 0, 0, 0, 0 }, { 4, 0, 1, 0, 0, 0 } },
	{ { 4, 4, 4 }, { 0, 0 }, { 3, 1, 1, 0, 0, 2 }, { 0 } },
};

START_TEST(spreads)
{
	int64_t shares[P * T];
	memcpy(shares, cases[_i].had, sizeof(shares));
	shares_spread(cases[_i].capacity, P, cases[_i].wanted, T, shares);
	for (int i = 0; i < P * T; i++)
		ck_assert_msg(shares[i] == cases[_i].has[i], "%d: %d", i, (int)shares[i]);
	/* again nothing changes */
	shares_spread(cases[_i].capacity, P, cases[_i].wanted, T, shares);
	ck_assert(!memcmp(shares, cases[_i].has, sizeof(shares)));
}
END_TEST

START_TEST(nobody_is_fine)
{
	int64_t wanted = 3, capacity = 3, shares = 0;
	shares_spread(NULL, 0, &wanted, 1, NULL);
	shares_spread(&capacity, 1, NULL, 0, &shares);
	ck_assert_int_eq(shares, 0);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("worker_share");
	tcase_add_loop_test(c, spreads, 0, LOOM_COUNT(cases));
	tcase_add_test(c, nobody_is_fine);
	return UNIT_RUN("model_worker_share", c);
}
