/* SPDX-License-Identifier: Apache-2.0 */
/* job_finish - the ends of jobs: whether one is over, the cluster's new status, the follow-up
 * job. */
#include "services/scheduler/job/job_lifecycle.h"

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "services/scheduler/plan/planner.h"

#define MAX_NAMED 100 /* most nodes named in a message */

static struct unit_cluster *cluster_of(const struct unit *u, const struct unit_job *j)
{
	return unit_held(u, j->job.cluster_id);
}

static int announce(struct unit *u, const struct unit_job *j, enum callback_kind kind)
{
	return u->policy->effects->announce(u->db, &cluster_of(u, j)->tx, &j->job, kind);
}

/* ---- jobs that failed ------------------------------------------------------------------------ */

static enum cluster_status failure_status(const struct job *j, const struct task_counts *n)
{
	enum plan_action a;
	enum cluster_status st = CLUSTER_INCONSISTENT, was;
	if (!plan_action_parse(j->action, &a))
		return st;
	/* Every failure reported that nothing was made, and no node was made: there is no
	 * cluster. */
	if (a == PLAN_CREATE && !n->created && !n->undeleted && n->failed &&
	    n->failed == n->failed_before_create)
		return CLUSTER_TERMINATED;
	/* Nothing was attempted: the cluster is as before. */
	if (!n->attempted && cluster_status_parse(j->params.was, &was))
		return was;
	if (!cluster_status_parse(plan_failure_status(a), &st))
		st = CLUSTER_INCONSISTENT;
	return st;
}

/* The follow-up job records why it was submitted. */
static void follow(struct unit *u, const struct unit_job *j)
{
	const struct job_params params = { .because = j->job.message,
		                           .trace = j->job.params.trace,
		                           .trace_state = j->job.params.trace_state };
	(void)unit_new_job(u, cluster_of(u, j), j->job.then_action, &params);
}

static int leave(struct unit *u, const struct unit_job *j, const struct task_counts *n)
{
	struct unit_cluster *uc = cluster_of(u, j);
	int rc = 0;
	enum plan_action a;
	if (!n->attempted)
		rc = u->policy->effects->undone(u->db, &uc->tx, &j->job);
	else if (plan_action_parse(j->job.action, &a) && a == PLAN_DELETE)
		rc = u->store->forget_deleted(u->db, j->job.cluster_id, j->job.num,
		                              &uc->tx.c->num_nodes);
	if (!rc)
		unit_move_cluster(u, uc, failure_status(&j->job, n), j->job.message);
	return rc;
}

/* A failed job ends its cluster's wait once the last running task has reported. */
static int settle(struct unit *u, struct unit_job *j)
{
	const struct cluster *c = cluster_of(u, j)->tx.c;
	struct task_counts n;
	int rc = u->store->counts(u->db, j->job.cluster_id, j->job.num, &n);
	if (rc || n.running || c->status != CLUSTER_PENDING || c->latest_job != j->job.num)
		return rc;
	if (*j->job.then_action)
		follow(u, j);
	else
		rc = leave(u, j, &n);
	return rc ? rc : announce(u, j, CALLBACK_FAILURE);
}

static int fail(struct unit *u, struct unit_job *j, const char *why)
{
	unit_move_job(u, j, JOB_FAILED, why);
	return settle(u, j);
}

/* A create cannot finish: sets the follow-up action. */
static int then_of_create(struct unit *u, struct unit_job *j)
{
	struct cluster *c = cluster_of(u, j)->tx.c;
	int rc = u->store->documents(u->db, c);
	if (!rc && str_eq(j->job.action, plan_action_name(PLAN_CREATE)) &&
	    str_eq(json_get_str(c->request, "onFailure"), "rollback"))
		lifecycle_follow(j, plan_action_name(PLAN_DELETE));
	return rc;
}

int lifecycle_fail_job(struct unit *u, struct unit_job *j, const struct task *t)
{
	LOOM_CLEANUP_STR char *why = loom_asprintf(
		"%s%s%s on node %lld failed: %s", t->name, *t->service ? " of " : "", t->service,
		(long long)t->node_num, t->message && *t->message ? t->message : "no reason given");
	int rc = then_of_create(u, j);
	if (rc)
		return rc;
	unit_move_job(u, j, JOB_FAILED, why);
	return unit_drop_open(u, j);
}

/* ---- jobs that are complete ------------------------------------------------------------------ */

/* A rolled-back cluster gets its former status, which may be a bad one. */
static enum cluster_status complete_status(const struct job *j, bool deleted)
{
	enum cluster_status to;
	if (deleted)
		return CLUSTER_TERMINATED;
	bool known = cluster_status_parse(j->params.to, &to);
	return known && (to == CLUSTER_INCOMPLETE || to == CLUSTER_INCONSISTENT) ? to
	                                                                         : CLUSTER_ACTIVE;
}

/* A cluster that was incomplete or inconsistent becomes active only if no node is missing; *ret_why
 * owned. */
static int check_nodes(struct unit *u, const struct unit_job *j, enum cluster_status *st,
                       char **ret_why)
{
	LOOM_CLEANUP(strs_fini) struct strs absent = { 0 };
	enum cluster_status was = CLUSTER_ACTIVE;
	(void)cluster_status_parse(j->job.params.was, &was);
	if (*st != CLUSTER_ACTIVE || (was != CLUSTER_INCOMPLETE && was != CLUSTER_INCONSISTENT))
		return 0;
	int rc = u->store->absent(u->db, j->job.cluster_id, &absent);
	if (rc || !absent.n)
		return rc;
	LOOM_CLEANUP_STR char *names = strs_join(&absent, ", ");
	*st = CLUSTER_INCONSISTENT;
	*ret_why = loom_asprintf("Without a machine: %s. A shrink takes %s out of the cluster.",
	                         names, absent.n == 1 ? "it" : "them");
	return 0;
}

/* The address by which other machines of the cluster reach it; NULL: unknown. */
static const char *address_of(const struct node *n)
{
	const char *bind = json_get_str(n->ipaddresses, "bind_v4");
	return bind ? bind : json_get_str(n->ipaddresses, "access_v4");
}

/* Warns if two machines report the same address: one of them is unreachable. That is no reason to
 * refuse the job, but nobody would look for it. *ret_why owned; untouched if all differ. */
static int check_addresses(struct unit *u, const struct unit_job *j, char **ret_why)
{
	int64_t cluster = j->job.cluster_id;
	LOOM_CLEANUP(map_destroy) struct map *by_address = map_create(NULL);
	int rc = unit_load_nodes(u, &cluster, 1);
	const struct nodes *all = rc ? NULL : unit_held(u, cluster)->rows.nodes;
	for (size_t i = 0; all && i < all->n; i++) {
		struct node *n = &all->v[i];
		const char *address = address_of(n);
		const struct node *other = address ? map_get(by_address, address) : NULL;
		if (other) {
			*ret_why = loom_asprintf("%s and %s have the same address, %s.",
			                         other->hostname, n->hostname, address);
			log_warn("address used twice", LOG_S("address", address),
			         LOG_S("node", n->hostname), LOG_S("other", other->hostname));
			return 0;
		}
		if (address)
			map_set(by_address, address, n);
	}
	return rc;
}

static int complete(struct unit *u, struct unit_job *j)
{
	enum plan_action a;
	struct unit_cluster *uc = cluster_of(u, j);
	bool deleted = plan_action_parse(j->job.action, &a) && a == PLAN_DELETE;
	const char *because = j->job.params.because;
	LOOM_CLEANUP_STR char *why = NULL;
	enum cluster_status st = complete_status(&j->job, deleted);
	int rc = u->policy->effects->completed(u->db, &uc->tx, &j->job);
	if (!rc)
		rc = check_nodes(u, j, &st, &why);
	if (!rc && !deleted && !why)
		rc = check_addresses(u, j, &why);
	if (rc)
		return rc;
	unit_move_job(u, j, JOB_COMPLETE, NULL);
	unit_move_cluster(u, uc, st, deleted ? because : why);
	return announce(u, j, CALLBACK_SUCCESS);
}

/* A retry of selected tasks is done; the other tasks of the failed job remain. */
static int end_part(struct unit *u, struct unit_job *j, int64_t later)
{
	LOOM_CLEANUP_STR char *why =
		loom_asprintf("What was asked for is done; %lld task%s left for another retry.",
	                      (long long)later, later == 1 ? " is" : "s are");
	return fail(u, j, why);
}

/* ---- nodes that the provider did not release ------------------------------------------------- */

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

/* Such a job cannot complete; it fails when nothing is left to do. */
static int end_kept(struct unit *u, struct unit_job *j)
{
	struct task_counts n;
	int rc = u->store->counts(u->db, j->job.cluster_id, j->job.num, &n);
	if (rc || n.running || n.open)
		return rc;
	LOOM_CLEANUP_STR char *why = kept_message(j->job.params.kept);
	return fail(u, j, why);
}

int lifecycle_kept(struct unit *u, struct unit_job *j, const struct task *t)
{
	int64_t cluster = t->cluster_id;
	int rc = unit_load_nodes(u, &cluster, 1);
	if (rc)
		return rc;
	const struct node *n = unit_node(u, t);
	if (!j->job.params.kept)
		j->job.params.kept = json_new_arr();
	struct json *one = json_set_int(json_new_obj(), "nodenum", t->node_num);
	json_set_str(one, "hostname", n ? n->hostname : t->node_id);
	json_set_str(one, "reason", str_blank(t->message) ? "no reason given" : t->message);
	json_push(j->job.params.kept, one);
	j->changed = j->progressed = true;
	j->reported = false;
	return 0;
}

/* ---- is it over? ----------------------------------------------------------------------------- */

static int check_end(struct unit *u, struct unit_job *j)
{
	if (job_ended(j->job.status))
		return settle(u, j);
	if (j->job.params.kept)
		return end_kept(u, j);
	if (j->job.tasks_done < j->job.tasks_total)
		return 0;
	int64_t later = j->job.params.later;
	return later > 0 ? end_part(u, j, later) : complete(u, j);
}

int unit_finish(struct unit *u)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_jobs; i++) {
		struct unit_job *j = u->jobs[i];
		if (j->check_end)
			rc = check_end(u, j);
		if (!rc && j->progressed && !j->reported)
			job_event(cluster_of(u, j)->tx.c, &j->job, u->now);
	}
	return rc;
}
