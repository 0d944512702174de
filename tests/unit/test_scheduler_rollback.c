/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/plan/rollback.h"

#include "common/base/buf.h"
#include "common/base/str.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/plan/plan_graph.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Machines n1, n2 with app and store, which app uses at run time; n3 with store alone. Both can be
 * installed, configured, started, stopped and removed; fixed, on n3 too, can only be installed.
 *
 * did: the tasks that were begun, "STEP[:service]@node=c" (complete) or "=f" (failed), "=d": never
 * begun. want: the steps of the roll back in its order, without those that wait for others marked.
 */
static const struct {
	enum plan_action failed;
	const char *did, *params, *want;
	enum plan_action action;
	int notes;
} cases[] = {
	{ PLAN_START, "START:store@n1=c START:store@n3=c START:app@n1=f START:app@n2=d", "{}",
	  "STOP:app@n1 STOP:store@n1 STOP:store@n3", PLAN_STOP, 0 },
	{ PLAN_STOP, "STOP:app@n1=c STOP:app@n2=f STOP:store@n1=d", "{}",
	  "START:app@n1 START:app@n2", PLAN_START, 0 },
	{ PLAN_STOP, "STOP:app@n1=c STOP:store@n1=c STOP:store@n3=f", "{}",
	  "START:store@n1 START:store@n3 START:app@n1", PLAN_START, 0 },
	/* what came up again is left alone; what did not run before is stopped */
	{ PLAN_RESTART,
	  "STOP:app@n1=c STOP:app@n2=c START:app@n1=c START:app@n2=f START:store@n3=c", "{}",
	  "START:app@n2 STOP:store@n3", PLAN_START, 0 },
	{ PLAN_RESTART, "STOP:app@n1=c START:app@n1=c", "{}", "", PLAN_START, 0 },
	{ PLAN_ADD_SERVICES,
	  "BOOTSTRAP@n1=c INSTALL:app@n1=c CONFIGURE:app@n1=c START:app@n1=f INSTALL:app@n2=d",
	  "{'placed':['app']}", "STOP:app@n1 REMOVE:app@n1", PLAN_REMOVE_SERVICES, 0 },
	{ PLAN_ADD_SERVICES, "INSTALL:fixed@n3=f", "{'placed':['fixed']}", "", PLAN_REMOVE_SERVICES,
	  1 },
	{ PLAN_REMOVE_SERVICES, "STOP:app@n1=c STOP:app@n2=c REMOVE:app@n1=c REMOVE:app@n2=d",
	  "{'services':['app']}",
	  "BOOTSTRAP@n1 START:app@n2 INSTALL:app@n1 CONFIGURE:app@n1 START:app@n1",
	  PLAN_ADD_SERVICES, 1 },
	/* it did not run before: it is installed, and left so */
	{ PLAN_REMOVE_SERVICES, "REMOVE:app@n1=f", "{'services':['app']}",
	  "BOOTSTRAP@n1 INSTALL:app@n1 CONFIGURE:app@n1", PLAN_ADD_SERVICES, 1 },
	{ PLAN_EXPAND, "CREATE@n3=c CONFIRM@n3=f", "{'added':['n3']}", "DELETE@n3", PLAN_SHRINK,
	  0 },
	/* app was told of the new store: it is told again, before that goes */
	{ PLAN_EXPAND, "CREATE@n3=c START:store@n3=c CONFIGURE:app@n1=c STOP:app@n1=f",
	  "{'added':['n3']}", "CONFIGURE:app@n1 STOP:app@n1 START:app@n1 STOP:store@n3 DELETE@n3",
	  PLAN_SHRINK, 0 },
	{ PLAN_EXPAND, "CREATE@n3=d", "{'added':['n3']}", "DELETE@n3", PLAN_SHRINK, 0 },
	{ PLAN_SHRINK, "STOP:store@n3=c DELETE@n3=d", "{'leaving':['n3']}", "START:store@n3",
	  PLAN_EXPAND, 0 },
	{ PLAN_SHRINK, "STOP:store@n3=c DELETE@n3=f", "{'leaving':['n3']}",
	  "CREATE@n3 CONFIRM@n3 BOOTSTRAP@n3 INSTALL:fixed@n3 INSTALL:store@n3 "
	  "CONFIGURE:store@n3 START:store@n3 CONFIGURE:app@n1 STOP:app@n1 START:app@n1 "
	  "CONFIGURE:app@n2 STOP:app@n2 START:app@n2",
	  PLAN_EXPAND, 1 },
	/* the old one only ever served: the new one goes */
	{ PLAN_REPLACE, "CREATE@n3=c CONFIRM@n3=f", "{'added':['n3'],'leaving':['n2']}",
	  "DELETE@n3", PLAN_REPLACE, 0 },
	/* it was stopped: it serves again before the new one goes */
	{ PLAN_REPLACE, "CREATE@n2=c START:app@n2=c STOP:store@n3=c DELETE@n3=d",
	  "{'added':['n2'],'leaving':['n3']}", "START:store@n3 STOP:app@n2 DELETE@n2", PLAN_REPLACE,
	  0 },
	/* it is gone: it is made anew, and who was told of the new one is told again */
	{ PLAN_REPLACE, "CREATE@n2=c START:app@n2=c STOP:store@n3=c CONFIGURE:app@n1=c DELETE@n3=f",
	  "{'added':['n2'],'leaving':['n3']}",
	  "CREATE@n3 CONFIRM@n3 BOOTSTRAP@n3 INSTALL:fixed@n3 INSTALL:store@n3 "
	  "CONFIGURE:store@n3 START:store@n3 CONFIGURE:app@n1 STOP:app@n1 START:app@n1 "
	  "STOP:app@n2 DELETE@n2",
	  PLAN_REPLACE, 1 },
	/* the new one was itself replaced while it was made: both are the job's */
	{ PLAN_REPLACE, "CREATE@n1=f DELETE@n1=c CREATE@n2=c CONFIRM@n2=f",
	  "{'added':['n1','n2'],'leaving':['n3','n1']}", "DELETE@n1 DELETE@n2", PLAN_REPLACE, 0 },
	{ PLAN_CREATE, "CREATE@n1=c CREATE@n2=f CREATE@n3=d", "{}", "DELETE@n1 DELETE@n2 DELETE@n3",
	  PLAN_DELETE, 0 },
	{ PLAN_DELETE, "DELETE@n1=c DELETE@n2=f", "{}", NULL, PLAN_DELETE, 0 },
	{ PLAN_SOLVE_LAYOUT, "", "{}", NULL, PLAN_DELETE, 0 },
};

#define ACTION(name) "'" name "':{'type':'t'}"
#define FULL              \
	ACTION("install") \
	"," ACTION("configure") "," ACTION("start") "," ACTION("stop") "," ACTION("remove")
#define SERVICE(name, uses, actions)                                             \
	"'" name "':{'name':'" name "','dependencies':{'runtime':{'uses':[" uses \
	"]}},'provisioner':{'actions':{" actions "}}}"

static const char docs[] = "{" SERVICE("app", "'store'", FULL) "," SERVICE(
	"store", "", FULL) "," SERVICE("fixed", "", ACTION("install")) "}";

/* All run as the planner knows it. */
static struct nodes *machines(void)
{
	static const struct {
		const char *id, *services, *states;
	} rows[] = {
		{ "n1", "['app','store']", "{'app':'running','store':'running'}" },
		{ "n2", "['app','store']", "{'app':'running','store':'running'}" },
		{ "n3", "['fixed','store']", "{'fixed':'installed','store':'running'}" },
	};
	struct nodes *ns = loom_calloc(1, sizeof(*ns));
	ns->n = LOOM_COUNT(rows);
	ns->v = loom_calloc(ns->n, sizeof(*ns->v));
	for (size_t i = 0; i < ns->n; i++) {
		struct node *n = &ns->v[i];
		*n = (struct node){ .num = 1000 + (int64_t)i,
			            .hostname = loom_asprintf("host-%s", rows[i].id),
			            .services = unit_json(rows[i].services),
			            .automators = json_new_arr(),
			            .ipaddresses = json_new_obj(),
			            .results = json_new_obj(),
			            .states = unit_json(rows[i].states) };
		snprintf(n->id, sizeof(n->id), "%s", rows[i].id);
	}
	return ns;
}

/* "STEP[:service]@node=state" */
static void add_task(struct tasks *ts, char *word)
{
	char *state = strchr(word, '='), *node = strchr(word, '@'), *service = strchr(word, ':');
	ts->v = loom_realloc(ts->v, (ts->n + 1) * sizeof(*ts->v));
	struct task *t = &ts->v[ts->n++];
	*t = (struct task){ .cluster_id = 1, .job_num = 3, .num = (int64_t)ts->n };
	t->attempt = state[1] != 'd';
	t->state = state[1] == 'c' ? TASK_COMPLETE : state[1] == 'f' ? TASK_FAILED : TASK_DROPPED;
	*state = *node = '\0';
	snprintf(t->node_id, sizeof(t->node_id), "%s", node + 1);
	if (service)
		*service++ = '\0';
	t->service = loom_strdup(service ? service : "");
	snprintf(t->name, sizeof(t->name), "%s", word);
}

static struct tasks *tasks_of(const char *did)
{
	struct tasks *ts = loom_calloc(1, sizeof(*ts));
	LOOM_CLEANUP_STR char *text = loom_strdup(did);
	char *rest = NULL;
	for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		add_task(ts, w);
	return ts;
}

/* Sorted, so that only which steps there are counts here. */
static char *steps_of(const struct plan *p, const struct nodes *ns)
{
	LOOM_CLEANUP(strs_fini) struct strs words = { 0 };
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		ck_assert_int_eq(t->num, (int)i + 1);
		for (size_t k = 0; k < t->n_after; k++)
			ck_assert_int_lt(t->after[k], t->num);
		strs_addf(&words, "%s%s%s@%s", t->name, *t->service ? ":" : "", t->service,
		          ns->v[t->node].id);
	}
	strs_sort(&words);
	return strs_join(&words, " ");
}

static char *sorted(const char *text)
{
	LOOM_CLEANUP(strs_fini) struct strs words = { 0 };
	LOOM_CLEANUP_STR char *copy = loom_strdup(text);
	char *rest = NULL;
	for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		strs_add(&words, w);
	strs_sort(&words);
	return strs_join(&words, " ");
}

static struct job_params unit_params(const char *text)
{
	struct job_params p;
	LOOM_CLEANUP(json_free) struct json *v = unit_json(text);
	job_params_decode(v, &p);
	return p;
}

START_TEST(takes_back_what_was_begun)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = machines();
	LOOM_CLEANUP(tasks_free) struct tasks *ts = tasks_of(cases[_i].did);
	LOOM_CLEANUP(job_params_fini) struct job_params params = unit_params(cases[_i].params);
	LOOM_CLEANUP(json_free) struct json *service_docs = unit_json(docs);
	struct strs untouched = { 0 };
	const struct rollback_input in = { .failed = cases[_i].failed,
		                           .tasks = ts,
		                           .params = &params,
		                           .nodes = ns,
		                           .untouched = &untouched,
		                           .service_docs = service_docs };
	struct rollback r = { 0 };
	struct loom_err err = { 0 };
	int rc = rollback_plan(&in, &r, &err);
	ck_assert_int_eq(rc, cases[_i].want ? 0 : 409);
	if (rc)
		return;
	LOOM_CLEANUP_STR char *got = steps_of(r.plan, ns);
	LOOM_CLEANUP_STR char *want = sorted(cases[_i].want);
	ck_assert_str_eq(got, want);
	ck_assert_int_eq(r.action, cases[_i].action);
	ck_assert_uint_eq(json_len(r.notes), (size_t)cases[_i].notes);
	rollback_fini(&r);
}
END_TEST

/* Where nothing was ever begun, nothing is deleted. */
START_TEST(leaves_the_untouched_alone)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = machines();
	LOOM_CLEANUP(tasks_free) struct tasks *ts = tasks_of("CREATE@n1=f CREATE@n2=d CREATE@n3=d");
	LOOM_CLEANUP(json_free) struct json *service_docs = unit_json(docs);
	struct strs untouched = { 0 };
	strs_add(&untouched, "n2");
	strs_add(&untouched, "n3");
	const struct rollback_input in = { .failed = PLAN_CREATE,
		                           .tasks = ts,
		                           .nodes = ns,
		                           .untouched = &untouched,
		                           .service_docs = service_docs };
	struct rollback r = { 0 };
	struct loom_err err = { 0 };
	ck_assert_int_eq(rollback_plan(&in, &r, &err), 0);
	LOOM_CLEANUP_STR char *got = steps_of(r.plan, ns);
	ck_assert_str_eq(got, "DELETE@n1");
	rollback_fini(&r);
	strs_fini(&untouched);
}
END_TEST

/* ---- parts of plans ------------------------------------------------------------------------ */

/* keep: one letter per task, + or -; 1 <- 2 <- 3 <- 4, and 5 waits for 2 and 4. */
static const struct {
	const char *keep, *want;
} prunings[] = {
	{ "+++++", "1< 2<1 3<2 4<3 5<2,4" },
	{ "+-+++", "1< 2<1 3<2 4<1,3" },
	{ "+---+", "1< 2<1" },
	{ "-----", "" },
	{ "--+-+", "1< 2<1" },
	{ "+++--", "1< 2<1 3<2" },
};

static struct plan *chain(void)
{
	static const int after[5][2] = { { 0 }, { 1 }, { 2 }, { 3 }, { 2, 4 } };
	struct plan *p = loom_calloc(1, sizeof(*p));
	p->n = 5;
	p->stages = 5;
	p->tasks = loom_calloc(p->n, sizeof(*p->tasks));
	for (int i = 0; i < 5; i++) {
		struct plan_task *t = &p->tasks[i];
		*t = (struct plan_task){ .num = i + 1, .stage = i, .service = loom_strdup("s") };
		t->after = loom_calloc(2, sizeof(*t->after));
		for (int k = 0; k < 2 && after[i][k]; k++)
			t->after[t->n_after++] = after[i][k];
	}
	return p;
}

static char *graph_of(const struct plan *p)
{
	struct buf b = BUF_INIT(4096);
	for (size_t i = 0; i < p->n; i++) {
		buf_addf(&b, "%s%d<", i ? " " : "", p->tasks[i].num);
		for (size_t k = 0; k < p->tasks[i].n_after; k++)
			buf_addf(&b, "%s%d", k ? "," : "", p->tasks[i].after[k]);
	}
	return buf_take(&b);
}

START_TEST(prunes)
{
	LOOM_CLEANUP(plan_free) struct plan *p = chain();
	enum plan_fate fate[5];
	for (int i = 0; i < 5; i++)
		fate[i] = prunings[_i].keep[i] == '+' ? FATE_KEEP : FATE_SKIP;
	plan_sift(p, fate);
	LOOM_CLEANUP_STR char *got = graph_of(p);
	ck_assert_str_eq(got, prunings[_i].want);
}
END_TEST

START_TEST(joins)
{
	LOOM_CLEANUP(plan_free) struct plan *p = chain();
	struct plan *other = chain();
	const enum plan_fate fate[5] = { FATE_KEEP, FATE_KEEP };
	plan_sift(other, fate);
	plan_join(p, other);
	plan_join(p, NULL);
	LOOM_CLEANUP_STR char *got = graph_of(p);
	ck_assert_str_eq(got, "1< 2<1 3<2 4<3 5<2,4 6< 7<6");
	ck_assert_int_eq(p->stages, 7);
}
END_TEST

/* ---- another machine ------------------------------------------------------------------------- */

static const struct {
	const char *job, *params, *task, *template;
	bool want;
} replacing[] = {
	{ "cluster_create", "{}", "CREATE", "{}", true },
	{ "cluster_create", "{}", "CONFIRM", "{}", true },
	{ "cluster_create", "{'replacements':1}", "BOOTSTRAP", "{}", true },
	{ "cluster_create", "{'replacements':2}", "BOOTSTRAP", "{}", false },
	{ "expand_cluster", "{}", "CREATE", "{}", true },
	{ "cluster_create", "{}", "INSTALL", "{}", false },
	{ "cluster_create", "{}", "DELETE", "{}", false },
	{ "shrink_cluster", "{}", "CREATE", "{}", false },
	{ "add_services", "{}", "BOOTSTRAP", "{}", false },
	{ "cluster_create", "{}", "CREATE", "{'administration':{'replacements':0}}", false },
	{ "cluster_create", "{'replacements':2}", "CREATE", "{'administration':{'replacements':3}}",
	  true },
};

START_TEST(replaces_only_what_may_be_replaced)
{
	LOOM_CLEANUP(job_params_fini) struct job_params params = unit_params(replacing[_i].params);
	LOOM_CLEANUP(json_free) struct json *template = unit_json(replacing[_i].template);
	const struct job_policy policy = { .replacements = 2 };
	const struct cluster c = { .template = template };
	struct job j = { .params = params };
	struct task t = { 0 };
	snprintf(j.action, sizeof(j.action), "%s", replacing[_i].job);
	snprintf(t.name, sizeof(t.name), "%s", replacing[_i].task);
	ck_assert_int_eq(lifecycle_may_replace(&policy, &c, &j, &t), replacing[_i].want);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("rollback");
	tcase_add_loop_test(c, takes_back_what_was_begun, 0, LOOM_COUNT(cases));
	tcase_add_test(c, leaves_the_untouched_alone);
	tcase_add_loop_test(c, prunes, 0, LOOM_COUNT(prunings));
	tcase_add_test(c, joins);
	tcase_add_loop_test(c, replaces_only_what_may_be_replaced, 0, LOOM_COUNT(replacing));
	return UNIT_RUN("scheduler_rollback", c);
}
