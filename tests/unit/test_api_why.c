/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/cluster/why.h"

#include "common/base/str.h"
#include "common/model/worker/hold.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1795000000000

/* One ready task, unless said otherwise. */
static const struct {
	const char *cause, *words; /* part of the reason */
	const char *task;          /* CREATE by default */
	enum task_state state;     /* ready by default */
	bool blocked;
	enum job_status job; /* running by default */
	int64_t registered, serving, capacity, running;
	const char *bad; /* a provisioner in quarantine */
	int64_t later, failures;
	int64_t creates, creating, calls; /* the provider's limits; calls: used up */
	bool unheard;
	const char *says; /* the words of the failed try */
} tasks_[] = {
	{ .cause = "ready",
	  .words = "the next worker that asks",
	  .registered = 1,
	  .serving = 1,
	  .capacity = 4 },
	{ .cause = "paused", .words = "user eve has paused the job", .job = JOB_PAUSED },
	{ .cause = "addresses", .words = "waits for addresses of machines", .later = 500 },
	{ .cause = "retry",
	  .words = "failed 2 times and is tried again at 2026-",
	  .says = ": it broke",
	  .later = 9000,
	  .failures = 2 },
	{ .cause = "unheard",
	  .words = "no scheduler can be heard: workers ask by way of the database",
	  .registered = 1,
	  .serving = 1,
	  .capacity = 4,
	  .unheard = true },
	{ .cause = "retry",
	  .words = "provisioner p9, where it failed, is in quarantine",
	  .later = 9000,
	  .failures = 2,
	  .bad = "p9" },
	{ .cause = "avoided",
	  .words = "failed at provisioner p9, and is kept for others until 2026-",
	  .says = ": it broke",
	  .later = -1000,
	  .failures = 1,
	  .registered = 2,
	  .serving = 2,
	  .capacity = 4 },
	{ .cause = "ready", /* for longer than others have a right to it */
	  .words = "the next worker that asks",
	  .later = -5000,
	  .failures = 1,
	  .registered = 2,
	  .serving = 2,
	  .capacity = 4 },
	{ .cause = "ready", /* there is no other */
	  .words = "the next worker that asks",
	  .later = -1000,
	  .failures = 1,
	  .registered = 1,
	  .serving = 1,
	  .capacity = 4 },
	{ .cause = "no_provisioner", .words = "no provisioner is registered" },
	{ .cause = "quarantine",
	  .words = "of tenant acme: those there were are in quarantine (p9: it fails)",
	  .registered = 1,
	  .bad = "p9" },
	{ .cause = "no_provisioner_for_tenant",
	  .words = "of tenant acme: 2 provisioners are registered, none",
	  .registered = 2 },
	{ .cause = "provider_creates",
	  .words = "provider lab: its limit is 3 creates at once, and 3 run",
	  .registered = 1,
	  .serving = 1,
	  .capacity = 9,
	  .creates = 3,
	  .creating = 3 },
	{ .cause = "ready",
	  .words = "the next worker",
	  .registered = 1,
	  .serving = 1,
	  .capacity = 9,
	  .creates = 3,
	  .creating = 2 },
	{ .cause = "ready",
	  .words = "the next worker",
	  .task = "INSTALL",
	  .registered = 1,
	  .serving = 1,
	  .capacity = 9,
	  .creates = 3,
	  .creating = 3,
	  .calls = 5 },
	{ .cause = "provider_calls",
	  .words = "provider lab: its limit is 5 calls in 1000 ms; the next may be at",
	  .task = "CONFIRM",
	  .registered = 1,
	  .serving = 1,
	  .capacity = 9,
	  .calls = 5 },
	{ .cause = "busy",
	  .words = "all 8 slots of the 2 provisioners that serve tenant acme are busy",
	  .registered = 3,
	  .serving = 2,
	  .capacity = 8,
	  .running = 8 },
	{ .cause = "running", .words = "runs at p9 since 4 s (attempt 2)", .state = TASK_RUNNING },
	{ .cause = "running",
	  .words = "that provisioner is in quarantine",
	  .state = TASK_RUNNING,
	  .bad = "p9" },
	{ .cause = "running",
	  .words = "the job has failed and waits for it to end",
	  .state = TASK_RUNNING,
	  .job = JOB_FAILED },
	{ .cause = "task",
	  .words = "INSTALL of web on node 1000 waits for CREATE on node 1001",
	  .task = "INSTALL",
	  .blocked = true },
};

static char p9[] = "p9", web[] = "web", none[] = "", failed[] = "it broke";

static struct task make(int64_t num, const char *name, enum task_state state)
{
	struct task t = { .cluster_id = 7,
		          .job_num = 2,
		          .num = num,
		          .node_num = 999 + num,
		          .state = state,
		          .service = str_eq(name, "INSTALL") ? web : none,
		          .attempt = 2,
		          .provisioner_id = p9,
		          .message = failed,
		          .submit_time = NOW - 4500,
		          .not_before = NOW - 1 };
	snprintf(t.name, sizeof(t.name), "%s", name);
	return t;
}

struct world {
	struct cluster c;
	struct job job;
	struct task v[2];
	struct tasks tasks;
	struct task_edge edge;
	struct limit limit;
	struct limits limits;
	struct why_input in;
};

static void init(struct world *w, enum cluster_status cluster, enum job_status job,
                 const char *phase)
{
	static char tenant[] = "id-1";
	*w = (struct world){ .c = { .id = 7, .tenant_id = tenant, .status = cluster },
		             .job = { .cluster_id = 7,
		                      .num = 2,
		                      .action = "cluster_create",
		                      .status = job,
		                      .create_time = NOW - 9000 },
		             .limit = { .tenant = "id-1", .provider = "lab" } };
	snprintf(w->job.phase, sizeof(w->job.phase), "%s", phase);
	w->c.brief = json_new_obj();
	json_set(w->c.brief, "provider", json_set_str(json_new_obj(), "name", "lab"));
	w->tasks = (struct tasks){ w->v, 0 };
	w->limits = (struct limits){ &w->limit, 1 };
	w->in = (struct why_input){ .c = &w->c,
		                    .latest = &w->job,
		                    .tasks = &w->tasks,
		                    .tenant = "acme",
		                    .limits = &w->limits,
		                    .now = NOW };
	w->in.supply.bad = json_new_obj();
	snprintf(w->in.hold.paused_by, sizeof(w->in.hold.paused_by), "%s",
	         job == JOB_PAUSED ? "eve" : "");
	w->in.hold.paused_at = NOW;
}

static void fini(struct world *w)
{
	json_free(w->c.brief);
	json_free(w->in.supply.bad);
}

START_TEST(each_task)
{
	struct world w;
	enum task_state state = tasks_[_i].blocked ? TASK_BLOCKED
	                        : tasks_[_i].state ? tasks_[_i].state
	                                           : TASK_READY;
	init(&w, CLUSTER_PENDING, tasks_[_i].job ? tasks_[_i].job : JOB_RUNNING, "run");
	w.v[0] = make(1, tasks_[_i].task ? tasks_[_i].task : "CREATE", state);
	w.v[1] = make(2, "CREATE", TASK_BLOCKED);
	w.tasks.n = state == TASK_BLOCKED ? 2 : 1;
	w.edge = (struct task_edge){ 2, 1 };
	w.in.edges = &w.edge;
	w.in.n_edges = w.tasks.n - 1;
	if (tasks_[_i].later)
		w.v[0].not_before = NOW + tasks_[_i].later;
	w.v[0].failures = tasks_[_i].failures;
	w.limit.creates = tasks_[_i].creates;
	w.limit.running = tasks_[_i].creating;
	w.limit.calls_max = tasks_[_i].calls;
	w.limit.window_ms = 1000;
	char log[] = "1794999999500:5";
	w.limit.calls = tasks_[_i].calls ? log : NULL;
	w.in.supply.registered = tasks_[_i].registered;
	w.in.supply.serving = tasks_[_i].serving;
	w.in.supply.capacity = tasks_[_i].capacity;
	w.in.supply.running = tasks_[_i].running;
	w.in.unheard = tasks_[_i].unheard;
	if (tasks_[_i].bad)
		json_set_str(w.in.supply.bad, tasks_[_i].bad, "it fails");
	LOOM_CLEANUP(json_free) struct json *o = why_answer(&w.in);
	const struct json *first = json_at(json_get(o, "tasks"), 0);
	ck_assert_str_eq(json_get_str(first, "cause"), tasks_[_i].cause);
	ck_assert_msg(strstr(json_get_str(first, "reason"), tasks_[_i].words) != NULL, "%s",
	              json_get_str(first, "reason"));
	ck_assert(!tasks_[_i].says || str_ends(json_get_str(first, "reason"), tasks_[_i].says));
	if (tasks_[_i].job == JOB_PAUSED)
		ck_assert_str_eq(json_get_str(o, "pausedBy"), "eve");
	else
		ck_assert_str_eq(json_get_str(o, "reason"), json_get_str(first, "reason"));
	fini(&w);
}
END_TEST

static const struct {
	enum cluster_status cluster;
	enum job_status job;
	const char *phase, *owner;
	int64_t planned_until, tries;
	const char *message, *cause, *words;
} wholes[] = {
	{ CLUSTER_ACTIVE, JOB_COMPLETE, "end", "", 0, 0, NULL, "nothing",
	  "nothing is going on: the cluster is active" },
	{ CLUSTER_TERMINATED, JOB_COMPLETE, "end", "", 0, 3, NULL, "nothing",
	  "the cluster is terminated" },
	{ CLUSTER_ACTIVE, JOB_FAILED, "end", "", 0, 0, "no quota", "nothing",
	  "the cluster is active; the last job, cluster_create, failed: no quota" },
	{ CLUSTER_INCOMPLETE, JOB_FAILED, "end", "", 0, 0, "it broke", "failed",
	  "the last job, cluster_create, failed: it broke" },
	{ CLUSTER_INCONSISTENT, JOB_FAILED, "end", "", 0, 2, "it broke", "failed",
	  "its lease is over and deleting it failed 2 times; tried again at 2026-" },
	{ CLUSTER_PENDING, JOB_PAUSED, "run", "", 0, 0, NULL, "paused",
	  "Paused by user eve. Since 2026-" },
	{ CLUSTER_PENDING, JOB_NOT_SUBMITTED, "plan", "", 0, 0, NULL, "planning",
	  "waits for a scheduler to plan it, since 9 s" },
	{ CLUSTER_PENDING, JOB_NOT_SUBMITTED, "plan", "s1", NOW + 5, 0, NULL, "planning",
	  "is being planned by scheduler s1" },
	{ CLUSTER_PENDING, JOB_NOT_SUBMITTED, "plan", "s1", NOW - 5, 0, NULL, "planning",
	  "s1 began to and stopped" },
	{ CLUSTER_PENDING, JOB_RUNNING, "run", "", 0, 0, NULL, "job",
	  "the job cluster_create is running" },
};

START_TEST(each_whole)
{
	struct world w;
	init(&w, wholes[_i].cluster, wholes[_i].job, wholes[_i].phase);
	LOOM_CLEANUP_STR char *message = loom_strdup(wholes[_i].message);
	w.job.message = message;
	snprintf(w.in.hold.owner, sizeof(w.in.hold.owner), "%s", wholes[_i].owner);
	w.in.hold.planned_until = wholes[_i].planned_until;
	w.in.expiry.tries = wholes[_i].tries;
	w.in.expiry.retry_at = NOW + 30000;
	LOOM_CLEANUP(json_free) struct json *o = why_answer(&w.in);
	ck_assert_str_eq(json_get_str(o, "cause"), wholes[_i].cause);
	ck_assert_msg(strstr(json_get_str(o, "reason"), wholes[_i].words) != NULL, "%s",
	              json_get_str(o, "reason"));
	fini(&w);
}
END_TEST

/* Something runs, and something else could: both are said. */
START_TEST(both)
{
	struct world w;
	init(&w, CLUSTER_PENDING, JOB_RUNNING, "run");
	w.v[0] = make(1, "CREATE", TASK_RUNNING);
	w.v[1] = make(2, "CREATE", TASK_READY);
	w.tasks.n = 2;
	w.in.supply.registered = w.in.supply.serving = w.in.supply.capacity = 9;
	w.limit.creates = w.limit.running = 1;
	LOOM_CLEANUP(json_free) struct json *o = why_answer(&w.in);
	ck_assert_str_eq(
		json_get_str(o, "reason"),
		"CREATE on node 1000 runs at p9 since 4 s (attempt 2); 1 more is ready:"
		" CREATE on node 1001 waits for provider lab: its limit is 1 creates at once, and 1 run");
	fini(&w);
}
END_TEST

/* All but what only a search may find, or only those who hold a lock. */
START_TEST(each_reason_is_said)
{
	for (enum hold h = HOLD_NOT; h < HOLDS_; h++) {
		size_t n = 0;
		for (size_t i = 0; i < LOOM_COUNT(tasks_); i++)
			n += str_eq(tasks_[i].cause, hold_name(h));
		ck_assert_msg(n || h == HOLD_LATER || h == HOLD_CONTENDED, "%s", hold_name(h));
	}
}
END_TEST

/* What holds nothing does not change the reason. */
START_TEST(clocks_apart_are_a_note)
{
	struct world w;
	init(&w, CLUSTER_ACTIVE, JOB_COMPLETE, "end");
	LOOM_CLEANUP(json_free) struct json *before = why_answer(&w.in);
	w.in.unequal = "the clock of tcp://a:1 is 60 s ahead";
	LOOM_CLEANUP(json_free) struct json *o = why_answer(&w.in);
	ck_assert_str_eq(json_get_str(o, "note"), w.in.unequal);
	json_del(o, "note");
	ck_assert(json_equal(o, before));
	fini(&w);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("why");
	tcase_add_loop_test(t, each_task, 0, (int)LOOM_COUNT(tasks_));
	tcase_add_loop_test(t, each_whole, 0, (int)LOOM_COUNT(wholes));
	tcase_add_test(t, both);
	tcase_add_test(t, each_reason_is_said);
	tcase_add_test(t, clocks_apart_are_a_note);
	return UNIT_RUN("why", t);
}
