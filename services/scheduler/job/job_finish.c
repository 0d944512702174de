/* SPDX-License-Identifier: Apache-2.0 */
/* job_finish - the ends of jobs: what becomes of the cluster, what follows, what is told. */
#include "services/scheduler/job/job_lifecycle_private.h"

#include "common/base/str.h"
#include "services/scheduler/operation/operation.h"
#include "services/scheduler/webhook/outbox.h"

#define MAX_NAMED 100 /* machines that a message names */

static enum cluster_status failure_status(const struct job *j, const struct task_counts *n)
{
	enum plan_action a;
	enum cluster_status st = CLUSTER_INCONSISTENT, was;
	if (!plan_action_parse(j->action, &a))
		return st;
	/* Every failure said that it made nothing, and nothing was made: there is no cluster. */
	if (a == PLAN_CREATE && !n->created && !n->undeleted && n->failed &&
	    n->failed == n->failed_before_create)
		return CLUSTER_TERMINATED;
	/* Nothing was done at all: the cluster is what it was. */
	if (!n->attempted && cluster_status_parse(json_get_str(j->params, "was"), &was))
		return was;
	if (!cluster_status_parse(plan_failure_status(a), &st))
		st = CLUSTER_INCONSISTENT;
	return st;
}

/* What follows a failed job knows what it follows. */
static int follow(struct db *db, struct cluster_tx *tx, const struct job *j)
{
	LOOM_CLEANUP(json_free)
	struct json *params = json_set_str(json_new_obj(), "because", j->message);
	int64_t next;
	tx->jobs++;
	return job_add(db, tx->c, j->then_action, params, tx->now, &next);
}

static int leave(struct db *db, struct cluster_tx *tx, const struct job *j,
                 const struct task_counts *n)
{
	int rc = 0;
	enum plan_action a;
	if (!n->attempted)
		rc = operation_undo(db, tx, j);
	else if (plan_action_parse(j->action, &a) && a == PLAN_DELETE)
		rc = nodes_deleted(db, j->cluster_id, j->num, &tx->c->num_nodes);
	return rc ? rc : cluster_set_status(db, tx->c, failure_status(j, n), j->message, tx->now);
}

int lifecycle_settle(struct db *db, struct cluster_tx *tx, const struct job *j)
{
	struct task_counts n;
	int rc = tasks_count(db, j->cluster_id, j->num, &n);
	if (rc || n.running || tx->c->status != CLUSTER_PENDING || tx->c->latest_job != j->num)
		return rc;
	rc = *j->then_action ? follow(db, tx, j) : leave(db, tx, j, &n);
	return rc ? rc : outbox_add(db, tx, j, CALLBACK_FAILURE);
}

/* Of a create that cannot finish: what is to follow. */
static int then_of_create(struct db *db, struct cluster_tx *tx, struct job *j)
{
	int rc = cluster_load_docs(db, tx->c);
	if (rc || !str_eq(j->action, plan_action_name(PLAN_CREATE)) ||
	    !str_eq(json_get_str(tx->c->request, "onFailure"), "rollback"))
		return rc;
	return job_cancel(db, j, plan_action_name(PLAN_DELETE));
}

int lifecycle_fail_job(struct db *db, struct cluster_tx *tx, struct job *j, const struct task *t)
{
	LOOM_CLEANUP_STR char *why = loom_asprintf(
		"%s%s%s on node %lld failed: %s", t->name, *t->service ? " of " : "", t->service,
		(long long)t->node_num, t->message && *t->message ? t->message : "no reason given");
	int rc = then_of_create(db, tx, j);
	if (!rc)
		rc = job_set_status(db, tx->c, j, JOB_FAILED, why, tx->now);
	return rc ? rc : tasks_drop(db, tx->c, j->num, tx->now);
}

/* What was rolled back is what it was before, which need not be well. */
static enum cluster_status complete_status(const struct job *j, bool gone)
{
	enum cluster_status to;
	if (gone)
		return CLUSTER_TERMINATED;
	bool told = cluster_status_parse(json_get_str(j->params, "to"), &to);
	return told && (to == CLUSTER_INCOMPLETE || to == CLUSTER_INCONSISTENT) ? to
	                                                                        : CLUSTER_ACTIVE;
}

/* A cluster that was not well is only then well when all its machines are there; *ret_why owned. */
static int check_machines(struct db *db, const struct cluster_tx *tx, const struct job *j,
                          enum cluster_status *st, char **ret_why)
{
	LOOM_CLEANUP(strs_fini) struct strs absent = { 0 };
	enum cluster_status was = CLUSTER_ACTIVE;
	(void)cluster_status_parse(json_get_str(j->params, "was"), &was);
	if (*st != CLUSTER_ACTIVE || (was != CLUSTER_INCOMPLETE && was != CLUSTER_INCONSISTENT))
		return 0;
	int rc = nodes_absent(db, tx->c->id, &absent);
	if (rc || !absent.n)
		return rc;
	LOOM_CLEANUP_STR char *names = strs_join(&absent, ", ");
	*st = CLUSTER_INCONSISTENT;
	*ret_why = loom_asprintf("Without a machine: %s. A shrink takes %s out of the cluster.",
	                         names, absent.n == 1 ? "it" : "them");
	return 0;
}

int lifecycle_complete_job(struct db *db, struct cluster_tx *tx, struct job *j)
{
	enum plan_action a;
	bool gone = plan_action_parse(j->action, &a) && a == PLAN_DELETE;
	const char *because = json_get_str(j->params, "because");
	LOOM_CLEANUP_STR char *why = NULL;
	enum cluster_status st = complete_status(j, gone);
	int rc = operation_complete(db, tx, j);
	if (!rc)
		rc = check_machines(db, tx, j, &st, &why);
	if (!rc)
		rc = job_set_status(db, tx->c, j, JOB_COMPLETE, NULL, tx->now);
	if (!rc)
		rc = cluster_set_status(db, tx->c, st, gone ? because : why, tx->now);
	return rc ? rc : outbox_add(db, tx, j, CALLBACK_SUCCESS);
}

bool lifecycle_has_more(const struct job *j)
{
	return json_get_int(j->params, "later", 0) > 0;
}

int lifecycle_end_part(struct db *db, struct cluster_tx *tx, struct job *j)
{
	int64_t n = json_get_int(j->params, "later", 0);
	LOOM_CLEANUP_STR char *why =
		loom_asprintf("What was asked for is done; %lld task%s left for another retry.",
	                      (long long)n, n == 1 ? " is" : "s are");
	int rc = job_set_status(db, tx->c, j, JOB_FAILED, why, tx->now);
	return rc ? rc : lifecycle_settle(db, tx, j);
}

/* ---- what a provider does not give up ----------------------------------------------------------
 */

bool lifecycle_has_kept(const struct job *j)
{
	return json_get(j->params, "kept") != NULL;
}

static char *kept_message(const struct json *kept)
{
	size_t n = json_len(kept);
	LOOM_CLEANUP(strs_fini) struct strs lines = { 0 };
	for (size_t i = 0; i < n && i < MAX_NAMED; i++)
		strs_addf(&lines, "%s (%s)", json_get_str(json_at(kept, i), "hostname"),
		          json_get_str(json_at(kept, i), "reason"));
	if (n > MAX_NAMED)
		strs_addf(&lines, "and %zu more", n - MAX_NAMED);
	LOOM_CLEANUP_STR char *list = strs_join(&lines, "; ");
	return loom_asprintf("The provider did not give up %zu machine%s: %s", n, n == 1 ? "" : "s",
	                     list);
}

int lifecycle_end_kept(struct db *db, struct cluster_tx *tx, struct job *j)
{
	struct task_counts n;
	int rc = tasks_count(db, j->cluster_id, j->num, &n);
	if (rc || n.running || n.open)
		return rc ? rc : job_save_progress(db, tx->c, j, tx->now);
	LOOM_CLEANUP_STR char *why = kept_message(json_get(j->params, "kept"));
	rc = job_set_status(db, tx->c, j, JOB_FAILED, why, tx->now);
	return rc ? rc : lifecycle_settle(db, tx, j);
}

int lifecycle_kept(struct db *db, struct cluster_tx *tx, struct job *j, const struct task *t)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	int rc = node_load(db, t->node_id, &ns);
	if (rc)
		return rc;
	if (!j->params)
		j->params = json_new_obj();
	if (!lifecycle_has_kept(j))
		json_set(j->params, "kept", json_new_arr());
	struct json *one = json_set_int(json_new_obj(), "nodenum", t->node_num);
	json_set_str(one, "hostname", ns->n ? ns->v[0].hostname : t->node_id);
	json_set_str(one, "reason", str_blank(t->message) ? "no reason given" : t->message);
	json_push(json_get(j->params, "kept"), one);
	rc = job_save_params(db, j);
	return rc ? rc : lifecycle_end_kept(db, tx, j);
}
