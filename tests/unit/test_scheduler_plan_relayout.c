/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of changes of clusters that exist. JSON is written with ' for ". */
#include "common/base/buf.h"
#include "services/scheduler/plan/planner.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#define MOST_NODES 4

/* "a b c" to a list */
static void split(const char *text, struct strs *out)
{
	while (*text) {
		const size_t n = strcspn(text, " ");
		if (n) {
			LOOM_CLEANUP_STR char *word = loom_strndup(text, n);
			strs_add(out, word);
		}
		text += n + (text[n] == ' ');
	}
}

#define SERVICE(name, acts, deps) \
	"{'name':'" name "','provisioner':{'actions':{" acts "}},'dependencies':{" deps "}}"
#define I          "'install':{'type':'shell'}"
#define C          "'configure':{'type':'shell'}"
#define S          "'start':{'type':'shell'}"
#define T          "'stop':{'type':'shell'}"
#define R          "'remove':{'type':'shell'}"
#define ALL        C "," S "," T "," R
#define NEEDS(l)   "'runtime':{'requires':[" l "]}"
#define USES(l)    "'runtime':{'uses':[" l "]}"
#define INSTALL(l) "'install':{'requires':[" l "]}"

/* c needs b needs a; x stands alone */
#define CHAIN                                                                      \
	"[" SERVICE("a", ALL, "") "," SERVICE("b", ALL, NEEDS("'a'")) "," SERVICE( \
		"c", ALL, NEEDS("'b'")) "," SERVICE("x", ALL, "") "]"
/* web and its balancer, which has nothing to install */
#define WEB                                                \
	"[" SERVICE("web", I "," S "," T, "") "," SERVICE( \
		"lb", C "," S "," T, USES("'web'")) "," SERVICE("mon", S "," T, USES("'web'")) "]"

/* One node: services as "a+ b- c i", + runs, - is stopped, . is installed, nothing: not known. */
struct setup {
	const char *name;
	const char *services;
	const char *nodes[MOST_NODES];
	enum plan_action action;
	const char *planned, *planned_nodes, *changed; /* NULL: all */
	const char *stages; /* NULL: not looked at, but that there are no circles */
	const char *edges;  /* NULL: not looked at */
};

struct world {
	struct json *docs, *states[MOST_NODES];
	struct strs on[MOST_NODES], planned, planned_nodes, leaving, changed;
	struct plan_node nodes[MOST_NODES];
	struct plan_input in;
};

static void add_node(struct world *w, const char *text)
{
	static const char *const ids[MOST_NODES] = { "n1", "n2", "n3", "n4" };
	const size_t i = w->in.n_nodes++;
	struct strs words = { 0 };
	split(text, &words);
	w->states[i] = json_new_obj();
	for (size_t k = 0; k < words.n; k++) {
		const size_t last = strlen(words.v[k]) - 1;
		const char mark = words.v[k][last];
		const char *state = mark == '+'   ? "running"
		                    : mark == '-' ? "stopped"
		                    : mark == '.' ? "installed"
		                                  : NULL;
		LOOM_CLEANUP_STR char *name = loom_strndup(words.v[k], state ? last : last + 1);
		strs_add(&w->on[i], name);
		json_set_str(w->states[i], name, state);
	}
	w->nodes[i] = (struct plan_node){ ids[i], (int)i + 1, &w->on[i] };
	strs_fini(&words);
}

static const struct strs *list(const char *text, struct strs *to)
{
	if (!text)
		return NULL;
	split(text, to);
	return to;
}

static void build(struct world *w, const struct setup *s)
{
	memset(w, 0, sizeof(*w));
	w->docs = unit_json(s->services);
	w->in.action = s->action;
	w->in.nodes = w->nodes;
	w->in.services = w->docs;
	for (size_t i = 0; i < MOST_NODES && s->nodes[i]; i++)
		add_node(w, s->nodes[i]);
	w->in.states = (const struct json *const *)w->states;
	w->in.planned_services = list(s->planned, &w->planned);
	w->in.planned_nodes = list(s->planned_nodes, &w->planned_nodes);
	if (s->action == PLAN_REPLACE)
		w->in.leaving_nodes = list("n2", &w->leaving);
	w->in.changed_services = list(s->changed, &w->changed);
}

static void tear_down(struct world *w)
{
	json_free(w->docs);
	for (int i = 0; i < MOST_NODES; i++) {
		strs_fini(&w->on[i]);
		json_free(w->states[i]);
	}
	strs_fini(&w->planned);
	strs_fini(&w->planned_nodes);
	strs_fini(&w->leaving);
	strs_fini(&w->changed);
}

static void show_task(const struct plan_input *in, const struct plan_task *t, struct buf *b)
{
	buf_addf(b, "%s%s%s@%d", t->name, *t->service ? " " : "", t->service,
	         in->nodes[t->node].nodenum);
}

/* Stages, each on a line: tasks as "START a@2" or "CREATE@1". */
static void show_stages(const struct plan_input *in, const struct plan *p, struct buf *b)
{
	for (size_t i = 0; i < p->n; i++) {
		if (i)
			buf_adds(b, p->tasks[i - 1].stage == p->tasks[i].stage ? ", " : "\n");
		show_task(in, &p->tasks[i], b);
	}
}

/* Edges between different services or nodes, each on a line. */
static void show_edges(const struct plan_input *in, const struct plan *p, struct buf *b)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		for (size_t k = 0; k < t->n_after; k++) {
			const struct plan_task *f = &p->tasks[t->after[k] - 1];
			if (f->node == t->node && (!*f->service || str_eq(f->service, t->service)))
				continue;
			buf_adds(b, b->len ? "\n" : "");
			show_task(in, f, b);
			buf_adds(b, " > ");
			show_task(in, t, b);
		}
	}
}

static const struct setup setups[] = {
	/* what runs is not started, what does not is not stopped */
	{ "start leaves out what runs",
	  CHAIN,
	  { "a+ b-", "a. c-" },
	  PLAN_START,
	  "c",
	  NULL,
	  NULL,
	  "START a@2\nSTART b@1\nSTART c@2",
	  "START a@2 > START b@1\nSTART b@1 > START c@2" },
	{ "the order holds across what runs",
	  CHAIN,
	  { "a-", "b+", "c-" },
	  PLAN_START,
	  NULL,
	  NULL,
	  NULL,
	  "START a@1\nSTART c@3",
	  "START a@1 > START c@3" },
	{ "everything runs", CHAIN, { "a+ b+ c+" }, PLAN_START, NULL, NULL, NULL, "", "" },
	{ "not known is started",
	  CHAIN,
	  { "a b+" },
	  PLAN_START,
	  NULL,
	  NULL,
	  NULL,
	  "START a@1",
	  "" },
	{ "stop leaves out what is stopped",
	  CHAIN,
	  { "a+ b+", "b- c." },
	  PLAN_STOP,
	  "a",
	  NULL,
	  NULL,
	  "STOP b@1\nSTOP a@1",
	  "STOP b@1 > STOP a@1" },
	{ "the order of stopping holds, too",
	  CHAIN,
	  { "a+", "b-", "c+" },
	  PLAN_STOP,
	  NULL,
	  NULL,
	  NULL,
	  "STOP c@3\nSTOP a@1",
	  "STOP c@3 > STOP a@1" },
	{ "nothing runs", CHAIN, { "a- b. c-" }, PLAN_STOP, NULL, NULL, NULL, "", "" },
	{ "restart: not what runs below",
	  CHAIN,
	  { "a+ b+ c+" },
	  PLAN_RESTART,
	  "b",
	  NULL,
	  NULL,
	  "STOP c@1\nSTOP b@1\nSTART b@1\nSTART c@1",
	  "STOP c@1 > STOP b@1\nSTART b@1 > START c@1" },
	{ "restart: but what is stopped below",
	  CHAIN,
	  { "a-", "b+" },
	  PLAN_RESTART,
	  "b",
	  NULL,
	  NULL,
	  "START a@1, STOP b@2\nSTART b@2",
	  "START a@1 > START b@2" },
	{ "restart of what is stopped starts it, after what depends on it stopped",
	  CHAIN,
	  { "a+ b-", "c+" },
	  PLAN_RESTART,
	  "b",
	  NULL,
	  NULL,
	  "STOP c@2\nSTART b@1\nSTART c@2",
	  "STOP c@2 > START b@1\nSTART b@1 > START c@2" },
	/* configuring */
	{ "configure: all",
	  CHAIN,
	  { "a+ x+" },
	  PLAN_CONFIGURE,
	  NULL,
	  NULL,
	  NULL,
	  "BOOTSTRAP@1\nCONFIGURE a@1\nCONFIGURE x@1",
	  "" },
	{ "configure: what changed",
	  CHAIN,
	  { "a+ x+", "b+" },
	  PLAN_CONFIGURE,
	  NULL,
	  NULL,
	  "a",
	  "BOOTSTRAP@1\nCONFIGURE a@1",
	  "" },
	{ "configure: nothing changed",
	  CHAIN,
	  { "a+ x+" },
	  PLAN_CONFIGURE_WITH_RESTART,
	  NULL,
	  NULL,
	  "",
	  "",
	  "" },
	{ "with restart: what changed and what depends on it",
	  CHAIN,
	  { "a+ x+", "b+", "c+" },
	  PLAN_CONFIGURE_WITH_RESTART,
	  NULL,
	  NULL,
	  "b",
	  "BOOTSTRAP@2, STOP c@3\nSTOP b@2\nCONFIGURE b@2\nSTART b@2\nSTART c@3",
	  "STOP c@3 > STOP b@2\nSTART b@2 > START c@3" },
	{ "with restart: a stopped one is started",
	  CHAIN,
	  { "a+ b-" },
	  PLAN_CONFIGURE_WITH_RESTART,
	  NULL,
	  NULL,
	  "b",
	  "BOOTSTRAP@1\nCONFIGURE b@1\nSTART b@1",
	  "" },
	/* adding */
	{ "add: not what runs below",
	  CHAIN,
	  { "a+", "a+ b" },
	  PLAN_ADD_SERVICES,
	  "b",
	  "n2",
	  NULL,
	  "BOOTSTRAP@2\nCONFIGURE b@2\nSTART b@2",
	  "" },
	{ "add: what is stopped below, and below that",
	  CHAIN,
	  { "a-", "b-", "c" },
	  PLAN_ADD_SERVICES,
	  "c",
	  "n3",
	  NULL,
	  "START a@1, BOOTSTRAP@3\nSTART b@2, CONFIGURE c@3\nSTART c@3",
	  "START a@1 > START b@2\nSTART b@2 > START c@3" },
	/* removing */
	{ "remove",
	  CHAIN,
	  { "a+ x+", "x-" },
	  PLAN_REMOVE_SERVICES,
	  "x",
	  NULL,
	  NULL,
	  "STOP x@1, REMOVE x@2\nREMOVE x@1",
	  "" },
	{ "remove: those that depend on it first",
	  CHAIN,
	  { "a+ b+", "b+ c+" },
	  PLAN_REMOVE_SERVICES,
	  "a b c",
	  NULL,
	  NULL,
	  "STOP c@2\nSTOP b@1, STOP b@2\nREMOVE c@2\nSTOP a@1, REMOVE b@2\nREMOVE b@1\nREMOVE a@1",
	  "STOP c@2 > STOP b@1\nSTOP c@2 > STOP b@2\nSTOP b@1 > STOP a@1\nSTOP b@2 > STOP a@1\n"
	  "STOP c@2 > REMOVE b@2\nREMOVE c@2 > REMOVE b@2\nSTOP c@2 > REMOVE b@1\n"
	  "REMOVE c@2 > REMOVE b@1\nSTOP b@1 > REMOVE a@1\nSTOP b@2 > REMOVE a@1\n"
	  "REMOVE b@2 > REMOVE a@1\nREMOVE b@1 > REMOVE a@1" },
	{ "remove: what stays is left alone",
	  CHAIN,
	  { "a+ b+ c+" },
	  PLAN_REMOVE_SERVICES,
	  "a c",
	  NULL,
	  NULL,
	  "STOP c@1\nSTOP a@1\nREMOVE c@1\nREMOVE a@1",
	  "STOP c@1 > STOP a@1\nSTOP c@1 > REMOVE a@1\nREMOVE c@1 > REMOVE a@1" },
	{ "remove: by what was needed to install",
	  "[" SERVICE("k", R, "") "," SERVICE("l", R, INSTALL("'k'")) "]",
	  { "k l" },
	  PLAN_REMOVE_SERVICES,
	  NULL,
	  NULL,
	  NULL,
	  "REMOVE l@1\nREMOVE k@1",
	  "REMOVE l@1 > REMOVE k@1" },
	{ "remove: a circle does not matter",
	  "[" SERVICE("k", R, NEEDS("'l'")) "," SERVICE("l", R, INSTALL("'k'")) "]",
	  { "k l" },
	  PLAN_REMOVE_SERVICES,
	  NULL,
	  NULL,
	  NULL,
	  "REMOVE k@1\nREMOVE l@1",
	  "" },
	/* growing */
	{ "expand: those that use it get to know",
	  WEB,
	  { "lb+ mon+", "web+", "web" },
	  PLAN_EXPAND,
	  NULL,
	  "n3",
	  NULL,
	  "CREATE@3\nCONFIRM@3\nBOOTSTRAP@3\nINSTALL web@3\nSTART web@3\nCONFIGURE lb@1\nSTOP lb@1\n"
	  "START lb@1",
	  "START web@3 > CONFIGURE lb@1" },
	{ "expand: a stopped one is configured only",
	  WEB,
	  { "lb-", "web+", "web" },
	  PLAN_EXPAND,
	  NULL,
	  "n3",
	  NULL,
	  "CREATE@3\nCONFIRM@3\nBOOTSTRAP@3\nINSTALL web@3\nSTART web@3\nCONFIGURE lb@1",
	  "START web@3 > CONFIGURE lb@1" },
	{ "expand: the new ones do not wait for the restart of the others",
	  CHAIN,
	  { "a+ b+ c+", "a b c" },
	  PLAN_EXPAND,
	  NULL,
	  "n2",
	  NULL,
	  "CREATE@2\nCONFIRM@2\nBOOTSTRAP@2\nCONFIGURE a@2\nCONFIGURE b@2\nCONFIGURE c@2\nSTART a@2\n"
	  "CONFIGURE b@1, START b@2\nCONFIGURE c@1, START c@2\nSTOP c@1\nSTOP b@1\nSTART b@1\n"
	  "START c@1",
	  "START a@2 > CONFIGURE b@1\nSTART a@2 > START b@2\nSTART b@2 > CONFIGURE c@1\n"
	  "START b@2 > START c@2\nSTART c@2 > STOP b@1\nSTOP c@1 > STOP b@1\nSTART b@1 > START c@1" },
	{ "expand: what the new ones need is started",
	  CHAIN,
	  { "a- b- x-", "c" },
	  PLAN_EXPAND,
	  NULL,
	  "n2",
	  NULL,
	  "START a@1, CREATE@2\nSTART b@1, CONFIRM@2\nBOOTSTRAP@2\nCONFIGURE c@2\nSTART c@2",
	  "START a@1 > START b@1\nSTART b@1 > START c@2" },
	{ "expand: needed, and configured before",
	  CHAIN,
	  { "b- x+", "a c" },
	  PLAN_EXPAND,
	  NULL,
	  "n2",
	  NULL,
	  "CREATE@2\nCONFIRM@2\nBOOTSTRAP@2\nCONFIGURE a@2\nCONFIGURE c@2\nSTART a@2\nCONFIGURE b@1\n"
	  "START b@1\nSTART c@2",
	  "START a@2 > CONFIGURE b@1\nSTART a@2 > START b@1\nSTART b@1 > START c@2" },
	{ "expand: a machine without services",
	  CHAIN,
	  { "x+", "" },
	  PLAN_EXPAND,
	  NULL,
	  "n2",
	  NULL,
	  "CREATE@2\nCONFIRM@2\nBOOTSTRAP@2",
	  "" },
	/* shrinking */
	{ "shrink: those that used it get to know",
	  WEB,
	  { "lb+ mon+", "web+", "web+" },
	  PLAN_SHRINK,
	  NULL,
	  "n3",
	  NULL,
	  "STOP web@3\nCONFIGURE lb@1\nSTOP lb@1\nSTART lb@1\nDELETE@3",
	  "STOP web@3 > CONFIGURE lb@1\nSTOP web@3 > DELETE@3\nSTART lb@1 > DELETE@3" },
	{ "shrink: a stopped one is configured only",
	  WEB,
	  { "lb-", "web+", "web-" },
	  PLAN_SHRINK,
	  NULL,
	  "n3",
	  NULL,
	  "CONFIGURE lb@1\nDELETE@3",
	  "CONFIGURE lb@1 > DELETE@3" },
	{ "shrink: the last to be stopped is waited for",
	  CHAIN,
	  { "a+ b+ c+", "a+ b+ x+" },
	  PLAN_SHRINK,
	  NULL,
	  "n2",
	  NULL,
	  "STOP b@2\nSTOP x@2\nSTOP a@2\nCONFIGURE b@1\nCONFIGURE c@1\nSTOP c@1\nSTOP b@1\nSTART b@1\n"
	  "START c@1\nDELETE@2",
	  NULL },
	{ "shrink: nobody uses it",
	  CHAIN,
	  { "a+ x+", "x+", "" },
	  PLAN_SHRINK,
	  NULL,
	  "n2 n3",
	  NULL,
	  "STOP x@2, DELETE@3\nDELETE@2",
	  "STOP x@2 > DELETE@2" },
	/* replacing: of the planned nodes the last one is the new one */
	{ "replace: the old one serves until the new one does, and those that use it are told once",
	  WEB,
	  { "lb+ mon+", "web+", "web" },
	  PLAN_REPLACE,
	  NULL,
	  "n2 n3",
	  NULL,
	  "CREATE@3\nCONFIRM@3\nBOOTSTRAP@3\nINSTALL web@3\nSTART web@3\nSTOP web@2\n"
	  "CONFIGURE lb@1\nSTOP lb@1\nSTART lb@1\nDELETE@2",
	  "START web@3 > STOP web@2\nSTART web@3 > CONFIGURE lb@1\nSTOP web@2 > CONFIGURE lb@1\n"
	  "START web@3 > DELETE@2\nSTOP web@2 > DELETE@2\nSTART lb@1 > DELETE@2" },
	{ "replace: one that cannot be stopped goes when the new one serves",
	  "[" SERVICE("x", I "," S, "") "]",
	  { "x+", "x+", "x" },
	  PLAN_REPLACE,
	  NULL,
	  "n2 n3",
	  NULL,
	  "CREATE@3\nCONFIRM@3\nBOOTSTRAP@3\nINSTALL x@3\nSTART x@3\nDELETE@2",
	  "START x@3 > DELETE@2" },
	{ "replace: what must be started for the new one is not waited for by the old one",
	  CHAIN,
	  { "b- x+", "a+ c+", "a c" },
	  PLAN_REPLACE,
	  NULL,
	  "n2 n3",
	  NULL,
	  NULL,
	  NULL },
	{ "replace: all that depend on each other move at once",
	  CHAIN,
	  { "x+", "a+ b+ c+", "a b c" },
	  PLAN_REPLACE,
	  NULL,
	  "n2 n3",
	  NULL,
	  NULL,
	  NULL },
	{ "replace: a node without services",
	  CHAIN,
	  { "x+", "", "" },
	  PLAN_REPLACE,
	  NULL,
	  "n2 n3",
	  NULL,
	  "DELETE@2, CREATE@3\nCONFIRM@3\nBOOTSTRAP@3",
	  "" },
};

static void check_plan(const struct plan *p)
{
	int stage = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		ck_assert_int_eq(t->num, (int)i + 1);
		ck_assert(t->stage == stage || t->stage == stage + 1);
		stage = t->stage;
		for (size_t k = 0; k < t->n_after; k++) {
			ck_assert_int_lt(p->tasks[t->after[k] - 1].stage, t->stage);
			ck_assert(!k || t->after[k - 1] < t->after[k]);
		}
		for (size_t k = i; k-- > 0 && p->tasks[k].stage == stage;)
			ck_assert_int_ne(p->tasks[k].node, t->node);
	}
}

START_TEST(plans)
{
	LOOM_CLEANUP(plan_free) struct plan *p = NULL;
	LOOM_CLEANUP(buf_fini) struct buf stages = BUF_INIT(10000);
	LOOM_CLEANUP(buf_fini) struct buf edges = BUF_INIT(10000);
	const struct setup *s = &setups[_i];
	struct loom_err err = { 0 };
	struct world w;
	build(&w, s);
	ck_assert_msg(plan_make(&w.in, &p, &err) == 0, "%s: %s", s->name, err.msg);
	check_plan(p);
	show_stages(&w.in, p, &stages);
	show_edges(&w.in, p, &edges);
	ck_assert_msg(!s->stages || str_eq(buf_str(&stages), s->stages), "%s:\n%s\n\nwanted:\n%s",
	              s->name, buf_str(&stages), s->stages);
	ck_assert_msg(!s->edges || str_eq(buf_str(&edges), s->edges), "%s:\n%s\n\nwanted:\n%s",
	              s->name, buf_str(&edges), s->edges);
	tear_down(&w);
}
END_TEST

/* Groups say the same as edges, also where tasks are left out. */
START_TEST(groups)
{
	LOOM_CLEANUP(plan_free) struct plan *a = NULL;
	LOOM_CLEANUP(plan_free) struct plan *b = NULL;
	struct world w;
	build(&w, &setups[_i]);
	ck_assert_int_eq(plan_make(&w.in, &a, NULL), 0);
	w.in.groups = true;
	ck_assert_int_eq(plan_make(&w.in, &b, NULL), 0);
	ck_assert_uint_eq(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		size_t n = b->tasks[i].n_after;
		for (size_t k = 0; k < b->tasks[i].n_after_groups; k++)
			n += b->groups[b->tasks[i].after_groups[k]].n_tasks;
		ck_assert_uint_eq(n, a->tasks[i].n_after);
		ck_assert_int_eq(a->tasks[i].stage, b->tasks[i].stage);
	}
	for (size_t k = 0; k < b->n_groups; k++)
		ck_assert_uint_gt(b->groups[k].n_tasks, 0);
	tear_down(&w);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("change");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, plans, 0, LOOM_COUNT(setups));
	tcase_add_loop_test(t, groups, 0, LOOM_COUNT(setups));
	return UNIT_RUN("scheduler_change", t);
}
