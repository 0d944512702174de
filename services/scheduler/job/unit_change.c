/* SPDX-License-Identifier: Apache-2.0 */
/* unit_change - changes rows in a unit of work and decides in which order all are written. */
#include "services/scheduler/job/unit.h"

#include "common/base/str.h"
#include "services/scheduler/job/unit_trace.h"

#include <stdio.h>

static struct unit_task *item_of(const struct unit *u, const struct task *t)
{
	const struct task_ref ref = task_ref_of(t);
	struct unit_task *it = unit_item(u, &ref);
	loom_assert(it && it->t == t);
	return it;
}

void unit_task_changed(struct unit *u, const struct task *t)
{
	item_of(u, t)->changed = true;
}

void unit_wait_less(struct unit *u, struct task *t, int64_t unmet)
{
	t->unmet = unmet;
	item_of(u, t)->waits_less = true;
}

void unit_move_task(struct unit *u, struct task *t, enum task_state to)
{
	if (t->state == TASK_RUNNING)
		unit_trace_task(u, t, to);
	task_transition(unit_held(u, t->cluster_id)->tx.c, t, to, u->now);
	unit_task_changed(u, t);
	if (to != TASK_READY)
		return;
	u->newly_ready = LOOM_GROW(u->newly_ready, u->n_newly_ready);
	u->newly_ready[u->n_newly_ready++] = t;
}

void unit_move_job(struct unit *u, struct unit_job *j, enum job_status to, const char *message)
{
	struct unit_cluster *uc = unit_held(u, j->job.cluster_id);
	job_transition(uc->tx.c, &j->job, to, message, u->now);
	j->changed = j->reported = true;
	uc->uncacheable = uc->uncacheable || job_ended(to);
	if (job_ended(to))
		unit_trace_job(u, &j->job);
}

void unit_move_cluster(struct unit *u, struct unit_cluster *uc, enum cluster_status to,
                       const char *message)
{
	cluster_transition(uc->tx.c, to, message, u->now);
	uc->save_row = true;
}

void unit_insert_tasks(struct unit *u, struct unit_job *j, const struct task *v, size_t n,
                       const struct task *then)
{
	struct tasks *set = loom_calloc(1, sizeof(*set));
	set->v = loom_calloc(n + 1, sizeof(*set->v));
	for (size_t i = 0; i < n; i++) {
		set->v[i] = v[i];
		set->v[i].tenant_id = loom_strdup(v[i].tenant_id);
		set->v[i].service = loom_strdup(v[i].service);
	}
	set->n = n;
	unit_add_tasks(u, set);
	for (size_t i = 0; i < n; i++) {
		item_of(u, &set->v[i])->fresh = true;
		u->new_edges = LOOM_GROW(u->new_edges, u->n_new_edges);
		u->new_edges[u->n_new_edges++] =
			(struct unit_edge){ j->job.cluster_id,
			                    j->job.num,
			                    { v[i].num, i + 1 < n ? v[i + 1].num : then->num } };
	}
	j->job.tasks_total += (int64_t)n;
	j->progressed = true;
	j->reported = false;
}

void unit_keep_failure(struct unit *u, const struct task *t, const char *out, const char *err)
{
	u->failures = LOOM_GROW(u->failures, u->n_failures);
	struct unit_failure *f = &u->failures[u->n_failures++];
	*f = (struct unit_failure){ .t = *t, .out = loom_strdup(out), .err = loom_strdup(err) };
	f->t.message = loom_strdup(t->message);
	f->t.provisioner_id = loom_strdup(t->provisioner_id);
}

void unit_freed(struct unit *u, const struct task *of, const char *node_id)
{
	struct task_node new = { .cluster = of->cluster_id, .job = of->job_num };
	snprintf(new.id, sizeof(new.id), "%s", node_id);
	for (size_t i = 0; i < u->n_freed; i++) {
		if (u->freed[i].cluster == new.cluster &&
		    u->freed[i].job == new.job &&str_eq(u->freed[i].id, new.id))
			return;
	}
	u->freed = LOOM_GROW(u->freed, u->n_freed);
	u->freed[u->n_freed++] = new;
}

void unit_done(struct unit *u, const struct task *t)
{
	u->done = LOOM_GROW(u->done, u->n_done);
	u->done[u->n_done++] = task_ref_of(t);
}

void unit_judge(struct unit *u, const struct task *t)
{
	u->judged = LOOM_GROW(u->judged, u->n_judged);
	u->judged[u->n_judged++] = t;
}

int unit_drop_open(struct unit *u, struct unit_job *j)
{
	int rc = unit_load_open(u, &j->job);
	for (size_t i = 0; !rc && i < u->n_items; i++) {
		struct task *t = u->items[i].t;
		if (t->cluster_id == j->job.cluster_id && t->job_num == j->job.num &&
		    (t->state == TASK_BLOCKED || t->state == TASK_READY))
			unit_move_task(u, t, TASK_DROPPED);
	}
	return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Counts ready tasks that nobody took yet, so that other takes are woken. */
static void count_ready(struct unit *u)
{
	for (size_t i = 0; i < u->n_newly_ready; i++) {
		if (u->newly_ready[i]->state == TASK_READY)
			unit_held(u, u->newly_ready[i]->cluster_id)->tx.ready++;
	}
}

int unit_commit(struct unit *u)
{
	int rc = unit_release(u);
	count_ready(u);
	if (!rc)
		rc = u->store->write_tasks(u);
	if (!rc)
		rc = unit_finish(u);
	return rc ? rc : u->store->write_jobs(u);
}

void cluster_tx_fini(struct cluster_tx *tx)
{
	cluster_free(tx->c);
	tx->c = NULL;
	strs_fini(&tx->spans);
}

int unit_run_one(struct db *db, const struct job_policy *policy, int64_t cluster,
                 struct cluster_tx *tx,
                 int (*fn)(struct unit *u, struct unit_cluster *uc, void *arg), void *arg)
{
	struct cluster *c = NULL;
	struct unit u;
	cluster_tx_fini(tx);
	int rc = cluster_lock(db, cluster, &c);
	if (rc)
		return rc;
	unit_init(&u, &unit_sql, db, policy, NULL, 1);
	struct unit_cluster *uc = unit_add_cluster(&u, c, NULL);
	rc = fn(&u, uc, arg);
	if (!rc)
		rc = unit_commit(&u);
	if (!rc && (uc->save_row || c->event_seq != uc->seq))
		rc = cluster_save(db, c);
	*tx = uc->tx;
	uc->tx.c = NULL;
	u.n_clusters = 0;
	cluster_rows_fini(&uc->rows);
	unit_fini(&u);
	return rc;
}
