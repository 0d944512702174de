/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/near.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

static const struct {
	const char *a, *b;
	bool want;
} cases[] = {
	{ "provisionr", "provisioner", true },
	{ "Provisioner", "provisioner", true },
	{ "provisioner", "provisioner", false },
	{ "skript", "script", true },
	{ "shel", "shell", true },
	{ "clusetr", "cluster", true },
	{ "dependancies", "dependencies", true },
	{ "name", "nme", false },
	{ "URL", "url", true },
	{ "web1", "web2", false },
	{ "centos6", "centos7", false },
	{ "hadoop-hdfs-namenode", "hadoop-hdfs-datanode", false },
	{ "start", "stop", false },
	{ "retry", "retries", false },
	{ "", "", false },
	{ "a", "", false },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false },
};

START_TEST(tells_slips_from_other_names)
{
	ck_assert_msg(near(cases[_i].a, cases[_i].b) == cases[_i].want, "%s, %s", cases[_i].a,
	              cases[_i].b);
	ck_assert_msg(near(cases[_i].b, cases[_i].a) == cases[_i].want, "%s, %s", cases[_i].b,
	              cases[_i].a);
}
END_TEST

START_TEST(an_equal_name_is_no_slip_of_another)
{
	static const char *const names[] = { "install", "start", "started" };
	ck_assert_ptr_null(near_which("started", names, 3));
	ck_assert_str_eq(near_which("instal", names, 3), "install");
	ck_assert_ptr_null(near_which("configure", names, 3));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, tells_slips_from_other_names, 0, LOOM_COUNT(cases));
	tcase_add_test(tc, an_equal_name_is_no_slip_of_another);
	return UNIT_RUN("base_near", tc);
}
