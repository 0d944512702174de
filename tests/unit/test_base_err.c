/* SPDX-License-Identifier: Apache-2.0 */
/* The one numbering of errors: names, statuses, and which are refusals. */
#include "common/base/err.h"
#include "common/base/text.h"
#include "tests/support/unit.h"

static const struct {
	int code, status;
	bool refusal;
	const char *name;
} cases[] = {
	{ 0, 200, false, "ok" },
	{ 400, 400, true, "refused" },
	{ 409, 409, true, "refused" },
	{ 599, 599, true, "refused" },
	{ ERR_PLAIN, 500, true, "failed" },
	{ CLUSTER_E_NONE, 404, true, "no such cluster" },
	{ CLUSTER_E_QUOTA, 409, true, "over the quota" },
	{ MACRO_E_SYNTAX, 400, true, "macro is not well formed" },
	{ DB_E_AWAY, 503, false, "database away" },
	{ DB_E_DOUBT, 503, false, "outcome of the commit unknown" },
	{ DB_E_FATAL, 500, false, "database refused the statement" },
	{ DB_E_TOO_OLD, 503, false, "database is newer than this program" },
	{ 7, 500, true, "refused" }, /* of no list */
	{ -1, 500, false, "refused" },
};

START_TEST(names_and_maps)
{
	ck_assert_int_eq(err_http_status(cases[_i].code), cases[_i].status);
	ck_assert_int_eq(err_is_refusal(cases[_i].code), cases[_i].refusal);
	ck_assert_str_eq(err_name(cases[_i].code), cases[_i].name);
}
END_TEST

#define CODE(code, status, words) code,

/* A refusal is told from a status and from a fault by its number alone. */
START_TEST(has_a_range_for_each)
{
	static const int refusals[] = { ERR_REFUSALS(CODE) }, faults[] = { ERR_FAULTS(CODE) };
	for (size_t i = 0; i < LOOM_COUNT(refusals); i++)
		ck_assert(refusals[i] > ERR_LAST_STATUS && refusals[i] < ERR_LAST_REFUSAL);
	for (size_t i = 0; i < LOOM_COUNT(faults); i++)
		ck_assert(faults[i] > ERR_LAST_REFUSAL);
}
END_TEST

static const struct {
	int code, returned, status;
} sets[] = {
	{ 400, 400, 400 },
	{ 0, ERR_PLAIN, 0 },
	{ CLUSTER_E_QUOTA, CLUSTER_E_QUOTA, 409 },
	{ 64, 64, 64 }, /* an exit status of the command line */
};

START_TEST(carries_a_status)
{
	struct loom_err err = { 0 };
	ck_assert_int_eq(err_set(&err, sets[_i].code, "%s %d", "why", 1), sets[_i].returned);
	ck_assert_int_eq(err.status, sets[_i].status);
	ck_assert_str_eq(err.msg, "why 1");
	ck_assert_int_eq(err_set(NULL, sets[_i].code, "why"), sets[_i].returned);
}
END_TEST

/* Whatever it is made of, the database takes it. */
START_TEST(is_text)
{
	struct loom_err err = { 0 };
	(void)err_set(&err, 400, "%.2s\xff", "x\xc3\xa4");
	ck_assert_str_eq(err.msg, "x\xef\xbf\xbd\xef\xbf\xbd");
	char longer[2 * sizeof(err.msg) + 1];
	for (size_t i = 0; i + 1 < sizeof(longer); i += 2)
		memcpy(longer + i, "\xc3\xa4", 3);
	(void)err_set(&err, 400, "%s", longer);
	ck_assert_uint_eq(strlen(err.msg), sizeof(err.msg) - 2);
	ck_assert_uint_eq(text_whole(err.msg, strlen(err.msg)), strlen(err.msg));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("all");
	tcase_add_loop_test(c, names_and_maps, 0, LOOM_COUNT(cases));
	tcase_add_test(c, has_a_range_for_each);
	tcase_add_loop_test(c, carries_a_status, 0, LOOM_COUNT(sets));
	tcase_add_test(c, is_text);
	return UNIT_RUN("err", c);
}
