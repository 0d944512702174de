/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of version 0.9.7, in and out. Quotes are written ' for reading. */
#include "services/api/request/legacy.h"

#include "common/base/str.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

static struct json *parsed(const char *quoted)
{
	char *text = loom_strdup(quoted);
	struct json *v = NULL;
	struct loom_err err;
	for (char *at = text; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	ck_assert_msg(!json_parse_str(text, &v, &err), "%s: %s", text, err.msg);
	loom_free(text);
	return v;
}

/* Takes got. */
static void is_like(struct json *got, const char *quoted)
{
	struct json *want = parsed(quoted);
	char *text = json_text(got);
	ck_assert_msg(json_equal(got, want), "%s is not %s", text, quoted);
	loom_free(text);
	json_free(got);
	json_free(want);
}

static const struct {
	enum entity_kind kind;
	const char *in, *out; /* NULL: as it came */
} documents[] = {
	{ ENTITY_PROVIDER,
	  "{'name':'a','provisioner':{'auth':{'user':'u','url':'old'},'url':'new'}}",
	  "{'name':'a','provisioner':{'url':'new','user':'u'}}" },
	{ ENTITY_PROVIDER, "{'provisioner':{'auth':'text'}}", NULL },
	{ ENTITY_PROVIDER, "{'provisioner':7}", NULL },
	{ ENTITY_PROVIDER, "7", NULL },
	{ ENTITY_HARDWARETYPE, "{'dependson':['a'],'provisioner':{'auth':{}}}", NULL },
	{ ENTITY_SERVICE, "{'dependson':['a']}",
	  "{'dependencies':{'provides':[],'conflicts':[],'runtime':{'requires':['a']}}}" },
	{ ENTITY_SERVICE,
	  "{'dependson':['a'],'dependencies':{'provides':['p'],'runtime':{'requires':['b'],'uses':[]}}}",
	  "{'dependencies':{'provides':['p'],'conflicts':[],'runtime':{'requires':['b'],'uses':[]}}}" },
	{ ENTITY_SERVICE, "{'dependson':[]}", "{}" },
	{ ENTITY_SERVICE, "{'dependson':['a'],'dependencies':7}", "{'dependencies':7}" },
	{ ENTITY_SERVICE,
	  "{'provisioner':{'actions':{'install':{'type':'t','script':'s','data':'d','fields':{'x':'y'}}}}}",
	  "{'provisioner':{'actions':{'install':{'type':'t','fields':{'x':'y','script':'s','data':'d'}}}}}" },
	{ ENTITY_SERVICE, "{'provisioner':{'actions':{'install':7}}}", NULL },
	{ ENTITY_SERVICE, "{'provisioner':{'actions':[7]}}", NULL },
};

START_TEST(documents_are_read)
{
	struct json *in = parsed(documents[_i].in);
	is_like(legacy_document(documents[_i].kind, in),
	        documents[_i].out ? documents[_i].out : documents[_i].in);
	json_free(in);
}
END_TEST

START_TEST(clusters_are_shown)
{
	is_like(legacy_summary(
			parsed("{'id':'1','name':'n','status':'active','services':[],'numNodes':2,"
	                       "'clusterTemplate':{'name':'t','version':1},'progress':{}}")),
	        "{'id':'1','name':'n','status':'ACTIVE','numNodes':2,'clusterTemplate':'t'}");
	is_like(legacy_summary(parsed("{'id':'1','status':'pending'}")),
	        "{'id':'1','status':'PENDING','clusterTemplate':'...'}");
	is_like(legacy_details(parsed(
			"{'account':{'userId':'u'},'progress':{},'links':[],'status':'active',"
			"'nodes':[{'properties':{'hostname':'h','nodenum':7,'sshuser':'root',"
			"'ipaddresses':{'bind_v4':'b','access_v4':'a'}},'links':[],"
			"'provisionerResults':{'providerid':'i','hostname':'g'}}]}")),
	        "{'ownerId':'u','status':'active','nodes':[{'properties':{'hostname':'g','nodenum':'7',"
	        "'ipaddress':'a','providerid':'i'}}]}");
}
END_TEST

START_TEST(work_is_told)
{
	struct json *task = parsed(
		"{'taskId':'t','config':{'nodenum':1000,'sshuser':'r','ipaddresses':{'x':'1'},"
		"'nodes':{'n':{'nodenum':1,'ipaddresses':{},'hostname':'h','sshuser':'r'}}}}");
	struct json *said =
		parsed("{'taskId':'t','result':{'ipaddress':'1.2.3.4','hostname':'h','k':1}}");
	is_like(legacy_task(task),
	        "{'taskId':'t','config':{'nodenum':'1000','ipaddress':'1','nodes':{'n':{'nodenum':'1','hostname':'h'}}}}");
	is_like(legacy_finish(said),
	        "{'taskId':'t','hostname':'h','ipaddresses':{'access_v4':'1.2.3.4','bind_v4':'1.2.3.4'},"
	        "'result':{'ipaddress':'1.2.3.4','hostname':'h','k':1}}");
	json_free(task);
	json_free(said);
	said = parsed("{'taskId':'t','result':{'ipaddress':'','hostname':''}}");
	is_like(legacy_finish(said), "{'taskId':'t','result':{'ipaddress':'','hostname':''}}");
	json_free(said);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("legacy");
	tcase_add_loop_test(t, documents_are_read, 0, LOOM_COUNT(documents));
	tcase_add_test(t, clusters_are_shown);
	tcase_add_test(t, work_is_told);
	return UNIT_RUN("api_legacy", t);
}
