/* SPDX-License-Identifier: Apache-2.0 */
/* Which tasks are ready, by tenant and cluster. */
#include "common/model/worker/queue.h"

#include "common/base/str.h"

#include <stdio.h>

void queued_fini(struct queued_list *l)
{
	loom_free(l->v);
	*l = (struct queued_list){ 0 };
}

void queue_jobs_fini(struct queue_jobs *l)
{
	loom_free(l->v);
	*l = (struct queue_jobs){ 0 };
}

int queue_state(struct db *db, struct queue_state *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED),"
	                   " (SELECT COUNT(*) FROM provider_limit),"
	                   " (SELECT COUNT(*) FROM quarantine)",
	                   "");
	if (!rc)
		*ret = (struct queue_state){ db_int(r, 0, 0), db_int(r, 0, 1), db_int(r, 0, 2) };
	return rc;
}

#define TASKS                                                                                \
	"SELECT t.cluster_id, t.job_num, t.num, t.tenant_id, t.gate, t.not_before, j.status" \
	" FROM task t FORCE INDEX (shares) STRAIGHT_JOIN job j"                              \
	" ON j.cluster_id=t.cluster_id AND j.num=t.job_num WHERE t.state='ready'"

static bool same_ref(const struct task_ref *a, const struct task_ref *b)
{
	return a->cluster == b->cluster && a->job == b->job && a->task == b->task;
}

/* The last row may have been requested twice: then its tasks are there already. */
static void add_tasks(const struct db_result *r, struct queued_list *to)
{
	size_t before = to->n;
	to->v = loom_realloc(to->v, (to->n + db_rows(r) + 1) * sizeof(*to->v));
	for (size_t i = 0; i < db_rows(r); i++) {
		struct queued *q = &to->v[to->n];
		*q = (struct queued){ .ref = { db_int(r, i, 0), db_int(r, i, 1), db_int(r, i, 2) },
			              .not_before = db_int(r, i, 5),
			              .held = !str_eq(db_str(r, i, 6), "running") };
		snprintf(q->tenant, sizeof(q->tenant), "%s", db_str(r, i, 3));
		snprintf(q->gate, sizeof(q->gate), "%s", db_str(r, i, 4));
		bool there = false;
		for (size_t k = to->n;
		     !there && k > before && to->v[k - 1].ref.cluster == q->ref.cluster; k--)
			there = same_ref(&to->v[k - 1].ref, &q->ref);
		to->n += !there;
	}
}

int queue_some(struct db *db, const char *tenant, int64_t max, struct queued_list *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = str_eq(tenant, "*")
	                 ? db_select(db, &r, TASKS " LIMIT ?", "i", max)
	                 : db_select(db, &r, TASKS " AND t.tenant_id=? LIMIT ?", "si", tenant, max);
	if (!rc)
		add_tasks(r, ret);
	return rc;
}

/* The last place may have been requested twice. */
static void add_jobs(const struct db_result *r, struct queue_jobs *to)
{
	size_t before = to->n;
	to->v = loom_realloc(to->v, (to->n + db_rows(r) + 1) * sizeof(*to->v));
	for (size_t i = 0; i < db_rows(r); i++) {
		struct queue_job *j = &to->v[to->n];
		*j = (struct queue_job){ .cluster = db_int(r, i, 2),
			                 .free = db_int(r, i, 3) != 0,
			                 .call = db_int(r, i, 4) != 0,
			                 .create = db_int(r, i, 5) != 0 };
		snprintf(j->tenant, sizeof(j->tenant), "%s", db_str(r, i, 0));
		snprintf(j->provider, sizeof(j->provider), "%s", db_str(r, i, 1));
		bool there = false;
		for (size_t k = before; j->cluster && !there && k < to->n; k++)
			there = to->v[k].cluster == j->cluster;
		to->n += !there;
	}
}

int queue_groups(struct db *db, struct queue_jobs *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT tenant_id, provider, 0, 0, 0, 0 FROM job FORCE INDEX (handing)"
	                   " WHERE phase='run' AND status='running' GROUP BY tenant_id, provider",
	                   "");
	if (!rc)
		add_jobs(r, ret);
	return rc;
}

#define HAS(gate)                                                                        \
	"COALESCE((SELECT 1 FROM task t FORCE INDEX (shares) WHERE t.state='ready'"      \
	" AND t.tenant_id=j.tenant_id AND t.gate=" gate " AND t.cluster_id=j.cluster_id" \
	" LIMIT 1), 0)"
#define JOBS                                                                 \
	"SELECT j.tenant_id, j.provider, j.cluster_id, " HAS("''") ", " HAS( \
		"CONCAT('" TASK_GATE_CALL                                    \
		"', j.provider)") ", " HAS("CONCAT('" TASK_GATE_CREATE       \
	                                   "', j.provider)") " FROM job j FORCE INDEX (handing) WHERE j.phase='run' AND j.status='running'"

int queue_jobs_all(struct db *db, const char *tenant, int64_t max, struct queue_jobs *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = str_eq(tenant, "*")
	                 ? db_select(db, &r, JOBS " LIMIT ?", "i", max)
	                 : db_select(db, &r, JOBS " AND j.tenant_id=? LIMIT ?", "si", tenant, max);
	if (!rc)
		add_jobs(r, ret);
	return rc;
}

enum { AFTER_VALUES = 4 };

/* The parameters of one of several selects in a statement: where it looks, and how many rows it
 * returns. */
static void after_values(struct db_value v[AFTER_VALUES], const char *tenant, const char *name,
                         int64_t cluster, int64_t each)
{
	v[0] = db_s(tenant);
	v[1] = db_s(name);
	v[2] = db_i(cluster);
	v[3] = db_i(each);
}

int queue_jobs_after(struct db *db, const struct queue_job *after, size_t n, int64_t each,
                     struct queue_jobs *ret)
{
	static const struct db_many many = { "",
		                             "(" JOBS " AND j.tenant_id=? AND j.provider=?"
		                             " AND j.cluster_id>? ORDER BY j.cluster_id LIMIT ?)",
		                             " UNION ALL ", "", AFTER_VALUES };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *v = loom_calloc(n + 1, AFTER_VALUES * sizeof(*v));
	for (size_t i = 0; i < n; i++)
		after_values(v + AFTER_VALUES * i, after[i].tenant, after[i].provider,
		             after[i].cluster, each);
	int rc = db_select_many(db, &r, &many, v, n);
	loom_free(v);
	if (!rc)
		add_jobs(r, ret);
	return rc;
}

int queue_heads(struct db *db, const struct ready_queue *queues, size_t n, struct queued_list *ret)
{
	/* The jobs are known to hand out tasks, so their status is not checked: a union of joins
	 * took twice the time of the rest of a search. */
	static const struct db_many many = {
		"",
		"(SELECT cluster_id, job_num, num, tenant_id, gate, not_before, 'running'"
		" FROM task FORCE INDEX (shares) WHERE state='ready' AND tenant_id=? AND gate=?"
		" AND cluster_id=? ORDER BY not_before LIMIT ?)",
		" UNION ALL ", "", AFTER_VALUES
	};
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *v = loom_calloc(n + 1, AFTER_VALUES * sizeof(*v));
	for (size_t i = 0; i < n; i++)
		after_values(v + AFTER_VALUES * i, queues[i].tenant, queues[i].gate,
		             queues[i].cluster, queues[i].heads);
	int rc = db_select_many(db, &r, &many, v, n);
	loom_free(v);
	if (!rc)
		add_tasks(r, ret);
	return rc;
}

int queue_in_use(struct db *db, struct queue_use **ret, size_t *ret_n)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT tenant_id, cluster_id, COUNT(*) FROM task FORCE INDEX (shares)"
	                   " WHERE state='running' GROUP BY tenant_id, cluster_id",
	                   "");
	if (rc)
		return rc;
	*ret_n = db_rows(r);
	*ret = loom_calloc(*ret_n + 1, sizeof(**ret));
	for (size_t i = 0; i < *ret_n; i++) {
		(*ret)[i] = (struct queue_use){ .cluster = db_int(r, i, 1),
			                        .running = db_int(r, i, 2) };
		snprintf((*ret)[i].tenant, sizeof((*ret)[i].tenant), "%s", db_str(r, i, 0));
	}
	return 0;
}
