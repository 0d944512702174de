/* SPDX-License-Identifier: Apache-2.0 */
/* test_model_precondition - which version a request names, and whether it is the one there is. */
#include "common/model/precondition.h"

#include "tests/support/unit.h"

static const struct {
	const char *text;
	bool ok;
} headers[] = {
	{ "*", true },
	{ " * ", true },
	{ "\"1-ab\"", true },
	{ "\"1-ab\", \"2-cd\"", true },
	{ "W/\"1-ab\" ,\t\"2\"", true },
	{ "\"\"", true },
	{ ",\"1\",,\"2\",", true },
	{ "", false },
	{ ",", false },
	{ "1-ab", false },
	{ "\"1-ab", false },
	{ "\"1\" \"2\"", false },
	{ "\"1\"x", false },
	{ "\"1\", *", false },
	{ "*, \"1\"", false },
	{ "W/", false },
	{ "\"1\",W/", false },
	{ "w/\"1\"", false },
};

START_TEST(well_formed)
{
	ck_assert_int_eq(precondition_well_formed(headers[_i].text), headers[_i].ok);
}
END_TEST

#define TAG "\"17.ab\""
static const struct {
	const char *match, *none_match, *tag;
	bool met;
} conditions[] = {
	{ NULL, NULL, TAG, true },
	{ NULL, NULL, NULL, true },
	{ "*", NULL, TAG, true },
	{ "*", NULL, NULL, false },
	{ NULL, "*", TAG, false },
	{ NULL, "*", NULL, true },
	{ TAG, NULL, TAG, true },
	{ TAG, NULL, NULL, false },
	{ "\"17.cd\"", NULL, TAG, true }, /* the version is the same */
	{ "\"17\"", NULL, TAG, true },
	{ "\"1\"", NULL, TAG, false },
	{ "\"170.ab\"", NULL, TAG, false },
	{ "\"\"", NULL, TAG, false },
	{ "\"18.ab\", \"17.ab\"", NULL, TAG, true },
	{ "\"18.ab\", \"19.ab\"", NULL, TAG, false },
	{ "W/" TAG, NULL, TAG, false },
	{ NULL, "W/" TAG, TAG, false },
	{ NULL, "\"18.ab\"", TAG, true },
	{ TAG, "*", TAG, false },
};

START_TEST(met)
{
	const struct precondition p = { conditions[_i].match, conditions[_i].none_match };
	ck_assert_int_eq(precondition_met(&p, conditions[_i].tag), conditions[_i].met);
}
END_TEST

static const struct {
	const char *none_match;
	bool has;
} readers[] = {
	{ NULL, false },        { TAG, true },       { "W/" TAG, true }, { "\"18\", " TAG, true },
	{ "\"17.cd\"", false }, { "\"17\"", false }, { "*", true },      { "\"17.a\"", false },
};

START_TEST(has)
{
	const struct precondition p = { NULL, readers[_i].none_match };
	ck_assert_int_eq(precondition_has(&p, TAG), readers[_i].has);
}
END_TEST

START_TEST(none_is_met)
{
	ck_assert(precondition_met(NULL, NULL));
	ck_assert(precondition_met(NULL, TAG));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("precondition");
	tcase_add_loop_test(t, well_formed, 0, (int)LOOM_COUNT(headers));
	tcase_add_loop_test(t, met, 0, (int)LOOM_COUNT(conditions));
	tcase_add_loop_test(t, has, 0, (int)LOOM_COUNT(readers));
	tcase_add_test(t, none_is_met);
	return UNIT_RUN("precondition", t);
}
