/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_control - pause, resume, abort, and the deletion of a busy cluster: requested by a user
 * through an API, done under the row lock. */
#include "common/base/str.h"
#include "common/model/cluster/outcome.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/operation/rpc.h"
#include "services/scheduler/wake.h"

struct control {
	struct scheduler *s;
	const struct msg_control *asked;
	struct cluster_tx tx;
	bool changed;
	struct outcome done;
};

static int pause_job(struct unit *u, struct control *k, struct unit_job *j, const char *user)
{
	if (job_ended(j->job.status) || j->job.status == JOB_PAUSED)
		return 0;
	LOOM_CLEANUP_STR char *why = loom_asprintf("Paused by user %s.", user);
	k->changed = true;
	unit_move_job(u, j, JOB_PAUSED, why);
	return job_hold_pause(u->db, &j->job, user, u->now);
}

static int resume_job(struct unit *u, struct control *k, struct unit_job *j, const char *user)
{
	if (j->job.status != JOB_PAUSED)
		return 0;
	LOOM_CLEANUP_STR char *why = loom_asprintf("Resumed by user %s.", user);
	struct unit_cluster *uc = unit_held(u, j->job.cluster_id);
	bool planned = str_eq(j->job.phase, "run");
	uc->tx.ready += planned;
	uc->tx.jobs += !planned;
	k->changed = true;
	unit_move_job(u, j, planned ? JOB_RUNNING : JOB_NOT_SUBMITTED, why);
	return job_hold_pause(u->db, &j->job, NULL, u->now);
}

/* Ends the present job, and a deletion follows. A repeated request does no harm. */
static int delete_cluster(struct unit *u, struct control *k, struct unit_job *j, const char *user)
{
	const struct job *job = &j->job;
	if (str_eq(job->then_action, "cluster_delete") ||
	    (str_eq(job->action, "cluster_delete") && !job_ended(job->status)))
		return 0;
	k->changed = true;
	if (job_ended(job->status)) {
		lifecycle_follow(j, "cluster_delete");
		return 0;
	}
	LOOM_CLEANUP_STR char *why = loom_asprintf("Deleted by user %s.", user);
	return lifecycle_abort(u, j, why,
	                       str_eq(job->action, "solve_layout") ? NULL : "cluster_delete");
}

/* An aborted create removes what it has made. */
static int abort_job(struct unit *u, struct control *k, struct unit_job *j, const char *user)
{
	if (job_ended(j->job.status))
		return 0;
	LOOM_CLEANUP_STR char *why = loom_asprintf("Aborted by user %s.", user);
	k->changed = true;
	return lifecycle_abort(u, j, why,
	                       str_eq(j->job.action, "cluster_create") ? "cluster_delete" : NULL);
}

static const struct {
	const char *verb;
	int (*fn)(struct unit *u, struct control *k, struct unit_job *j, const char *user);
} verbs[] = { { "pause", pause_job },
	      { "resume", resume_job },
	      { "abort", abort_job },
	      { "delete", delete_cluster } };

/* If the answer to an abort was lost, by the database or on the way to the API, the request is
 * repeated. It must not hit the job that came after the aborted one. */
static int aborted_before(struct unit *u, const struct control *k, bool *ret)
{
	*ret = false;
	if (!str_eq(k->asked->verb, "abort"))
		return 0;
	return job_cancelled(u->db, u->clusters[0].tx.c->id, k->asked->job, ret);
}

/* The job has ended meanwhile: only a deletion still has to be done. */
static void at_rest(struct unit *u, struct unit_cluster *uc, struct control *k)
{
	if (!str_eq(k->asked->verb, "delete") || uc->tx.c->status == CLUSTER_TERMINATED)
		return;
	k->changed = true;
	lifecycle_submit(u, uc, "cluster_delete", NULL);
}

static int under_way(struct unit *u, const struct cluster *c, struct control *k)
{
	const char *user = k->asked->user, *verb = k->asked->verb;
	struct unit_job *j = NULL;
	bool done;
	int rc = aborted_before(u, k, &done);
	if (rc || done)
		return rc;
	size_t i = 0;
	while (i < LOOM_COUNT(verbs) && !str_eq(verbs[i].verb, verb))
		i++;
	if (i == LOOM_COUNT(verbs))
		return outcome_refuse(&k->done, 400, "'%.32s' is nothing to be done to a job",
		                      verb);
	rc = unit_get_job(u, c->id, c->latest_job, &j);
	if (rc || !j)
		return rc ? rc : DB_E_FATAL;
	return verbs[i].fn(u, k, j, user);
}

/* A command without anything left to do succeeds. */
static int control_cluster(struct unit *u, struct unit_cluster *uc, void *arg)
{
	struct control *k = arg;
	if (uc->tx.c->status == CLUSTER_PENDING)
		return under_way(u, uc->tx.c, k);
	at_rest(u, uc, k);
	return 0;
}

static int control_tx(struct db *db, void *arg)
{
	struct control *k = arg;
	struct job_policy policy = scheduler_policy(k->s);
	k->changed = false;
	int rc = unit_run_one(db, &policy, k->asked->cluster, &k->tx, control_cluster, k);
	if (rc == CLUSTER_E_NONE)
		return outcome_refuse(&k->done, 404, "no such cluster");
	return rc ? rc : outcome_done(&k->done, k->tx.c->id, k->tx.c->event_seq);
}

void rpc_control(struct scheduler *s, const void *asked, struct rpc_answer *ret)
{
	struct control k = { .s = s, .asked = asked };
	rpc_settle(ret, outcome_tx(s->db, control_tx, &k, &k.done));
	if (ret->err.status == 200)
		(void)err_set(&ret->err, k.done.status, "%s", k.done.msg);
	if (k.changed && ret->err.status == 200)
		wake_changed(s, &k.tx);
	cluster_tx_fini(&k.tx);
}
