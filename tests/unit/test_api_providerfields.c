/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/catalog/providerfields.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdlib.h>

/* Quotes are written ' for reading. */
#define OPEN                                                                     \
	"{'parameters':{'admin':{'fields':{'url':{},'zone':{'override':true}}}," \
	"'user':{'fields':{'key':{},'pass':{'sensitive':true}}}}}"
#define ONE_OF                                                                               \
	"{'parameters':{'user':{'fields':{'a':{'label':'A','default':1},'b':{'label':'B'}}," \
	"'required':[['a'],['b','c']]}}}"

static const struct {
	const char *type, *fields, *have; /* have: the provider's own settings */
	const char *merged;               /* NULL: refused */
	const char *missing;
} cases[] = {
	{ OPEN, "{}", "{'url':'u'}", "{'url':'u'}", NULL },
	{ OPEN, NULL, "{}", "{}", NULL },
	{ OPEN, "{'key':'k','zone':'z'}", "{'url':'u','zone':'old'}",
	  "{'url':'u','zone':'z','key':'k'}", NULL },
	{ OPEN, "{'url':'evil','other':1}", "{'url':'u'}", "{'url':'u'}", NULL },
	{ OPEN, "{'key':{'deep':[1]}}", "{}", "{'key':{'deep':[1]}}", NULL },
	{ OPEN, "{'key':null}", "{'key':'k'}", "{'key':'k'}", NULL },
	{ OPEN, "{'pass':'p','key':'k'}", "{}", "{'key':'k','pass':'p'}", NULL },
	{ OPEN, "{'pass':'********','key':'********'}", "{'pass':'kept'}",
	  "{'pass':'kept','key':'********'}", NULL },
	{ ONE_OF, "{'a':1}", "{}", "{'a':1}", NULL },
	{ ONE_OF, "{'a':'********'}", "{}", NULL,
	  "{'missingFields':[{'a':{'label':'A','defaultValue':1}},{'b':{'label':'B'},'c':{}}]}" },
	{ ONE_OF, "{'b':1}", "{'c':2}", "{'b':1,'c':2}", NULL },
	{ ONE_OF, "{}", "{'b':1,'c':2}", "{'b':1,'c':2}", NULL },
	{ ONE_OF, "{'b':1}", "{}", NULL,
	  "{'missingFields':[{'a':{'label':'A','defaultValue':1}},{'c':{}}]}" },
	{ ONE_OF, NULL, "{}", NULL,
	  "{'missingFields':[{'a':{'label':'A','defaultValue':1}},{'b':{'label':'B'},'c':{}}]}" },
	{ ONE_OF, "{'a':null}", "{'b':null}", NULL,
	  "{'missingFields':[{'a':{'label':'A','defaultValue':1}},{'b':{'label':'B'},'c':{}}]}" },
	{ "{}", "{'x':1}", "{}", "{}", NULL },
	{ "{'parameters':{'user':{'required':[[]]}}}", "{}", "{}", "{}", NULL },
};

START_TEST(applies)
{
	LOOM_CLEANUP(json_free) struct json *type = unit_json(cases[_i].type);
	LOOM_CLEANUP(json_free)
	struct json *fields = cases[_i].fields ? unit_json(cases[_i].fields) : NULL;
	LOOM_CLEANUP(json_free) struct json *have = unit_json(cases[_i].have);
	LOOM_CLEANUP(json_free)
	struct json *provider = json_set(json_new_obj(), "provisioner", json_copy(have));
	LOOM_CLEANUP(json_free) struct json *missing = NULL;
	int rc = providerfields_apply(type, fields, provider, &missing);
	ck_assert_int_eq(rc, cases[_i].merged ? 0 : 400);
	LOOM_CLEANUP(json_free)
	struct json *want = unit_json(cases[_i].merged ? cases[_i].merged : cases[_i].have);
	ck_assert(json_equal(json_get(provider, "provisioner"), want));
	LOOM_CLEANUP_STR char *said = missing ? json_text(missing) : loom_strdup("{}");
	LOOM_CLEANUP(json_free)
	struct json *lacks = cases[_i].missing ? unit_json(cases[_i].missing) : NULL;
	ck_assert_msg(!missing == !lacks && (!lacks || json_equal(missing, lacks)), "%s", said);
}
END_TEST

static const struct {
	const char *type, *fields, *over;
} overs[] = {
	{ OPEN, "{'key':'k','zone':'z'}", "" },
	{ OPEN, NULL, "" },
	{ OPEN, "{'kye':'k','url':'u','zone':'z'}", "providerFields.kye providerFields.url" },
	{ OPEN, "{'kye':null}", "providerFields.kye" },
	{ "{}", "{'x':1}", "providerFields.x" },
	{ OPEN, "{'a':1,'b':1,'c':1,'d':1,'e':1,'f':1}",
	  "providerFields.a providerFields.b providerFields.c providerFields.d providerFields.e" },
};

START_TEST(says_what_it_drops)
{
	LOOM_CLEANUP(json_free) struct json *type = unit_json(overs[_i].type);
	LOOM_CLEANUP(json_free)
	struct json *fields = overs[_i].fields ? unit_json(overs[_i].fields) : NULL;
	struct strs over = { 0 };
	providerfields_over(type, fields, &over);
	LOOM_CLEANUP_STR char *all = strs_join(&over, " ");
	ck_assert_str_eq(all, overs[_i].over);
	strs_fini(&over);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("providerfields");
	tcase_add_loop_test(c, applies, 0, LOOM_COUNT(cases));
	tcase_add_loop_test(c, says_what_it_drops, 0, LOOM_COUNT(overs));
	return UNIT_RUN("api_providerfields", c);
}
