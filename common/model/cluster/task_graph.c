/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inserts a job's tasks, the edges between them, and groups of tasks that others wait for.
 */
#include "common/model/cluster/task.h"

#include "common/base/fault.h"

#include <stdlib.h>
#include <string.h>

/* ---- new tasks ------------------------------------------------------------------------------- */

/* Tasks that call their provider. */
static const char *const gated[] = { "CREATE", "CONFIRM", "DELETE" };
#define STEP_GATES LOOM_COUNT(gated)

/* The last gate is that of all other tasks. */
static char *gate_of(const char *task, char gates[STEP_GATES + 1][TASK_GATE_MAX])
{
	size_t g = 0;
	while (g < STEP_GATES && !str_eq(task, gated[g]))
		g++;
	return gates[g];
}

static int provider_of(struct db *db, int64_t cluster, char **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT JSON_VALUE(brief, '$.provider.name') FROM cluster WHERE id=?",
	                   "i", cluster);
	*ret = !rc && db_rows(r) ? loom_strdup(db_str(r, 0, 0)) : NULL;
	return rc;
}

static int insert_tasks(struct db *db, const struct task *v, size_t n, const char *provider)
{
	char gates[STEP_GATES + 1][TASK_GATE_MAX] = { 0 };
	struct task *some = loom_calloc(DB_MANY, sizeof(*some));
	int rc = 0;
	for (size_t g = 0; g < STEP_GATES; g++)
		task_gate(gated[g], provider, gates[g]);
	for (size_t done = 0, k; !rc && done < n; done += k) {
		k = n - done < DB_MANY ? n - done : DB_MANY;
		memcpy(some, v + done, k * sizeof(*some));
		for (size_t i = 0; i < k; i++)
			some[i].gate = gate_of(some[i].name, gates);
		rc = rows_insert(db, &task_new_table, some, k);
	}
	loom_free(some);
	return rc;
}

static int insert_edges(struct db *db, int64_t cluster, int64_t job, const struct task_edge *v,
                        size_t n)
{
	static const struct db_many many = {
		"INSERT INTO task_edge (cluster_id, job_num, from_num, to_num) VALUES ",
		"(?,?,?,?)", ",", "", 4
	};
	struct db_value values[DB_MANY * 4];
	int rc = 0;
	for (size_t i = 0, k = 0; !rc && i < n; i++) {
		values[k++] = db_i(cluster);
		values[k++] = db_i(job);
		values[k++] = db_i(v[i].from);
		values[k++] = db_i(v[i].to);
		if (k == LOOM_COUNT(values) || i + 1 == n) {
			rc = db_exec_many(db, &many, values, k / 4);
			k = 0;
		}
	}
	return rc;
}

int tasks_insert(struct db *db, const struct task *v, size_t n, const struct task_edge *edges,
                 size_t n_edges)
{
	LOOM_CLEANUP_STR char *provider = NULL;
	int rc = n ? provider_of(db, v[0].cluster_id, &provider) : 0;
	/* Store the same provider in both, so that queues and tasks agree whoever added the job. */
	if (!rc && provider)
		rc = db_exec(db, "UPDATE job SET provider=? WHERE cluster_id=? AND num=?", "sii",
		             provider, v[0].cluster_id, v[0].job_num);
	if (!rc)
		rc = insert_tasks(db, v, n, provider);
	return rc || !n ? rc : insert_edges(db, v[0].cluster_id, v[0].job_num, edges, n_edges);
}

/* ---- edges ----------------------------------------------------------------------------------- */

int task_edges_stored(struct db *db, int64_t cluster, int64_t job, struct task_edge **ret,
                      size_t *ret_n)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT from_num, to_num FROM task_edge WHERE cluster_id=? AND job_num=?"
	                   " ORDER BY to_num, from_num",
	                   "ii", cluster, job);
	if (rc)
		return rc;
	*ret_n = db_rows(r);
	*ret = loom_calloc(*ret_n + 1, sizeof(**ret));
	for (size_t i = 0; i < *ret_n; i++)
		(*ret)[i] = (struct task_edge){ db_int(r, i, 0), db_int(r, i, 1) };
	return 0;
}

static int by_to(const void *a, const void *b)
{
	const struct task_edge *x = a, *y = b;
	return x->to != y->to ? (x->to > y->to) - (x->to < y->to)
	                      : (x->from > y->from) - (x->from < y->from);
}

/* The edges to this number, in a list sorted by `to`. */
static const struct task_edge *edges_to(const struct task_edge *v, size_t n, int64_t to,
                                        size_t *ret_n)
{
	size_t lo = 0, hi = n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (v[mid].to < to)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*ret_n = 0; lo + *ret_n < n && v[lo + *ret_n].to == to;)
		++*ret_n;
	return v + lo;
}

int task_edges(struct db *db, int64_t cluster, int64_t job, struct task_edge **ret, size_t *ret_n)
{
	struct task_edge *stored = NULL, *all = NULL;
	size_t n = 0, k = 0, most = 0;
	int rc = task_edges_stored(db, cluster, job, &stored, &n);
	for (size_t i = 0; !rc && i < n; i++) {
		size_t members = 1;
		const struct task_edge *from = &stored[i];
		if (stored[i].to < 0)
			continue;
		if (stored[i].from < 0)
			from = edges_to(stored, n, stored[i].from, &members);
		if (k + members > most) {
			most = 2 * (k + members);
			all = loom_realloc(all, most * sizeof(*all));
		}
		for (size_t m = 0; m < members; m++)
			all[k++] = (struct task_edge){ from[m].from, stored[i].to };
	}
	loom_free(stored);
	if (rc)
		return rc;
	if (k)
		qsort(all, k, sizeof(*all), by_to);
	*ret = all ? all : loom_calloc(1, sizeof(*all));
	*ret_n = k;
	return 0;
}

/* ---- groups ---------------------------------------------------------------------------------- */

bool task_group_done(struct job *j, int64_t group)
{
	loom_assert(group < 0);
	size_t i = (size_t)-group - 1;
	if (i >= j->n_waits || j->waits[i] <= 0)
		return false;
	j->waits[i] = fault_enabled("edges") ? 0 : j->waits[i] - 1;
	return j->waits[i] == 0;
}
