/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results. The attempt is the fence: a stale one is refused (417), the same one again is answered
 * 200 without doing anything, so that a result may be sent until it is heard.
 *
 * A success that ends neither its job nor anything else is applied in memory, as engine.c would do
 * it. All others go their own way, through engine.c.
 */
#include "services/scheduler/turn_private.h"

#include "common/base/broken.h"
#include "common/base/str.h"
#include "services/scheduler/planner.h"

#include <string.h>

/* Does the result belong to the attempt that runs now? Workers of the original send no attempt:
 * theirs is known by who holds the task. */
static int fence(const struct json *body, const struct task *t)
{
	if (broken("fence"))
		return t->state == TASK_RUNNING ? 0 : 417;
	int64_t attempt = json_get_int(body, "attempt", 0);
	bool theirs = str_eq(t->provisioner_id, json_get_str(body, "provisionerId"));
	if (!attempt)
		theirs = theirs && str_eq(t->worker_id, json_get_str(body, "workerId"));
	if (!theirs || (attempt && attempt != t->attempt))
		return 417;
	if (attempt && t->done_attempt == attempt)
		return 200;
	return t->state == TASK_RUNNING ? 0 : 417;
}

static struct task_result told_by(const struct json *body)
{
	return (struct task_result){ .status = json_get_int(body, "status", 1),
		                     .never_again = !json_get_bool(body, "retry", true),
		                     .result = json_get(body, "result"),
		                     .ipaddresses = json_get(body, "ipaddresses"),
		                     .hostname = json_get_str(body, "hostname") };
}

/* ---- successes, in memory -------------------------------------------------------------------- */

/* Does the result change what is known of the machine? */
static bool about_machine(const struct json *body, const struct task *t)
{
	enum plan_step step;
	if (json_len(json_get(body, "result")) || json_get(body, "ipaddresses") ||
	    json_get(body, "hostname") || !plan_step_parse(t->name, &step))
		return true;
	return step == STEP_DELETE || step == STEP_INSTALL || step == STEP_REMOVE ||
	       step == STEP_START || step == STEP_STOP;
}

static struct item *item_of(const struct unit *u, const struct turn_result *r)
{
	struct task_ref ref;
	if (id_parse_task(json_get_str(r->body, "taskId"), &ref))
		return NULL;
	return unit_item(u, &ref);
}

static int load_machines(struct unit *u)
{
	struct turn *turn = u->turn;
	struct strs ids = { 0 };
	for (size_t i = 0; i < turn->n_results; i++) {
		const struct item *it = item_of(u, &turn->results[i]);
		if (it && about_machine(turn->results[i].body, it->t) &&
		    !strs_has(&ids, it->t->node_id))
			strs_add(&ids, it->t->node_id);
	}
	int rc = nodes_get(u->db, &ids, &u->nodes);
	strs_fini(&ids);
	if (rc)
		return rc;
	u->machines = loom_calloc(u->nodes->n + 1, sizeof(*u->machines));
	for (size_t i = 0; i < u->nodes->n; i++)
		u->machines[u->n_machines++] = (struct machine){ .n = &u->nodes->v[i] };
	return 0;
}

static struct machine *machine_of(const struct unit *u, const struct task *t)
{
	for (size_t i = 0; i < u->n_machines; i++)
		if (str_eq(u->machines[i].n->id, t->node_id))
			return &u->machines[i];
	return NULL;
}

/* False when it needs statements of its own. */
static bool may_apply(struct unit *u, const struct item *it, const struct moving *m,
                      struct task_result *res)
{
	if (it->own_way || !m || u->turn->unstorable || res->status != 0 ||
	    job_ended(m->job.status))
		return false;
	if (it->t->attempt > 1) /* somebody may have failed at it */
		return false;
	if (engine_has_kept(&m->job)) /* it may be the last, though not all are complete */
		return false;
	return m->job.tasks_done + 1 < m->job.tasks_total;
}

static int complete(struct unit *u, struct item *it, struct moving *m, struct task_result *res)
{
	struct task *t = it->t;
	struct change *ch = &unit_cluster(u, t->cluster_id)->ch;
	struct machine *mc = machine_of(u, t);
	int rc = 0;
	if (mc) {
		bool told = engine_to_node(mc->n, t, res);
		if (res->status) { /* too many results: a failure */
			it->own_way = true;
			return 0;
		}
		mc->changed = true;
		rc = told ? engine_node_event(u->db, ch, mc->n) : 0;
	}
	loom_assert(task_may_become(t->state, TASK_COMPLETE));
	t->state = TASK_COMPLETE;
	t->done_attempt = t->attempt;
	t->status_time = u->now;
	t->status_code = 0;
	loom_free(t->message);
	t->message = NULL;
	it->changed = true;
	m->job.tasks_done++;
	m->moved = true;
	if (str_eq(t->name, plan_step_name(STEP_CONFIRM)))
		m->confirmed = t;
	u->done[u->n_done++] = task_ref_of(t);
	return rc ? rc : cluster_event(u->db, ch->c, "task", task_event_data(t), u->now);
}

static int result_one(struct unit *u, size_t i)
{
	struct turn_result *r = &u->turn->results[i];
	struct task_ref ref;
	if (id_parse_task(json_get_str(r->body, "taskId"), &ref))
		return 0;
	struct item *it = unit_item(u, &ref);
	if (!it) {
		bool held = !u->turn->wait && !unit_cluster(u, ref.cluster);
		r->status = held ? 0 : 417;
		return 0;
	}
	r->status = it->own_way ? 0 : fence(r->body, it->t);
	if (r->status)
		return 0;
	r->status = 200;
	struct task_result res = told_by(r->body);
	struct moving *m = unit_job(u, it->t);
	int rc = 0;
	it->own_way = !may_apply(u, it, m, &res);
	if (!it->own_way)
		rc = complete(u, it, m, &res);
	if (it->own_way)
		u->own_way[u->n_own_way++] = i;
	return rc;
}

/* ---- what becomes ready ---------------------------------------------------------------------- */

static int make_ready(struct unit *u, struct item *it)
{
	struct task *t = it->t;
	loom_assert(task_may_become(t->state, TASK_READY));
	t->state = TASK_READY;
	/* not_before is the claim order too: the longest ready first. */
	if (t->not_before < u->now && !t->failures)
		t->not_before = u->now;
	it->changed = true;
	u->born[u->n_born++] = t;
	return cluster_event(u->db, unit_cluster(u, t->cluster_id)->ch.c, "task",
	                     task_event_data(t), u->now);
}

/* The first waiting task of a node whose job moved here, if nothing else is under way there. */
static struct item *next_of_node(const struct unit *u, const char *node)
{
	struct item *first = NULL;
	for (size_t i = 0; i < u->n_items; i++) {
		struct item *it = &u->items[i];
		if (!str_eq(it->t->node_id, node))
			continue;
		if (it->t->state == TASK_READY || it->t->state == TASK_RUNNING)
			return NULL;
		const struct moving *m = unit_job(u, it->t);
		if (it->t->state == TASK_BLOCKED && !it->t->unmet && m && m->moved &&
		    (!first || it->t->num < first->t->num))
			first = it;
	}
	return first;
}

/* Of a group with more who wait for it than this, the database takes it out of them. */
#define MANY_WAIT 64

struct waiting {
	struct task_ref *v; /* once per edge that is met now */
	size_t n, most;
};

static void add_waiting(struct waiting *w, const struct job *j, const int64_t *nums, size_t n)
{
	if (w->n + n > w->most) {
		w->most = 2 * (w->n + n);
		w->v = loom_realloc(w->v, w->most * sizeof(*w->v));
	}
	for (size_t i = 0; i < n; i++)
		if (nums[i] > 0)
			w->v[w->n++] = (struct task_ref){ j->cluster_id, j->num, nums[i] };
}

/* Those who wait for a group whose last member is complete. */
static int meet_group(struct unit *u, const struct job *j, int64_t group, struct waiting *w,
                      struct strs *nodes)
{
	const struct task_ref ref = { j->cluster_id, j->num, group };
	const int64_t *nums;
	size_t n;
	int rc = successors_get(u->successors, u->db, j, group, &nums, &n);
	if (rc)
		return rc;
	if (n > MANY_WAIT)
		return task_release_group(u->db, &ref, nodes);
	add_waiting(w, j, nums, n);
	return 0;
}

/* Those who wait for a task. */
static int meet(struct unit *u, const struct task_ref *done, struct waiting *w, struct strs *nodes)
{
	const struct task key = { .cluster_id = done->cluster, .job_num = done->job };
	struct job *j = &unit_job(u, &key)->job;
	const int64_t *nums;
	size_t n, n_groups = 0;
	int rc = successors_get(u->successors, u->db, j, done->task, &nums, &n);
	if (rc)
		return rc;
	add_waiting(w, j, nums, n);
	int64_t *groups = loom_calloc(n + 1, sizeof(*groups));
	for (size_t i = 0; i < n; i++)
		if (nums[i] < 0)
			groups[n_groups++] = nums[i];
	for (size_t i = 0; !rc && i < n_groups; i++)
		if (task_group_done(j, groups[i]))
			rc = meet_group(u, j, groups[i], w, nodes);
	loom_free(groups);
	return rc;
}

/* Takes what is complete out of those who wait for it; adds the nodes of those that wait for
 * nothing else. */
static int meet_all(struct unit *u, struct strs *nodes)
{
	struct waiting w = { 0 };
	struct tasks *set = NULL;
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_done; i++)
		rc = meet(u, &u->done[i], &w, nodes);
	if (!rc)
		rc = tasks_get(u->db, w.v, w.n, &set);
	if (!rc)
		unit_add(u, set);
	for (size_t i = 0; !rc && i < w.n; i++) {
		struct item *it = unit_item(u, &w.v[i]);
		if (!it || it->t->unmet <= 0)
			continue;
		it->t->unmet = broken("edges") ? 0 : it->t->unmet - 1;
		it->changed = true;
		if (!it->t->unmet && !strs_has(nodes, it->t->node_id))
			strs_add(nodes, it->t->node_id);
	}
	loom_free(w.v);
	return rc;
}

static int release(struct unit *u)
{
	struct strs nodes = { 0 };
	struct tasks *set = NULL;
	for (size_t i = 0; i < u->n_items; i++)
		if (u->items[i].changed && !strs_has(&nodes, u->items[i].t->node_id))
			strs_add(&nodes, u->items[i].t->node_id);
	int rc = meet_all(u, &nodes);
	if (!rc)
		rc = tasks_of_nodes(u->db, &nodes, &set);
	if (!rc) {
		unit_add(u, set);
		u->born = loom_calloc(nodes.n + 1, sizeof(struct task *));
	}
	for (size_t i = 0; !rc && i < nodes.n; i++) {
		struct item *it = next_of_node(u, nodes.v[i]);
		rc = it ? make_ready(u, it) : 0;
	}
	strs_fini(&nodes);
	for (size_t i = 0; !rc && i < u->n_jobs; i++)
		if (u->jobs[i].moved) {
			const struct job *j = &u->jobs[i].job;
			struct cluster *c = unit_cluster(u, j->cluster_id)->ch.c;
			rc = job_event(u->db, c, j, u->now);
		}
	return rc;
}

static int write_machines(struct unit *u)
{
	struct node **v = loom_calloc(u->n_machines + 1, sizeof(struct node *));
	size_t n = 0;
	for (size_t i = 0; i < u->n_machines; i++)
		if (u->machines[i].changed)
			v[n++] = u->machines[i].n;
	int rc = nodes_save(u->db, v, n);
	loom_free(v);
	return rc;
}

int results_apply(struct unit *u)
{
	size_t n = u->turn->n_results;
	u->done = loom_calloc(n + 1, sizeof(*u->done));
	u->own_way = loom_calloc(n + 1, sizeof(*u->own_way));
	int rc = n ? load_machines(u) : 0;
	for (size_t i = 0; !rc && i < n; i++)
		rc = result_one(u, i);
	if (!rc && u->n_done)
		rc = release(u);
	return rc ? rc : write_machines(u);
}

/* ---- all others ------------------------------------------------------------------------------ */

#define KEPT_OUTPUT 2048 /* characters of a failed attempt's output (rest-api 5.5) */

/* The end of a text, marked where it was cut. NULL gives NULL. */
static char *tail(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	if (n <= KEPT_OUTPUT)
		return loom_strdup(s);
	const char *from = s + n - KEPT_OUTPUT;
	while ((*from & 0xc0) == 0x80) /* not inside a character */
		from++;
	return loom_asprintf("[snipped]%s", from);
}

static int finish(struct unit *u, struct turn_result *r)
{
	struct item *it = item_of(u, r);
	const struct json *body = r->body;
	loom_assert(it);
	int status = fence(body, it->t);
	if (status) { /* another result of the same task came before */
		r->status = status;
		return 0;
	}
	LOOM_CLEANUP_STR char *out = tail(json_get_str(body, "stdout"));
	LOOM_CLEANUP_STR char *err = tail(json_get_str(body, "stderr"));
	LOOM_CLEANUP_STR char *why = tail(json_get_str(body, "message"));
	struct task_result res = told_by(body);
	res.message = !str_blank(why) ? why : !str_blank(err) ? err : out;
	res.out = out;
	res.err = err;
	const struct task_result none = { .status = -1,
		                          .never_again = true,
		                          .message = "its result could not be stored" };
	struct touched *to = unit_cluster(u, it->t->cluster_id);
	to->whole = true;
	if (json_get_bool(body, "lost", false)) /* the worker was late and knows it */
		return engine_lost(u->db, &to->ch, it->t);
	return engine_finish(u->db, &to->ch, it->t, u->turn->unstorable ? &none : &res);
}

int results_own_way(struct unit *u)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_own_way; i++)
		rc = finish(u, &u->turn->results[u->own_way[i]]);
	return rc;
}
