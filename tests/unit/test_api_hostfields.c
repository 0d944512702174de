/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/catalog/hostfields.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <string.h>

#define LIST "state_dir=/srv/sandbox/*, bridge=loom0 ,root_dir=/srv/a b,subnet=10.*.0.0/16"

static const struct {
	const char *list, *field, *value; /* value: JSON */
	bool allowed;
} values[] = {
	{ LIST, "state_dir", "'/srv/sandbox/a'", true },
	{ LIST, "bridge", "'loom0'", true },
	{ LIST, "root_dir", "'/srv/a b'", true },
	{ LIST, "subnet", "'10.61.0.0/16'", true },
	{ LIST, "state_dir", "'/srv/sandbox'", false },
	{ LIST, "state_dir", "'/srv/sandbox/'", true }, /* the folder itself, written so */
	{ LIST, "state_dir", "'/srv/sandbox/a/b'", false },
	{ LIST, "state_dir", "'/srv/sandbox/..'", false },
	{ LIST, "state_dir", "'/srv/sandbox/../../etc'", false },
	{ LIST, "state_dir", "'/srv/sandbox/.ssh'", false },
	{ LIST, "state_dir", "'/etc'", false },
	{ LIST, "state_dir", "''", false },
	{ LIST, "state_dir", "['/srv/sandbox/a']", false },
	{ LIST, "state_dir", "null", false },
	{ LIST, "bridge", "'loom1'", false },
	{ LIST, "bridge", "'/srv/sandbox/a'", false },
	{ LIST, "state", "'dir=/srv/sandbox/a'", false },
	{ LIST, "mirror", "'http://deb.debian.org/debian'", false },
	{ "bridge=*", "bridge", "'br9'", true },
	{ "*=*", "bridge", "'br9'", false },
	{ "", "bridge", "'br9'", false },
	{ NULL, "bridge", "'br9'", false },
	{ " , ,", "bridge", "''", false },
};

START_TEST(what_is_listed_is_allowed)
{
	LOOM_CLEANUP(json_free) struct json *value = unit_json(values[_i].value);
	ck_assert_msg(hostfields_allowed(values[_i].list, values[_i].field, value) ==
	                      values[_i].allowed,
	              "%s of %s", values[_i].value, values[_i].field);
}
END_TEST

#define TYPE         "{'parameters':{'admin':{'fields':{'dir':{'host':true},'url':{}}}}}"
#define P(dir, more) "{'name':'p','providertype':'t','provisioner':{'dir':" dir more "}}"

static const struct {
	const char *type, *provider, *before;
	bool fine;
} providers[] = {
	{ TYPE, P("'/x'", ""), NULL, false },
	{ TYPE, P("'/ok'", ""), NULL, true },
	{ TYPE, P("'/x'", ",'url':'other'"), P("'/x'", ""), true }, /* as it was */
	{ TYPE, P("'/y'", ""), P("'/x'", ""), false },
	{ TYPE, P("['/x']", ""), P("'/x'", ""), false },
	{ TYPE, P("'/x'", ""), "{'providertype':'other','provisioner':{'dir':'/x'}}", false },
	{ TYPE, "{'providertype':'t','provisioner':{'url':'/x'}}", NULL, true },
	{ TYPE, "{'providertype':'t','provisioner':{}}", P("'/x'", ""), true },
	{ TYPE, "{'providertype':'t'}", NULL, true },
	{ NULL, P("'/x'", ""), NULL, true }, /* a type that no plugin has: nothing is run */
	{ "{'parameters':{'admin':{'fields':{'dir':{'host':false}}}}}", P("'/x'", ""), NULL, true },
};

START_TEST(a_provider_names_what_it_may)
{
	LOOM_CLEANUP(json_free) struct json *type = NULL, *provider = NULL, *before = NULL;
	struct loom_err err = { 0 };
	if (providers[_i].type)
		type = unit_json(providers[_i].type);
	if (providers[_i].before)
		before = unit_json(providers[_i].before);
	provider = unit_json(providers[_i].provider);
	int rc = hostfields_check("dir=/ok", type, provider, before, &err);
	ck_assert_int_eq(rc, providers[_i].fine ? 0 : 403);
	if (rc)
		ck_assert_ptr_nonnull(strstr(err.msg, "provisioner.dir"));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("hostfields");
	tcase_add_loop_test(c, what_is_listed_is_allowed, 0, LOOM_COUNT(values));
	tcase_add_loop_test(c, a_provider_names_what_it_may, 0, LOOM_COUNT(providers));
	return UNIT_RUN("api_hostfields", c);
}
