/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_rows - the clusters of a batch: locks them, takes their rows from the cache, reads missing
 * rows at once, and keeps rows for the next batch.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/compare.h"

#include <stdlib.h>

/* Numbers of tasks. Jobs up to SMALL_JOB are read as a whole; one batch reads at most MAX_ROWS this
 * way, because it holds locks meanwhile, and ten such jobs are enough. Measured: 1.1 statements per
 * completion instead of 1.42. */
enum { SMALL_JOB = 200, MAX_ROWS = 2000 };

/* ---- what is read ---------------------------------------------------------------------------- */

/* The tasks of the batch; results with a malformed task id are refused. */
static struct task_ref *wanted(struct batch *b, size_t *ret_n)
{
	struct task_ref *refs =
		loom_calloc(b->n_results + b->n_candidates + b->n_handed + 1, sizeof(*refs));
	size_t n = 0;
	for (size_t i = 0; i < b->n_results; i++) {
		if (!id_parse_task(b->results[i].finish->task, &refs[n]))
			n++;
		else
			b->results[i].status = 400;
	}
	for (size_t i = 0; i < b->n_candidates; i++)
		refs[n++] = b->candidates[i];
	for (size_t i = 0; i < b->n_handed; i++)
		refs[n++] = b->handed[i].ref;
	*ret_n = n;
	return refs;
}

static size_t clusters_of(const struct task_ref *refs, size_t n, int64_t *ids)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		ids[i] = refs[i].cluster;
	if (n)
		qsort(ids, n, sizeof(*ids), compare_int64s);
	for (size_t i = 0; i < n; i++) {
		if (!k || ids[k - 1] != ids[i])
			ids[k++] = ids[i];
	}
	return k;
}

static int add_cluster(struct batch *b, struct db *db, struct cluster *c)
{
	struct cached_cluster **at = &b->cached[b->unit.n_clusters];
	*at = b->cache ? cluster_cache_take(b->cache, c->id, c->event_seq) : NULL;
	int rc = *at ? cluster_rows_verify(&(*at)->rows, db) : 0;
	if (!*at)
		*at = cached_cluster_create();
	(void)unit_add_cluster(&b->unit, c, &(*at)->rows);
	return rc;
}

struct cached_cluster *batch_cached(const struct batch *b, int64_t cluster)
{
	const struct unit_cluster *uc = unit_cluster(&b->unit, cluster);
	return uc && b->cached ? b->cached[uc - b->unit.clusters] : NULL;
}

static int lock_clusters(struct batch *b, struct db *db, const struct task_ref *refs, size_t n)
{
	int64_t *ids = loom_calloc(n + 1, sizeof(*ids));
	size_t n_ids = clusters_of(refs, n, ids), got = 0;
	struct cluster **v = NULL, *one = NULL;
	int rc = 0;
	unit_init(&b->unit, &unit_sql, db, &b->policy, b->edges_cache, n_ids);
	b->cached = loom_calloc(n_ids + 1, sizeof(struct cached_cluster *));
	if (b->wait && n_ids) {
		rc = cluster_lock(db, ids[0], &one);
		if (!rc)
			rc = add_cluster(b, db, one);
		else if (rc == CLUSTER_E_NONE)
			rc = 0;
	} else if (n_ids) {
		rc = clusters_lock_free(db, ids, n_ids, &v, &got);
		for (size_t i = 0; i < got; i++) {
			int added = add_cluster(b, db, v[i]);
			rc = rc ? rc : added;
		}
	}
	loom_free(v);
	loom_free(ids);
	return rc;
}

/* Keeps only refs that are not loaded and whose clusters we locked, and reduces *n. */
static void keep_unknown(const struct unit *u, struct task_ref *refs, size_t *n)
{
	size_t kept = 0;
	for (size_t i = 0; i < *n; i++) {
		if (unit_cluster(u, refs[i].cluster) && !unit_item(u, &refs[i]))
			refs[kept++] = refs[i];
	}
	*n = kept;
}

/* Reads all open tasks of a small job when the first one is needed, so that none is read later. */
static int load_small(struct unit *u, const struct task_ref *tasks, size_t n_tasks)
{
	struct task_ref *refs = loom_calloc(n_tasks + 1, sizeof(*refs));
	struct tasks *set = NULL;
	int64_t rows = 0;
	size_t n = 0;
	for (size_t i = 0; i < n_tasks; i++) {
		const struct unit_job *j = unit_job(u, tasks[i].cluster, tasks[i].job);
		struct cluster_rows *of = &unit_held(u, tasks[i].cluster)->rows;
		if (!j || of->whole_job == j->job.num || j->job.tasks_total > SMALL_JOB ||
		    rows + j->job.tasks_total > MAX_ROWS)
			continue;
		rows += j->job.tasks_total;
		of->whole_job = j->job.num;
		refs[n++] = tasks[i];
	}
	int rc = n ? u->store->open_tasks(u->db, refs, n, &set) : 0;
	if (!rc && set)
		unit_add_tasks(u, set);
	loom_free(refs);
	return rc;
}

int batch_load(struct batch *b, struct db *db)
{
	size_t n;
	struct task_ref *refs = wanted(b, &n);
	int rc = lock_clusters(b, db, refs, n);
	keep_unknown(&b->unit, refs, &n);
	if (!rc)
		rc = unit_load_jobs(&b->unit, refs, n);
	if (!rc)
		rc = load_small(&b->unit, refs, n);
	keep_unknown(&b->unit, refs, &n);
	if (!rc)
		rc = unit_load_tasks(&b->unit, refs, n);
	loom_free(refs);
	return rc;
}

/* ---- what is written ------------------------------------------------------------------------- */

int batch_write_clusters(struct batch *b)
{
	struct unit *u = &b->unit;
	struct cluster **v = loom_calloc(u->n_clusters + 1, sizeof(struct cluster *));
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; !rc && i < u->n_clusters; i++) {
		struct unit_cluster *uc = &u->clusters[i];
		if (uc->save_row)
			rc = cluster_save(u->db, uc->tx.c);
		else if (uc->tx.c->event_seq != uc->seq)
			v[n++] = uc->tx.c;
	}
	if (!rc)
		rc = clusters_save_events(u->db, v, n);
	loom_free(v);
	return rc;
}

/* ---- what is kept --------------------------------------------------------------------------- */

/* Drops ended tasks; the others keep their places as far as possible. */
static void drop_ended(struct tasks *of)
{
	size_t n = 0;
	for (size_t i = 0; i < of->n; i++) {
		if (!task_is_open(of->v[i].state))
			row_fini(&task_table, &of->v[i]);
		else if (n++ < i)
			of->v[n - 1] = of->v[i];
	}
	of->n = n;
}

/* Moves open tasks to the rows of their clusters. */
static void keep_tasks(struct unit *u)
{
	for (size_t i = 0; i < u->n_clusters; i++) {
		struct tasks **of = &u->clusters[i].rows.tasks;
		if (*of)
			drop_ended(*of);
		else
			*of = loom_calloc(1, sizeof(**of));
	}
	for (size_t i = u->n_known; i < u->n_items; i++) {
		struct task *t = u->items[i].t;
		if (!task_is_open(t->state))
			continue;
		struct tasks *to = unit_held(u, t->cluster_id)->rows.tasks;
		to->v = LOOM_GROW(to->v, to->n);
		to->v[to->n++] = *t;
		*t = (struct task){ 0 };
	}
}

void batch_keep_rows(struct batch *b)
{
	struct unit *u = &b->unit;
	if (!b->cache)
		return;
	keep_tasks(u);
	for (size_t i = 0; i < u->n_jobs; i++) {
		struct cluster_rows *r = &unit_held(u, u->jobs[i]->job.cluster_id)->rows;
		r->jobs = loom_realloc(r->jobs, (r->n_jobs + 1) * sizeof(*r->jobs));
		r->jobs[r->n_jobs++] = u->jobs[i]->job;
		u->jobs[i]->job = (struct job){ 0 };
	}
	for (size_t i = 0; i < u->n_clusters; i++) {
		struct unit_cluster *uc = &u->clusters[i];
		if (uc->uncacheable || uc->save_row) {
			cached_cluster_free(b->cached[i]);
			b->cached[i] = NULL;
			continue;
		}
		uc->rows.seq = uc->tx.c->event_seq;
		b->cached[i]->rows = uc->rows;
		uc->rows = (struct cluster_rows){ 0 };
	}
}
