/* SPDX-License-Identifier: Apache-2.0 */
/* batch_unit - what a unit of work holds, found by number. */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/str.h"

struct task_ref task_ref_of(const struct task *t)
{
	return (struct task_ref){ t->cluster_id, t->job_num, t->num };
}

static bool same_ref(const struct task_ref *a, const struct task_ref *b)
{
	return a->cluster == b->cluster && a->job == b->job && a->task == b->task;
}

struct batch_cluster *unit_cluster(const struct unit *u, int64_t id)
{
	for (size_t i = 0; i < u->batch->n_clusters; i++)
		if (u->batch->batch_cluster[i].tx.c->id == id)
			return &u->batch->batch_cluster[i];
	return NULL;
}

struct batch_cluster *unit_held(const struct unit *u, int64_t id)
{
	struct batch_cluster *t = unit_cluster(u, id);
	loom_assert(t);
	return t;
}

static size_t hash_of(const struct task_ref *ref)
{
	uint64_t h = (uint64_t)ref->cluster * 0x9e3779b97f4a7c15u;
	h = (h ^ (uint64_t)ref->job) * 0x9e3779b97f4a7c15u;
	h = (h ^ (uint64_t)ref->task) * 0x9e3779b97f4a7c15u;
	return (size_t)(h >> 20);
}

/* Where the task is in the index, or would be. */
static size_t slot_of(const struct unit *u, const struct task_ref *ref)
{
	size_t at = hash_of(ref) & (u->n_index - 1);
	while (u->index[at]) {
		const struct task_ref own = task_ref_of(u->items[u->index[at] - 1].t);
		if (same_ref(&own, ref))
			break;
		at = (at + 1) & (u->n_index - 1);
	}
	return at;
}

struct item *unit_item(const struct unit *u, const struct task_ref *ref)
{
	size_t place = u->n_index ? u->index[slot_of(u, ref)] : 0;
	return place ? &u->items[place - 1] : NULL;
}

struct job_delta *unit_job(const struct unit *u, const struct task *t)
{
	for (size_t i = 0; i < u->n_jobs; i++)
		if (u->jobs[i].job.cluster_id == t->cluster_id && u->jobs[i].job.num == t->job_num)
			return &u->jobs[i];
	return NULL;
}

bool unit_has_all(const struct unit *u, int64_t cluster, int64_t job)
{
	return unit_held(u, cluster)->cached->whole_job == job;
}

/* Room for so many items, half of the index being empty. */
static void reserve(struct unit *u, size_t n)
{
	u->items = loom_realloc(u->items, (n + 1) * sizeof(*u->items));
	if (2 * n < u->n_index)
		return;
	u->n_index = u->n_index ? u->n_index : 64;
	while (u->n_index <= 2 * n)
		u->n_index *= 2;
	loom_free(u->index);
	u->index = loom_calloc(u->n_index, sizeof(*u->index));
	for (size_t i = 0; i < u->n_items; i++) {
		const struct task_ref ref = task_ref_of(u->items[i].t);
		u->index[slot_of(u, &ref)] = i + 1;
	}
}

void unit_add(struct unit *u, struct tasks *set)
{
	u->sets = loom_realloc(u->sets, (u->n_sets + 1) * sizeof(struct tasks *));
	u->sets[u->n_sets++] = set;
	reserve(u, u->n_items + set->n);
	for (size_t i = 0; i < set->n; i++) {
		const struct task_ref ref = task_ref_of(&set->v[i]);
		size_t at = slot_of(u, &ref);
		struct item *known = u->index[at] ? &u->items[u->index[at] - 1] : NULL;
		if (!known) {
			u->items[u->n_items++] = (struct item){ .t = &set->v[i] };
			u->index[at] = u->n_items;
		} else if (!known->changed) {
			known->t = &set->v[i];
		}
	}
}
