/* SPDX-License-Identifier: Apache-2.0 */
/* unit_sql - the rows of a unit of work in the database. Each statement reads or writes many
 * rows. */
#include "services/scheduler/job/quarantine_policy.h"
#include "services/scheduler/job/unit.h"

#include <stdlib.h>

static int write_nodes(struct unit *u)
{
	struct node **changed = loom_calloc(u->n_nodes + 1, sizeof(struct node *));
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_nodes; i++) {
		struct node *at = unit_node_at(u, &u->nodes[i]);
		if (u->nodes[i].fresh)
			rc = nodes_insert(u->db, u->nodes[i].cluster, &(struct nodes){ at, 1 });
		else
			changed[n++] = at;
	}
	if (!rc)
		rc = nodes_save(u->db, changed, n);
	loom_free(changed);
	return rc;
}

/* The new tasks of one job, with their edges. */
static int insert_tasks(struct unit *u, const struct unit_job *j)
{
	struct task *v = loom_calloc(u->n_items + 1, sizeof(*v));
	struct task_edge *edges = loom_calloc(u->n_new_edges + 1, sizeof(*edges));
	size_t n = 0, n_edges = 0;
	for (size_t i = 0; i < u->n_items; i++) {
		if (u->items[i].fresh && u->items[i].t->cluster_id == j->job.cluster_id &&
		    u->items[i].t->job_num == j->job.num)
			v[n++] = *u->items[i].t;
	}
	for (size_t i = 0; i < u->n_new_edges; i++) {
		if (u->new_edges[i].cluster == j->job.cluster_id &&
		    u->new_edges[i].job == j->job.num)
			edges[n_edges++] = u->new_edges[i].edge;
	}
	int rc = tasks_insert(u->db, v, n, edges, n_edges);
	loom_free(v);
	loom_free(edges);
	return rc;
}

static int by_ref(const void *a, const void *b)
{
	const struct task *x = *(struct task *const *)a, *y = *(struct task *const *)b;
	int64_t d = x->cluster_id != y->cluster_id ? x->cluster_id - y->cluster_id
	            : x->job_num != y->job_num     ? x->job_num - y->job_num
	                                           : x->num - y->num;
	return (d > 0) - (d < 0);
}

static bool is_changed(const struct unit_task *it)
{
	return it->changed;
}

/* Most rows of a batch are tasks that now wait for less but still wait: for these one column is
 * written instead of all. */
static bool only_waits_less(const struct unit_task *it)
{
	return it->waits_less && !it->changed;
}

static bool is_placed(const struct unit_task *it)
{
	return it->placed;
}

/* Sorted, because heartbeats lock running tasks in the same order. */
static int save_those(struct unit *u, bool (*which)(const struct unit_task *it),
                      int (*save)(struct db *db, struct task *const *v, size_t n))
{
	struct task **v = loom_calloc(u->n_items + 1, sizeof(struct task *));
	size_t n = 0;
	for (size_t i = 0; i < u->n_items; i++) {
		if (which(&u->items[i]))
			v[n++] = u->items[i].t;
	}
	if (n)
		qsort(v, n, sizeof(struct task *), by_ref);
	int rc = save(u->db, v, n);
	loom_free(v);
	return rc;
}

static int save_tasks(struct unit *u)
{
	int rc = save_those(u, is_changed, tasks_save);
	if (!rc)
		rc = save_those(u, only_waits_less, tasks_save_unmet);
	return rc ? rc : save_those(u, is_placed, tasks_place);
}

static int write_evidence(struct unit *u)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_failures; i++) {
		const struct unit_failure *f = &u->failures[i];
		rc = task_keep_failure(u->db, &f->t, f->out, f->err);
	}
	for (size_t i = 0; !rc && i < u->n_judged; i++)
		rc = quarantine_judge(u->db, &unit_held(u, u->judged[i]->cluster_id)->tx,
		                      u->policy->quarantine, u->judged[i]);
	return rc;
}

/* May a task of this job be postponed until a node's address is known? Not if all open tasks are
 * loaded and none of them is ready and untried. */
static bool may_wait_for_address(const struct unit *u, const struct job *j)
{
	char gate[TASK_GATE_MAX];
	if (!unit_has_all(u, j))
		return true;
	for (size_t i = 0; i < u->n_items; i++) {
		const struct task *t = u->items[i].t;
		if (t->cluster_id != j->cluster_id || t->job_num != j->num ||
		    t->state != TASK_READY || t->failures)
			continue;
		task_gate(t->name, "any", gate); /* provider calls need no addresses */
		if (!*gate)
			return true;
	}
	return false;
}

/* Makes tasks runnable that were postponed until these addresses were known. Asks the database,
 * because another scheduler may have postponed a task without an event. */
static int clear_postponed(struct unit *u)
{
	const struct task **by = loom_calloc(u->n_jobs + 1, sizeof(*by));
	size_t n = 0;
	int ready = 0;
	for (size_t i = 0; i < u->n_jobs; i++) {
		if (u->jobs[i]->confirmed && !job_ended(u->jobs[i]->job.status) &&
		    may_wait_for_address(u, &u->jobs[i]->job))
			by[n++] = u->jobs[i]->confirmed;
	}
	int rc = tasks_clear_postponed(u->db, by, n, u->now, &ready);
	for (size_t i = 0; ready && i < n; i++) {
		struct unit_cluster *uc = unit_held(u, by[i]->cluster_id);
		uc->tx.ready++;
		uc->uncacheable = true;
	}
	loom_free(by);
	return rc;
}

static int sql_write_tasks(struct unit *u)
{
	int rc = write_nodes(u);
	for (size_t i = 0; !rc && u->n_new_edges && i < u->n_jobs; i++)
		rc = insert_tasks(u, u->jobs[i]);
	if (!rc)
		rc = save_tasks(u);
	if (!rc)
		rc = write_evidence(u);
	return rc ? rc : clear_postponed(u);
}

static int sql_write_jobs(struct unit *u)
{
	struct job **progressed = loom_calloc(u->n_jobs + 1, sizeof(struct job *));
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_jobs; i++) {
		struct unit_job *j = u->jobs[i];
		if (j->fresh)
			rc = job_insert(u->db, unit_held(u, j->job.cluster_id)->tx.c, &j->job);
		else if (j->changed)
			rc = job_save(u->db, &j->job);
		else if (j->progressed)
			progressed[n++] = &j->job;
	}
	if (!rc)
		rc = jobs_save_progress(u->db, progressed, n);
	loom_free(progressed);
	return rc;
}

const struct unit_store unit_sql = {
	.tasks = tasks_get,
	.open_tasks = tasks_open,
	.tasks_of_nodes = tasks_of_nodes,
	.edges = task_edges_stored,
	.jobs = jobs_get,
	.nodes = nodes_of,
	.documents = cluster_load_docs,
	.awaits_nodes = tasks_await_nodes,
	.counts = tasks_count,
	.absent = nodes_absent,
	.forget_deleted = nodes_deleted,
	.provisioners_beside = provisioners_beside,
	.probe = quarantine_probe,
	.lock_limits = limits_lock,
	.write_tasks = sql_write_tasks,
	.write_jobs = sql_write_jobs,
};
