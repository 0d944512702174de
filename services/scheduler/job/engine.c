/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/job/engine_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/scheduler/job/quarantine.h"
#include "services/scheduler/job/retry_policy.h"

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

int engine_follow(struct db *db, struct change *ch, struct job *j, const char *then_action)
{
	int rc = job_cancel(db, j, then_action);
	return rc ? rc : engine_settle(db, ch, j);
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
	return rc ? rc : engine_settle(db, ch, j);
}

static int succeed(struct db *db, struct change *ch, struct job *j, struct task *t)
{
	int rc = task_set_state(db, ch->c, t, TASK_COMPLETE, ch->now);
	if (!rc && t->attempt > 1)
		rc = quarantine_judge(db, ch, ch->policy->quarantine, t);
	if (rc)
		return rc;
	j->tasks_done++;
	if (job_ended(j->status)) {
		rc = job_save_progress(db, ch->c, j, ch->now);
		return rc ? rc : engine_settle(db, ch, j);
	}
	rc = task_release(db, ch->c, j, t, ch->now, &ch->ready);
	/* What waits for addresses that were not known looks again. */
	if (!rc && str_eq(t->name, plan_step_name(STEP_CONFIRM)))
		rc = tasks_hurry(db, (const struct task *const[]){ t }, 1, ch->now, &ch->ready);
	if (rc)
		return rc;
	if (engine_has_kept(j))
		return engine_end_kept(db, ch, j);
	if (j->tasks_done == j->tasks_total)
		return engine_has_more(j) ? engine_end_part(db, ch, j)
		                          : engine_complete_job(db, ch, j);
	return job_save_progress(db, ch->c, j, ch->now);
}

static int try_again(struct db *db, struct change *ch, struct job *j, struct task *t,
                     const struct engine_policy *pol)
{
	enum plan_step step, undo, again;
	int64_t tried = t->failures ? t->failures - 1 : 0;
	t->not_before =
		ch->now + clock_backoff_ms((unsigned)tried, pol->retry_base_ms, pol->retry_cap_ms);
	if (plan_step_parse(t->name, &step) && plan_rollback(step, &undo, &again))
		return engine_roll_back(db, ch, j, t);
	ch->ready++;
	return task_set_state(db, ch->c, t, TASK_READY, ch->now);
}

static int give_up(struct db *db, struct change *ch, struct job *j, struct task *t)
{
	int rc = task_set_state(db, ch->c, t, TASK_FAILED, ch->now);
	if (rc)
		return rc;
	if (!job_ended(j->status) && str_eq(j->action, plan_action_name(PLAN_DELETE)))
		return engine_kept(db, ch, j, t);
	if (!job_ended(j->status))
		rc = engine_fail_job(db, ch, j, t);
	return rc ? rc : engine_settle(db, ch, j);
}

/* Another machine may do better. */
static int used_up(struct db *db, struct change *ch, struct job *j, struct task *t)
{
	int rc = cluster_load_docs(db, ch->c);
	if (rc)
		return rc;
	return engine_may_replace(ch->policy, ch->c, j, t) ? engine_replace(db, ch, j, t)
	                                                   : give_up(db, ch, j, t);
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
	if (res->never_again || job_ended(j->status))
		return give_up(db, ch, j, t);
	return t->failures < pol.tries ? try_again(db, ch, j, t, &pol) : used_up(db, ch, j, t);
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
	if (!rc && job_ended(j.status)) {
		rc = give_up(db, ch, &j, t);
	} else if (!rc && t->losses >= ch->policy->losses) {
		rc = used_up(db, ch, &j, t);
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
	return engine_complete_job(db, ch, j);
}
