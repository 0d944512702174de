/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/job/job_lifecycle_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/scheduler/job/quarantine.h"
#include "services/scheduler/job/retry_policy.h"

#include <string.h>

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

bool lifecycle_to_node(struct node *n, const struct task *t, struct task_result *res)
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

int lifecycle_node_event(struct db *db, struct cluster_tx *tx, const struct node *n)
{
	struct json *e = json_set_str(json_new_obj(), "nodeId", n->id);
	json_set_int(e, "nodenum", n->num);
	json_set_str(e, "hostname", n->hostname);
	json_set(e, "ipaddresses", json_copy(n->ipaddresses));
	return cluster_event(db, tx->c, "node", e, tx->now);
}

static int apply_to_node(struct db *db, struct cluster_tx *tx, const struct task *t,
                         struct task_result *res)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	int rc = node_load(db, t->node_id, &ns);
	if (rc || !ns->n)
		return rc;
	struct node *n = &ns->v[0];
	bool told = lifecycle_to_node(n, t, res);
	rc = node_save(db, n);
	return rc || !told ? rc : lifecycle_node_event(db, tx, n);
}

int lifecycle_follow(struct db *db, struct cluster_tx *tx, struct job *j, const char *then_action)
{
	int rc = job_cancel(db, j, then_action);
	return rc ? rc : lifecycle_settle(db, tx, j);
}

int lifecycle_submit(struct db *db, struct cluster_tx *tx, const char *action,
                     const struct json *params)
{
	LOOM_CLEANUP(json_free) struct json *p = params ? json_copy(params) : json_new_obj();
	json_set_str(p, "was", cluster_status_name(tx->c->status));
	int64_t num;
	int rc = cluster_set_status(db, tx->c, CLUSTER_PENDING, NULL, tx->now);
	tx->jobs++;
	return rc ? rc : job_add(db, tx->c, action, p, tx->now, &num);
}

int lifecycle_abort(struct db *db, struct cluster_tx *tx, struct job *j, const char *why,
                    const char *then_action)
{
	int rc = job_cancel(db, j, then_action);
	if (!rc)
		rc = job_set_status(db, tx->c, j, JOB_FAILED, why, tx->now);
	if (!rc)
		rc = tasks_drop(db, tx->c, j->num, tx->now);
	return rc ? rc : lifecycle_settle(db, tx, j);
}

static int succeed(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t)
{
	int rc = task_set_state(db, tx->c, t, TASK_COMPLETE, tx->now);
	if (!rc && t->attempt > 1)
		rc = quarantine_judge(db, tx, tx->policy->quarantine, t);
	if (rc)
		return rc;
	j->tasks_done++;
	if (job_ended(j->status)) {
		rc = job_save_progress(db, tx->c, j, tx->now);
		return rc ? rc : lifecycle_settle(db, tx, j);
	}
	rc = task_release(db, tx->c, j, t, tx->now, &tx->ready);
	/* What waits for addresses that were not known looks again. */
	if (!rc && str_eq(t->name, plan_step_name(STEP_CONFIRM)))
		rc = tasks_clear_postponed(db, (const struct task *const[]){ t }, 1, tx->now,
		                           &tx->ready);
	if (rc)
		return rc;
	if (lifecycle_has_kept(j))
		return lifecycle_end_kept(db, tx, j);
	if (j->tasks_done == j->tasks_total)
		return lifecycle_has_more(j) ? lifecycle_end_part(db, tx, j)
		                             : lifecycle_complete_job(db, tx, j);
	return job_save_progress(db, tx->c, j, tx->now);
}

static int try_again(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t,
                     const struct job_policy *pol)
{
	enum plan_step step, undo, again;
	int64_t tried = t->failures ? t->failures - 1 : 0;
	t->not_before =
		tx->now + clock_backoff_ms((unsigned)tried, pol->retry_base_ms, pol->retry_cap_ms);
	if (plan_step_parse(t->name, &step) && plan_rollback(step, &undo, &again))
		return lifecycle_roll_back(db, tx, j, t);
	tx->ready++;
	return task_set_state(db, tx->c, t, TASK_READY, tx->now);
}

static int give_up(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t)
{
	int rc = task_set_state(db, tx->c, t, TASK_FAILED, tx->now);
	if (rc)
		return rc;
	if (!job_ended(j->status) && str_eq(j->action, plan_action_name(PLAN_DELETE)))
		return lifecycle_kept(db, tx, j, t);
	if (!job_ended(j->status))
		rc = lifecycle_fail_job(db, tx, j, t);
	return rc ? rc : lifecycle_settle(db, tx, j);
}

/* Another machine may do better. */
static int used_up(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t)
{
	int rc = cluster_load_docs(db, tx->c);
	if (rc)
		return rc;
	return lifecycle_may_replace(tx->policy, tx->c, j, t) ? lifecycle_replace(db, tx, j, t)
	                                                      : give_up(db, tx, j, t);
}

static void set_message(struct task *t, const char *message)
{
	loom_free(t->message);
	t->message = loom_strdup(message);
}

static int failed_once(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t,
                       const struct task_result *res)
{
	t->failures++;
	int rc = task_keep_failure(db, t, res->out, res->err);
	if (!rc)
		rc = cluster_load_docs(db, tx->c);
	if (rc)
		return rc;
	const struct job_policy pol = retry_policy(tx->policy, tx->c, t);
	if (res->never_again || job_ended(j->status))
		return give_up(db, tx, j, t);
	return t->failures < pol.tries ? try_again(db, tx, j, t, &pol) : used_up(db, tx, j, t);
}

int lifecycle_finish(struct db *db, struct cluster_tx *tx, struct task *t,
                     const struct task_result *told)
{
	struct task_result copy = *told, *res = &copy;
	struct job j = { 0 };
	bool found;
	int rc = job_lock(db, t->cluster_id, t->job_num, &j, &found);
	if (!rc && !found)
		rc = DB_E_FATAL;
	if (!rc)
		rc = apply_to_node(db, tx, t, res);
	t->done_attempt = t->attempt;
	t->status_time = tx->now;
	t->status_code = res->status;
	set_message(t, res->status ? res->message : NULL);
	if (!rc && res->status == 0)
		rc = succeed(db, tx, &j, t);
	else if (!rc) {
		rc = failed_once(db, tx, &j, t, res);
	}
	job_fini(&j);
	return rc;
}

int lifecycle_lost(struct db *db, struct cluster_tx *tx, struct task *t)
{
	struct job j = { 0 };
	bool found;
	int rc = job_lock(db, t->cluster_id, t->job_num, &j, &found);
	if (!rc && !found)
		rc = DB_E_FATAL;
	t->losses++;
	t->status_time = tx->now;
	t->status_code = -1;
	set_message(t, "its worker stopped renewing its lease");
	if (!rc)
		rc = task_keep_failure(db, t, NULL, NULL);
	if (!rc && job_ended(j.status)) {
		rc = give_up(db, tx, &j, t);
	} else if (!rc && t->losses >= tx->policy->losses) {
		rc = used_up(db, tx, &j, t);
	} else if (!rc) {
		t->not_before = tx->now;
		tx->ready++;
		rc = task_set_state(db, tx->c, t, TASK_READY, tx->now);
	}
	job_fini(&j);
	return rc;
}

int lifecycle_refuse(struct db *db, struct cluster_tx *tx, struct task *t, const char *message)
{
	struct job j = { 0 };
	bool found;
	int rc = job_lock(db, t->cluster_id, t->job_num, &j, &found);
	if (!rc && !found)
		rc = DB_E_FATAL;
	t->status_time = tx->now;
	t->status_code = -1;
	set_message(t, message);
	if (!rc)
		rc = give_up(db, tx, &j, t);
	job_fini(&j);
	return rc;
}
