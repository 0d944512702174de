/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units of work on rows in memory: results, crashes, groups, retries, replacement, roll back as
 * tables of cases, and random graphs in random orders of what can happen.
 */
#include "tests/unit/batch_world.h"

#include "services/scheduler/plan/planner.h"

/* ---- tables of cases ------------------------------------------------------------------------- */

/*
 * What happens, in order: k3 task 3 is claimed, c3 complete, f3 fails, F3 fails for ever, l3 its
 * worker is lost, s3 a result of an older attempt, a3 the last result once more, x3 a result whose
 * transaction crashes, A aborts the job, P pauses it, R resumes it. Then the states of all tasks:
 * b blocked, r ready, R running, c complete, f failed, d dropped.
 */
struct script {
	const char *what, *action, *request, *happens, *states;
	struct step steps[6];
	enum job_status job;
	enum cluster_status cluster;
	size_t jobs, nodes; /* how many there are then; 0: not looked at */
};

#define CREATE    "cluster_create"
#define DELETE    "cluster_delete"
#define CONFIGURE "cluster_configure"

/* clang-format off */
static const struct script scripts[] = {
	{ "what waits for a task is ready after it", CREATE, "{}", "k1 c1", "crb",
	  { { 1, "CREATE", { 0 }, 0 }, { 1, "CONFIRM", { 1 }, 0 }, { 1, "BOOTSTRAP", { 2 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "the last one completes job and cluster", CREATE, "{}", "k1 c1 k2 c2 k3 c3", "ccc",
	  { { 1, "CREATE", { 0 }, 0 }, { 1, "CONFIRM", { 1 }, 0 }, { 1, "BOOTSTRAP", { 2 }, 0 } },
	  JOB_COMPLETE, CLUSTER_ACTIVE, 1, 1 },
	{ "a node does one thing at a time", CREATE, "{}", "k1", "Rbr",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "INSTALL", { 0 }, 0 }, { 2, "INSTALL", { 0 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 2 },
	{ "a free node goes on", CREATE, "{}", "k1 c1", "crr",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "INSTALL", { 0 }, 0 }, { 2, "INSTALL", { 0 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 2 },
	{ "two before it: one is not enough", CREATE, "{}", "k1 c1", "crb",
	  { { 1, "INSTALL", { 0 }, 0 }, { 2, "INSTALL", { 0 }, 0 }, { 3, "START", { 1, 2 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 3 },
	{ "a group waits for its last member", CREATE, "{}", "k1 c1", "crbb",
	  { { 1, "INSTALL", { 0 }, 1 }, { 2, "INSTALL", { 0 }, 1 }, { 3, "START", { -1 }, 0 },
	    { 4, "START", { -1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 4 },
	{ "all of a group begins at once", CREATE, "{}", "k1 k2 c2 c1", "ccrr",
	  { { 1, "INSTALL", { 0 }, 1 }, { 2, "INSTALL", { 0 }, 1 }, { 3, "START", { -1 }, 0 },
	    { 4, "START", { -1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 4 },
	{ "a failed task is tried again", CREATE, "{}", "k1 f1", "rb",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "three failures end the job", CREATE, "{}", "k1 f1 k1 f1 k1 f1", "fd",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_FAILED, CLUSTER_INCOMPLETE, 1, 1 },
	{ "a failure for ever ends it at once", CREATE, "{}", "k1 F1", "fd",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_FAILED, CLUSTER_INCOMPLETE, 1, 1 },
	{ "a failed job waits for what runs", CREATE, "{}", "k1 k2 F1", "fRd",
	  { { 1, "INSTALL", { 0 }, 0 }, { 2, "INSTALL", { 0 }, 0 }, { 2, "START", { 2 }, 0 } },
	  JOB_FAILED, CLUSTER_PENDING, 1, 2 },
	{ "its last task ends the wait", CREATE, "{}", "k1 k2 F1 c2", "fcd",
	  { { 1, "INSTALL", { 0 }, 0 }, { 2, "INSTALL", { 0 }, 0 }, { 2, "START", { 2 }, 0 } },
	  JOB_FAILED, CLUSTER_INCOMPLETE, 1, 2 },
	{ "and so does its loss", CREATE, "{}", "k1 k2 F1 l2", "ffd",
	  { { 1, "INSTALL", { 0 }, 0 }, { 2, "INSTALL", { 0 }, 0 }, { 2, "START", { 2 }, 0 } },
	  JOB_FAILED, CLUSTER_INCOMPLETE, 1, 2 },
	{ "roll back deletes what was made", CREATE, "{'onFailure':'rollback'}", "k1 F1", "f",
	  { { 1, "INSTALL", { 0 }, 0 } }, JOB_FAILED, CLUSTER_PENDING, 2, 1 },
	{ "a lost task is for another", CREATE, "{}", "k1 l1", "r",
	  { { 1, "INSTALL", { 0 }, 0 } }, JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "nine losses are enough", CONFIGURE, "{}",
	  "k1 l1 k1 l1 k1 l1 k1 l1 k1 l1 k1 l1 k1 l1 k1 l1 k1 l1", "f",
	  { { 1, "CONFIGURE", { 0 }, 0 } }, JOB_FAILED, CLUSTER_INCONSISTENT, 1, 1 },
	{ "a stale result does nothing", CREATE, "{}", "k1 f1 k1 s1", "R",
	  { { 1, "INSTALL", { 0 }, 0 } }, JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "a result after a loss is stale", CREATE, "{}", "k1 l1 k1 s1 c1", "c",
	  { { 1, "INSTALL", { 0 }, 0 } }, JOB_COMPLETE, CLUSTER_ACTIVE, 1, 1 },
	{ "the same result twice counts once", CREATE, "{}", "k1 c1 a1", "cr",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "a crash before the commit does nothing", CREATE, "{}", "k1 x1", "Rb",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "after a crash it is done once", CREATE, "{}", "k1 x1 c1 a1", "cr",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "a node that does not come up is made again", CREATE, "{}", "k1 c1 k2 f2", "cbrb",
	  { { 1, "CREATE", { 0 }, 0 }, { 1, "CONFIRM", { 1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "made again, the step is tried again", CREATE, "{}", "k1 c1 k2 f2 k3 c3 k4 c4", "crcc",
	  { { 1, "CREATE", { 0 }, 0 }, { 1, "CONFIRM", { 1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 1 },
	{ "made again it counts as much more", CREATE, "{}", "k1 c1 k2 f2 k3 c3 k4 c4 k2 c2", "cccc",
	  { { 1, "CREATE", { 0 }, 0 }, { 1, "CONFIRM", { 1 }, 0 } },
	  JOB_COMPLETE, CLUSTER_ACTIVE, 1, 1 },
	{ "another node takes its place", CREATE, "{}", "k1 f1 k1 f1 k1 f1", "bbr",
	  { { 1, "CREATE", { 0 }, 0 }, { 1, "CONFIRM", { 1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 2 },
	{ "the new node is made after the old one is gone", CREATE, "{}",
	  "k1 f1 k1 f1 k1 f1 k3 c3 k1 c1", "crc",
	  { { 1, "CREATE", { 0 }, 0 }, { 1, "CONFIRM", { 1 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 2 },
	{ "one replacement is allowed", CREATE, "{}",
	  "k1 f1 k1 f1 k1 f1 k3 c3 k1 f1 k1 f1 k1 f1", "fdc",
	  { { 1, "CREATE", { 0 }, 0 }, { 1, "CONFIRM", { 1 }, 0 } },
	  JOB_FAILED, CLUSTER_INCOMPLETE, 1, 2 },
	{ "a deletion goes on without a node that is kept", DELETE, "{}", "k1 F1", "fr",
	  { { 1, "DELETE", { 0 }, 0 }, { 2, "DELETE", { 0 }, 0 } },
	  JOB_RUNNING, CLUSTER_PENDING, 1, 2 },
	{ "and says so at its end", DELETE, "{}", "k1 F1 k2 c2", "fc",
	  { { 1, "DELETE", { 0 }, 0 }, { 2, "DELETE", { 0 }, 0 } },
	  JOB_FAILED, CLUSTER_INCOMPLETE, 1, 2 },
	{ "a deleted cluster is gone", DELETE, "{}", "k1 c1 k2 c2", "cc",
	  { { 1, "DELETE", { 0 }, 0 }, { 2, "DELETE", { 0 }, 0 } },
	  JOB_COMPLETE, CLUSTER_TERMINATED, 1, 2 },
	{ "an aborted job drops what waits", CREATE, "{}", "k1 A", "Rd",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_FAILED, CLUSTER_PENDING, 1, 1 },
	{ "what follows an abort comes after the last task", CREATE, "{}", "k1 A c1", "cd",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_FAILED, CLUSTER_PENDING, 2, 1 },
	{ "a paused job takes results and makes ready", CREATE, "{}", "k1 P c1", "cr",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_PAUSED, CLUSTER_PENDING, 1, 1 },
	{ "and goes on", CREATE, "{}", "k1 P c1 R k2 c2", "cc",
	  { { 1, "INSTALL", { 0 }, 0 }, { 1, "START", { 1 }, 0 } },
	  JOB_COMPLETE, CLUSTER_ACTIVE, 1, 1 },
};
/* clang-format on */

static void control(struct world *w, char what)
{
	struct unit u;
	struct unit_job *j;
	ck_assert(begin(w, &u));
	ck_assert_int_eq(unit_get_job(&u, w->id, 1, &j), 0);
	if (what == 'A')
		ck_assert_int_eq(lifecycle_abort(&u, j, "Aborted.", DELETE), 0);
	else
		unit_move_job(&u, j, what == 'P' ? JOB_PAUSED : JOB_RUNNING, NULL);
	end(w, &u, false);
}

static void crash(struct world *w, int64_t num)
{
	struct unit u;
	ck_assert(begin(w, &u));
	ck_assert_int_eq(result_in(&u, num, row_at(w, 1, num)->attempt, "'status':0"), 200);
	ck_assert_int_eq(unit_release(&u), 0);
	end(w, &u, true);
}

static void happen(struct world *w, char what, int64_t num)
{
	static const struct {
		char what;
		int64_t older;
		const char *body;
		int status;
	} results[] = { { 'c', 0, "'status':0", 200 },
		        { 'f', 0, "'status':1,'message':'no'", 200 },
		        { 'F', 0, "'status':1,'message':'no','retry':false", 200 },
		        { 'l', 0, "'status':1,'lost':true", 200 },
		        { 's', 1, "'status':0", 417 },
		        { 'a', 0, "'status':0", 200 } };
	if (what == 'k')
		claim(w, num);
	else if (what == 'x')
		crash(w, num);
	else if (strchr("APR", what))
		control(w, what);
	for (size_t i = 0; i < LOOM_COUNT(results); i++) {
		if (results[i].what == what)
			ck_assert_int_eq(result(w, num,
			                        row_at(w, 1, num)->attempt - results[i].older,
			                        results[i].body),
			                 results[i].status);
	}
}

static void states(const struct world *w, char out[MOST])
{
	for (size_t i = 0; i < w->n_tasks; i++)
		out[i] = "brRcfd"[w->tasks[i].state];
	out[w->n_tasks] = '\0';
}

START_TEST(a_script_ends_as_it_should)
{
	const struct script *s = &scripts[_i];
	struct world *w = world_new(s->action, s->steps);
	char got[MOST];
	w->request = s->request;
	for (const char *at = s->happens; *at; at += strcspn(at, " "), at += *at == ' ')
		happen(w, *at, atoi(at + 1));
	states(w, got);
	ck_assert_msg(strcmp(got, s->states) == 0, "%s: %s", s->what, got);
	ck_assert_msg(w->jobs[0].status == s->job, "%s: job %s", s->what,
	              job_status_name(w->jobs[0].status));
	ck_assert_msg(w->status == s->cluster, "%s: cluster %s", s->what,
	              cluster_status_name(w->status));
	ck_assert_msg(w->n_jobs == s->jobs && w->n_nodes == s->nodes, "%s: %zu jobs, %zu nodes",
	              s->what, w->n_jobs, w->n_nodes);
	ck_assert(w->completed == (s->job == JOB_COMPLETE));
	world_free(w);
}
END_TEST

/* ---- several at once ------------------------------------------------------------------------- */

START_TEST(two_units_never_hold_one_cluster)
{
	static const struct step steps[] = { { 1, "INSTALL", { 0 }, 0 }, { 0 } };
	struct world *a = world_new(CREATE, steps), *b = world_new(CREATE, steps);
	struct unit one, other, none;
	claim(a, 1);
	claim(b, 1);
	ck_assert(begin(a, &one));
	ck_assert(!begin(a, &none));
	ck_assert(begin(b, &other));
	ck_assert_int_eq(result_in(&one, 1, 1, "'status':0"), 200);
	ck_assert_int_eq(result_in(&other, 1, 1, "'status':1,'retry':false"), 200);
	end(b, &other, false);
	end(a, &one, false);
	ck_assert(a->status == CLUSTER_ACTIVE && b->status == CLUSTER_INCOMPLETE);
	world_free(a);
	world_free(b);
}
END_TEST

/* In one transaction: two results for a group, the last one of them twice, and a claim of what they
 * made ready. */
START_TEST(one_unit_does_all_of_it)
{
	static const struct step steps[] = { { 1, "INSTALL", { 0 }, 1 },
		                             { 2, "INSTALL", { 0 }, 1 },
		                             { 3, "START", { -1 }, 0 },
		                             { 0 } };
	struct world *w = world_new(CREATE, steps);
	struct unit u;
	char got[MOST];
	claim(w, 1);
	claim(w, 2);
	ck_assert(begin(w, &u));
	ck_assert_int_eq(result_in(&u, 1, 1, "'status':0"), 200);
	ck_assert_int_eq(result_in(&u, 2, 1, "'status':0"), 200);
	ck_assert_int_eq(result_in(&u, 2, 1, "'status':0"), 200);
	ck_assert_int_eq(unit_release(&u), 0);
	ck_assert_uint_eq(u.n_newly_ready, 1);
	lifecycle_claim(&u, u.newly_ready[0], &(struct task_taker){ "p", "w", "", 1000 });
	end(w, &u, false);
	states(w, got);
	ck_assert_str_eq(got, "ccR");
	ck_assert_int_eq(w->jobs[0].tasks_done, 2);
	world_free(w);
}
END_TEST

/* A failure ends the job of a task that the same transaction has completed. */
START_TEST(a_failure_beside_a_success_makes_nothing_ready)
{
	static const struct step steps[] = { { 1, "INSTALL", { 0 }, 0 },
		                             { 2, "INSTALL", { 0 }, 0 },
		                             { 1, "START", { 1 }, 0 },
		                             { 0 } };
	struct world *w = world_new(CREATE, steps);
	struct unit u;
	char got[MOST];
	claim(w, 1);
	claim(w, 2);
	ck_assert(begin(w, &u));
	ck_assert_int_eq(result_in(&u, 1, 1, "'status':0"), 200);
	ck_assert_int_eq(result_in(&u, 2, 1, "'status':1,'retry':false"), 200);
	end(w, &u, false);
	states(w, got);
	ck_assert_str_eq(got, "cfd");
	ck_assert_int_eq(w->status, CLUSTER_INCOMPLETE);
	ck_assert_uint_eq(w->failed, 1);
	world_free(w);
}
END_TEST

/* ---- what a result says of its node ---------------------------------------------------------- */

START_TEST(results_are_kept_with_the_node)
{
	static const struct step steps[] = { { 1, "CREATE", { 0 }, 0 },
		                             { 1, "CONFIRM", { 1 }, 0 },
		                             { 0 } };
	struct world *w = world_new(CREATE, steps);
	claim(w, 1);
	ck_assert_int_eq(result(w, 1, 1,
	                        "'status':0,'result':{'id':'vm-1'},"
	                        "'ipaddresses':{'access_v4':'10.0.0.7'},'hostname':'a.b'"),
	                 200);
	ck_assert_str_eq(json_get_str(w->nodes[0].results, "id"), "vm-1");
	ck_assert_str_eq(json_get_str(w->nodes[0].ipaddresses, "access_v4"), "10.0.0.7");
	ck_assert_str_eq(w->nodes[0].hostname, "a.b");
	world_free(w);
}
END_TEST

/* Two machines with one address: the cluster is as well as any other, and says so. */
START_TEST(an_address_used_twice_is_told)
{
	static const struct step steps[] = { { 1, "CONFIRM", { 0 }, 0 },
		                             { 2, "CONFIRM", { 0 }, 0 },
		                             { 0 } };
	static const struct {
		const char *first, *second, *message;
	} cases[] = {
		{ "'access_v4':'10.0.0.7'", "'access_v4':'10.0.0.8'", NULL },
		{ "'access_v4':'10.0.0.7'", "'access_v4':'10.0.0.7'",
		  "a and b have the same address, 10.0.0.7." },
		{ "'bind_v4':'10.0.0.7'", "'access_v4':'10.0.0.7'",
		  "a and b have the same address, 10.0.0.7." },
		/* behind one public address */
		{ "'bind_v4':'10.0.0.7','access_v4':'1.2.3.4'",
		  "'bind_v4':'10.0.0.8','access_v4':'1.2.3.4'", NULL },
	};
	for (size_t i = 0; i < LOOM_COUNT(cases); i++) {
		struct world *w = world_new(CREATE, steps);
		LOOM_CLEANUP_STR char *first = loom_asprintf(
			"'status':0,'hostname':'a','ipaddresses':{%s}", cases[i].first);
		LOOM_CLEANUP_STR char *second = loom_asprintf(
			"'status':0,'hostname':'b','ipaddresses':{%s}", cases[i].second);
		claim(w, 1);
		claim(w, 2);
		ck_assert_int_eq(result(w, 1, 1, first), 200);
		ck_assert_int_eq(result(w, 2, 1, second), 200);
		ck_assert_int_eq(w->status, CLUSTER_ACTIVE);
		ck_assert_pstr_eq(w->message, cases[i].message);
		world_free(w);
	}
}
END_TEST

START_TEST(each_failure_is_kept_and_judged)
{
	static const struct step steps[] = { { 1, "INSTALL", { 0 }, 0 }, { 0 } };
	struct world *w = world_new(CREATE, steps);
	for (int i = 0; i < 2; i++) {
		claim(w, 1);
		ck_assert_int_eq(result(w, 1, i + 1, "'status':1,'stderr':'oh'"), 200);
		ck_assert_str_eq(w->tasks[0].message, "oh");
	}
	claim(w, 1);
	ck_assert_int_eq(result(w, 1, 3, "'status':0"), 200);
	ck_assert_uint_eq(w->failures, 2);
	ck_assert_uint_eq(w->judged, 1);
	ck_assert_ptr_null(w->tasks[0].message);
	world_free(w);
}
END_TEST

/* ---- random graphs --------------------------------------------------------------------------- */

static unsigned seed;

static int any(int n)
{
	return rand_r(&seed) % n;
}

/* Edges lead from lower to higher numbers; some tasks wait for a group of others. */
static struct world *random_world(int n)
{
	struct world *w = world_new(CREATE, NULL);
	int groups = any(3), members[3] = { 0 };
	for (int i = 1; i <= n; i++) {
		struct step s = { .node = 1 + any(4), .name = any(2) ? "INSTALL" : "START" };
		int k = 0;
		for (int before = 1; before < i && k < 3; before++) {
			if (!any(4))
				s.after[k++] = before;
		}
		if (i <= n / 2 && groups) {
			s.group = 1 + any(groups);
			members[s.group]++;
		} else if (groups && members[1] && !any(2)) {
			s.after[k] = -1;
		}
		add_task(w, &s);
	}
	return w;
}

/* Is all before it complete, and nothing else under way on its node? */
static void may_run(struct world *w, const struct task *t)
{
	for (size_t i = 0; i < w->n_edges; i++) {
		const struct task_edge *e = &w->edges[i];
		if (e->to != t->num)
			continue;
		for (size_t k = 0; k < w->n_edges; k++) {
			if (e->from < 0 && w->edges[k].to == e->from)
				ck_assert_int_eq(row_at(w, 1, w->edges[k].from)->state,
				                 TASK_COMPLETE);
		}
		if (e->from > 0)
			ck_assert_int_eq(row_at(w, 1, e->from)->state, TASK_COMPLETE);
	}
	for (size_t i = 0; i < w->n_tasks; i++)
		ck_assert(&w->tasks[i] == t || !str_eq(w->tasks[i].node_id, t->node_id) ||
		          (w->tasks[i].state != TASK_READY && w->tasks[i].state != TASK_RUNNING));
}

/* Something that can happen to a task, in a unit of which some crash. */
static void happen_to(struct unit *u, const struct task *row)
{
	struct task *t = get(u, row->num);
	if (t->state == TASK_READY)
		lifecycle_claim(u, t, &(struct task_taker){ "p", "w", "", 1000 });
	else if (!any(4) && t->losses < policy.losses - 1)
		ck_assert_int_eq(lifecycle_lost(u, t, LOST_LEASE), 0);
	else if (!any(4) && t->failures < policy.tries - 1)
		ck_assert_int_eq(result_in(u, t->num, t->attempt, "'status':1"), 200);
	else
		ck_assert_int_eq(result_in(u, t->num, t->attempt, "'status':0"), 200);
	if (!any(4))
		ck_assert_int_eq(result_in(u, t->num, t->attempt + 1, "'status':0"), 417);
}

static bool step_on(struct world *w)
{
	struct unit u;
	bool open = false;
	ck_assert(begin(w, &u));
	for (size_t i = 0; i < w->n_tasks; i++) {
		const struct task *t = &w->tasks[i];
		if (t->state != TASK_READY && t->state != TASK_RUNNING)
			continue;
		open = true;
		may_run(w, t);
		if (!any(3))
			happen_to(&u, t);
	}
	end(w, &u, !any(8));
	return open;
}

START_TEST(every_order_comes_to_the_same_end)
{
	const char *given = getenv("LOOM_SEED");
	unsigned first = given ? (unsigned)strtoul(given, NULL, 10) : 1 + 1000 * (unsigned)_i;
	seed = first;
	for (int run = 0; run < 8; run++) {
		struct world *w = random_world(4 + any(28));
		int steps = 0;
		while (step_on(w))
			ck_assert_msg(++steps < 10000, "it does not end; LOOM_SEED=%u", first);
		for (size_t i = 0; i < w->n_tasks; i++)
			ck_assert_msg(w->tasks[i].state == TASK_COMPLETE,
			              "task %zu is %s; LOOM_SEED=%u", i + 1,
			              task_state_name(w->tasks[i].state), first);
		ck_assert_int_eq(w->jobs[0].status, JOB_COMPLETE);
		ck_assert_int_eq(w->jobs[0].tasks_done, (int64_t)w->n_tasks);
		ck_assert_int_eq(w->status, CLUSTER_ACTIVE);
		ck_assert_uint_eq(w->succeeded, 1);
		world_free(w);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("batch");
	tcase_add_loop_test(t, a_script_ends_as_it_should, 0, LOOM_COUNT(scripts));
	tcase_add_test(t, two_units_never_hold_one_cluster);
	tcase_add_test(t, one_unit_does_all_of_it);
	tcase_add_test(t, a_failure_beside_a_success_makes_nothing_ready);
	tcase_add_test(t, results_are_kept_with_the_node);
	tcase_add_test(t, an_address_used_twice_is_told);
	tcase_add_test(t, each_failure_is_kept_and_judged);
	tcase_add_loop_test(t, every_order_comes_to_the_same_end, 0, 25);
	return UNIT_RUN("batch", t);
}
