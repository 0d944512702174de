/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/turn_private.h"

#include "common/base/str.h"

#include <stdlib.h>

struct task_ref task_ref_of(const struct task *t)
{
	return (struct task_ref){ t->cluster_id, t->job_num, t->num };
}

static bool same_ref(const struct task_ref *a, const struct task_ref *b)
{
	return a->cluster == b->cluster && a->job == b->job && a->task == b->task;
}

struct touched *unit_cluster(const struct unit *u, int64_t id)
{
	for (size_t i = 0; i < u->turn->n_touched; i++)
		if (u->turn->touched[i].ch.c->id == id)
			return &u->turn->touched[i];
	return NULL;
}

struct item *unit_item(const struct unit *u, const struct task_ref *ref)
{
	for (size_t i = 0; i < u->n_items; i++) {
		const struct task_ref own = task_ref_of(u->items[i].t);
		if (same_ref(&own, ref))
			return &u->items[i];
	}
	return NULL;
}

struct moving *unit_job(const struct unit *u, const struct task *t)
{
	for (size_t i = 0; i < u->n_jobs; i++)
		if (u->jobs[i].job.cluster_id == t->cluster_id && u->jobs[i].job.num == t->job_num)
			return &u->jobs[i];
	return NULL;
}

void unit_add(struct unit *u, struct tasks *set)
{
	loom_assert(u->n_sets < LOOM_COUNT(u->sets));
	u->sets[u->n_sets++] = set;
	u->items = loom_realloc(u->items, (u->n_items + set->n + 1) * sizeof(*u->items));
	for (size_t i = 0; i < set->n; i++) {
		const struct task_ref ref = task_ref_of(&set->v[i]);
		struct item *known = unit_item(u, &ref);
		if (!known)
			u->items[u->n_items++] = (struct item){ .t = &set->v[i] };
		else if (!known->changed)
			known->t = &set->v[i];
	}
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static void forget_touched(struct turn *t)
{
	for (size_t i = 0; i < t->n_touched; i++)
		engine_fini(&t->touched[i].ch);
	loom_free(t->touched);
	t->touched = NULL;
	t->n_touched = 0;
}

static void begin(struct turn *t)
{
	forget_touched(t);
	for (size_t i = 0; i < t->n_results; i++)
		t->results[i].status = 417;
	for (size_t i = 0; i < t->n_takes; i++) {
		json_free(t->takes[i].docs);
		t->takes[i].docs = NULL;
		t->takes[i].size = 0;
	}
}

/* The tasks that the turn is about; those whose ids cannot be read are refused. */
static struct task_ref *wanted(struct turn *t, size_t *ret_n)
{
	struct task_ref *refs =
		loom_calloc(t->n_results + t->n_candidates + t->n_handed + 1, sizeof(*refs));
	size_t n = 0;
	for (size_t i = 0; i < t->n_results; i++)
		if (!id_parse_task(json_get_str(t->results[i].body, "taskId"), &refs[n]))
			n++;
		else
			t->results[i].status = 400;
	for (size_t i = 0; i < t->n_candidates; i++)
		refs[n++] = t->candidates[i];
	for (size_t i = 0; i < t->n_handed; i++)
		refs[n++] = t->handed[i].ref;
	*ret_n = n;
	return refs;
}

static int by_number(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static size_t clusters_of(const struct task_ref *refs, size_t n, int64_t *ids)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		ids[i] = refs[i].cluster;
	if (n)
		qsort(ids, n, sizeof(*ids), by_number);
	for (size_t i = 0; i < n; i++)
		if (!k || ids[k - 1] != ids[i])
			ids[k++] = ids[i];
	return k;
}

static void touch(struct unit *u, struct cluster *c)
{
	struct turn *t = u->turn;
	struct touched *to = &t->touched[t->n_touched++];
	*to = (struct touched){ .ch = { .policy = &t->policy, .c = c }, .seq = c->event_seq };
	if (c->now > u->now)
		u->now = c->now;
}

static int lock_clusters(struct unit *u, const struct task_ref *refs, size_t n)
{
	int64_t *ids = loom_calloc(n + 1, sizeof(*ids));
	size_t n_ids = clusters_of(refs, n, ids), got = 0;
	struct cluster **v = NULL, *one = NULL;
	int rc = 0;
	u->turn->touched = loom_calloc(n_ids + 1, sizeof(*u->turn->touched));
	if (u->turn->wait && n_ids) {
		rc = cluster_lock(u->db, ids[0], &one);
		if (!rc)
			touch(u, one);
		else if (rc == CLUSTER_E_NONE)
			rc = 0;
	} else if (n_ids) {
		rc = clusters_lock_free(u->db, ids, n_ids, &v, &got);
		for (size_t i = 0; i < got; i++)
			touch(u, v[i]);
	}
	for (size_t i = 0; i < u->turn->n_touched; i++)
		u->turn->touched[i].ch.now = u->now;
	loom_free(v);
	loom_free(ids);
	return rc;
}

/* Only those whose clusters are ours: *n becomes smaller. */
static void keep_locked(const struct unit *u, struct task_ref *refs, size_t *n)
{
	size_t kept = 0;
	for (size_t i = 0; i < *n; i++)
		if (unit_cluster(u, refs[i].cluster))
			refs[kept++] = refs[i];
	*n = kept;
}

static int load_jobs(struct unit *u)
{
	struct task_ref *refs = loom_calloc(u->n_items + 1, sizeof(*refs));
	struct job *jobs = NULL;
	size_t n = 0, got = 0;
	for (size_t i = 0; i < u->n_items; i++) {
		const struct task *t = u->items[i].t;
		size_t k = 0;
		while (k < n && (refs[k].cluster != t->cluster_id || refs[k].job != t->job_num))
			k++;
		if (k == n)
			refs[n++] = task_ref_of(t);
	}
	int rc = jobs_get(u->db, refs, n, &jobs, &got);
	u->jobs = loom_calloc(got + 1, sizeof(*u->jobs));
	for (size_t i = 0; i < got; i++)
		u->jobs[u->n_jobs++].job = jobs[i];
	loom_free(jobs);
	loom_free(refs);
	return rc;
}

static int load(struct unit *u)
{
	size_t n;
	struct task_ref *refs = wanted(u->turn, &n);
	struct tasks *set = NULL;
	int rc = lock_clusters(u, refs, n);
	keep_locked(u, refs, &n);
	if (!rc)
		rc = tasks_get(u->db, refs, n, &set);
	loom_free(refs);
	if (rc)
		return rc;
	unit_add(u, set);
	return load_jobs(u);
}

/* ---- what is written ------------------------------------------------------------------------- */

static int by_ref(const void *a, const void *b)
{
	const struct task *x = *(struct task *const *)a, *y = *(struct task *const *)b;
	int64_t d = x->cluster_id != y->cluster_id ? x->cluster_id - y->cluster_id
	            : x->job_num != y->job_num     ? x->job_num - y->job_num
	                                           : x->num - y->num;
	return (d > 0) - (d < 0);
}

static int write_rows(struct unit *u)
{
	struct task **tasks = loom_calloc(u->n_items + 1, sizeof(struct task *));
	struct job **jobs = loom_calloc(u->n_jobs + 1, sizeof(struct job *));
	size_t n = 0, k = 0;
	for (size_t i = 0; i < u->n_items; i++)
		if (u->items[i].changed)
			tasks[n++] = u->items[i].t;
	for (size_t i = 0; i < u->n_jobs; i++)
		if (u->jobs[i].moved)
			jobs[k++] = &u->jobs[i].job;
	if (n) /* heartbeats lock tasks in this order, too */
		qsort(tasks, n, sizeof(struct task *), by_ref);
	int rc = tasks_save(u->db, tasks, n);
	if (!rc)
		rc = jobs_save_progress(u->db, jobs, k);
	for (size_t i = 0; !rc && i < u->n_jobs; i++) {
		const struct task *by = u->jobs[i].confirmed;
		if (by)
			rc = tasks_hurry(u->db, by, u->now,
			                 &unit_cluster(u, by->cluster_id)->ch.ready);
	}
	loom_free(tasks);
	loom_free(jobs);
	return rc;
}

static int write_clusters(struct unit *u)
{
	struct turn *t = u->turn;
	struct cluster **v = loom_calloc(t->n_touched + 1, sizeof(struct cluster *));
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; !rc && i < t->n_touched; i++) {
		if (t->touched[i].whole)
			rc = engine_commit(u->db, &t->touched[i].ch);
		else if (t->touched[i].ch.c->event_seq != t->touched[i].seq)
			v[n++] = t->touched[i].ch.c;
	}
	if (!rc)
		rc = clusters_save_events(u->db, v, n);
	loom_free(v);
	return rc;
}

static void unit_fini(struct unit *u)
{
	for (size_t i = 0; i < u->n_jobs; i++)
		job_fini(&u->jobs[i].job);
	for (size_t i = 0; i < u->n_refusals; i++)
		loom_free(u->refusals[i].why);
	limits_hold_fini(&u->limits);
	for (size_t i = 0; i < u->n_sets; i++)
		tasks_free(u->sets[i]);
	if (!u->turn->successors)
		successors_destroy(u->successors);
	nodes_free(u->nodes);
	void *const all[] = { u->items, u->jobs,    u->machines, u->done,
		              u->born,  u->own_way, u->choices,  u->refusals };
	for (size_t i = 0; i < LOOM_COUNT(all); i++)
		loom_free(all[i]);
}

static int turn_tx(struct db *db, void *arg)
{
	static int (*const steps[])(struct unit *
	                            u) = { load,          results_apply,   claims_make,
		                           write_rows,    results_own_way, claims_refuse,
		                           write_clusters };
	struct turn *t = arg;
	struct unit u = { .turn = t, .db = db };
	u.successors = t->successors ? t->successors : successors_create();
	int rc = 0;
	begin(t);
	for (size_t i = 0; !rc && i < LOOM_COUNT(steps); i++)
		rc = steps[i](&u);
	unit_fini(&u);
	return rc;
}

int turn_run(struct turn *t)
{
	t->more = false;
	t->look_ms = -1;
	if (t->n_takes && !t->search)
		turn_bar(t);
	int rc = t->search ? candidates_find(t) : 0;
	if (!rc && (t->n_results || t->n_candidates))
		rc = db_tx(t->db, turn_tx, t);
	return rc;
}

void turn_fini(struct turn *t)
{
	forget_touched(t);
	for (size_t i = 0; i < t->n_takes; i++)
		json_free(t->takes[i].docs);
	loom_free(t->candidates);
	loom_free(t->handed);
}
