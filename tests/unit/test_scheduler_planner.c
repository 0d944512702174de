/* SPDX-License-Identifier: Apache-2.0 */
/* The planner's worked examples. JSON is written with ' for ". */
#include "tests/unit/planner_case.h"

#include "common/base/buf.h"

#define ALL I "," C "," Z "," S "," T

struct setup {
	const char *services;
	const char *nodes[4]; /* services of nodes 1, 2, ... */
	enum plan_action action;
	const char *planned, *planned_nodes; /* NULL: all */
};

struct world {
	struct json *docs;
	struct strs on[4], planned, planned_nodes;
	struct plan_node nodes[4];
	struct plan_input in;
};

static void build(struct world *w, const struct setup *s)
{
	static const char *const ids[] = { "n1", "n2", "n3", "n4" };
	memset(w, 0, sizeof(*w));
	w->docs = unit_json(s->services);
	w->in.action = s->action;
	w->in.nodes = w->nodes;
	w->in.services = w->docs;
	for (size_t i = 0; i < 4 && s->nodes[i]; i++) {
		split(s->nodes[i], &w->on[i]);
		w->nodes[i] = (struct plan_node){ ids[i], (int)i + 1, &w->on[i] };
		w->in.n_nodes++;
	}
	if (s->planned) {
		split(s->planned, &w->planned);
		w->in.planned_services = &w->planned;
	}
	if (s->planned_nodes) {
		split(s->planned_nodes, &w->planned_nodes);
		w->in.planned_nodes = &w->planned_nodes;
	}
}

static void tear_down(struct world *w)
{
	json_free(w->docs);
	for (int i = 0; i < 4; i++)
		strs_fini(&w->on[i]);
	strs_fini(&w->planned);
	strs_fini(&w->planned_nodes);
}

/* Stages, each on a line: tasks as "START s1@2" or "CREATE@1". */
static void show_stages(const struct plan_input *in, const struct plan *p, struct buf *b)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		if (i)
			buf_adds(b, p->tasks[i - 1].stage == t->stage ? ", " : "\n");
		buf_addf(b, "%s%s%s@%d", t->name, *t->service ? " " : "", t->service,
		         in->nodes[t->node].nodenum);
	}
}

/* Edges between different services or nodes, each on a line: "START s1@2 > INITIALIZE s3@2". */
static void show_edges(const struct plan_input *in, const struct plan *p, struct buf *b)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		for (size_t k = 0; k < t->n_after; k++) {
			const struct plan_task *f = &p->tasks[t->after[k] - 1];
			if (f->node == t->node && (!*f->service || str_eq(f->service, t->service)))
				continue;
			buf_addf(b, "%s%s %s@%d > %s %s@%d", b->len ? "\n" : "", f->name,
			         f->service, in->nodes[f->node].nodenum, t->name, t->service,
			         in->nodes[t->node].nodenum);
		}
	}
}

/* ---- worked examples ------------------------------------------------------------------------ */

#define EXAMPLE                                                                               \
	"[" SERVICE("s1", C "," S, "") "," SERVICE("s2", I "," C, NEEDS("'s1'")) "," SERVICE( \
		"s3", I "," C "," Z "," S, NEEDS("'s1','s2'")) "]"
#define RESTART                                                                            \
	"[" SERVICE("s1", C "," S "," T, "") "," SERVICE(                                  \
		"s2", I "," S "," T, NEEDS("'s1'")) "," SERVICE("s3", I "," Z "," S "," T, \
	                                                        NEEDS("'s1','s2'")) "]"
#define HDFS                                                               \
	"[" SERVICE("namenode", I "," C "," Z "," S "," T,                 \
	            "") "," SERVICE("datanode", I "," C "," Z "," S "," T, \
	                            NEEDS("'namenode'")) "," SERVICE("hosts", C, "") "]"
#define NODES                    \
	{                        \
		"s1", "s1 s2 s3" \
	}

static const struct {
	const char *name;
	struct setup setup;
	size_t edges;
	const char *stages, *cross;
} plans[] = {
	{ "create",
	  { EXAMPLE, NODES, PLAN_CREATE, NULL, NULL },
	  18,
	  "CREATE@1, CREATE@2\nCONFIRM@1, CONFIRM@2\nBOOTSTRAP@1, BOOTSTRAP@2\n"
	  "CONFIGURE s1@1, INSTALL s2@2\nINSTALL s3@2\nCONFIGURE s1@2\n"
	  "START s1@1, CONFIGURE s2@2\nCONFIGURE s3@2\nSTART s1@2\n"
	  "INITIALIZE s3@2\nSTART s3@2",
	  "START s1@1 > INITIALIZE s3@2\nSTART s1@2 > INITIALIZE s3@2\n"
	  "START s1@1 > START s3@2\nSTART s1@2 > START s3@2" },
	{ "restart",
	  { RESTART, NODES, PLAN_RESTART, "s2", NULL },
	  6,
	  "START s1@1, STOP s3@2\nSTART s1@2\nSTOP s2@2\nSTART s2@2\nSTART s3@2",
	  "STOP s3@2 > STOP s2@2\nSTART s1@1 > START s2@2\nSTART s1@2 > START s2@2\n"
	  "START s2@2 > START s3@2" },
	{ "delete",
	  { "[{'name':'s1'}]", { "s1", "s1" }, PLAN_DELETE, NULL, NULL },
	  0,
	  "DELETE@1, DELETE@2",
	  "" },
	{ "hdfs",
	  { HDFS, { "namenode hosts", "datanode hosts" }, PLAN_CREATE, NULL, NULL },
	  16,
	  "CREATE@1, CREATE@2\nCONFIRM@1, CONFIRM@2\nBOOTSTRAP@1, BOOTSTRAP@2\n"
	  "INSTALL namenode@1, INSTALL datanode@2\nCONFIGURE hosts@1, CONFIGURE hosts@2\n"
	  "CONFIGURE namenode@1, CONFIGURE datanode@2\nINITIALIZE namenode@1\nSTART namenode@1\n"
	  "INITIALIZE datanode@2\nSTART datanode@2",
	  "START namenode@1 > INITIALIZE datanode@2\nSTART namenode@1 > START datanode@2" },
	{ "a machine without services is made and deleted",
	  { "[]", { "" }, PLAN_CREATE, NULL, NULL },
	  2,
	  "CREATE@1\nCONFIRM@1\nBOOTSTRAP@1",
	  "" },
	{ "delete needs no definitions",
	  { "[]", { "gone", "" }, PLAN_DELETE, NULL, NULL },
	  0,
	  "DELETE@1, DELETE@2",
	  "" },
	{ "nothing to start",
	  { "[" SERVICE("s1", C, "") "]", { "s1" }, PLAN_START, NULL, NULL },
	  0,
	  "",
	  "" },
	{ "nothing to do while solving",
	  { EXAMPLE, NODES, PLAN_SOLVE_LAYOUT, NULL, NULL },
	  0,
	  "",
	  "" },
	{ "add services starts what the new one needs, on all nodes",
	  { "[" SERVICE("s1", ALL, "") "," SERVICE("s2", I "," S,
	                                           INSTALL("'s1'") "," NEEDS("'s1'")) "]",
	    { "s1", "s1 s2", "s1" },
	    PLAN_ADD_SERVICES,
	    "s2",
	    "n2" },
	  5,
	  "START s1@1, BOOTSTRAP@2, START s1@3\nSTART s1@2\nINSTALL s2@2\nSTART s2@2",
	  "START s1@1 > START s2@2\nSTART s1@3 > START s2@2\nSTART s1@2 > START s2@2" },
	{ "stop takes along what needs it",
	  { RESTART, NODES, PLAN_STOP, "s1", NULL },
	  3,
	  "STOP s3@2\nSTOP s2@2\nSTOP s1@1, STOP s1@2",
	  "STOP s3@2 > STOP s2@2\nSTOP s2@2 > STOP s1@1\nSTOP s2@2 > STOP s1@2" },
	{ "start takes along what it needs",
	  { RESTART, NODES, PLAN_START, "s2", NULL },
	  2,
	  "START s1@1, START s1@2\nSTART s2@2",
	  "START s1@1 > START s2@2\nSTART s1@2 > START s2@2" },
	{ "reconfigure",
	  { RESTART, { "s1 s2" }, PLAN_CONFIGURE, NULL, NULL },
	  1,
	  "BOOTSTRAP@1\nCONFIGURE s1@1",
	  "" },
	{ "reconfigure with restart",
	  { RESTART, { "s1 s2" }, PLAN_CONFIGURE_WITH_RESTART, NULL, NULL },
	  7,
	  "BOOTSTRAP@1\nSTOP s2@1\nSTOP s1@1\nCONFIGURE s1@1\nSTART s1@1\nSTART s2@1",
	  "STOP s2@1 > STOP s1@1\nSTART s1@1 > START s2@1" },
	{ "all that provide a name, not the one that has it",
	  { "[" SERVICE("db", S, "") "," SERVICE("my", S, "'provides':['db']") "," SERVICE(
		    "pg", S, "'provides':['db','pg']") "," SERVICE("app", S, USES("'db'")) "]",
	    { "db", "my", "pg", "app" },
	    PLAN_START,
	    NULL,
	    NULL },
	  2,
	  "START db@1, START my@2, START pg@3\nSTART app@4",
	  "START my@2 > START app@4\nSTART pg@3 > START app@4" },
	{ "only the nearest",
	  { "[" SERVICE("a", I, "") "," SERVICE("b", I, INSTALL("'a'")) "," SERVICE(
		    "c", I, INSTALL("'a','b'")) "]",
	    { "a", "b", "c" },
	    PLAN_ADD_SERVICES,
	    NULL,
	    NULL },
	  5,
	  "BOOTSTRAP@1, BOOTSTRAP@2, BOOTSTRAP@3\nINSTALL a@1\nINSTALL b@2\nINSTALL c@3",
	  "INSTALL a@1 > INSTALL b@2\nINSTALL b@2 > INSTALL c@3" },
	{ "a circle through services without the action keeps the order",
	  { "[" SERVICE("a", S, NEEDS("'x'")) "," SERVICE("b", S, "") "," SERVICE(
		    "x", C, NEEDS("'y'")) "," SERVICE("y", C, NEEDS("'x','b'")) "]",
	    { "a x", "y", "b" },
	    PLAN_START,
	    NULL,
	    NULL },
	  1,
	  "START b@3\nSTART a@1",
	  "START b@3 > START a@1" },
	{ "the first releases' dependson",
	  { "[{'name':'b','dependson':['a'],'provisioner':{'actions':{" S
	    "}}}," SERVICE("a", S, "") "]",
	    { "a", "b" },
	    PLAN_START,
	    NULL,
	    NULL },
	  1,
	  "START a@1\nSTART b@2",
	  "START a@1 > START b@2" },
	{ "needs itself through a name it provides",
	  { "[" SERVICE("a", S, "'provides':['x']," NEEDS("'x','a'")) "]",
	    { "a" },
	    PLAN_START,
	    NULL,
	    NULL },
	  0,
	  "START a@1",
	  "" },
	{ "equals, who both provide and need a name",
	  { "[" SERVICE("a", S, "'provides':['x']," NEEDS("'x'")) "," SERVICE(
		    "b", S, "'provides':['x']," USES("'x'")) "," SERVICE("c", S, NEEDS("'x'")) "]",
	    { "a", "b", "c" },
	    PLAN_START,
	    NULL,
	    NULL },
	  2,
	  "START a@1, START b@2\nSTART c@3",
	  "START a@1 > START c@3\nSTART b@2 > START c@3" },
	{ "one that provides a name and needs it, after one that only provides it",
	  { "[" SERVICE("a", S, "'provides':['x']," NEEDS("'x'")) "," SERVICE(
		    "b", S, "'provides':['x']") "]",
	    { "a", "b" },
	    PLAN_START,
	    NULL,
	    NULL },
	  1,
	  "START b@2\nSTART a@1",
	  "START b@2 > START a@1" },
	{ "one of two equals is started alone",
	  { "[" SERVICE("a", S, "'provides':['x']," NEEDS("'x'")) "," SERVICE(
		    "b", S, "'provides':['x']," NEEDS("'x'")) "]",
	    { "a", "b" },
	    PLAN_START,
	    "a",
	    NULL },
	  0,
	  "START a@1",
	  "" },
};

START_TEST(worked_examples)
{
	LOOM_CLEANUP(plan_free) struct plan *p = NULL;
	LOOM_CLEANUP(buf_fini) struct buf stages = BUF_INIT(10000);
	LOOM_CLEANUP(buf_fini) struct buf cross = BUF_INIT(10000);
	struct loom_err err = { 0 };
	struct world w;
	build(&w, &plans[_i].setup);
	ck_assert_msg(plan_make(&w.in, &p, &err) == 0, "%s", err.msg);
	check_plan(p);
	show_stages(&w.in, p, &stages);
	show_edges(&w.in, p, &cross);
	ck_assert_str_eq(buf_str(&stages), plans[_i].stages);
	ck_assert_str_eq(buf_str(&cross), plans[_i].cross);
	ck_assert_uint_eq(count_edges(p), plans[_i].edges);
	tear_down(&w);
}
END_TEST

static const struct {
	struct setup setup;
	const char *want;
} refused[] = {
	{ { "[" SERVICE("a", S, NEEDS("'b'")) "," SERVICE("b", S, NEEDS("'x'")) "," SERVICE(
		    "x", C, NEEDS("'a'")) "]",
	    { "a b x" },
	    PLAN_CREATE,
	    NULL,
	    NULL },
	  "services depend on each other in a circle, so there is no order to start them: a -> b -> a" },
	{ { "[" SERVICE("a", I, INSTALL("'b'")) "," SERVICE("b", I, INSTALL("'a'")) "]",
	    { "a b" },
	    PLAN_CREATE,
	    NULL,
	    NULL },
	  "services depend on each other in a circle, so there is no order to install them: "
	  "a -> b -> a" },
	{ { "[" SERVICE("a", T, NEEDS("'b'")) "," SERVICE("b", T, NEEDS("'a'")) "]",
	    { "a b" },
	    PLAN_STOP,
	    NULL,
	    NULL },
	  "services depend on each other in a circle, so there is no order to stop them: a -> b -> a" },
	{ { "[]", { "a" }, PLAN_CREATE, NULL, NULL }, "service a has no definition" },
};

START_TEST(refusals)
{
	struct plan *p = NULL;
	struct loom_err err = { 0 };
	struct world w;
	build(&w, &refused[_i].setup);
	ck_assert_int_eq(plan_make(&w.in, &p, &err), 400);
	ck_assert_ptr_null(p);
	ck_assert_str_eq(err.msg, refused[_i].want);
	tear_down(&w);
}
END_TEST

/* A circle that no step of the plan runs into refuses nothing. */
START_TEST(harmless_circle)
{
	static const enum plan_action harmless[] = { PLAN_DELETE, PLAN_CONFIGURE, PLAN_STOP };
	const struct setup s = { "[" SERVICE("a", S, NEEDS("'b'")) "," SERVICE("b", S,
		                                                               NEEDS("'a'")) "]",
		                 { "a b" },
		                 harmless[_i],
		                 NULL,
		                 NULL };
	LOOM_CLEANUP(plan_free) struct plan *p = NULL;
	struct world w;
	build(&w, &s);
	ck_assert_int_eq(plan_make(&w.in, &p, NULL), 0);
	check_plan(p);
	tear_down(&w);
}
END_TEST

/* ---- names ---------------------------------------------------------------------------------- */

START_TEST(names)
{
	static const struct {
		enum plan_action action;
		const char *name, *failure;
		size_t steps;
	} rows[] = {
		{ PLAN_SOLVE_LAYOUT, "solve_layout", "terminated", 0 },
		{ PLAN_CREATE, "cluster_create", "incomplete", 7 },
		{ PLAN_DELETE, "cluster_delete", "incomplete", 1 },
		{ PLAN_ADD_SERVICES, "add_services", "inconsistent", 5 },
		{ PLAN_CONFIGURE, "cluster_configure", "inconsistent", 2 },
		{ PLAN_CONFIGURE_WITH_RESTART, "cluster_configure_with_restart", "inconsistent",
		  4 },
		{ PLAN_STOP, "stop_services", "inconsistent", 1 },
		{ PLAN_START, "start_services", "inconsistent", 1 },
		{ PLAN_RESTART, "restart_services", "inconsistent", 2 },
		{ PLAN_REMOVE_SERVICES, "remove_services", "inconsistent", 2 },
		{ PLAN_EXPAND, "expand_cluster", "inconsistent", 8 },
		{ PLAN_SHRINK, "shrink_cluster", "inconsistent", 4 },
		{ PLAN_REPLACE, "replace_node", "inconsistent", 9 },
	};
	enum plan_action a = PLAN_CREATE;
	enum plan_step undo = STEP_CREATE;
	enum plan_step again = STEP_CREATE;
	enum plan_step step = STEP_CREATE;

	ck_assert_uint_eq(LOOM_COUNT(rows), PLAN_ACTIONS_);
	for (size_t i = 0; i < LOOM_COUNT(rows); i++) {
		size_t n;
		ck_assert_str_eq(plan_action_name(rows[i].action), rows[i].name);
		ck_assert_str_eq(plan_failure_status(rows[i].action), rows[i].failure);
		(void)plan_steps(rows[i].action, &n);
		ck_assert_uint_eq(n, rows[i].steps);
		ck_assert(plan_action_parse(rows[i].name, &a));
		ck_assert_int_eq(a, rows[i].action);
	}
	ck_assert(plan_action_parse("CLUSTER_DELETE", &a) && a == PLAN_DELETE);
	ck_assert(!plan_action_parse("cluster", &a));
	for (int s = 0; s < STEPS_; s++) {
		ck_assert(plan_step_parse(plan_step_name((enum plan_step)s), &step));
		ck_assert_int_eq(step, s);
		ck_assert(plan_step_parse(plan_step_action((enum plan_step)s), &step));
		ck_assert_int_eq(step, s);
		ck_assert_int_eq(plan_rollback((enum plan_step)s, &undo, &again),
		                 s == STEP_CONFIRM);
	}
	ck_assert(undo == STEP_DELETE && again == STEP_CREATE);
	ck_assert(!plan_step_parse("", &step));
	ck_assert(plan_step_is_hardware(STEP_DELETE) && !plan_step_is_hardware(STEP_STOP));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("planner");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, worked_examples, 0, LOOM_COUNT(plans));
	tcase_add_loop_test(t, refusals, 0, LOOM_COUNT(refused));
	tcase_add_loop_test(t, harmless_circle, 0, 3);
	tcase_add_test(t, names);
	return UNIT_RUN("scheduler_planner", t);
}
