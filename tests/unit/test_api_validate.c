/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/catalog/validate.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

/* Quotes are written ' for reading. */
#define PROVIDER ENTITY_PROVIDER
#define HARDWARE ENTITY_HARDWARETYPE
#define IMAGE    ENTITY_IMAGETYPE
#define SERVICE  ENTITY_SERVICE
#define TEMPLATE ENTITY_CLUSTERTEMPLATE
#define PARTIAL  ENTITY_PARTIALTEMPLATE
#define PTYPE    ENTITY_PROVIDERTYPE

static const struct {
	enum entity_kind kind;
	const char *doc, *says; /* says: what the refusal must hold */
} refused[] = {
	{ PROVIDER, "[]", "the body must be an object, not an array" },
	{ PROVIDER, "{}", "name" },
	{ PROVIDER, "{'name':null,'providertype':'t'}", "name" },
	{ PROVIDER, "{'name':'','providertype':'t'}", "name" },
	{ PROVIDER, "{'name':'a b','providertype':'t'}", "not 'a b'" },
	{ PROVIDER, "{'name':{},'providertype':'t'}", "name must be a string, not a" },
	{ PROVIDER, "{'name':'a'}", "providertype" },
	{ PROVIDER, "{'name':'a','providertype':[]}", "providertype" },
	{ PROVIDER, "{'name':'a','providertype':'t','version':'x'}", "version" },
	{ PROVIDER, "{'name':'a','providertype':'t','label':{}}", "label" },
	{ PROVIDER, "{'name':'a','providertype':'t','description':[]}", "description" },
	{ PROVIDER, "{'name':'a','providertype':'t','provisioner':'x'}", "provisioner" },
	{ HARDWARE, "{'name':'a'}", "providermap" },
	{ HARDWARE, "{'name':'a','providermap':[]}", "providermap" },
	{ HARDWARE, "{'name':'a','providermap':{'p':7}}", "providermap.p " },
	{ HARDWARE, "{'name':'a','providermap':{'p':{'flavor':[]}}}", "providermap.p.flavor" },
	{ SERVICE, "{'name':'a','dependencies':[]}", "dependencies" },
	{ SERVICE, "{'name':'a','dependencies':{'conflicts':[]}}", "dependencies.provides" },
	{ SERVICE, "{'name':'a','dependencies':{'provides':[]}}", "dependencies.conflicts" },
	{ SERVICE, "{'name':'a','dependencies':{'provides':[{}],'conflicts':[]}}",
	  "dependencies.provides[0]" },
	{ SERVICE,
	  "{'name':'a','dependencies':{'provides':[],'conflicts':[],'runtime':{'requires':'x'}}}",
	  "dependencies.runtime.requires" },
	{ SERVICE,
	  "{'name':'a','dependencies':{'provides':[],'conflicts':[],'install':{'uses':[[]]}}}",
	  "dependencies.install.uses[0]" },
	{ SERVICE, "{'name':'a','provisioner':[]}", "provisioner" },
	{ SERVICE, "{'name':'a','provisioner':{}}", "provisioner.actions" },
	{ SERVICE, "{'name':'a','provisioner':{'actions':{'boot':{'type':'t'}}}}",
	  "provisioner.actions.boot" },
	{ SERVICE, "{'name':'a','provisioner':{'actions':{'start':7}}}",
	  "provisioner.actions.start" },
	{ SERVICE, "{'name':'a','provisioner':{'actions':{'start':{'type':''}}}}",
	  "provisioner.actions.start.type" },
	{ SERVICE, "{'name':'a','provisioner':{'actions':{'start':{'type':'t','fields':[]}}}}",
	  "provisioner.actions.start.fields" },
	{ SERVICE,
	  "{'name':'a','provisioner':{'actions':{'start':{'type':'t','fields':{'x':[]}}}}}",
	  "provisioner.actions.start.fields.x" },
	{ SERVICE, "{'name':'a','links':{}}", "links" },
	{ SERVICE, "{'name':'a','links':[{'label':'l','url':'u'},{}]}", "links[1].url" },
	{ SERVICE,
	  "{'name':'a','links':[{'url':'HTTPS://x'},{'url':'%host.self%:80'},"
	  "{'url':'javascript:alert(1)'}]}",
	  "links[2].url" },
	{ SERVICE, "{'name':'a','links':[{'url':' jav\\nascript:alert(1)'}]}", "links[0].url" },
	{ SERVICE, "{'name':'a','links':[{'url':'data:text/html,x'}]}", "links[0].url" },
	{ SERVICE, "{'name':'..'}", "name" },
	{ TEMPLATE, "{'name':'a','defaults':[]}", "defaults" },
	{ TEMPLATE, "{'name':'a','defaults':{'services':'x'}}", "defaults.services" },
	{ TEMPLATE, "{'name':'a','defaults':{'services':['x',{'config':{}}]}}",
	  "defaults.services[1]" },
	{ TEMPLATE, "{'name':'a','defaults':{'config':[]}}", "defaults.config" },
	{ TEMPLATE, "{'name':'a','defaults':{'provider':{}}}", "defaults.provider" },
	{ TEMPLATE, "{'name':'a','defaults':{'dnsSuffix':'-'}}", "defaults.dnsSuffix" },
	{ TEMPLATE, "{'name':'a','compatibility':{'services':'x'}}", "compatibility.services" },
	{ TEMPLATE, "{'name':'a','compatibility':{'hardwaretypes':[{}]}}",
	  "compatibility.hardwaretypes[0]" },
	{ TEMPLATE, "{'name':'a','constraints':{'layout':[]}}", "constraints.layout" },
	{ TEMPLATE, "{'name':'a','constraints':{'layout':{'mustcoexist':['x']}}}",
	  "constraints.layout.mustcoexist[0]" },
	{ TEMPLATE, "{'name':'a','constraints':{'layout':{'cantcoexist':[['x',{}]]}}}",
	  "constraints.layout.cantcoexist[0][1]" },
	{ TEMPLATE, "{'name':'a','constraints':{'services':{'s':7}}}", "constraints.services.s" },
	{ TEMPLATE, "{'name':'a','constraints':{'services':{'s':{}}}}",
	  "constraints.services.s.quantities" },
	{ TEMPLATE, "{'name':'a','constraints':{'services':{'s':{'quantities':{'min':-1}}}}}",
	  "constraints.services.s.quantities.min" },
	{ TEMPLATE,
	  "{'name':'a','constraints':{'services':{'s':{'quantities':{'min':2,'max':1}}}}}",
	  "constraints.services.s.quantities.max" },
	{ TEMPLATE, "{'name':'a','constraints':{'services':{'s':{'quantities':{'min':1.5}}}}}",
	  "constraints.services.s.quantities.min" },
	{ TEMPLATE, "{'name':'a','constraints':{'size':{'min':0}}}", "constraints.size.min" },
	{ TEMPLATE, "{'name':'a','constraints':{'size':{'min':5,'max':4}}}",
	  "constraints.size.max" },
	{ TEMPLATE, "{'name':'a','constraints':{'size':{'max':2147483648}}}",
	  "constraints.size.max" },
	{ TEMPLATE, "{'name':'a','administration':{}}", "administration.leaseduration" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseduration':{'initial':'x'}}}",
	  "administration.leaseduration.initial" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseduration':{'initial':'5ms'}}}",
	  "administration.leaseduration.initial" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseduration':{'initial':-1}}}",
	  "administration.leaseduration.initial" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseduration':{'step':'1w'}}}",
	  "administration.leaseduration.step" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseduration':{'step':'1d '}}}",
	  "administration.leaseduration.step" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseduration':{'initial':'99999999999999d'}}}",
	  "administration.leaseduration.initial" },
	{ TEMPLATE,
	  "{'name':'a','administration':{'leaseduration':{'initial':9223372036854775807}}}",
	  "administration.leaseduration.initial" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseduration':{'initial':2,'max':1}}}",
	  "administration.leaseduration.initial" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseduration':{'max':1}}}",
	  "administration.leaseduration.initial" },
	{ TEMPLATE, "{'name':'a','extends':{}}", "extends.name" },
	{ TEMPLATE, "{'name':'a','extends':'b'}", "extends" },
	{ TEMPLATE, "{'name':'a','includes':[{}]}", "includes[0].name" },
	{ PROVIDER, "{'name':'a','providertype':'t','provisionr':{}}", "did you mean provisioner" },
	{ PROVIDER, "{'name':'a','Providertype':'t'}", "did you mean providertype" },
	{ HARDWARE, "{'name':'a','providermaps':{}}", "did you mean providermap" },
	{ SERVICE, "{'name':'a','dependancies':{}}", "did you mean dependencies" },
	{ SERVICE, "{'name':'a','dependencies':{'provides':[],'conflicts':[],'instal':{}}}",
	  "dependencies.instal is" },
	{ SERVICE, "{'name':'a','provisioner':{'action':{}}}", "provisioner.action is" },
	{ SERVICE, "{'name':'a','provisioner':{'actions':{'start':{'type':'t','feilds':{}}}}}",
	  "provisioner.actions.start.feilds is" },
	{ TEMPLATE, "{'name':'a','default':{}}", "did you mean defaults" },
	{ TEMPLATE, "{'name':'a','defaults':{'service':[]}}", "defaults.service is" },
	{ TEMPLATE, "{'name':'a','compatibility':{'service':[]}}", "compatibility.service is" },
	{ TEMPLATE, "{'name':'a','constraints':{'layuot':{}}}", "constraints.layuot is" },
	{ TEMPLATE, "{'name':'a','constraints':{'layout':{'mustCoexist':[]}}}",
	  "did you mean mustcoexist" },
	{ TEMPLATE, "{'name':'a','constraints':{'services':{'s':{'quantites':{}}}}}",
	  "did you mean quantities" },
	{ TEMPLATE, "{'name':'a','administration':{'leaseDuration':{}}}",
	  "did you mean leaseduration" },
	{ PARTIAL, "{'name':'a'}", "immutable" },
	{ PARTIAL, "{'name':'a','immutable':'maybe'}", "immutable" },
	{ PTYPE, "{'name':'a','parameters':{'guest':{}}}", "parameters.guest" },
	{ PTYPE, "{'name':'a','parameters':{'user':[]}}", "parameters.user" },
	{ PTYPE, "{'name':'a','parameters':{'user':{'fields':{'f':{}}}}}",
	  "parameters.user.fields.f.label" },
	{ PTYPE, "{'name':'a','parameters':{'user':{'fields':{'f':{'label':'l'}}}}}",
	  "parameters.user.fields.f.type" },
	{ PTYPE, "{'name':'a','parameters':{'admin':{'required':[['f']]}}}",
	  "parameters.admin.required[0]" },
	{ PTYPE, "{'name':'a','parameters':{'admin':{'required':['f']}}}",
	  "parameters.admin.required[0]" },
	{ PTYPE, "{'name':'a','resourceTypes':{'k':{}}}", "resourceTypes.k.format" },
	{ PTYPE, "{'name':'a','resourceTypes':{'k':{'format':'zip'}}}", "resourceTypes.k.format" },
	{ PTYPE, "{'name':'a','resourceTypes':{'k':{'format':'file','permissions':'89'}}}",
	  "resourceTypes.k.permissions" },
	{ PTYPE, "{'name':'a','resourceTypes':{'k':{'format':'archive','permissions':'0644'}}}",
	  "resourceTypes.k.permissions" },
};

/* As the dispatcher does: the schema first, all faults at once. */
static int check(enum entity_kind k, const struct json *in, struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *faults = schema_check(validate_schema(k), in);
	LOOM_CLEANUP_STR char *words = faults ? schema_words(faults) : NULL;
	return faults ? err_set(err, 400, "%s", words) : validate_entity(k, in, ret, err);
}

START_TEST(refusals_name_the_field)
{
	LOOM_CLEANUP(json_free) struct json *in = unit_json(refused[_i].doc);
	struct json *out = NULL;
	struct loom_err err = { 0 };
	ck_assert_msg(check(refused[_i].kind, in, &out, &err) == 400, "%s was accepted",
	              refused[_i].doc);
	ck_assert_msg(strstr(err.msg, refused[_i].says), "%s: '%s' does not say '%s'",
	              refused[_i].doc, err.msg, refused[_i].says);
	ck_assert_ptr_null(out);
}
END_TEST

#define NO_DEPS                                                                             \
	"'dependencies':{'provides':[],'conflicts':[],'install':{'requires':[],'uses':[]}," \
	"'runtime':{'requires':[],'uses':[]}}"
#define NO_COMPAT "'compatibility':{'hardwaretypes':[],'imagetypes':[],'services':[]}"
#define NO_CONSTR                                                                    \
	"'constraints':{'layout':{'mustcoexist':[],'cantcoexist':[]},'services':{}," \
	"'size':{'min':1,'max':2147483647}}"
#define NO_LEASE "'administration':{'leaseduration':{'initial':0,'max':0,'step':0}}"

static const struct {
	enum entity_kind kind;
	const char *doc, *stored;
} accepted[] = {
	{ PROVIDER, "{'name':'a','providertype':'t','extra':1,'version':9,'label':null}",
	  "{'name':'a','providertype':'t','provisioner':{}}" },
	{ PROVIDER, "{'name':7,'providertype':true,'icon':'i','provisioner':{'x':[1,{'y':null}]}}",
	  "{'name':'7','icon':'i','providertype':'true','provisioner':{'x':[1,{'y':null}]}}" },
	{ HARDWARE, "{'name':'a','providermap':{'p':{'flavor':7,'more':'m'},'q':{}}}",
	  "{'name':'a','providermap':{'p':{'flavor':'7','more':'m'},'q':{}}}" },
	{ SERVICE, "{'name':'a'}",
	  "{'name':'a'," NO_DEPS ",'provisioner':{'actions':{}},'links':[]}" },
	{ SERVICE,
	  "{'name':'a','dependencies':{'provides':['p','p'],'conflicts':['c'],"
	  "'install':{'requires':['r']},'runtime':null},"
	  "'provisioner':{'actions':{'start':{'type':'shell'},'stop':{'type':'s','fields':{'n':1}}}},"
	  "'links':[{'url':'u','more':1}]}",
	  "{'name':'a','dependencies':{'provides':['p'],'conflicts':['c'],"
	  "'install':{'requires':['r'],'uses':[]},'runtime':{'requires':[],'uses':[]}},"
	  "'provisioner':{'actions':{'start':{'type':'shell','fields':{}},"
	  "'stop':{'type':'s','fields':{'n':'1'}}}},'links':[{'url':'u'}]}" },
	{ TEMPLATE, "{'name':'a'}",
	  "{'name':'a','defaults':{'services':[],'config':{}}," NO_COMPAT "," NO_CONSTR "," NO_LEASE
	  ",'links':[],'includes':[]}" },
	{ TEMPLATE,
	  "{'name':'a','defaults':{'services':['x',{'name':'y','config':{'port':1}},'x'],"
	  "'config':{'z':1},'provider':'p'},'extends':{'name':'b'},'includes':[{'name':'c','v':1}],"
	  "'administration':{'leaseduration':{'initial':'2h','max':'1d','step':'90s'}}}",
	  "{'name':'a','defaults':{'services':['x','y'],'provider':'p',"
	  "'config':{'z':1,'y':{'port':1}}}," NO_COMPAT "," NO_CONSTR
	  ",'administration':{'leaseduration':{'initial':7200000,'max':86400000,'step':90000}},"
	  "'links':[],'extends':{'name':'b'},'includes':[{'name':'c'}]}" },
	{ TEMPLATE,
	  "{'name':'a','constraints':{'services':{'s':{'quantities':{'min':'2'}}},"
	  "'layout':{'mustcoexist':[['s','t']]},'size':{'min':2,'max':'9'}},"
	  "'administration':{'leaseduration':{'initial':'30m','max':'1800000'}}}",
	  "{'name':'a','defaults':{'services':[],'config':{}}," NO_COMPAT ","
	  "'constraints':{'layout':{'mustcoexist':[['s','t']],'cantcoexist':[]},"
	  "'services':{'s':{'hardwaretypes':[],'imagetypes':[],'quantities':{'min':2,'max':2147483647}}},"
	  "'size':{'min':2,'max':9}},"
	  "'administration':{'leaseduration':{'initial':1800000,'max':1800000,'step':0}},"
	  "'links':[],'includes':[]}" },
	{ PARTIAL, "{'name':'a','immutable':'true'}",
	  "{'name':'a','defaults':{'services':[],'config':{}}," NO_COMPAT "," NO_CONSTR "," NO_LEASE
	  ",'links':[],'immutable':true}" },
	{ PTYPE, "{'name':'a','classname':'Fog'}",
	  "{'name':'a','parameters':{'admin':{'fields':{},'required':[]},"
	  "'user':{'fields':{},'required':[]}},'resourceTypes':{}}" },
	{ PTYPE,
	  "{'name':'a','parameters':{'user':{'fields':{'f':{'label':'F','type':'select',"
	  "'options':['a','b'],'default':5,'sensitive':'true'}},'required':[['f'],[]]}},"
	  "'resourceTypes':{'k':{'format':'file','permissions':'0400'},'l':{'format':'archive'}}}",
	  "{'name':'a','parameters':{'admin':{'fields':{},'required':[]},'user':{'fields':{'f':"
	  "{'label':'F','type':'select','tip':'','default':5,'override':false,'sensitive':true,"
	  "'options':['a','b']}},'required':[['f'],[]]}},"
	  "'resourceTypes':{'k':{'format':'file','permissions':'0400'},'l':{'format':'archive'}}}" },
};

START_TEST(stores_what_is_known_with_defaults)
{
	LOOM_CLEANUP(json_free) struct json *in = unit_json(accepted[_i].doc);
	LOOM_CLEANUP(json_free) struct json *want = unit_json(accepted[_i].stored);
	LOOM_CLEANUP(json_free) struct json *out = NULL, *again = NULL;
	struct loom_err err = { 0 };
	ck_assert_msg(!check(accepted[_i].kind, in, &out, &err), "%s: %s", accepted[_i].doc,
	              err.msg);
	LOOM_CLEANUP_STR char *text = json_text(out);
	ck_assert_msg(json_equal(out, want), "%s\nwas stored as %s", accepted[_i].doc, text);
	/* What is stored is accepted again, unchanged. */
	ck_assert(!check(accepted[_i].kind, out, &again, &err));
	ck_assert(json_equal(out, again));
}
END_TEST

static const struct {
	const char *text;
	bool ok;
} suffixes[] = {
	{ "local", true },     { "a.b-c.example", true },
	{ ".local", true },    { "1", true },
	{ "", false },         { ".", false },
	{ "a.", false },       { "a..b", false },
	{ "a_b", false },      { "a-", false },
	{ "a b", false },      { "a-.b", false },
	{ "-x", false },       { "a.-b", false },
	{ "\xc3\xa4", false },
};

START_TEST(dns_suffixes)
{
	ck_assert_msg(validate_dns_suffix(suffixes[_i].text) == suffixes[_i].ok, "'%s'",
	              suffixes[_i].text);
}
END_TEST

START_TEST(dns_suffix_lengths)
{
	char label[65], suffix[200] = "";
	memset(label, 'x', sizeof(label) - 1);
	label[64] = '\0';
	ck_assert(!validate_dns_suffix(label));
	label[63] = '\0';
	ck_assert(validate_dns_suffix(label));
	for (int i = 0; i < 3; i++) {
		strcat(suffix, i ? "." : "");
		strcat(suffix, label);
	}
	ck_assert_uint_eq(strlen(suffix), 191);
	ck_assert(validate_dns_suffix(suffix));
	strcat(suffix, "y");
	ck_assert(!validate_dns_suffix(suffix));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("validate");
	tcase_add_loop_test(c, refusals_name_the_field, 0, LOOM_COUNT(refused));
	tcase_add_loop_test(c, stores_what_is_known_with_defaults, 0, LOOM_COUNT(accepted));
	tcase_add_loop_test(c, dns_suffixes, 0, LOOM_COUNT(suffixes));
	tcase_add_test(c, dns_suffix_lengths);
	return UNIT_RUN("api_validate", c);
}
