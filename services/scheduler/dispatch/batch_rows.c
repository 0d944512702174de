/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_rows - the rows of a unit of work: read, if the cache does not have them, written, and kept
 * for the next batch.
 */
#include "services/scheduler/dispatch/batch_private.h"

#include <stdlib.h>

/* Tasks: of a job that is read as a whole; read so by one batch, which holds locks meanwhile. */
enum { SMALL_JOB = 200, MAX_ROWS = 2000 };

/* ---- what is read ---------------------------------------------------------------------------- */

/* The tasks that the batch is about; those whose ids cannot be read are refused. */
static struct task_ref *wanted(struct batch *t, size_t *ret_n)
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
	struct batch *t = u->batch;
	struct batch_cluster *to = &t->batch_cluster[t->n_clusters++];
	*to = (struct batch_cluster){ .tx = { .policy = &t->policy, .c = c }, .seq = c->event_seq };
	to->cached = t->cache ? cluster_cache_take(t->cache, c->id, c->event_seq) : NULL;
	if (!to->cached)
		to->cached = cached_cluster_create(c->id);
	if (c->now > u->now)
		u->now = c->now;
}

static int lock_clusters(struct unit *u, const struct task_ref *refs, size_t n)
{
	int64_t *ids = loom_calloc(n + 1, sizeof(*ids));
	size_t n_ids = clusters_of(refs, n, ids), got = 0;
	struct cluster **v = NULL, *one = NULL;
	int rc = 0;
	u->batch->batch_cluster = loom_calloc(n_ids + 1, sizeof(*u->batch->batch_cluster));
	if (u->batch->wait && n_ids) {
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
	for (size_t i = 0; i < u->batch->n_clusters; i++)
		u->batch->batch_cluster[i].tx.now = u->now;
	loom_free(v);
	loom_free(ids);
	return rc;
}

/* What the cache says. */
static int open_cached(struct unit *u)
{
	struct batch *t = u->batch;
	int rc = 0;
	size_t n = 0;
	for (size_t i = 0; !rc && i < t->n_clusters; i++) {
		rc = cached_cluster_verify(t->batch_cluster[i].cached, u->db);
		n += t->batch_cluster[i].cached->n_jobs;
	}
	u->jobs = loom_calloc(n + 1, sizeof(*u->jobs));
	for (size_t i = 0; i < t->n_clusters; i++) {
		struct cached_cluster *p = t->batch_cluster[i].cached;
		if (p->tasks)
			unit_add(u, loom_take(p->tasks));
		for (size_t k = 0; k < p->n_jobs; k++)
			u->jobs[u->n_jobs++].job = p->jobs[k];
		p->n_jobs = 0;
	}
	return rc;
}

/* Only those whose clusters are ours and that are not cached: *n becomes smaller. */
static void keep_unknown(const struct unit *u, struct task_ref *refs, size_t *n)
{
	size_t kept = 0;
	for (size_t i = 0; i < *n; i++)
		if (unit_cluster(u, refs[i].cluster) && !unit_item(u, &refs[i]))
			refs[kept++] = refs[i];
	*n = kept;
}

/* The jobs of these tasks that are not cached. */
static int load_jobs(struct unit *u, const struct task_ref *tasks, size_t n_tasks)
{
	struct task_ref *refs = loom_calloc(n_tasks + 1, sizeof(*refs));
	struct job *jobs = NULL;
	size_t n = 0, got = 0;
	for (size_t i = 0; i < n_tasks; i++) {
		const struct task of = { .cluster_id = tasks[i].cluster, .job_num = tasks[i].job };
		size_t k = 0;
		while (k < n && (refs[k].cluster != of.cluster_id || refs[k].job != of.job_num))
			k++;
		if (k == n && !unit_job(u, &of))
			refs[n++] = tasks[i];
	}
	int rc = jobs_get(u->db, refs, n, &jobs, &got);
	u->jobs = loom_realloc(u->jobs, (u->n_jobs + got + 1) * sizeof(*u->jobs));
	for (size_t i = 0; i < got; i++)
		u->jobs[u->n_jobs++] = (struct job_delta){ .job = jobs[i] };
	loom_free(jobs);
	loom_free(refs);
	return rc;
}

/* Of small jobs all that is open is read at once when the first of it is wanted, so that there is
 * nothing to be read later. */
static int load_small(struct unit *u, const struct task_ref *tasks, size_t n_tasks)
{
	struct task_ref *refs = loom_calloc(n_tasks + 1, sizeof(*refs));
	struct tasks *set = NULL;
	int64_t rows = 0;
	size_t n = 0;
	for (size_t i = 0; i < n_tasks; i++) {
		const struct task of = { .cluster_id = tasks[i].cluster, .job_num = tasks[i].job };
		const struct job_delta *m = unit_job(u, &of);
		struct cached_cluster *p = unit_held(u, of.cluster_id)->cached;
		if (!m || p->whole_job == of.job_num || m->job.tasks_total > SMALL_JOB ||
		    rows + m->job.tasks_total > MAX_ROWS)
			continue;
		rows += m->job.tasks_total;
		p->whole_job = of.job_num;
		refs[n++] = tasks[i];
	}
	int rc = tasks_open(u->db, refs, n, &set);
	if (!rc)
		unit_add(u, set);
	loom_free(refs);
	return rc;
}

int rows_load(struct unit *u)
{
	size_t n;
	struct task_ref *refs = wanted(u->batch, &n);
	struct tasks *set = NULL;
	int rc = lock_clusters(u, refs, n);
	if (!rc)
		rc = open_cached(u);
	keep_unknown(u, refs, &n);
	if (!rc)
		rc = load_jobs(u, refs, n);
	if (!rc)
		rc = load_small(u, refs, n);
	keep_unknown(u, refs, &n);
	if (!rc)
		rc = tasks_get(u->db, refs, n, &set);
	if (!rc)
		unit_add(u, set);
	loom_free(refs);
	return rc;
}

/* The machines of one cluster, out of those of several. */
static void give_nodes(struct cached_cluster *p, struct nodes *all)
{
	size_t n = 0;
	for (size_t i = 0; i < all->n; i++)
		n += all->v[i].cluster_id == p->cluster;
	p->nodes = loom_calloc(1, sizeof(*p->nodes));
	p->nodes->v = loom_calloc(n + 1, sizeof(*p->nodes->v));
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].cluster_id == p->cluster) {
			p->nodes->v[p->nodes->n++] = all->v[i];
			all->v[i] = (struct node){ 0 };
		}
}

int rows_load_nodes(struct unit *u, int64_t *clusters, size_t n)
{
	size_t missing = 0;
	struct nodes *all = NULL;
	if (n)
		qsort(clusters, n, sizeof(*clusters), by_number);
	for (size_t i = 0; i < n; i++)
		if ((!missing || clusters[missing - 1] != clusters[i]) &&
		    !unit_held(u, clusters[i])->cached->nodes)
			clusters[missing++] = clusters[i];
	int rc = missing ? nodes_of(u->db, clusters, missing, &all) : 0;
	for (size_t i = 0; !rc && i < missing; i++)
		give_nodes(unit_held(u, clusters[i])->cached, all);
	nodes_free(all);
	return rc;
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

/* May a task of this job wait for the address of a machine? Not where all are known, and none is
 * ready and not begun. */
static bool may_wait_for_address(const struct unit *u, const struct job *j)
{
	char gate[TASK_GATE_MAX];
	if (!unit_has_all(u, j->cluster_id, j->num))
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

/* What waits for addresses that are known now may be begun. */
static int clear_postponed(struct unit *u)
{
	const struct task **by = loom_calloc(u->n_jobs + 1, sizeof(*by));
	size_t n = 0;
	int ready = 0;
	for (size_t i = 0; i < u->n_jobs; i++)
		if (u->jobs[i].confirmed && may_wait_for_address(u, &u->jobs[i].job))
			by[n++] = u->jobs[i].confirmed;
	int rc = tasks_clear_postponed(u->db, by, n, u->now, &ready);
	for (size_t i = 0; ready && i < n; i++) {
		struct batch_cluster *to = unit_held(u, by[i]->cluster_id);
		to->tx.ready++;
		to->cache_invalid = true;
	}
	loom_free(by);
	return rc;
}

int rows_write(struct unit *u)
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
	if (!rc)
		rc = clear_postponed(u);
	loom_free(tasks);
	loom_free(jobs);
	return rc;
}

int rows_write_clusters(struct unit *u)
{
	struct batch *t = u->batch;
	struct cluster **v = loom_calloc(t->n_clusters + 1, sizeof(struct cluster *));
	size_t n = 0;
	int rc = 0;
	for (size_t i = 0; !rc && i < t->n_clusters; i++) {
		if (t->batch_cluster[i].save_whole_cluster)
			rc = cluster_tx_commit(u->db, &t->batch_cluster[i].tx);
		else if (t->batch_cluster[i].tx.c->event_seq != t->batch_cluster[i].seq)
			v[n++] = t->batch_cluster[i].tx.c;
	}
	if (!rc)
		rc = clusters_save_events(u->db, v, n);
	loom_free(v);
	return rc;
}

/* ---- what is kept --------------------------------------------------------------------------- */

static bool is_open(const struct task *t)
{
	return t->state == TASK_BLOCKED || t->state == TASK_READY || t->state == TASK_RUNNING;
}

/* Makes room for the rows that stay open, cluster by cluster. */
static void empty_cached(struct unit *u, const struct batch_cluster *of)
{
	struct cached_cluster *p = of->cached;
	size_t n = 0;
	for (size_t i = 0; i < u->n_items; i++)
		n += u->items[i].t->cluster_id == p->cluster && is_open(u->items[i].t);
	p->seq = of->tx.c->event_seq;
	p->tasks = loom_calloc(1, sizeof(*p->tasks));
	p->tasks->v = loom_calloc(n + 1, sizeof(*p->tasks->v));
}

/* Takes a cluster's rows out of the unit. */
static void fill_cached(struct unit *u, struct cached_cluster *p)
{
	for (size_t i = 0; i < u->n_items; i++) {
		struct task *t = u->items[i].t;
		if (t->cluster_id != p->cluster || !is_open(t))
			continue;
		p->tasks->v[p->tasks->n++] = *t;
		*t = (struct task){ .cluster_id = p->cluster };
		t->state = TASK_COMPLETE;
	}
	for (size_t i = 0; i < u->n_jobs; i++)
		if (u->jobs[i].job.cluster_id == p->cluster) {
			p->jobs = loom_realloc(p->jobs, (p->n_jobs + 1) * sizeof(*p->jobs));
			p->jobs[p->n_jobs++] = u->jobs[i].job;
			u->jobs[i].job = (struct job){ 0 };
		}
}

int rows_to_cache(struct unit *u)
{
	struct batch *t = u->batch;
	for (size_t i = 0; i < t->n_clusters; i++) {
		struct batch_cluster *to = &t->batch_cluster[i];
		if (t->cache && !to->save_whole_cluster && !to->cache_invalid) {
			empty_cached(u, to);
			fill_cached(u, to->cached);
			continue;
		}
		cached_cluster_free(to->cached);
		to->cached = NULL;
	}
	return 0;
}
