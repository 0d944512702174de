/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/catalog/resolve.h"

#include "common/base/str.h"
#include "services/api/catalog/validate.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

/* What is stored; quotes are written ' for reading. */
static const struct {
	enum entity_kind kind;
	const char *text;
} library[] = {
	{ ENTITY_CLUSTERTEMPLATE,
	  "{'name':'top','description':'t','links':[{'url':'http://top'}],"
	  "'defaults':{'services':['base','log'],'provider':'lab','hardwaretype':'small',"
	  "'config':{'web':{'port':80,'host':'x'},'top':1}},"
	  "'compatibility':{'services':['base','log']},"
	  "'constraints':{'size':{'min':2,'max':5},'services':{'base':{'quantities':{'min':1}},"
	  "'log':{'quantities':{'max':1}}},'layout':{'mustcoexist':[['base','log']],"
	  "'cantcoexist':[]}},"
	  "'administration':{'leaseduration':{'initial':1000,'max':2000,'step':10}}}" },
	{ ENTITY_CLUSTERTEMPLATE,
	  "{'name':'mid','extends':{'name':'top'},'includes':[{'name':'p1'}],"
	  "'defaults':{'services':['web','base'],'provider':'',"
	  "'config':{'web':{'port':81}}},"
	  "'constraints':{'services':{'log':{'quantities':{'max':3}}}}}" },
	{ ENTITY_CLUSTERTEMPLATE, "{'name':'locked','includes':[{'name':'fixed'}],"
	                          "'defaults':{'services':['web'],'provider':'lab'}}" },
	{ ENTITY_CLUSTERTEMPLATE, "{'name':'ring1','extends':{'name':'ring2'}}" },
	{ ENTITY_CLUSTERTEMPLATE, "{'name':'ring2','extends':{'name':'ring3'}}" },
	{ ENTITY_CLUSTERTEMPLATE, "{'name':'ring3','extends':{'name':'ring1'}}" },
	{ ENTITY_CLUSTERTEMPLATE, "{'name':'orphan','extends':{'name':'gone'}}" },
	{ ENTITY_CLUSTERTEMPLATE, "{'name':'hollow','includes':[{'name':'gone'}]}" },
	{ ENTITY_PARTIALTEMPLATE,
	  "{'name':'p1','immutable':false,'links':[{'url':'http://p1'}],"
	  "'defaults':{'services':['mon'],'provider':'other','imagetype':'deb',"
	  "'config':{'mon':{'a':1},'web':{'port':1}}},"
	  "'compatibility':{'services':['mon'],'imagetypes':['deb']},"
	  "'constraints':{'size':{'min':7},'services':{'mon':{'quantities':{'min':1}}}},"
	  "'administration':{'leaseduration':{'initial':5,'max':5}}}" },
	{ ENTITY_PARTIALTEMPLATE, "{'name':'p2','immutable':false,"
	                          "'defaults':{'imagetype':'alp','config':{'mon':{'b':2}}}}" },
	{ ENTITY_PARTIALTEMPLATE, "{'name':'fixed','immutable':true,"
	                          "'defaults':{'config':{'sec':{'on':true},'key':'k'}}}" },
	{ ENTITY_PARTIALTEMPLATE, "{'name':'other','immutable':false,"
	                          "'defaults':{'config':{'sec':{'on':false}}}}" },
	{ ENTITY_PARTIALTEMPLATE, "{'name':'calling','immutable':false,'administration':"
	                          "{'callbacks':[{'url':'http://a','events':['start']}]}}" },
	{ ENTITY_PARTIALTEMPLATE, "{'name':'suffix','immutable':false,"
	                          "'defaults':{'dnsSuffix':'example.org'}}" },
};

static struct json *document(enum entity_kind k, const char *text)
{
	LOOM_CLEANUP(json_free) struct json *in = unit_json(text);
	struct json *doc = NULL;
	struct loom_err err = { 0 };
	if (k == ENTITY_KINDS_)
		return loom_take(in);
	ck_assert_msg(!validate_entity(k, in, &doc, &err), "%s: %s", text, err.msg);
	return json_set_int(doc, "version", 9);
}

static int get(void *arg, enum entity_kind k, const char *name, struct json **ret)
{
	int *reads = arg;
	++*reads;
	for (size_t i = 0; i < LOOM_COUNT(library); i++) {
		LOOM_CLEANUP_STR char *start = loom_asprintf("{'name':'%s'", name);
		if (library[i].kind == k && str_starts(library[i].text, start)) {
			*ret = document(k, library[i].text);
			return 0;
		}
	}
	return ENTITY_E_NONE;
}

#define LEAF(more) "{'name':'leaf','extends':{'name':'mid'}" more "}"

static const struct {
	const char *leaf, *path, *want; /* want NULL: absent */
} merges[] = {
	/* nothing to merge: as it is */
	{ "{'name':'alone','defaults':{'services':['a']}}", "defaults",
	  "{'services':['a'],'config':{}}" },
	/* the leaf's own words */
	{ LEAF(""), "name", "'leaf'" },
	{ LEAF(""), "version", "9" },
	{ LEAF(""), "description", NULL },
	{ LEAF(",'label':'L'"), "label", "'L'" },
	{ LEAF(""), "extends", "{'name':'mid'}" },
	{ LEAF(""), "includes", "[]" },
	{ LEAF(""), "links", "[]" },
	{ LEAF(",'links':[{'label':'l','url':'http://leaf'}]"), "links",
	  "[{'label':'l','url':'http://leaf'}]" },
	/* lists are united, in the order of the merge, each once */
	{ LEAF(",'defaults':{'services':['log','end']}"), "defaults/services",
	  "['base','log','mon','web','end']" },
	{ LEAF(""), "compatibility",
	  "{'hardwaretypes':[],'imagetypes':['deb'],'services':['base','log','mon']}" },
	/* words are replaced when not blank, by partials too */
	{ LEAF(""), "defaults/provider", "'other'" },
	{ LEAF(",'defaults':{'provider':'mine'}"), "defaults/provider", "'mine'" },
	{ LEAF(""), "defaults/hardwaretype", "'small'" },
	{ LEAF(""), "defaults/imagetype", "'deb'" },
	{ LEAF(",'includes':[{'name':'p2'}]"), "defaults/imagetype", "'alp'" },
	{ LEAF(",'includes':[{'name':'p2'},{'name':'p1'}]"), "defaults/imagetype", "'deb'" },
	{ LEAF(",'includes':[{'name':'suffix'}]"), "defaults/dnsSuffix", "'example.org'" },
	{ LEAF(""), "defaults/dnsSuffix", NULL },
	/* config: by top-level key, a value is replaced as a whole */
	{ LEAF(""), "defaults/config", "{'top':1,'mon':{'a':1},'web':{'port':81}}" },
	{ LEAF(",'includes':[{'name':'p2'}]"), "defaults/config/mon", "{'b':2}" },
	{ LEAF(",'includes':[{'name':'p2'}],'defaults':{'config':{'mon':0}}"),
	  "defaults/config/mon", "0" },
	/* constraints: from templates only */
	{ LEAF(""), "constraints/services/mon", NULL },
	{ LEAF(""), "constraints/services/log/quantities", "{'min':0,'max':3}" },
	{ LEAF(""), "constraints/services/base/quantities/min", "1" },
	{ LEAF(",'constraints':{'layout':{'mustcoexist':[['log','base'],['web','log']],"
	       "'cantcoexist':[['a','b']]}}"),
	  "constraints/layout",
	  "{'mustcoexist':[['base','log'],['web','log']],'cantcoexist':[['a','b']]}" },
	/* the size comes with any constraint at all */
	{ "{'name':'leaf','extends':{'name':'top'}}", "constraints/size", "{'min':2,'max':5}" },
	{ LEAF(""), "constraints/size", "{'min':1,'max':2147483647}" },
	{ LEAF(",'constraints':{'size':{'max':4}}"), "constraints/size", "{'min':1,'max':4}" },
	/* the lease from the last template that has one */
	{ LEAF(""), "administration/leaseduration", "{'initial':1000,'max':2000,'step':10}" },
	{ LEAF(",'administration':{'leaseduration':{'initial':0}}"), "administration/leaseduration",
	  "{'initial':1000,'max':2000,'step':10}" },
	{ LEAF(",'administration':{'leaseduration':{'initial':'3s'}}"),
	  "administration/leaseduration", "{'initial':3000,'max':0,'step':0}" },
	/* callbacks from the last template that has some, apart from the lease */
	{ LEAF(",'administration':{'callbacks':[{'url':'http://a','events':['start']}]}"),
	  "administration",
	  "{'leaseduration':{'initial':1000,'max':2000,'step':10},"
	  "'callbacks':[{'url':'http://a','events':['start'],'veto':false}]}" },
	/* and so are retries and replacements */
	{ LEAF(",'administration':{'retries':{'create':{'tries':1}},'replacements':0}"),
	  "administration",
	  "{'leaseduration':{'initial':1000,'max':2000,'step':10},"
	  "'retries':{'create':{'tries':1}},'replacements':0}" },
	{ LEAF(",'includes':[{'name':'calling'}]"), "administration/callbacks", NULL },
	/* an immutable partial may come twice; other keys stay free */
	{ "{'name':'leaf','extends':{'name':'locked'},'includes':[{'name':'fixed'}],"
	  "'defaults':{'config':{'web':1}}}",
	  "defaults/config", "{'sec':{'on':true},'key':'k','web':1}" },
	/* it may take over what was set before it */
	{ "{'name':'leaf','includes':[{'name':'other'},{'name':'fixed'}]}", "defaults/config/sec",
	  "{'on':true}" },
};

START_TEST(merges_in_order)
{
	LOOM_CLEANUP(json_free)
	struct json *leaf = document(ENTITY_CLUSTERTEMPLATE, merges[_i].leaf);
	LOOM_CLEANUP(json_free) struct json *out = NULL, *want = NULL;
	struct loom_err err = { 0 };
	int reads = 0;
	const struct resolve_source src = { .get = get, .arg = &reads };
	int rc = resolve(leaf, &src, &out, &err);
	ck_assert_msg(!rc, "%d %s", rc, err.msg);
	const struct json *got = json_path(out, merges[_i].path);
	if (merges[_i].want)
		want = document(ENTITY_KINDS_, merges[_i].want);
	LOOM_CLEANUP_STR char *text = got ? json_text(got) : loom_strdup("absent");
	ck_assert_msg(want ? json_equal(got, want) : !got, "%s of %s is %s, not %s",
	              merges[_i].path, merges[_i].leaf, text, merges[_i].want);
}
END_TEST

static const struct {
	const char *leaf;
	int status;
	const char *said;
} refusals[] = {
	{ "{'name':'leaf','extends':{'name':'leaf'}}", 400,
	  "extends forms a circle: leaf -> leaf" },
	{ "{'name':'ring3','extends':{'name':'ring1'}}", 400,
	  "extends forms a circle: ring3 -> ring1 -> ring2 -> ring3" },
	{ "{'name':'leaf','extends':{'name':'ring2'}}", 400,
	  "extends forms a circle: ring2 -> ring3 -> ring1 -> ring2" },
	{ "{'name':'leaf','extends':{'name':'gone'}}", 404,
	  "cluster template gone does not exist; template leaf extends it" },
	{ "{'name':'leaf','extends':{'name':'orphan'}}", 404,
	  "cluster template gone does not exist; template orphan extends it" },
	{ "{'name':'leaf','includes':[{'name':'top'}]}", 404,
	  "partial template top does not exist; template leaf includes it" },
	{ "{'name':'leaf','extends':{'name':'hollow'}}", 404,
	  "partial template gone does not exist; template hollow includes it" },
	{ "{'name':'leaf','extends':{'name':'locked'},'defaults':{'config':{'key':'k'}}}", 400,
	  "defaults.config.key is immutable: partial template fixed sets it, and cluster template "
	  "leaf sets it again" },
	{ "{'name':'leaf','includes':[{'name':'fixed'},{'name':'other'}]}", 400,
	  "defaults.config.sec is immutable: partial template fixed sets it, and partial template "
	  "other sets it again" },
};

START_TEST(refuses)
{
	LOOM_CLEANUP(json_free)
	struct json *leaf = document(ENTITY_CLUSTERTEMPLATE, refusals[_i].leaf);
	struct json *out = NULL;
	struct loom_err err = { 0 };
	int reads = 0;
	const struct resolve_source src = { .get = get, .arg = &reads };
	ck_assert_int_eq(resolve(leaf, &src, &out, &err), refusals[_i].status);
	ck_assert_str_eq(err.msg, refusals[_i].said);
	ck_assert_ptr_null(out);
}
END_TEST

static int away(void *arg LOOM_UNUSED, enum entity_kind k LOOM_UNUSED, const char *name LOOM_UNUSED,
                struct json **ret LOOM_UNUSED)
{
	return DB_E_AWAY;
}

static int endless(void *arg, enum entity_kind k LOOM_UNUSED, const char *name, struct json **ret)
{
	int *reads = arg;
	LOOM_CLEANUP_STR char *up =
		loom_asprintf("{'name':'%s','extends':{'name':'t%d'}}", name, ++*reads);
	*ret = document(ENTITY_CLUSTERTEMPLATE, up);
	return 0;
}

START_TEST(ends)
{
	LOOM_CLEANUP(json_free) struct json *leaf = document(ENTITY_CLUSTERTEMPLATE, LEAF(""));
	struct json *out = NULL;
	struct loom_err err = { 0 };
	int reads = 0;
	struct resolve_source src = { .get = away };
	ck_assert_int_eq(resolve(leaf, &src, &out, &err), DB_E_AWAY);
	src = (struct resolve_source){ .get = endless, .arg = &reads };
	ck_assert_int_eq(resolve(leaf, &src, &out, &err), 400);
	ck_assert_str_eq(err.msg, "template leaf has more than 64 ancestors");
	ck_assert_int_eq(reads, 64);
}
END_TEST

static const struct {
	const char *doc, *said; /* NULL: complete */
} checks[] = {
	{ "{'name':'t','defaults':{'services':['a'],'provider':'p'}}", NULL },
	{ "{'name':'t','defaults':{'services':['a'],'provider':'p','dnsSuffix':'a.b'}}", NULL },
	{ "{'name':'t','defaults':{'services':[],'provider':'p'}}",
	  "defaults.services is empty in template t as resolved" },
	{ "{'name':'t','defaults':{'services':['a']}}",
	  "defaults.provider is missing in template t as resolved" },
	{ "{'name':'t','defaults':{'services':['a'],'provider':' '}}",
	  "defaults.provider is missing in template t as resolved" },
	{ "{'name':'t','defaults':{'services':['a'],'provider':'p','dnsSuffix':'-'}}",
	  "defaults.dnsSuffix '-' is not a DNS suffix" },
};

START_TEST(says_what_is_missing)
{
	LOOM_CLEANUP(json_free) struct json *doc = document(ENTITY_KINDS_, checks[_i].doc);
	struct loom_err err = { 0 };
	ck_assert_int_eq(resolve_check(doc, &err), checks[_i].said ? 400 : 0);
	ck_assert_str_eq(err.msg, checks[_i].said ? checks[_i].said : "");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("resolve");
	tcase_add_loop_test(c, merges_in_order, 0, LOOM_COUNT(merges));
	tcase_add_loop_test(c, refuses, 0, LOOM_COUNT(refusals));
	tcase_add_test(c, ends);
	tcase_add_loop_test(c, says_what_is_missing, 0, LOOM_COUNT(checks));
	return UNIT_RUN("api_resolve", c);
}
