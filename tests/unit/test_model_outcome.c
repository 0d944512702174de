/* SPDX-License-Identifier: Apache-2.0 */
/* test_model_outcome - a success is only what the last run of a transaction recorded. */
#include "common/model/cluster/outcome.h"
#include "tests/support/unit.h"

static const struct {
	int status, rc; /* as the function left them */
	int settled, left;
} endings[] = {
	{ 200, 0, 0, 200 },
	{ 409, 409, 0, 409 },
	{ 0, 0, DB_E_FATAL, 0 },     /* nothing was decided */
	{ 409, 0, DB_E_FATAL, 0 },   /* refused, but something was committed */
	{ 200, 409, DB_E_FATAL, 0 }, /* rolled back after it was recorded */
	{ 0, 20, DB_E_FATAL, 0 },    /* a code of the model that nobody put in words */
	{ 200, 20, DB_E_FATAL, 0 },
	{ 404, 409, DB_E_FATAL, 0 },
	{ 200, DB_E_AWAY, DB_E_AWAY, 0 },
	{ 200, DB_E_DOUBT, DB_E_DOUBT, 0 },
	{ 409, DB_E_FATAL, DB_E_FATAL, 0 },
	{ 0, DB_E_DUP, DB_E_DUP, 0 },
};

START_TEST(settle)
{
	struct outcome o = { 0 };
	if (endings[_i].status == 200)
		ck_assert_int_eq(outcome_done(&o, 7, 8), 0);
	else if (endings[_i].status)
		ck_assert_int_eq(outcome_refuse(&o, endings[_i].status, "no, %d", 1),
		                 endings[_i].status);
	ck_assert_int_eq(outcome_settle(&o, endings[_i].rc), endings[_i].settled);
	ck_assert_int_eq(o.status, endings[_i].left);
	ck_assert_int_eq(o.cluster, endings[_i].left == 200 ? 7 : 0);
	ck_assert_int_eq(o.seq, endings[_i].left == 200 ? 8 : 0);
	ck_assert_str_eq(o.msg, endings[_i].left == 409 ? "no, 1" : "");
}
END_TEST

START_TEST(refuse_forgets_what_was_done)
{
	struct outcome o = { 0 };
	ck_assert_int_eq(outcome_done(&o, 7, 8), 0);
	ck_assert_int_eq(outcome_refuse(&o, 409, "no"), 409);
	ck_assert_int_eq(o.cluster, 0);
	ck_assert_int_eq(o.seq, 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("outcome");
	tcase_add_loop_test(t, settle, 0, (int)LOOM_COUNT(endings));
	tcase_add_test(t, refuse_forgets_what_was_done);
	return UNIT_RUN("outcome", t);
}
