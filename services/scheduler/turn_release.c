/* SPDX-License-Identifier: Apache-2.0 */
/* turn_release - what becomes ready when the tasks before it are complete. */
#include "services/scheduler/turn_private.h"

#include "common/base/broken.h"

static void make_ready(struct unit *u, struct item *it)
{
	struct task *t = it->t;
	loom_assert(task_may_become(t->state, TASK_READY));
	t->state = TASK_READY;
	/* not_before is the claim order too: the longest ready first. */
	if (t->not_before < u->now && !t->failures)
		t->not_before = u->now;
	it->changed = true;
	u->born[u->n_born++] = t;
	task_event(unit_held(u, t->cluster_id)->ch.c, t, u->now);
}

/* The first waiting task of a node whose job moved here, if nothing else is under way there. */
static struct item *next_of_node(const struct unit *u, const char *node)
{
	struct item *first = NULL;
	for (size_t i = 0; i < u->n_items; i++) {
		struct item *it = &u->items[i];
		if (!str_eq(it->t->node_id, node))
			continue;
		if (it->t->state == TASK_READY || it->t->state == TASK_RUNNING)
			return NULL;
		const struct moving *m = unit_job(u, it->t);
		if (it->t->state == TASK_BLOCKED && !it->t->unmet && m && m->moved &&
		    (!first || it->t->num < first->t->num))
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
static void meet_known(struct unit *u, const struct job *j, const int64_t *nums, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct task_ref ref = { j->cluster_id, j->num, nums[i] };
		struct item *it = unit_item(u, &ref);
		if (it && it->t->unmet > 0)
			it->t->unmet--;
	}
}

/* What is ready to run on these machines is not all known any more. */
static void sweep_again(const struct unit *u, int64_t cluster, const struct strs *nodes)
{
	struct map *swept = unit_held(u, cluster)->page->swept;
	for (size_t i = 0; i < nodes->n; i++)
		(void)map_del(swept, nodes->v[i]);
}

/* Those who wait for a group whose last member is complete. */
static int meet_group(struct unit *u, const struct job *j, int64_t group, struct waiting *w,
                      struct strs *nodes)
{
	const struct task_ref ref = { j->cluster_id, j->num, group };
	const int64_t *nums;
	size_t n;
	int rc = successors_get(u->successors, u->db, j, group, &nums, &n);
	if (rc)
		return rc;
	if (n > MANY_WAIT) {
		meet_known(u, j, nums, n);
		rc = task_release_group(u->db, &ref, nodes);
		sweep_again(u, j->cluster_id, nodes);
		return rc;
	}
	add_waiting(w, j, nums, n);
	return 0;
}

/* Those who wait for a task. */
static int meet(struct unit *u, const struct task_ref *done, struct waiting *w, struct strs *nodes)
{
	const struct task key = { .cluster_id = done->cluster, .job_num = done->job };
	struct job *j = &unit_job(u, &key)->job;
	const int64_t *nums;
	size_t n, n_groups = 0;
	int rc = successors_get(u->successors, u->db, j, done->task, &nums, &n);
	if (rc)
		return rc;
	add_waiting(w, j, nums, n);
	int64_t *groups = loom_calloc(n + 1, sizeof(*groups));
	for (size_t i = 0; i < n; i++)
		if (nums[i] < 0)
			groups[n_groups++] = nums[i];
	for (size_t i = 0; !rc && i < n_groups; i++)
		if (task_group_done(j, groups[i]))
			rc = meet_group(u, j, groups[i], w, nodes);
	loom_free(groups);
	return rc;
}

static int load_waiting(struct unit *u, const struct waiting *w)
{
	struct task_ref *refs = loom_calloc(w->n + 1, sizeof(*refs));
	struct tasks *set = NULL;
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++)
		if (!unit_item(u, &w->v[i]))
			refs[n++] = w->v[i];
	int rc = tasks_get(u->db, refs, n, &set);
	if (!rc)
		unit_add(u, set);
	loom_free(refs);
	return rc;
}

/* Takes what is complete out of those who wait for it; adds the nodes of those that wait for
 * nothing else. */
static int meet_all(struct unit *u, struct strs *nodes)
{
	struct waiting w = { 0 };
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_done; i++)
		rc = meet(u, &u->done[i], &w, nodes);
	if (!rc)
		rc = load_waiting(u, &w);
	for (size_t i = 0; !rc && i < w.n; i++) {
		struct item *it = unit_item(u, &w.v[i]);
		if (!it || it->t->unmet <= 0)
			continue;
		it->t->unmet = broken("edges") ? 0 : it->t->unmet - 1;
		it->changed = true;
		if (!it->t->unmet && !strs_has(nodes, it->t->node_id))
			strs_add(nodes, it->t->node_id);
	}
	loom_free(w.v);
	return rc;
}

static bool is_swept(const struct unit *u, const char *node)
{
	for (size_t i = 0; i < u->turn->n_touched; i++)
		if (map_get(u->turn->touched[i].page->swept, node))
			return true;
	return false;
}

/* What is under way on these machines, or could be. Of machines that were swept before, all of it
 * is known. */
static int sweep(struct unit *u, const struct strs *nodes)
{
	LOOM_CLEANUP(strs_fini) struct strs unknown = { 0 };
	struct tasks *set = NULL;
	for (size_t i = 0; i < nodes->n; i++)
		if (!is_swept(u, nodes->v[i]))
			strs_add(&unknown, nodes->v[i]);
	int rc = tasks_of_nodes(u->db, &unknown, &set);
	if (rc)
		return rc;
	unit_add(u, set);
	for (size_t i = 0; i < set->n; i++) {
		struct map *m = unit_held(u, set->v[i].cluster_id)->page->swept;
		map_set(m, set->v[i].node_id, m);
	}
	return 0;
}

int results_release(struct unit *u)
{
	LOOM_CLEANUP(strs_fini) struct strs nodes = { 0 };
	for (size_t i = 0; i < u->n_items; i++)
		if (u->items[i].changed && !strs_has(&nodes, u->items[i].t->node_id))
			strs_add(&nodes, u->items[i].t->node_id);
	int rc = meet_all(u, &nodes);
	if (!rc)
		rc = sweep(u, &nodes);
	u->born = loom_calloc(nodes.n + 1, sizeof(struct task *));
	for (size_t i = 0; !rc && i < nodes.n; i++) {
		struct item *it = next_of_node(u, nodes.v[i]);
		if (it)
			make_ready(u, it);
	}
	for (size_t i = 0; !rc && i < u->n_jobs; i++)
		if (u->jobs[i].moved) {
			const struct job *j = &u->jobs[i].job;
			struct cluster *c = unit_held(u, j->cluster_id)->ch.c;
			job_event(c, j, u->now);
		}
	return rc;
}
