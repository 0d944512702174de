/* SPDX-License-Identifier: Apache-2.0 */
/* release - makes tasks ready: those whose predecessors are all complete, on nodes where no other
 * task of the job is under way. */
#include "services/scheduler/job/unit.h"

#include "common/base/fault.h"
#include "common/base/str.h"

struct waiting {
	struct task_ref *v; /* one entry per edge satisfied now */
	size_t n, most;
};

static void add_waiting(struct waiting *w, const struct job *j, const int64_t *nums, size_t n)
{
	if (w->n + n > w->most) {
		w->most = 2 * (w->n + n);
		w->v = loom_realloc(w->v, w->most * sizeof(*w->v));
	}
	for (size_t i = 0; i < n; i++) {
		if (nums[i] > 0)
			w->v[w->n++] = (struct task_ref){ j->cluster_id, j->num, nums[i] };
	}
}

static int edges_from(struct unit *u, const struct unit_job *j, int64_t from, struct edge_ends *ret)
{
	const struct edges_source source = { u->store->edges, u->db };
	return edges_cache_get(u->edges, &j->job, j->stored_total, from, &source, ret);
}

/* Adds the successors of a task, and of the groups that it completes. */
static int add_successors(struct unit *u, struct unit_job *j, int64_t task, struct waiting *w)
{
	struct edge_ends ends;
	size_t n_groups = 0;
	int rc = edges_from(u, j, task, &ends);
	if (rc)
		return rc;
	add_waiting(w, &j->job, ends.v, ends.n);
	int64_t *groups = loom_calloc(ends.n + 1, sizeof(*groups));
	for (size_t i = 0; i < ends.n; i++) {
		if (ends.v[i] < 0 && task_group_done(&j->job, ends.v[i]))
			groups[n_groups++] = ends.v[i];
	}
	for (size_t i = 0; !rc && i < n_groups; i++) {
		rc = edges_from(u, j, groups[i], &ends);
		if (!rc)
			add_waiting(w, &j->job, ends.v, ends.n);
	}
	loom_free(groups);
	return rc;
}

static int load_waiting(struct unit *u, const struct waiting *w)
{
	struct task_ref *refs = loom_calloc(w->n + 1, sizeof(*refs));
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++) {
		if (!unit_has_all(u, &unit_job(u, w->v[i].cluster, w->v[i].job)->job) &&
		    !unit_item(u, &w->v[i]))
			refs[n++] = w->v[i];
	}
	int rc = unit_load_tasks(u, refs, n);
	loom_free(refs);
	return rc;
}

/* Decrements the open waits of every successor of the completed tasks. */
static int satisfy_edges(struct unit *u)
{
	struct waiting w = { 0 };
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_done; i++) {
		struct unit_job *j = unit_job(u, u->done[i].cluster, u->done[i].job);
		if (!job_ended(j->job.status))
			rc = add_successors(u, j, u->done[i].task, &w);
	}
	u->n_done = 0;
	if (!rc)
		rc = load_waiting(u, &w);
	for (size_t i = 0; !rc && i < w.n; i++) {
		struct task *t = unit_task(u, &w.v[i]);
		if (!t || t->unmet <= 0)
			continue;
		unit_wait_less(u, t, fault_enabled("edges") ? 0 : t->unmet - 1);
		if (!t->unmet)
			unit_freed(u, t, t->node_id);
	}
	loom_free(w.v);
	return rc;
}

/* Loads the tasks under way, or possible next, on the freed nodes. */
static int load_freed(struct unit *u)
{
	struct task_node *unknown = loom_calloc(u->n_freed + 1, sizeof(*unknown));
	struct tasks *set = NULL;
	size_t n = 0;
	for (size_t i = 0; i < u->n_freed; i++) {
		const struct task_node *at = &u->freed[i];
		struct map *loaded = unit_held(u, at->cluster)->rows.nodes_loaded;
		if (unit_has_all(u, &unit_job(u, at->cluster, at->job)->job) ||
		    map_get(loaded, at->id))
			continue;
		unknown[n++] = *at;
	}
	int rc = n ? u->store->tasks_of_nodes(u->db, unknown, n, &set) : 0;
	for (size_t i = 0; !rc && i < n; i++) {
		struct map *loaded = unit_held(u, unknown[i].cluster)->rows.nodes_loaded;
		map_set(loaded, unknown[i].id, loaded); /* a set: any value will do */
	}
	if (!rc && set)
		unit_add_tasks(u, set);
	loom_free(unknown);
	return rc;
}

/* The node's first task without open waits, unless another task of its job is under way there. */
static struct task *next_of(const struct unit *u, const struct task_node *at)
{
	struct task *first = NULL;
	for (size_t i = 0; i < u->n_items; i++) {
		struct task *t = u->items[i].t;
		if (t->cluster_id != at->cluster || t->job_num != at->job ||
		    !str_eq(t->node_id, at->id))
			continue;
		if (t->state == TASK_READY || t->state == TASK_RUNNING)
			return NULL;
		if (t->state == TASK_BLOCKED && !t->unmet && (!first || t->num < first->num))
			first = t;
	}
	return first;
}

int unit_release(struct unit *u)
{
	int rc = satisfy_edges(u);
	if (!rc)
		rc = load_freed(u);
	for (size_t i = 0; !rc && i < u->n_freed; i++) {
		const struct task_node *at = &u->freed[i];
		struct task *t = next_of(u, at);
		if (!t || job_ended(unit_job(u, at->cluster, at->job)->job.status))
			continue;
		/* Claims go by not_before: the task that has been ready longest comes first. */
		if (t->not_before < u->now && !t->failures)
			t->not_before = u->now;
		unit_move_task(u, t, TASK_READY);
	}
	u->n_freed = 0;
	return rc;
}
