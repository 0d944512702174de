/* SPDX-License-Identifier: Apache-2.0 */
/* batch_release - what becomes ready when the tasks before it are complete. */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/broken.h"
#include "common/base/str.h"

#include <stdio.h>

static void make_ready(struct unit *u, struct item *it)
{
	struct task *t = it->t;
	loom_assert(task_may_become(t->state, TASK_READY));
	t->state = TASK_READY;
	/* not_before is the claim order too: the longest ready first. */
	if (t->not_before < u->now && !t->failures)
		t->not_before = u->now;
	it->changed = true;
	u->newly_ready[u->n_newly_ready++] = t;
	task_event(unit_held(u, t->cluster_id)->tx.c, t, u->now);
}

/* Machines on which something may have become ready; each once. */
struct candidate_nodes {
	struct task_node *v;
	size_t n, most;
};

static bool same_node(const struct task_node *a, const struct task_node *b)
{
	return a->cluster == b->cluster && a->job == b->job && str_eq(a->id, b->id);
}

static void add_candidate(struct candidate_nodes *to, int64_t cluster, int64_t job, const char *id)
{
	struct task_node new = { .cluster = cluster, .job = job };
	snprintf(new.id, sizeof(new.id), "%s", id);
	for (size_t i = 0; i < to->n; i++)
		if (same_node(&to->v[i], &new))
			return;
	if (to->n == to->most) {
		to->most = to->most ? 2 * to->most : 64;
		to->v = loom_realloc(to->v, to->most * sizeof(*to->v));
	}
	to->v[to->n++] = new;
}

static void add_candidate_of(struct candidate_nodes *to, const struct task *t)
{
	add_candidate(to, t->cluster_id, t->job_num, t->node_id);
}

/* The first waiting task of a machine whose job moved here, if nothing else is under way there. */
static struct item *next_of(const struct unit *u, const struct task_node *at)
{
	struct item *first = NULL;
	for (size_t i = 0; i < u->n_items; i++) {
		struct item *it = &u->items[i];
		const struct task *t = it->t;
		if (t->cluster_id != at->cluster || t->job_num != at->job ||
		    !str_eq(t->node_id, at->id))
			continue;
		if (t->state == TASK_READY || t->state == TASK_RUNNING)
			return NULL;
		const struct job_delta *m = unit_job(u, t);
		if (t->state == TASK_BLOCKED && !t->unmet && m && m->moved &&
		    (!first || t->num < first->t->num))
			first = it;
	}
	return first;
}

/* Of a group with more who wait for it than this, the database takes it out of them. */
#define MANY_WAIT 64

struct waiting {
	struct task_ref *v; /* once per edge that is met now */
	size_t n, most;
};

static void add_waiting(struct waiting *w, const struct job *j, const int64_t *nums, size_t n)
{
	if (w->n + n > w->most) {
		w->most = 2 * (w->n + n);
		w->v = loom_realloc(w->v, w->most * sizeof(*w->v));
	}
	for (size_t i = 0; i < n; i++)
		if (nums[i] > 0)
			w->v[w->n++] = (struct task_ref){ j->cluster_id, j->num, nums[i] };
}

/* Rows in memory that the database takes a group out of. */
static void satisfy_known(struct unit *u, const struct job *j, const int64_t *nums, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct task_ref ref = { j->cluster_id, j->num, nums[i] };
		struct item *it = unit_item(u, &ref);
		if (it && it->t->unmet > 0)
			it->t->unmet--;
	}
}

/* In the database, for there are many. What may run on these machines is not all known then. */
static int satisfy_many(struct unit *u, const struct job *j, int64_t group,
                        struct candidate_nodes *candidate_nodes)
{
	const struct task_ref ref = { j->cluster_id, j->num, group };
	struct map *nodes_loaded = unit_held(u, j->cluster_id)->cached->nodes_loaded;
	LOOM_CLEANUP(strs_fini) struct strs nodes = { 0 };
	int rc = task_release_group(u->db, &ref, &nodes);
	for (size_t i = 0; i < nodes.n; i++) {
		(void)map_del(nodes_loaded, nodes.v[i]);
		add_candidate(candidate_nodes, j->cluster_id, j->num, nodes.v[i]);
	}
	return rc;
}

/* Those who wait for a group whose last member is complete. */
static int satisfy_group(struct unit *u, const struct job *j, int64_t group, struct waiting *w,
                         struct candidate_nodes *candidate_nodes)
{
	const int64_t *nums;
	size_t n;
	int rc = edges_cache_get(u->edges_cache, u->db, j, group, &nums, &n);
	if (rc)
		return rc;
	if (n > MANY_WAIT) {
		satisfy_known(u, j, nums, n);
		return satisfy_many(u, j, group, candidate_nodes);
	}
	add_waiting(w, j, nums, n);
	return 0;
}

/* Those who wait for a task. */
static int satisfy(struct unit *u, const struct task_ref *done, struct waiting *w,
                   struct candidate_nodes *candidate_nodes)
{
	const struct task key = { .cluster_id = done->cluster, .job_num = done->job };
	struct job *j = &unit_job(u, &key)->job;
	const int64_t *nums;
	size_t n, n_groups = 0;
	int rc = edges_cache_get(u->edges_cache, u->db, j, done->task, &nums, &n);
	if (rc)
		return rc;
	add_waiting(w, j, nums, n);
	int64_t *groups = loom_calloc(n + 1, sizeof(*groups));
	for (size_t i = 0; i < n; i++)
		if (nums[i] < 0)
			groups[n_groups++] = nums[i];
	for (size_t i = 0; !rc && i < n_groups; i++)
		if (task_group_done(j, groups[i]))
			rc = satisfy_group(u, j, groups[i], w, candidate_nodes);
	loom_free(groups);
	return rc;
}

static int load_waiting(struct unit *u, const struct waiting *w)
{
	struct task_ref *refs = loom_calloc(w->n + 1, sizeof(*refs));
	struct tasks *set = NULL;
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++)
		if (!unit_has_all(u, w->v[i].cluster, w->v[i].job) && !unit_item(u, &w->v[i]))
			refs[n++] = w->v[i];
	int rc = tasks_get(u->db, refs, n, &set);
	if (!rc)
		unit_add(u, set);
	loom_free(refs);
	return rc;
}

/* Takes what is complete out of those who wait for it; adds the machines of those that wait
 * for nothing else. */
static int satisfy_all(struct unit *u, struct candidate_nodes *candidate_nodes)
{
	struct waiting w = { 0 };
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_done; i++)
		rc = satisfy(u, &u->done[i], &w, candidate_nodes);
	if (!rc)
		rc = load_waiting(u, &w);
	for (size_t i = 0; !rc && i < w.n; i++) {
		struct item *it = unit_item(u, &w.v[i]);
		if (!it || it->t->unmet <= 0)
			continue;
		it->t->unmet = broken("edges") ? 0 : it->t->unmet - 1;
		it->changed = true;
		if (!it->t->unmet)
			add_candidate_of(candidate_nodes, it->t);
	}
	loom_free(w.v);
	return rc;
}

static struct map *nodes_loaded(const struct unit *u, const struct task_node *at)
{
	return unit_held(u, at->cluster)->cached->nodes_loaded;
}

/* What is under way on these machines, or could be. Of machines that were read before, all of it
 * is known. */
static int load_candidate_nodes(struct unit *u, const struct candidate_nodes *candidate_nodes)
{
	struct task_node *unknown = loom_calloc(candidate_nodes->n + 1, sizeof(*unknown));
	struct tasks *set = NULL;
	size_t n = 0;
	for (size_t i = 0; i < candidate_nodes->n; i++)
		if (!unit_has_all(u, candidate_nodes->v[i].cluster, candidate_nodes->v[i].job) &&
		    !map_get(nodes_loaded(u, &candidate_nodes->v[i]), candidate_nodes->v[i].id))
			unknown[n++] = candidate_nodes->v[i];
	int rc = tasks_of_nodes(u->db, unknown, n, &set);
	for (size_t i = 0; !rc && i < n; i++) {
		struct map *m = nodes_loaded(u, &unknown[i]);
		map_set(m, unknown[i].id, m); /* a set: any value will do */
	}
	if (!rc)
		unit_add(u, set);
	loom_free(unknown);
	return rc;
}

int results_release(struct unit *u)
{
	struct candidate_nodes candidate_nodes = { 0 };
	for (size_t i = 0; i < u->n_items; i++)
		if (u->items[i].changed)
			add_candidate_of(&candidate_nodes, u->items[i].t);
	int rc = satisfy_all(u, &candidate_nodes);
	if (!rc)
		rc = load_candidate_nodes(u, &candidate_nodes);
	u->newly_ready = loom_calloc(candidate_nodes.n + 1, sizeof(struct task *));
	for (size_t i = 0; !rc && i < candidate_nodes.n; i++) {
		struct item *it = next_of(u, &candidate_nodes.v[i]);
		if (it)
			make_ready(u, it);
	}
	loom_free(candidate_nodes.v);
	for (size_t i = 0; !rc && i < u->n_jobs; i++)
		if (u->jobs[i].moved) {
			const struct job *j = &u->jobs[i].job;
			struct cluster *c = unit_held(u, j->cluster_id)->tx.c;
			job_event(c, j, u->now);
		}
	return rc;
}
