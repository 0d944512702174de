/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/catalog/references.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <string.h>

static const struct {
	enum entity_kind kind;
	const char *doc, *names; /* what it names: kind name (path) */
} documents[] = {
	{ ENTITY_PROVIDER, "{'name':'p','providertype':'sandbox'}",
	  "provider type sandbox (providertype)" },
	{ ENTITY_HARDWARETYPE, "{'providermap':{'a':{'flavor':'f'},'b':{}}}",
	  "provider a (providermap.a), provider b (providermap.b)" },
	{ ENTITY_SERVICE, "{'provisioner':{'actions':{'start':{'type':'shell'},'stop':{}}}}",
	  "automator type shell (provisioner.actions.start.type)" },
	{ ENTITY_CLUSTERTEMPLATE, "{'extends':{'name':'t'},'includes':[{'name':'x'},{}]}",
	  "cluster template t (extends.name), partial template x (includes[0].name)" },
	{ ENTITY_CLUSTERTEMPLATE, "{'defaults':{'services':['a'],'provider':'p'}}",
	  "service a (defaults.services[0]), provider p (defaults.provider)" },
	{ ENTITY_PARTIALTEMPLATE,
	  "{'constraints':{'layout':{'cantcoexist':[['a','b']]},"
	  "'services':{'c':{'hardwaretypes':['h']}}}}",
	  "service a (constraints.layout.cantcoexist[0][0]), "
	  "service b (constraints.layout.cantcoexist[0][1]), "
	  "service c (constraints.services.c), "
	  "hardware type h (constraints.services.c.hardwaretypes[0])" },
	/* what is no document is read harmlessly */
	{ ENTITY_CLUSTERTEMPLATE,
	  "{'defaults':[],'compatibility':7,'constraints':{'services':[1]}}", "" },
	{ ENTITY_CLUSTERTEMPLATE, "[1]", "" },
};

static void note(enum entity_kind to, const char *name, const char *path, void *arg)
{
	strs_addf(arg, "%s %s (%s)", entity_label(to), name, path);
}

START_TEST(finds_each_name_and_its_place)
{
	LOOM_CLEANUP(strs_fini) struct strs found = { 0 };
	LOOM_CLEANUP(json_free) struct json *doc = unit_json(documents[_i].doc);
	references_each(documents[_i].kind, doc, note, &found);
	LOOM_CLEANUP_STR char *text = strs_join(&found, ", ");
	ck_assert_str_eq(text, documents[_i].names);
}
END_TEST

static const struct {
	const char *fields, *says; /* NULL: fine */
} fields[] = {
	{ "{'script':'x'}", NULL },
	{ "{'skript':'x'}", "did you mean script" },
	{ "{'Script':'x'}", "did you mean script" },
	{ "{'script':'x','scripts':'y'}", "fields.scripts is not a field of shell" },
	{ "{'user':'x'}", NULL },
	{ "{'anything':'x'}", NULL },
};

START_TEST(finds_misspelt_fields_of_a_known_type)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP(json_free)
	struct json *types = unit_json("{'shell':{'parameters':{'admin':{'fields':"
	                               "{'script':{},'user':{}}}}}}");
	LOOM_CLEANUP_STR char *text =
		loom_asprintf("{'provisioner':{'actions':{'start':{'type':'shell','fields':%s},"
	                      "'stop':{'type':'other','fields':{'skript':'x'}}}}}",
	                      fields[_i].fields);
	LOOM_CLEANUP(json_free) struct json *service = unit_json(text);
	int rc = references_check_fields(service, types, &err);
	ck_assert_int_eq(rc, fields[_i].says ? 400 : 0);
	ck_assert_msg(!rc || strstr(err.msg, fields[_i].says), "%s", err.msg);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("all");
	tcase_add_loop_test(tc, finds_each_name_and_its_place, 0, LOOM_COUNT(documents));
	tcase_add_loop_test(tc, finds_misspelt_fields_of_a_known_type, 0, LOOM_COUNT(fields));
	return UNIT_RUN("api_references", tc);
}
