/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of jobs: from JSON and back, between releases, and out of a request. */
#include "common/base/str.h"
#include "common/operation/job_params.h"
#include "tests/support/unit.h"

/* ---- there and back -------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *stored, *want; /* want NULL: the same */
} stored[] = {
	{ "{}", "" },
	{ "{'operation':'configure','config':{'a':{'b':1}},'restart':false}", NULL },
	{ "{'operation':'configure','config':{},'restart':true}", /* that is what is meant without it */
	  "{'operation':'configure','config':{}}" },
	{ "{'operation':'add_services','services':['web','db'],'was':'active','ask':'00ff'}", NULL },
	{ "{'operation':'expand','count':'3','grow':['web']}", /* a number in the original's spelling */
	  "{'operation':'expand','count':3,'grow':['web']}" },
	{ "{'operation':'shrink','nodes':[1001,1002],'hash':'beef','was':'inconsistent'}", NULL },
	{ "{'operation':'sync','template':{'name':'t','version':3}}", NULL },
	{ "{'operation':'retry','skip':['1-1-1'],'tasks':['1-1-2'],'job':4,'later':2}", NULL },
	{ "{'operation':'rollback','job':4,'before':{},'leaving':[],'services':['web'],'to':'incomplete'}",
	  NULL },
	{ "{'leaving':['n1'],'added':['n2'],'placed':['web'],'replacements':1}", NULL },
	{ "{'was':'active','leaseExpired':true}", NULL },
	{ "{'because':'CREATE on node 1000 failed'}", NULL },
	{ "{'kept':[{'nodenum':1000,'hostname':'h','reason':'no'}]}", NULL },
	/* of a release to come: kept as it is */
	{ "{'operation':'expand','count':1,'newer':{'x':[1]}}", NULL },
	/* of the wrong type: not there */
	{ "{'count':'many','services':'web','config':[],'leaving':null,'restart':1,'was':'active'}",
	  "{'was':'active'}" },
	{ "{'count':0,'later':0,'leaseExpired':false}", "" },
	{ "[1]", "" },
};
/* clang-format on */

static void check_equal(const struct job_params *p, const char *want)
{
	LOOM_CLEANUP(json_free) struct json *got = job_params_encode(p);
	LOOM_CLEANUP(json_free) struct json *expected = *want ? unit_json(want) : NULL;
	LOOM_CLEANUP_STR char *a = json_text(got);
	LOOM_CLEANUP_STR char *b = json_text(expected);
	ck_assert_msg(!got == !expected && json_equal(got, expected), "%s is not %s", a, b);
}

START_TEST(reads_and_writes)
{
	const char *want = stored[_i].want ? stored[_i].want : stored[_i].stored;
	LOOM_CLEANUP(json_free) struct json *v = unit_json(stored[_i].stored);
	LOOM_CLEANUP(job_params_fini) struct job_params p, copy;
	job_params_decode(v, &p);
	check_equal(&p, want);
	job_params_copy(&copy, &p);
	check_equal(&copy, want);
}
END_TEST

/* ---- one takes over from another ------------------------------------------------------------- */

static const struct {
	const char *to, *from, *fields, *want;
} merges[] = {
	{ "{'count':1}", "{'count':2,'was':'active'}", NULL, "{'count':2,'was':'active'}" },
	{ "{'count':1,'services':['a']}", "{'services':['b'],'was':'active'}", "services added",
	  "{'count':1,'services':['b']}" },
	{ "{'operation':'retry'}", "{'leaving':[],'to':'incomplete','later':3}",
	  "leaving services added placed to",
	  "{'operation':'retry','leaving':[],'to':'incomplete'}" },
	{ "{'restart':false}", "{}", NULL, "{'restart':false}" },
	{ "{}", "{'restart':false}", NULL, "{'restart':false}" },
};

START_TEST(merges_fields)
{
	LOOM_CLEANUP(json_free) struct json *a = unit_json(merges[_i].to);
	LOOM_CLEANUP(json_free) struct json *b = unit_json(merges[_i].from);
	LOOM_CLEANUP(job_params_fini) struct job_params to, from;
	job_params_decode(a, &to);
	job_params_decode(b, &from);
	job_params_merge(&to, &from, merges[_i].fields);
	check_equal(&to, merges[_i].want);
}
END_TEST

/* ---- what a request asks for ----------------------------------------------------------------- */

/* clang-format off */
static const struct {
	const char *operation, *body, *want, *why; /* want NULL: refused */
} asked[] = {
	{ "expand", "{'count':2}", "{'operation':'expand','count':2}", "" },
	{ "expand", "{'count':'2','services':['web'],'was':'active','hash':'x'}", /* only what it takes */
	  "{'operation':'expand','count':2}", "" },
	{ "expand", "{}", NULL, "count is missing: count must be a number of nodes, 1 to 1000000" },
	{ "expand", "{'count':0}", NULL, "count must be a number of nodes, 1 to 1000000" },
	{ "expand", "{'count':1,'grow':[1]}", NULL, "grow must be an array of names of services" },
	{ "shrink", "{'nodes':[1000]}", "{'operation':'shrink','nodes':[1000]}", "" },
	{ "shrink", "{'nodes':[]}", NULL,
	  "count|nodes is missing: count must be a number of nodes, 1 to 1000000, or nodes must be an array "
	  "of numbers of nodes" },
	{ "shrink", "{'nodes':['x']}", NULL, "nodes must be an array of numbers of nodes" },
	{ "configure", "{'config':{},'restart':'false'}",
	  "{'operation':'configure','config':{},'restart':false}", "" },
	{ "configure", "{'config':[]}", NULL, "config must be an object, the whole new configuration" },
	{ "configure", "{'config':{},'restart':'no'}", NULL, "restart must be true or false" },
	{ "configure", "{'config':null}", NULL,
	  "config is missing: config must be an object, the whole new configuration" },
	{ "add_services", "{'services':'web'}", NULL, "services must be an array of names" },
	{ "start", "{}", "{'operation':'start'}", "" },
	{ "start", "{'services':[]}", "{'operation':'start','services':[]}", "" },
	{ "retry", "{'skip':[],'tasks':null}", "{'operation':'retry','skip':[]}", "" },
	{ "retry", "{'tasks':[]}", NULL, "tasks must be an array of at least one task id" },
	{ "rollback", "{'job':1,'before':{}}", "{'operation':'rollback'}", "" }, /* not a user's word */
};
/* clang-format on */

START_TEST(reads_requests)
{
	LOOM_CLEANUP(json_free) struct json *body = unit_json(asked[_i].body);
	LOOM_CLEANUP(job_params_fini) struct job_params p;
	struct loom_err err = { 0 };
	int rc = job_params_read(operation_kind_find(asked[_i].operation), body, &p, &err);
	ck_assert_str_eq(err.msg, asked[_i].why);
	ck_assert_int_eq(rc, asked[_i].want ? 0 : 400);
	if (!rc)
		check_equal(&p, asked[_i].want);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("all");
	tcase_add_loop_test(c, reads_and_writes, 0, LOOM_COUNT(stored));
	tcase_add_loop_test(c, merges_fields, 0, LOOM_COUNT(merges));
	tcase_add_loop_test(c, reads_requests, 0, LOOM_COUNT(asked));
	return UNIT_RUN("operation_params", c);
}
