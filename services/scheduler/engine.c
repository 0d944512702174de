/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/engine.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/scheduler/operation.h"
#include "services/scheduler/outbox.h"
#include "services/scheduler/retry_policy.h"

#include <stdio.h>
#include <string.h>

int engine_begin(struct db *db, int64_t cluster, struct change *ch)
{
	engine_fini(ch);
	ch->ready = ch->jobs = ch->callbacks = 0;
	int rc = cluster_lock(db, cluster, &ch->c);
	ch->now = rc ? 0 : ch->c->now;
	return rc;
}

int engine_commit(struct db *db, struct change *ch)
{
	return cluster_save(db, ch->c);
}

void engine_fini(struct change *ch)
{
	cluster_free(ch->c);
	ch->c = NULL;
}

#define MAX_RESULTS (1u << 20) /* bytes stored of one machine */

static void forget_machine(struct node *n)
{
	struct json **all[] = { &n->results, &n->ipaddresses, &n->states };
	for (size_t i = 0; i < LOOM_COUNT(all); i++) {
		json_free(*all[i]);
		*all[i] = json_new_obj();
	}
}

/* What a service's last step left it in, so that what runs is not started again. */
static void note_service(struct node *n, const struct task *t)
{
	static const char *const after[STEPS_] = {
		[STEP_INSTALL] = "installed", [STEP_START] = "running", [STEP_STOP] = "stopped"
	};
	enum plan_step step;
	if (!plan_step_parse(t->name, &step))
		return;
	if (step == STEP_REMOVE)
		json_del(n->states, t->service);
	else if (after[step])
		json_set_str(n->states, t->service, after[step]);
}

/* A task whose results are too much is a failed one: what is stored goes out with each later task.
 */
static void merge_results(struct node *n, struct task_result *res)
{
	if (!json_len(res->result))
		return;
	LOOM_CLEANUP(json_free) struct json *merged = json_copy(n->results);
	for (size_t i = 0; i < json_len(res->result); i++)
		json_set(merged, json_key_at(res->result, i),
		         json_copy(json_value_at(res->result, i)));
	LOOM_CLEANUP_STR char *text = json_text(merged);
	if (strlen(text) <= MAX_RESULTS) {
		json_free(n->results);
		n->results = loom_take(merged);
		return;
	}
	res->status = res->status ? res->status : -1;
	res->never_again = true;
	res->message = "its results and the earlier ones of the machine are larger than 1 MiB";
}

bool engine_to_node(struct node *n, const struct task *t, struct task_result *res)
{
	merge_results(n, res);
	bool ok = res->status == 0;
	if (ok && json_is(res->ipaddresses, JSON_OBJECT)) {
		json_free(n->ipaddresses);
		n->ipaddresses = json_copy(res->ipaddresses);
	}
	if (ok && res->hostname && *res->hostname) {
		loom_free(n->hostname);
		n->hostname = loom_strdup(res->hostname);
	}
	bool gone = ok && str_eq(t->name, plan_step_name(STEP_DELETE));
	if (gone)
		forget_machine(n);
	if (ok && *t->service)
		note_service(n, t);
	return gone || (ok && (res->ipaddresses || res->hostname));
}

int engine_node_event(struct db *db, struct change *ch, const struct node *n)
{
	struct json *e = json_set_str(json_new_obj(), "nodeId", n->id);
	json_set_int(e, "nodenum", n->num);
	json_set_str(e, "hostname", n->hostname);
	json_set(e, "ipaddresses", json_copy(n->ipaddresses));
	return cluster_event(db, ch->c, "node", e, ch->now);
}

static int apply_to_node(struct db *db, struct change *ch, const struct task *t,
                         struct task_result *res)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	int rc = node_load(db, t->node_id, &ns);
	if (rc || !ns->n)
		return rc;
	struct node *n = &ns->v[0];
	bool told = engine_to_node(n, t, res);
	rc = node_save(db, n);
	return rc || !told ? rc : engine_node_event(db, ch, n);
}

static enum cluster_status failure_status(const struct job *j, const struct task_counts *n)
{
	enum plan_action a;
	enum cluster_status st = CLUSTER_INCONSISTENT, was;
	if (!plan_action_parse(j->action, &a))
		return st;
	/* Every failure said that it made nothing, and nothing was made: there is no cluster. */
	if (a == PLAN_CREATE && !n->complete && n->failed && n->failed == n->failed_before_create)
		return CLUSTER_TERMINATED;
	/* Nothing was done at all: the cluster is what it was. */
	if (!n->complete && !n->failed &&
	    cluster_status_parse(json_get_str(j->params, "was"), &was))
		return was;
	if (!cluster_status_parse(plan_failure_status(a), &st))
		st = CLUSTER_INCONSISTENT;
	return st;
}

/* A failed job ends its cluster's wait once the last running task has reported. */
static int settle_failed(struct db *db, struct change *ch, const struct job *j)
{
	struct task_counts n;
	int rc = tasks_count(db, j->cluster_id, j->num, &n);
	if (rc || n.running || ch->c->status != CLUSTER_PENDING || ch->c->latest_job != j->num)
		return rc;
	int64_t next;
	if (*j->then_action) {
		ch->jobs++;
		rc = job_add(db, ch->c, j->then_action, NULL, ch->now, &next);
	} else {
		rc = cluster_set_status(db, ch->c, failure_status(j, &n), j->message, ch->now);
	}
	return rc ? rc : outbox_add(db, ch, j, CALLBACK_FAILURE);
}

int engine_submit(struct db *db, struct change *ch, const char *action, const struct json *params)
{
	LOOM_CLEANUP(json_free) struct json *p = params ? json_copy(params) : json_new_obj();
	json_set_str(p, "was", cluster_status_name(ch->c->status));
	int64_t num;
	int rc = cluster_set_status(db, ch->c, CLUSTER_PENDING, NULL, ch->now);
	ch->jobs++;
	return rc ? rc : job_add(db, ch->c, action, p, ch->now, &num);
}

int engine_abort(struct db *db, struct change *ch, struct job *j, const char *why,
                 const char *then_action)
{
	int rc = job_cancel(db, j, then_action);
	if (!rc)
		rc = job_set_status(db, ch->c, j, JOB_FAILED, why, ch->now);
	if (!rc)
		rc = tasks_drop(db, ch->c, j->num, ch->now);
	return rc ? rc : settle_failed(db, ch, j);
}

static int fail_job(struct db *db, struct change *ch, struct job *j, const struct task *t)
{
	LOOM_CLEANUP_STR char *why = loom_asprintf(
		"%s%s%s on node %lld failed: %s", t->name, *t->service ? " of " : "", t->service,
		(long long)t->node_num, t->message && *t->message ? t->message : "no reason given");
	int rc = job_set_status(db, ch->c, j, JOB_FAILED, why, ch->now);
	return rc ? rc : tasks_drop(db, ch->c, j->num, ch->now);
}

static int complete_job(struct db *db, struct change *ch, struct job *j)
{
	enum plan_action a;
	bool gone = plan_action_parse(j->action, &a) && a == PLAN_DELETE;
	int rc = operation_complete(db, ch, j);
	if (!rc)
		rc = job_set_status(db, ch->c, j, JOB_COMPLETE, NULL, ch->now);
	if (!rc)
		rc = cluster_set_status(db, ch->c, gone ? CLUSTER_TERMINATED : CLUSTER_ACTIVE, NULL,
		                        ch->now);
	return rc ? rc : outbox_add(db, ch, j, CALLBACK_SUCCESS);
}

static int succeed(struct db *db, struct change *ch, struct job *j, struct task *t)
{
	int rc = task_set_state(db, ch->c, t, TASK_COMPLETE, ch->now);
	if (rc)
		return rc;
	j->tasks_done++;
	if (job_ended(j->status)) {
		rc = job_save_progress(db, ch->c, j, ch->now);
		return rc ? rc : settle_failed(db, ch, j);
	}
	rc = task_release(db, ch->c, t, ch->now, &ch->ready);
	/* What waits for addresses that were not known looks again. */
	if (!rc && str_eq(t->name, plan_step_name(STEP_CONFIRM)))
		rc = tasks_hurry(db, t->cluster_id, t->job_num, ch->now, &ch->ready);
	if (rc)
		return rc;
	if (j->tasks_done == j->tasks_total)
		return complete_job(db, ch, j);
	return job_save_progress(db, ch->c, j, ch->now);
}

static void new_task(struct task *nt, const struct task *t, int64_t num, enum plan_step step)
{
	static char no_service[1];
	*nt = (struct task){ .cluster_id = t->cluster_id,
		             .job_num = t->job_num,
		             .num = num,
		             .tenant_id = t->tenant_id,
		             .node_num = t->node_num,
		             .service = no_service,
		             .stage = t->stage,
		             .state = TASK_BLOCKED };
	snprintf(nt->node_id, sizeof(nt->node_id), "%s", t->node_id);
	snprintf(nt->name, sizeof(nt->name), "%s", plan_step_name(step));
}

static struct json *added_tasks_event(const struct job *j, const struct task *added,
                                      const int64_t *after)
{
	char id[ID_MAX];
	id_job(id, j->cluster_id, j->num);
	struct json *e = json_set_str(json_new_obj(), "jobId", id);
	json_set_str(e, "action", j->action);
	json_set(e, "nodes", json_new_arr());
	struct json *tasks = json_new_arr();
	for (int i = 0; i < 2; i++) {
		const struct task *t = &added[i];
		id_task(id, t->cluster_id, t->job_num, t->num);
		struct json *o = json_set_str(json_new_obj(), "taskId", id);
		json_set_str(o, "taskName", t->name);
		json_set_str(o, "nodeId", t->node_id);
		json_set_int(o, "nodenum", t->node_num);
		json_set_str(o, "service", "");
		json_set_int(o, "stage", t->stage);
		struct json *a = json_new_arr();
		if (after[i]) {
			id_task(id, t->cluster_id, t->job_num, after[i]);
			json_push(a, json_new_str(id));
		}
		json_push(tasks, json_set(o, "after", a));
	}
	return json_set(e, "tasks", tasks);
}

/* Undoes a failed step first: DELETE, then CREATE, then the step again, as new tasks before it. */
static int roll_back(struct db *db, struct change *ch, struct job *j, struct task *t,
                     enum plan_step undo, enum plan_step again)
{
	struct task added[2];
	int64_t first = j->tasks_total + 1, second = j->tasks_total + 2;
	new_task(&added[0], t, first, undo);
	new_task(&added[1], t, second, again);
	added[0].not_before = t->not_before;
	added[1].unmet = 1;
	const struct task_edge edges[] = { { first, second }, { second, t->num } };
	int rc = tasks_insert(db, added, 2, edges, 2);
	if (rc)
		return rc;
	t->unmet = 1;
	j->tasks_total += 2;
	const int64_t after[] = { 0, first };
	rc = cluster_event(db, ch->c, "plan", added_tasks_event(j, added, after), ch->now);
	if (!rc)
		rc = task_set_state(db, ch->c, t, TASK_BLOCKED, ch->now);
	if (!rc)
		rc = task_promote(db, ch->c, j->num, t->node_id, ch->now, &ch->ready);
	return rc ? rc : job_save_progress(db, ch->c, j, ch->now);
}

static int try_again(struct db *db, struct change *ch, struct job *j, struct task *t,
                     const struct engine_policy *pol)
{
	enum plan_step step, undo, again;
	int64_t tried = t->failures ? t->failures - 1 : 0;
	t->not_before =
		ch->now + clock_backoff_ms((unsigned)tried, pol->retry_base_ms, pol->retry_cap_ms);
	if (plan_step_parse(t->name, &step) && plan_rollback(step, &undo, &again))
		return roll_back(db, ch, j, t, undo, again);
	ch->ready++;
	return task_set_state(db, ch->c, t, TASK_READY, ch->now);
}

static int give_up(struct db *db, struct change *ch, struct job *j, struct task *t)
{
	int rc = task_set_state(db, ch->c, t, TASK_FAILED, ch->now);
	if (!rc && !job_ended(j->status))
		rc = fail_job(db, ch, j, t);
	return rc ? rc : settle_failed(db, ch, j);
}

static void set_message(struct task *t, const char *message)
{
	loom_free(t->message);
	t->message = loom_strdup(message);
}

static int failed_once(struct db *db, struct change *ch, struct job *j, struct task *t,
                       const struct task_result *res)
{
	t->failures++;
	int rc = task_keep_failure(db, t, res->out, res->err);
	if (!rc)
		rc = cluster_load_docs(db, ch->c);
	if (rc)
		return rc;
	const struct engine_policy pol = retry_policy(ch->policy, ch->c, t);
	bool again = !res->never_again && t->failures < pol.tries && !job_ended(j->status);
	return again ? try_again(db, ch, j, t, &pol) : give_up(db, ch, j, t);
}

int engine_finish(struct db *db, struct change *ch, struct task *t, const struct task_result *told)
{
	struct task_result copy = *told, *res = &copy;
	struct job j = { 0 };
	bool found;
	int rc = job_lock(db, t->cluster_id, t->job_num, &j, &found);
	if (!rc && !found)
		rc = DB_E_FATAL;
	if (!rc)
		rc = apply_to_node(db, ch, t, res);
	t->done_attempt = t->attempt;
	t->status_time = ch->now;
	t->status_code = res->status;
	set_message(t, res->status ? res->message : NULL);
	if (!rc && res->status == 0)
		rc = succeed(db, ch, &j, t);
	else if (!rc) {
		rc = failed_once(db, ch, &j, t, res);
	}
	job_fini(&j);
	return rc;
}

int engine_lost(struct db *db, struct change *ch, struct task *t)
{
	struct job j = { 0 };
	bool found;
	int rc = job_lock(db, t->cluster_id, t->job_num, &j, &found);
	if (!rc && !found)
		rc = DB_E_FATAL;
	t->losses++;
	t->status_time = ch->now;
	t->status_code = -1;
	set_message(t, "its worker stopped renewing its lease");
	if (!rc)
		rc = task_keep_failure(db, t, NULL, NULL);
	if (!rc && (job_ended(j.status) || t->losses >= ch->policy->losses)) {
		rc = give_up(db, ch, &j, t);
	} else if (!rc) {
		t->not_before = ch->now;
		ch->ready++;
		rc = task_set_state(db, ch->c, t, TASK_READY, ch->now);
	}
	job_fini(&j);
	return rc;
}

int engine_refuse(struct db *db, struct change *ch, struct task *t, const char *message)
{
	struct job j = { 0 };
	bool found;
	int rc = job_lock(db, t->cluster_id, t->job_num, &j, &found);
	if (!rc && !found)
		rc = DB_E_FATAL;
	t->status_time = ch->now;
	t->status_code = -1;
	set_message(t, message);
	if (!rc)
		rc = give_up(db, ch, &j, t);
	job_fini(&j);
	return rc;
}

int engine_empty_job(struct db *db, struct change *ch, struct job *j)
{
	return complete_job(db, ch, j);
}
