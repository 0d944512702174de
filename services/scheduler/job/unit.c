/* SPDX-License-Identifier: Apache-2.0 */
/* unit - the contents of a unit of work: rows found by number, loaded when missing, marked when
 * changed. */
#include "services/scheduler/job/unit.h"

#include "common/base/compare.h"
#include "common/base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cluster_rows_fini(struct cluster_rows *r)
{
	for (size_t i = 0; i < r->n_jobs; i++)
		job_fini(&r->jobs[i]);
	loom_free(r->jobs);
	tasks_free(r->tasks);
	nodes_free(r->nodes);
	map_destroy(r->nodes_loaded);
	*r = (struct cluster_rows){ 0 };
}

void unit_init(struct unit *u, const struct unit_store *store, struct db *db,
               const struct job_policy *policy, struct edges_cache *edges, size_t max_clusters)
{
	*u = (struct unit){ .store = store,
		            .db = db,
		            .policy = policy,
		            .edges = edges ? edges : edges_cache_create(),
		            .owns_edges = !edges,
		            .max_clusters = max_clusters };
	u->clusters = loom_calloc(max_clusters + 1, sizeof(*u->clusters));
}

static void failure_fini(struct unit_failure *f)
{
	loom_free(f->t.message);
	loom_free(f->t.provisioner_id);
	loom_free(f->out);
	loom_free(f->err);
}

void unit_fini(struct unit *u)
{
	for (size_t i = 0; i < u->n_clusters; i++) {
		cluster_tx_fini(&u->clusters[i].tx);
		cluster_rows_fini(&u->clusters[i].rows);
	}
	for (size_t i = 0; i < u->n_jobs; i++) {
		job_fini(&u->jobs[i]->job);
		loom_free(u->jobs[i]);
	}
	for (size_t i = 0; i < u->n_failures; i++)
		failure_fini(&u->failures[i]);
	for (size_t i = 0; i < u->n_sets; i++)
		tasks_free(u->sets[i]);
	if (u->owns_edges)
		edges_cache_destroy(u->edges);
	void *const all[] = { u->clusters,    u->sets,     u->items,  u->index,
		              u->jobs,        u->nodes,    u->done,   u->freed,
		              u->newly_ready, u->failures, u->judged, u->new_edges };
	for (size_t i = 0; i < LOOM_COUNT(all); i++)
		loom_free(all[i]);
	*u = (struct unit){ 0 };
}

/* ---- tasks ----------------------------------------------------------------------------------- */

struct task_ref task_ref_of(const struct task *t)
{
	return (struct task_ref){ t->cluster_id, t->job_num, t->num };
}

static bool same_ref(const struct task_ref *a, const struct task_ref *b)
{
	return a->cluster == b->cluster && a->job == b->job && a->task == b->task;
}

static size_t hash_of(const struct task_ref *ref)
{
	uint64_t h = (uint64_t)ref->cluster * 0x9e3779b97f4a7c15u;
	h = (h ^ (uint64_t)ref->job) * 0x9e3779b97f4a7c15u;
	h = (h ^ (uint64_t)ref->task) * 0x9e3779b97f4a7c15u;
	return (size_t)(h >> 20);
}

/* The task's slot in the index, or the free slot where it belongs. */
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

struct unit_task *unit_item(const struct unit *u, const struct task_ref *ref)
{
	size_t place = u->n_index ? u->index[slot_of(u, ref)] : 0;
	return place ? &u->items[place - 1] : NULL;
}

struct task *unit_task(const struct unit *u, const struct task_ref *ref)
{
	struct unit_task *it = unit_item(u, ref);
	return it ? it->t : NULL;
}

/* Makes room for n items and keeps half of the index empty. */
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

static void index_tasks(struct unit *u, const struct tasks *set)
{
	reserve(u, u->n_items + set->n);
	for (size_t i = 0; i < set->n; i++) {
		struct task *t = &set->v[i];
		const struct task_ref ref = task_ref_of(t);
		size_t at = slot_of(u, &ref);
		if (u->index[at])
			continue;
		u->items[u->n_items++] = (struct unit_task){ .t = t, .was = t->state };
		u->index[at] = u->n_items;
	}
}

void unit_add_tasks(struct unit *u, struct tasks *set)
{
	u->sets = LOOM_GROW(u->sets, u->n_sets);
	u->sets[u->n_sets++] = set;
	index_tasks(u, set);
}

int unit_load_tasks(struct unit *u, const struct task_ref *refs, size_t n)
{
	struct tasks *set = NULL;
	int rc = n ? u->store->tasks(u->db, refs, n, &set) : 0;
	if (!rc && set)
		unit_add_tasks(u, set);
	return rc;
}

bool unit_has_all(const struct unit *u, const struct job *j)
{
	return unit_held(u, j->cluster_id)->rows.whole_job == j->num;
}

int unit_load_open(struct unit *u, const struct job *j)
{
	const struct task_ref ref = { j->cluster_id, j->num, 0 };
	struct tasks *set = NULL;
	if (unit_has_all(u, j))
		return 0;
	int rc = u->store->open_tasks(u->db, &ref, 1, &set);
	if (rc)
		return rc;
	unit_add_tasks(u, set);
	unit_held(u, j->cluster_id)->rows.whole_job = j->num;
	return 0;
}

/* ---- clusters -------------------------------------------------------------------------------- */

struct unit_cluster *unit_add_cluster(struct unit *u, struct cluster *c, struct cluster_rows *rows)
{
	loom_assert(u->n_clusters < u->max_clusters && !u->n_sets);
	struct unit_cluster *uc = &u->clusters[u->n_clusters++];
	*uc = (struct unit_cluster){ .tx = { .policy = u->policy, .c = c }, .seq = c->event_seq };
	if (rows) {
		uc->rows = *rows;
		*rows = (struct cluster_rows){ 0 };
	}
	uc->rows.cluster = c->id;
	uc->rows.seq = c->event_seq;
	if (!uc->rows.nodes_loaded)
		uc->rows.nodes_loaded = map_create(NULL);
	if (c->now > u->now)
		u->now = c->now;
	for (size_t i = 0; i < u->n_clusters; i++)
		u->clusters[i].tx.now = u->now;
	if (uc->rows.tasks)
		index_tasks(u, uc->rows.tasks);
	u->n_known = u->n_items;
	for (size_t i = 0; i < uc->rows.n_jobs; i++)
		(void)unit_add_job(u, &uc->rows.jobs[i]);
	uc->rows.n_jobs = 0;
	return uc;
}

struct unit_cluster *unit_cluster(const struct unit *u, int64_t id)
{
	for (size_t i = 0; i < u->n_clusters; i++) {
		if (u->clusters[i].tx.c->id == id)
			return &u->clusters[i];
	}
	return NULL;
}

struct unit_cluster *unit_held(const struct unit *u, int64_t id)
{
	struct unit_cluster *uc = unit_cluster(u, id);
	loom_assert(uc);
	return uc;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

struct unit_job *unit_job(const struct unit *u, int64_t cluster, int64_t num)
{
	for (size_t i = 0; i < u->n_jobs; i++) {
		if (u->jobs[i]->job.cluster_id == cluster && u->jobs[i]->job.num == num)
			return u->jobs[i];
	}
	return NULL;
}

struct unit_job *unit_job_of(const struct unit *u, const struct task *t)
{
	return unit_job(u, t->cluster_id, t->job_num);
}

struct unit_job *unit_add_job(struct unit *u, const struct job *j)
{
	u->jobs = LOOM_GROW(u->jobs, u->n_jobs);
	struct unit_job *uj = loom_calloc(1, sizeof(*uj));
	uj->job = *j;
	uj->stored_total = j->tasks_total;
	u->jobs[u->n_jobs++] = uj;
	return uj;
}

int unit_load_jobs(struct unit *u, const struct task_ref *tasks, size_t n_tasks)
{
	struct task_ref *refs = loom_calloc(n_tasks + 1, sizeof(*refs));
	struct job *jobs = NULL;
	size_t n = 0, got = 0;
	for (size_t i = 0; i < n_tasks; i++) {
		size_t k = 0;
		while (k < n &&
		       (refs[k].cluster != tasks[i].cluster || refs[k].job != tasks[i].job))
			k++;
		if (k == n && !unit_job(u, tasks[i].cluster, tasks[i].job))
			refs[n++] = tasks[i];
	}
	int rc = n ? u->store->jobs(u->db, refs, n, &jobs, &got) : 0;
	for (size_t i = 0; i < got; i++)
		(void)unit_add_job(u, &jobs[i]);
	loom_free(jobs);
	loom_free(refs);
	return rc;
}

int unit_get_job(struct unit *u, int64_t cluster, int64_t num, struct unit_job **ret)
{
	const struct task_ref ref = { cluster, num, 0 };
	int rc = unit_load_jobs(u, &ref, 1);
	*ret = unit_job(u, cluster, num);
	return rc;
}

struct unit_job *unit_new_job(struct unit *u, struct unit_cluster *uc, const char *action,
                              const struct job_params *params)
{
	struct job j;
	job_new(uc->tx.c, action, params, u->now, &j);
	struct unit_job *uj = unit_add_job(u, &j);
	uj->fresh = true;
	uc->tx.jobs++;
	uc->save_row = true;
	return uj;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* Moves the nodes of one cluster out of a list for several. */
static void give_nodes(struct cluster_rows *r, struct nodes *all)
{
	size_t n = 0;
	for (size_t i = 0; i < all->n; i++)
		n += all->v[i].cluster_id == r->cluster;
	r->nodes = loom_calloc(1, sizeof(*r->nodes));
	r->nodes->v = loom_calloc(n + 1, sizeof(*r->nodes->v));
	r->nodes_version++;
	for (size_t i = 0; i < all->n; i++) {
		if (all->v[i].cluster_id == r->cluster) {
			r->nodes->v[r->nodes->n++] = all->v[i];
			all->v[i] = (struct node){ 0 };
		}
	}
}

int unit_load_nodes(struct unit *u, int64_t *clusters, size_t n)
{
	size_t missing = 0;
	struct nodes *all = NULL;
	if (n)
		qsort(clusters, n, sizeof(*clusters), compare_int64s);
	for (size_t i = 0; i < n; i++) {
		if ((!missing || clusters[missing - 1] != clusters[i]) &&
		    !unit_held(u, clusters[i])->rows.nodes)
			clusters[missing++] = clusters[i];
	}
	int rc = missing ? u->store->nodes(u->db, clusters, missing, &all) : 0;
	for (size_t i = 0; !rc && i < missing; i++)
		give_nodes(&unit_held(u, clusters[i])->rows, all);
	nodes_free(all);
	return rc;
}

static struct node *node_of(const struct unit *u, int64_t cluster, int64_t num)
{
	const struct nodes *ns = unit_held(u, cluster)->rows.nodes;
	size_t lo = 0, hi = ns ? ns->n : 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (ns->v[mid].num < num)
			lo = mid + 1;
		else
			hi = mid;
	}
	return ns && lo < ns->n && ns->v[lo].num == num ? &ns->v[lo] : NULL;
}

struct node *unit_node_at(const struct unit *u, const struct unit_node *at)
{
	return node_of(u, at->cluster, at->num);
}

struct node *unit_node(const struct unit *u, const struct task *t)
{
	struct node *n = node_of(u, t->cluster_id, t->node_num);
	return n && strcmp(n->id, t->node_id) == 0 ? n : NULL;
}

void unit_node_changed(struct unit *u, const struct node *n)
{
	for (size_t i = 0; i < u->n_nodes; i++) {
		if (u->nodes[i].cluster == n->cluster_id && u->nodes[i].num == n->num)
			return;
	}
	u->nodes = LOOM_GROW(u->nodes, u->n_nodes);
	u->nodes[u->n_nodes++] = (struct unit_node){ n->cluster_id, n->num, false };
}

void unit_add_node(struct unit *u, int64_t cluster, const struct node *n)
{
	struct nodes *ns = unit_held(u, cluster)->rows.nodes;
	loom_assert(ns && (!ns->n || ns->v[ns->n - 1].num < n->num));
	ns->v = loom_realloc(ns->v, (ns->n + 1) * sizeof(*ns->v));
	ns->v[ns->n] = *n;
	ns->v[ns->n++].cluster_id = cluster;
	unit_node_changed(u, &ns->v[ns->n - 1]);
	u->nodes[u->n_nodes - 1].fresh = true;
	unit_held(u, cluster)->rows.nodes_version++;
	unit_held(u, cluster)->save_row = true; /* saves its highest node number */
}
