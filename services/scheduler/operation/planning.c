/* SPDX-License-Identifier: Apache-2.0 */
/* planning - claims jobs in phase plan, plans them, and commits the plan or the reason of a
 * refusal. */
#include "services/scheduler/operation/planning.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/job/unit_trace.h"
#include "services/scheduler/operation/operation.h"
#include "services/scheduler/operation/planning_share.h"
#include "services/scheduler/wake.h"
#include "services/scheduler/webhook/admission.h"
#include "services/scheduler/webhook/outbox.h"

#include <stdio.h>

#define MOST_TURNS 64 /* most refused tenants per search */

struct planning {
	struct scheduler *s;
	char tenant[PLANNING_TENANT];
	bool asked; /* a target with a veto was asked */
	struct job job;
	struct cluster *c; /* with documents, as read before the work */
	enum plan_action action;
	struct operation op; /* a new cluster uses only op.draft */
	struct loom_err err; /* set: the job fails for this reason */
	int failed;
	bool vetoed; /* failed because of a veto */
	struct job_policy policy;
	struct cluster_tx tx;
	bool committed;
	int64_t began_us; /* since the epoch */
};

static int load_read(struct db *db, void *arg)
{
	struct planning *pl = arg;
	cluster_free(pl->c);
	pl->c = NULL;
	int rc = cluster_get(db, pl->job.cluster_id, &pl->c);
	return rc ? rc : cluster_load_docs(db, pl->c);
}

/* Inserts the tasks; those without open waits are ready from now on, as close to the commit as
 * possible. */
static int insert_tasks(struct unit *u, struct cluster_tx *tx, struct job_draft_rows *rows)
{
	int64_t now;
	int rc = db_now(u->db, &now);
	for (size_t i = 0; !rc && i < rows->n; i++) {
		struct task *t = &rows->tasks[i];
		if (t->state != TASK_READY)
			continue;
		t->not_before = now;
		tx->ready++;
		task_event(tx->c, t, now);
	}
	return rc ? rc : tasks_insert(u->db, rows->tasks, rows->n, rows->edges, rows->n_edges);
}

/* Writes the tasks of a job and starts it; without tasks it is complete at once. */
static int start_job(struct unit *u, struct planning *pl, struct unit_job *uj)
{
	struct cluster_tx *tx = &u->clusters[0].tx;
	struct job *j = &uj->job;
	struct job_draft_rows rows;
	j->tasks_total = (int64_t)pl->op.draft.plan->n;
	job_draft_rows(&pl->op.draft, tx->c, j->num, u->now, &rows);
	j->waits = loom_take(rows.waits);
	j->n_waits = rows.n_waits;
	struct job_draft_at at = { 0 };
	struct json *part;
	while ((part = job_draft_event(&pl->op.draft, j->cluster_id, j->num, j->action, &at)))
		cluster_event(tx->c, "plan", part, u->now);
	unit_move_job(u, uj, JOB_RUNNING, NULL);
	int rc = outbox_add(u->db, tx, j, CALLBACK_START);
	if (!rc)
		rc = insert_tasks(u, tx, &rows);
	job_draft_rows_fini(&rows);
	uj->check_end = !j->tasks_total;
	return rc;
}

static int commit_solved(struct unit *u, struct planning *pl, struct unit_job *solve)
{
	struct cluster *c = u->clusters[0].tx.c;
	const struct job_draft *draft = &pl->op.draft;
	unit_move_job(u, solve, JOB_COMPLETE, NULL);
	int rc = nodes_insert(u->db, c->id, draft->nodes);
	if (!rc)
		rc = cluster_save_service_docs(u->db, c, draft->service_docs);
	if (rc)
		return rc;
	c->num_nodes = (int64_t)draft->nodes->n;
	c->last_node = draft->nodes->n ? draft->nodes->v[draft->nodes->n - 1].num : 0;
	json_free(c->services);
	c->services = json_new_arr();
	for (size_t i = 0; i < draft->layout->services.n; i++)
		json_push(c->services, json_new_str(draft->layout->services.v[i]));
	int64_t num;
	struct unit_job *create = NULL;
	const struct job_params params = { .trace = solve->job.params.trace,
		                           .trace_state = solve->job.params.trace_state };
	rc = job_add(u->db, c, plan_action_name(PLAN_CREATE), &params, u->now, &num);
	if (!rc)
		rc = unit_get_job(u, c->id, num, &create);
	return rc ? rc : start_job(u, pl, create);
}

static int commit_changed(struct unit *u, struct planning *pl, struct unit_job *j)
{
	int rc = operation_apply(u->db, &u->clusters[0].tx, &j->job, &pl->op, &pl->err);
	return rc ? rc : start_job(u, pl, j);
}

static int commit_failed(struct unit *u, struct planning *pl, struct unit_job *j)
{
	struct unit_cluster *uc = &u->clusters[0];
	LOOM_CLEANUP_STR char *why =
		pl->action == PLAN_SOLVE_LAYOUT && !pl->vetoed
			? loom_asprintf("Layout solving failed: %s", pl->err.msg)
			: loom_strdup(pl->err.msg);
	/* Nothing was done: the cluster is as before. */
	enum cluster_status st = CLUSTER_INCONSISTENT;
	if (!cluster_status_parse(j->job.params.was, &st))
		(void)cluster_status_parse(plan_failure_status(pl->action), &st);
	int rc = operation_undo(u->db, &uc->tx, &j->job);
	if (rc)
		return rc;
	unit_move_job(u, j, JOB_FAILED, why);
	unit_move_cluster(u, uc, st, why);
	return outbox_add(u->db, &uc->tx, &j->job, CALLBACK_FAILURE);
}

static int commit_plan(struct unit *u, struct unit_cluster *uc, void *arg)
{
	struct planning *pl = arg;
	struct unit_job *j = NULL;
	bool ours;
	int rc = job_check_claim(u->db, &pl->job, &ours);
	if (rc || !ours)
		return rc;
	rc = unit_get_job(u, pl->job.cluster_id, pl->job.num, &j);
	if (rc || !j)
		return rc ? rc : DB_E_FATAL;
	/* The job was paused meanwhile: it is planned again when it is resumed. */
	if (j->job.status == JOB_PAUSED)
		return job_extend_claim(u->db, &pl->job, 0, &ours);
	pl->committed = uc->save_row = true;
	if (pl->failed)
		return commit_failed(u, pl, j);
	return pl->action == PLAN_SOLVE_LAYOUT ? commit_solved(u, pl, j) : commit_changed(u, pl, j);
}

static int commit_tx(struct db *db, void *arg)
{
	struct planning *pl = arg;
	pl->committed = false;
	return unit_run_one(db, &pl->policy, pl->job.cluster_id, &pl->tx, commit_plan, pl);
}

/* Plans an operation on the existing cluster. If the user agreed to a plan, only that one will
 * do. */
static int make_change(struct planning *pl)
{
	bool back = job_params_is(&pl->job.params, "rollback");
	int rc = pl->action == PLAN_DELETE && !back
	                 ? operation_delete(pl->s->db, pl->c, &pl->op, &pl->err)
	                 : operation_make(pl->s->db, pl->c, &pl->job.params, &pl->op, &pl->err);
	const char *agreed = pl->job.params.hash;
	if (!rc && agreed && !str_eq(agreed, pl->op.hash))
		rc = err_set(&pl->err, 409,
		             "something changed since this was planned; plan it again");
	return rc;
}

/* 0, a DB_E_ code (retried when the claim's lease is over), or pl->failed set. */
static int make(struct planning *pl)
{
	struct scheduler *s = pl->s;
	int rc = db_read(s->db, load_read, pl);
	if (rc)
		return rc;
	if (!plan_action_parse(pl->job.action, &pl->action)) {
		pl->failed = err_set(&pl->err, 500, "there is no operation '%s'", pl->job.action);
		return 0;
	}
	struct job_draft_ask ask = { .tenant_id = pl->c->tenant_id,
		                     .cluster_name = pl->c->name,
		                     .cluster_id = pl->c->id,
		                     .request = pl->c->request,
		                     .template = pl->c->template,
		                     .provider = pl->c->provider };
	if (pl->action == PLAN_SOLVE_LAYOUT)
		rc = job_draft_create(s->db, &ask, &pl->op.draft, &pl->err);
	else
		rc = make_change(pl);
	if (err_is_refusal(rc)) {
		pl->failed = rc;
		return 0;
	}
	return rc;
}

static int commit(struct planning *pl)
{
	int rc = db_tx(pl->s->db, commit_tx, pl);
	if (rc == CLUSTER_E_QUOTA && !pl->failed) {
		pl->failed = 409;
		return db_tx(pl->s->db, commit_tx, pl);
	}
	if (rc != DB_E_FATAL || pl->failed)
		return rc;
	/* Another plan would be refused as well: the job fails. */
	pl->failed = err_set(&pl->err, 500, "the plan could not be stored");
	return db_tx(pl->s->db, commit_tx, pl);
}

static void trace_step(const struct planning *pl, const char *name, int64_t from, int64_t to)
{
	struct trace job, at;
	if (!job_trace(&pl->job, &job))
		return;
	LOOM_CLEANUP_STR char *key = loom_asprintf("%s %s", name, job.span);
	trace_named(&job, key, &at);
	const struct log_field fields[] = {
		LOG_I("loom.tasks", pl->op.draft.plan ? (int64_t)pl->op.draft.plan->n : 0), { 0 }
	};
	spans_add(service_spans(pl->s->service),
	          &(struct span){ .at = &at,
	                          .parent = job.span,
	                          .state = pl->job.params.trace_state,
	                          .name = name,
	                          .kind = SPAN_INTERNAL,
	                          .start_us = from,
	                          .end_us = to,
	                          .fields = fields,
	                          .failed = pl->failed,
	                          .message = pl->err.msg });
}

static void trace_spans(const struct planning *pl)
{
	int64_t solved = pl->op.draft.solved_us;
	if (solved)
		trace_step(pl, "solve", pl->began_us, solved);
	if (!solved || !pl->failed)
		trace_step(pl, "plan", solved ? solved : pl->began_us, clock_wall_us());
}

static void kick(void *arg)
{
	planning_kick(arg);
}

/* Writes the plan, or why there is none; takes pl. A worker thread, or one of callbacks. */
static void finish(struct planning *pl, int rc)
{
	char id[ID_MAX];
	struct trace trace = { 0 };
	id_job(id, pl->job.cluster_id, pl->job.num);
	(void)job_trace(&pl->job, &trace);
	if (!rc)
		rc = commit(pl);
	if (rc)
		log_warn("job not planned", LOG_S("job", id), LOG_S("reason", err_name(rc)));
	else if (!pl->committed)
		log_warn("job planned by another scheduler, or paused", LOG_S("job", id));
	else {
		if (pl->failed)
			log_info("job refused", LOG_S("job", id), LOG_S("reason", pl->err.msg),
			         LOG_S("trace", trace.id));
		else
			log_info("job planned", LOG_S("job", id), LOG_S("action", pl->job.action),
			         LOG_I("tasks", (int64_t)pl->op.draft.plan->n),
			         LOG_S("trace", trace.id));
		wake_changed(pl->s, &pl->tx);
		trace_spans(pl);
	}
	cluster_tx_fini(&pl->tx);
	operation_fini(&pl->op);
	cluster_free(pl->c);
	job_fini(&pl->job);
	/* a planning thread looks for the next job itself */
	if (planning_share_end(pl->s->planning_share, pl->tenant, pl->asked) && pl->asked)
		loop_post(pl->s->loop, kick, pl->s);
	loom_free(pl);
}

static void asked(void *arg, int rc, const char *why)
{
	struct planning *pl = arg;
	pl->vetoed = why != NULL;
	if (why)
		pl->failed = err_set(&pl->err, 409, "%s", why);
	finish(pl, rc);
}

/* Asks the targets with a veto about the job that would run. */
static bool ask_first(struct planning *pl)
{
	struct job shown = pl->job;
	if (pl->action == PLAN_SOLVE_LAYOUT) {
		shown.num = pl->c->next_job;
		snprintf(shown.action, sizeof(shown.action), "%s", plan_action_name(PLAN_CREATE));
	}
	shown.tasks_total = (int64_t)pl->op.draft.plan->n;
	const struct admission_review st = { &pl->job, pl->c, pl->op.draft.nodes, &shown };
	/* From here on admission owns pl, and may have finished with it already. */
	struct planning_share *share = pl->s->planning_share;
	pl->asked = true;
	planning_share_ask(share, pl->tenant, true);
	if (admission_ask(pl->s, &st, asked, pl))
		return true;
	pl->asked = false;
	planning_share_ask(share, pl->tenant, false);
	return false;
}

/* Takes what the claimed job owns. */
static void plan_one(struct scheduler *s, const char *tenant, struct job *claimed)
{
	struct planning *pl = loom_calloc(1, sizeof(*pl));
	*pl = (struct planning){ .s = s, .job = *claimed, .policy = scheduler_policy(s) };
	snprintf(pl->tenant, sizeof(pl->tenant), "%s", tenant);
	*claimed = (struct job){ 0 };
	pl->began_us = clock_wall_us();
	int rc = make(pl);
	if (rc || pl->failed || !ask_first(pl))
		finish(pl, rc);
}

/* Claims a job of the tenant whose turn it is; ends when every tenant with a job was refused. */
static int next_job(struct scheduler *s, char tenant[PLANNING_TENANT], struct job *ret, bool *found)
{
	struct job_claimant by = { service_id(s->service), tenant, s->cfg.job_lease_ms };
	char last[PLANNING_TENANT], first[PLANNING_TENANT] = "";
	*found = false;
	for (int i = 0; i < MOST_TURNS; i++) {
		bool any;
		planning_share_last(s->planning_share, last);
		int rc = job_turn(s->db, last, tenant, PLANNING_TENANT, &any);
		if (rc || !any || str_eq(tenant, first))
			return rc;
		if (!i)
			snprintf(first, sizeof(first), "%s", tenant);
		if (!planning_share_begin(s->planning_share, tenant))
			continue;
		rc = job_claim(s->db, &by, ret, found);
		if (*found)
			return 0;
		(void)planning_share_end(s->planning_share, tenant, false);
		if (rc)
			return rc;
	}
	return 0;
}

static void planning_work(void *arg)
{
	struct scheduler *s = arg;
	bool found = true;
	while (found) {
		char tenant[PLANNING_TENANT];
		struct job j;
		int rc = next_job(s, tenant, &j, &found);
		if (rc)
			log_warn("no job claimed", LOG_S("reason", err_name(rc)));
		if (found)
			plan_one(s, tenant, &j);
	}
}

static void planning_done(void *arg)
{
	struct scheduler *s = arg;
	s->planning--;
	if (s->planning_again)
		planning_kick(s);
}

void planning_kick(struct scheduler *s)
{
	if (s->planning == PLANNING_THREADS || service_draining(s->service)) {
		s->planning_again = s->planning > 0;
		return;
	}
	s->planning_again = false;
	if (!pool_submit(s->pool, planning_work, planning_done, s))
		s->planning++;
}

void planning_start(struct scheduler *s)
{
	s->planning_share = planning_share_create();
}

void planning_stop(struct scheduler *s)
{
	planning_share_destroy(s->planning_share);
	s->planning_share = NULL;
}

/* ---- another scheduler is gone --------------------------------------------------------------- */

struct takeover {
	struct scheduler *s;
	char *owner;
	int64_t n;
};

static int release_tx(struct db *db, void *arg)
{
	struct takeover *e = arg;
	return job_release_claims(db, e->owner, &e->n);
}

static void take_over_work(void *arg)
{
	struct takeover *e = arg;
	int rc = db_tx(e->s->db, release_tx, e);
	if (rc)
		log_warn("jobs of a lost scheduler stay claimed until their leases end",
		         LOG_S("reason", err_name(rc)));
	else if (e->n)
		log_info("took over jobs of a lost scheduler", LOG_S("owner", e->owner),
		         LOG_I("jobs", e->n));
}

static void take_over_done(void *arg)
{
	struct takeover *e = arg;
	if (e->n)
		planning_kick(e->s);
	loom_free(e->owner);
	loom_free(e);
}

void planning_take_over(struct scheduler *s, const char *owner)
{
	struct takeover *e = loom_calloc(1, sizeof(*e));
	*e = (struct takeover){ .s = s, .owner = loom_strdup(owner) };
	if (service_draining(s->service) || pool_submit(s->pool, take_over_work, take_over_done, e))
		take_over_done(e);
}
