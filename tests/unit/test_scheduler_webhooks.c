/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told what, and what a message looks like. */
#include "services/scheduler/webhook/webhook_send.h"

#include "common/base/str.h"
#include "services/scheduler/webhook/webhook_share.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE                                                         \
	"[{'url':'http://t1','events':['start','failure'],'veto':true}," \
	"{'url':'http://t2','events':['success','lease_warning'],'secretRef':'s'}]"

#define TENANT                                                                            \
	"[{'name':'all','url':'http://o1','events':['start'],'triggers':[],'veto':true}," \
	"{'name':'some','url':'http://o2','events':['start','lease_warning'],"            \
	"'triggers':['cluster_create'],'veto':false}]"

static const struct {
	const char *url, *events, *actions;
	bool veto;
	const char *template;
	enum callback_kind kind;
	const char *action, *want;
} targets[] = {
	{ "", "start", "", false, "[]", CALLBACK_START, "x", "[]" },
	{ "http://g", "start", "", false, "[]", CALLBACK_START, "x",
	  "[{'url':'http://g','secret':'global','veto':false}]" },
	{ "http://g", "start,success", "", true, "[]", CALLBACK_START, "x",
	  "[{'url':'http://g','secret':'global','veto':true}]" },
	{ "http://g", "start,success", "", true, "[]", CALLBACK_SUCCESS, "x",
	  "[{'url':'http://g','secret':'global','veto':false}]" },
	{ "http://g", "start, success", "", false, "[]", CALLBACK_FAILURE, "x", "[]" },
	{ "http://g", "", "", false, "[]", CALLBACK_START, "x", "[]" },
	/* operations */
	{ "http://g", "start", "a, Cluster_Create", false, "[]", CALLBACK_START, "cluster_create",
	  "[{'url':'http://g','secret':'global','veto':false}]" },
	{ "http://g", "start", "a,b", false, "[]", CALLBACK_START, "cluster_create", "[]" },
	{ "http://g", "failure", "cluster_create", false, "[]", CALLBACK_FAILURE, "solve_layout",
	  "[{'url':'http://g','secret':'global','veto':false}]" },
	{ "http://g", "failure", "cluster_delete", false, "[]", CALLBACK_FAILURE, "solve_layout",
	  "[]" },
	{ "http://g", "lease_expired", "a", false, "[]", CALLBACK_LEASE_EXPIRED, NULL,
	  "[{'url':'http://g','secret':'global','veto':false}]" },
	/* templates, whatever the operator's triggers are */
	{ "", "", "a", false, TEMPLATE, CALLBACK_START, "x",
	  "[{'url':'http://t1','secret':'','veto':true}]" },
	{ "", "", "", false, TEMPLATE, CALLBACK_FAILURE, "x",
	  "[{'url':'http://t1','secret':'','veto':false}]" },
	{ "", "", "", false, TEMPLATE, CALLBACK_LEASE_EXPIRED, NULL, "[]" },
	{ "http://g", "success", "", false, TEMPLATE, CALLBACK_SUCCESS, "x",
	  "[{'url':'http://g','secret':'global','veto':false},"
	  "{'url':'http://t2','secret':'ref:s','veto':false}]" },
	/* tenants, with operations of their own */
	{ "", "", "a", false, TENANT, CALLBACK_START, "cluster_create",
	  "[{'url':'http://o1','secret':'tenant:all','veto':true},"
	  "{'url':'http://o2','secret':'tenant:some','veto':false}]" },
	{ "", "", "", false, TENANT, CALLBACK_START, "solve_layout",
	  "[{'url':'http://o1','secret':'tenant:all','veto':true},"
	  "{'url':'http://o2','secret':'tenant:some','veto':false}]" },
	{ "", "", "", false, TENANT, CALLBACK_START, "cluster_delete",
	  "[{'url':'http://o1','secret':'tenant:all','veto':true}]" },
	{ "", "", "", false, TENANT, CALLBACK_LEASE_WARNING, NULL,
	  "[{'url':'http://o2','secret':'tenant:some','veto':false}]" },
};

START_TEST(finds_targets)
{
	char url[64], events[64], actions[64], none[1] = "";
	snprintf(url, sizeof(url), "%s", targets[_i].url);
	snprintf(events, sizeof(events), "%s", targets[_i].events);
	snprintf(actions, sizeof(actions), "%s", targets[_i].actions);
	const struct webhook_config cfg = { .callback_url = url,
		                            .callback_events = events,
		                            .callback_triggers = actions,
		                            .callback_allow = none,
		                            .callback_veto = targets[_i].veto };
	LOOM_CLEANUP(json_free) struct json *template = unit_json(targets[_i].template);
	LOOM_CLEANUP(json_free) struct json *want = unit_json(targets[_i].want);
	LOOM_CLEANUP(json_free)
	struct json *got = webhook_targets(&cfg, template, targets[_i].kind, targets[_i].action);
	LOOM_CLEANUP_STR char *text = json_text(got);
	ck_assert_msg(json_equal(got, want), "%s", text);
}
END_TEST

START_TEST(needs_no_configuration)
{
	LOOM_CLEANUP(json_free) struct json *template = unit_json(TEMPLATE);
	LOOM_CLEANUP(json_free)
	struct json *got = webhook_targets(NULL, template, CALLBACK_START, "x");
	ck_assert_int_eq((int)json_len(got), 1);
	LOOM_CLEANUP(json_free)
	struct json *none = webhook_targets(NULL, NULL, CALLBACK_START, "x");
	ck_assert_int_eq((int)json_len(none), 0);
}
END_TEST

static const struct {
	const char *events, *triggers, *allow, *said; /* NULL: good */
} configs[] = {
	{ "start, lease_expired", "cluster_create, EXPAND_CLUSTER", "10.0.0.0/8 *.lab", NULL },
	{ "", NULL, "", NULL },
	{ "start,end", "", "", "callback_events: there is no event 'end'" },
	{ "start", "cluster_create,cluster_remove", "",
	  "callback_triggers: no job has the action 'cluster_remove'" },
	{ "", "", "10.0.0/8",
	  "callback_allow: '10.0.0/8' is not a host name, an address, a network or *" },
};

START_TEST(checks_the_configuration)
{
	char events[64], triggers[64], allow[64];
	struct loom_err err = { 0 };
	snprintf(events, sizeof(events), "%s", configs[_i].events);
	snprintf(allow, sizeof(allow), "%s", configs[_i].allow);
	snprintf(triggers, sizeof(triggers), "%s",
	         configs[_i].triggers ? configs[_i].triggers : "");
	const struct webhook_config cfg = { .callback_events = events,
		                            .callback_triggers =
		                                    configs[_i].triggers ? triggers : NULL,
		                            .callback_allow = allow };
	ck_assert((webhook_config_check(&cfg, &err) != 0) == (configs[_i].said != NULL));
	ck_assert_str_eq(err.msg, configs[_i].said ? configs[_i].said : "");
}
END_TEST

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block). */
static const struct {
	char key_byte;
	size_t key_len;
	const char *key, *text, *mac;
} macs[] = {
	{ 0x0b, 20, NULL, "Hi There",
	  "sha256=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ 0, 4, "Jefe", "what do ya want for nothing?",
	  "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ (char)0xaa, 131, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
	  "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
};

START_TEST(signs)
{
	char key[200];
	memset(key, macs[_i].key_byte, sizeof(key));
	if (macs[_i].key)
		memcpy(key, macs[_i].key, macs[_i].key_len);
	LOOM_CLEANUP_STR char *mac =
		webhook_sign(key, macs[_i].key_len, macs[_i].text, strlen(macs[_i].text));
	ck_assert_str_eq(mac, macs[_i].mac);
}
END_TEST

static struct cluster *example(void)
{
	struct cluster *c = loom_calloc(1, sizeof(*c));
	*c = (struct cluster){ .id = 7,
		               .tenant_id = loom_strdup("t"),
		               .owner_id = loom_strdup("ann"),
		               .name = loom_strdup("demo"),
		               .description = loom_strdup(""),
		               .status = CLUSTER_TERMINATED,
		               .create_time = 5,
		               .expire_time = 9,
		               .brief = unit_json("{'provider':{'name':'lab'},"
		                                  "'clusterTemplate':{'name':'one','version':2}}"),
		               .services = unit_json("['web']"),
		               .labels = unit_json("{'env':'test'}"),
		               .provider =
		                       unit_json("{'name':'lab','provisioner':{'password':'p'}}"),
		               .config = unit_json("{'a':1}") };
	return c;
}

START_TEST(tells_how_it_was)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = example();
	struct job j = { .cluster_id = 7,
		         .num = 2,
		         .action = "cluster_create",
		         .status = JOB_FAILED,
		         .message = NULL,
		         .tasks_total = 4,
		         .tasks_done = 3 };
	LOOM_CLEANUP(json_free)
	struct json *then = unit_json("{'clusterStatus':'incomplete','clusterMessage':'why',"
	                              "'expireTime':8}");
	json_set(then, "job", webhook_job(&j));
	const struct webhook_message m = {
		.delivery = "d", .kind = CALLBACK_FAILURE, .time = 6, .c = c, .snapshot = then
	};
	LOOM_CLEANUP_STR char *body = webhook_body(&m);
	LOOM_CLEANUP(json_free)
	struct json *
		got = unit_json(body),
	       *want = unit_json(
		       "{'event':'failure','delivery':'d','time':6,"
		       "'cluster':{'id':'00000007','name':'demo','description':'',"
		       "'account':{'userId':'ann','tenantId':'t'},'createTime':5,'expireTime':8,"
		       "'status':'incomplete','message':'why','provider':{'name':'lab'},"
		       "'clusterTemplate':{'name':'one','version':2},'services':['web'],'labels':{'env':'test'},'config':{'a':1}},"
		       "'job':{'jobId':'00000007-002','clusterId':'00000007',"
		       "'clusterAction':'CLUSTER_CREATE','jobStatus':'FAILED','stepstotal':4,"
		       "'stepscompleted':3},'nodes':[]}");
	ck_assert_msg(json_equal(got, want), "%s", body);
}
END_TEST

static bool was_ok;

static void post_done(struct webhook_post *p LOOM_UNUSED, bool ok, void *loop)
{
	was_ok = ok;
	loop_stop(loop);
}

static bool post(struct webhook_post *p)
{
	if (!webhook_prepare(p))
		return false;
	struct loop *loop = loop_create();
	struct http_client *client = http_client_create(loop);
	webhook_start(p, client, post_done, loop);
	loop_run(loop);
	http_client_destroy(client);
	loop_destroy(loop);
	return was_ok;
}

START_TEST(sends_nothing_without_its_secret)
{
	char dir[] = "/nowhere", none[1] = "";
	static const struct {
		const char *url, *secret, *tenant, *said;
		bool never;
	} posts[] = {
		{ "ftp://x", "", "t", "not an http:// or https:// URL without a user", true },
		{ "http://u@x", "", "t", "not an http:// or https:// URL without a user", true },
		{ "http://127.0.0.1:1", "ref:../x", "t", "no secret ../x for this tenant", true },
		{ "http://127.0.0.1:1", "ref:.x", "t", "no secret .x for this tenant", true },
		{ "http://127.0.0.1:1", "ref:x", "..", "no secret x for this tenant", true },
		{ "http://127.0.0.1:1", "ref:x", "t",
		  "its secret cannot be read: No such file or directory", false },
		{ "http://127.0.0.1:1", "", "t",
		  "127.0.0.1 is a loopback address, which callback_allow does not list", true },
	};
	for (size_t i = 0; i < LOOM_COUNT(posts); i++) {
		const struct webhook_config cfg = { .callback_secrets_dir = dir,
			                            .callback_secret_file = none,
			                            .callback_allow = none };
		struct webhook_post p = { .cfg = &cfg,
			                  .tenant_id = posts[i].tenant,
			                  .url = posts[i].url,
			                  .secret = posts[i].secret,
			                  .delivery = "d",
			                  .body = "{}",
			                  .timeout_ms = 500 };
		ck_assert(!post(&p));
		ck_assert_str_eq(p.reason, posts[i].said);
		ck_assert(p.never == posts[i].never && p.status == 0);
		webhook_post_fini(&p);
	}
}
END_TEST

/* Who may be told, when each tenant wants so many things told at once and no target answers. The
 * first is always asked first: it has the oldest. */
enum { TENANTS = 4 };
static const struct {
	int64_t at_once;
	size_t bytes; /* of a message */
	int64_t wants[TENANTS], has[TENANTS];
} shares[] = {
	{ 256, 100, { 0 }, { 0 } },
	{ 256, 100, { 1, 1, 1, 1 }, { 1, 1, 1, 1 } },
	{ 256, 100, { 100, 20 }, { 100, 20 } },
	{ 256, 100, { 1000 }, { 128 } },
	{ 256, 100, { 1000, 1 }, { 128, 1 } },
	{ 256, 100, { 1000, 1000, 1 }, { 128, 64, 1 } },
	{ 256, 100, { 1000, 1000, 1000, 5 }, { 128, 64, 32, 5 } },
	/* large messages: 64 MiB at most of all */
	{ 256, 1 << 20, { 1000, 1 }, { 43, 1 } },
	{ 256, 300 << 10, { 1000, 1000 }, { 86, 28 } },
	{ 256, 1000 << 20, { 2, 1 }, { 1, 0 } },
	/* hardly any room */
	{ 2, 100, { 5, 5, 5 }, { 1, 1, 0 } },
	{ 3, 100, { 5, 5, 5 }, { 2, 1, 0 } },
};

START_TEST(shares_what_is_under_way)
{
	int64_t has[TENANTS] = { 0 }, under_way = 0;
	for (size_t i = 0; i < TENANTS;) {
		int64_t share = webhook_share(shares[_i].at_once, under_way);
		if (has[i] == shares[_i].wants[i] || has[i] >= share) {
			i++;
			continue;
		}
		has[i]++;
		under_way += webhook_weight(shares[_i].bytes);
	}
	for (size_t i = 0; i < TENANTS; i++)
		ck_assert_int_eq(has[i], shares[_i].has[i]);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("callbacks");
	tcase_add_loop_test(c, finds_targets, 0, LOOM_COUNT(targets));
	tcase_add_test(c, needs_no_configuration);
	tcase_add_loop_test(c, checks_the_configuration, 0, LOOM_COUNT(configs));
	tcase_add_loop_test(c, signs, 0, LOOM_COUNT(macs));
	tcase_add_test(c, tells_how_it_was);
	tcase_add_test(c, sends_nothing_without_its_secret);
	tcase_add_loop_test(c, shares_what_is_under_way, 0, LOOM_COUNT(shares));
	return UNIT_RUN("scheduler_callbacks", c);
}
