/* SPDX-License-Identifier: Apache-2.0 */
/* job_lifecycle - decides what the end of an attempt means: done, retry, or give up. */
#include "services/scheduler/job/job_lifecycle.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/scheduler/plan/planner.h"

#include <string.h>

#define MAX_RESULTS (1u << 20) /* bytes stored per node: as much as one result may bring */

/* ---- what a result tells about its node ------------------------------------------------------ */

void lifecycle_forget_node(struct node *n)
{
	struct json **all[] = { &n->results, &n->ipaddresses, &n->states };
	for (size_t i = 0; i < LOOM_COUNT(all); i++) {
		json_free(*all[i]);
		*all[i] = json_new_obj();
	}
}

/* Records the state in which a step left a service, so that a running service is not started
 * again. */
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

/* Only the provider's tasks may report facts about the machine: a service's plugin that could
 * change them could send later tasks to another machine. */
static bool may_tell(const struct task *t, const char *key)
{
	static const char *const of_provider[] = {
		"ipaddresses",   "hostname",   "nodenum",  "hardwaretype", "imagetype",
		"flavor",        "image",      "sshuser",  "services",     "automators",
		"ssh_host_keys", "providerid", "ssh-auth",
	};
	for (size_t i = 0; *t->service && i < LOOM_COUNT(of_provider); i++) {
		if (str_eq(of_provider[i], key))
			return false;
	}
	return true;
}

/* Merges the results into the node's. Too large results fail the task, because every later task
 * gets all stored results. */
static void merge_results(struct node *n, const struct task *t, struct task_result *res)
{
	if (!json_len(res->result))
		return;
	LOOM_CLEANUP(json_free) struct json *merged = json_copy(n->results);
	for (size_t i = 0; i < json_len(res->result); i++) {
		const char *key = json_key_at(res->result, i);
		if (may_tell(t, key))
			json_set(merged, key, json_copy(json_value_at(res->result, i)));
	}
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

/* Returns true if an event must report the node. */
static bool update_node(struct node *n, const struct task *t, struct task_result *res)
{
	merge_results(n, t, res);
	bool ok = res->status == 0, addresses = ok && may_tell(t, "ipaddresses"),
	     name = ok && may_tell(t, "hostname");
	if (addresses && json_is(res->ipaddresses, JSON_OBJECT)) {
		json_free(n->ipaddresses);
		n->ipaddresses = json_copy(res->ipaddresses);
	}
	if (name && res->hostname && *res->hostname) {
		loom_free(n->hostname);
		n->hostname = loom_strdup(res->hostname);
	}
	bool deleted = ok && str_eq(t->name, plan_step_name(STEP_DELETE));
	if (deleted)
		lifecycle_forget_node(n);
	if (ok && *t->service)
		note_service(n, t);
	return deleted || (addresses && res->ipaddresses) || (name && res->hostname);
}

static void node_event(struct unit *u, const struct node *n)
{
	struct cluster *c = unit_held(u, n->cluster_id)->tx.c;
	struct json *e = json_set_str(json_new_obj(), "nodeId", n->id);
	json_set_int(e, "nodenum", n->num);
	json_set_str(e, "hostname", n->hostname);
	json_set(e, "ipaddresses", json_copy(n->ipaddresses));
	cluster_event(c, "node", e, u->now);
}

bool lifecycle_about_node(const struct task *t, const struct task_result *res)
{
	enum plan_step step;
	if (json_len(res->result) || res->ipaddresses || res->hostname ||
	    !plan_step_parse(t->name, &step))
		return true;
	return step == STEP_DELETE || step == STEP_INSTALL || step == STEP_REMOVE ||
	       step == STEP_START || step == STEP_STOP;
}

static int apply_to_node(struct unit *u, const struct task *t, struct task_result *res)
{
	int64_t cluster = t->cluster_id;
	int rc = unit_load_nodes(u, &cluster, 1);
	struct node *n = rc ? NULL : unit_node(u, t);
	if (!n)
		return rc;
	if (update_node(n, t, res)) {
		unit_held(u, cluster)->rows.nodes_version++;
		node_event(u, n);
	}
	unit_node_changed(u, n);
	return 0;
}

/* ---- the end of an attempt ------------------------------------------------------------------- */

static void set_text(char **to, const char *text)
{
	char *copy = loom_strdup(text);
	loom_free(*to);
	*to = copy;
}

static void note_result(struct unit *u, struct task *t, int64_t status, const char *message)
{
	t->status_time = u->now;
	t->status_code = status;
	set_text(&t->message, message);
	unit_task_changed(u, t);
}

void lifecycle_claim(struct unit *u, struct task *t, const struct task_taker *by)
{
	t->attempt++;
	t->lease_ms = by->lease_ms;
	t->lease_until = u->now + by->lease_ms;
	*t->claim = '\0';
	claim_hash(by->claim, t->attempt, t->claim_hash);
	t->submit_time = u->now;
	set_text(&t->message, NULL);
	set_text(&t->provisioner_id, by->provisioner);
	set_text(&t->worker_id, by->worker);
	unit_move_task(u, t, TASK_RUNNING);
}

static void succeed(struct unit *u, struct unit_job *j, struct task *t)
{
	unit_move_task(u, t, TASK_COMPLETE);
	if (t->attempt > 1)
		unit_judge(u, t);
	j->job.tasks_done++;
	j->progressed = j->check_end = true;
	j->reported = false;
	unit_done(u, t);
	unit_freed(u, t, t->node_id);
	/* Tasks that were postponed until the address was known can be tried again. */
	if (str_eq(t->name, plan_step_name(STEP_CONFIRM)))
		j->confirmed = t;
}

static int give_up(struct unit *u, struct unit_job *j, struct task *t)
{
	unit_move_task(u, t, TASK_FAILED);
	j->check_end = true;
	if (job_ended(j->job.status))
		return 0;
	return str_eq(j->job.action, plan_action_name(PLAN_DELETE)) ? lifecycle_kept(u, j, t)
	                                                            : lifecycle_fail_job(u, j, t);
}

/* The tries are used up: replace the node if allowed, else give up. */
static int used_up(struct unit *u, struct unit_job *j, struct task *t)
{
	struct cluster *c = unit_held(u, t->cluster_id)->tx.c;
	int rc = u->store->documents(u->db, c);
	if (rc)
		return rc;
	return lifecycle_may_replace(u->policy, c, &j->job, t) ? lifecycle_replace(u, j, t)
	                                                       : give_up(u, j, t);
}

static int try_again(struct unit *u, struct unit_job *j, struct task *t,
                     const struct job_policy *pol)
{
	enum plan_step step, undo, again;
	int64_t tried = t->failures ? t->failures - 1 : 0;
	t->not_before =
		u->now + clock_backoff_ms((unsigned)tried, pol->retry_base_ms, pol->retry_cap_ms);
	if (plan_step_parse(t->name, &step) && plan_rollback(step, &undo, &again))
		return lifecycle_roll_back(u, j, t);
	unit_move_task(u, t, TASK_READY);
	return 0;
}

/* The retry settings of the service's action, else those of the template. */
static const struct json *said_of_tries(const struct cluster *c, const struct task *t)
{
	enum plan_step step;
	if (!plan_step_parse(t->name, &step))
		return NULL;
	const char *action = plan_step_action(step);
	const struct json *actions =
		json_path(json_get(c->service_docs, t->service), "provisioner/actions");
	const struct json *retry = json_get(json_get(actions, action), "retry");
	return retry ? retry : json_get(json_path(c->template, "administration/retries"), action);
}

/* The tries and waits for a failed task; c has its documents. */
static struct job_policy policy_of(const struct job_policy *own, const struct cluster *c,
                                   const struct task *t)
{
	struct job_policy p = *own;
	const struct json *retry = said_of_tries(c, t);
	p.tries = json_get_int(retry, "tries", p.tries);
	p.retry_base_ms = json_get_int(retry, "base", p.retry_base_ms);
	p.retry_cap_ms = json_get_int(retry, "cap", p.retry_cap_ms);
	return p;
}

static int failed_once(struct unit *u, struct unit_job *j, struct task *t,
                       const struct task_result *res)
{
	t->failures++;
	unit_keep_failure(u, t, res->out, res->err);
	struct cluster *c = unit_held(u, t->cluster_id)->tx.c;
	int rc = u->store->documents(u->db, c);
	if (rc)
		return rc;
	const struct job_policy pol = policy_of(u->policy, c, t);
	if (res->never_again || job_ended(j->job.status))
		return give_up(u, j, t);
	return t->failures < pol.tries ? try_again(u, j, t, &pol) : used_up(u, j, t);
}

int lifecycle_finish(struct unit *u, struct task *t, const struct task_result *reported)
{
	struct task_result res = *reported;
	struct unit_job *j = unit_job_of(u, t);
	if (!j)
		return DB_E_FATAL;
	int rc = lifecycle_about_node(t, &res) ? apply_to_node(u, t, &res) : 0;
	if (rc)
		return rc;
	t->done_attempt = t->attempt;
	note_result(u, t, res.status, res.status ? res.message : NULL);
	if (res.status)
		return failed_once(u, j, t, &res);
	succeed(u, j, t);
	return 0;
}

int lifecycle_lost(struct unit *u, struct task *t, const char *why)
{
	struct unit_job *j = unit_job_of(u, t);
	if (!j)
		return DB_E_FATAL;
	t->losses++;
	note_result(u, t, -1, why);
	unit_keep_failure(u, t, NULL, NULL);
	if (job_ended(j->job.status))
		return give_up(u, j, t);
	if (t->losses >= u->policy->losses)
		return used_up(u, j, t);
	t->not_before = u->now;
	unit_move_task(u, t, TASK_READY);
	return 0;
}

int lifecycle_refuse(struct unit *u, struct task *t, const char *message)
{
	struct unit_job *j = unit_job_of(u, t);
	if (!j)
		return DB_E_FATAL;
	note_result(u, t, -1, message);
	return give_up(u, j, t);
}

/* ---- users' commands ------------------------------------------------------------------------- */

void lifecycle_submit(struct unit *u, struct unit_cluster *uc, const char *action,
                      const struct job_params *params)
{
	LOOM_CLEANUP(job_params_fini) struct job_params p = { 0 };
	if (params)
		job_params_copy(&p, params);
	job_params_set(&p.was, cluster_status_name(uc->tx.c->status));
	unit_move_cluster(u, uc, CLUSTER_PENDING, NULL);
	(void)unit_new_job(u, uc, action, &p);
}

void lifecycle_follow(struct unit_job *j, const char *then_action)
{
	job_set_cancelled(&j->job, then_action);
	j->changed = j->check_end = true;
}

int lifecycle_abort(struct unit *u, struct unit_job *j, const char *why, const char *then_action)
{
	lifecycle_follow(j, then_action);
	unit_move_job(u, j, JOB_FAILED, why);
	return unit_drop_open(u, j);
}
