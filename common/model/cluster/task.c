/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks as rows: loading, saving, and the searches that dispatch and details need. After the insert
 * only a task's state and its consequences change.
 */
#include "common/model/cluster/task.h"

#include "common/json/json_emit.h"

#include <stdio.h>
#include <string.h>

#define PLACE ROW_GROUP        /* its node */
#define WAITS (ROW_GROUP << 1) /* what it waits for */
#define TASK_ROW(X, SEP)                                                                         \
	X(cluster_id, row_int, ROW_KEY) SEP X(job_num, row_int, ROW_KEY)                         \
	SEP X(num, row_int, ROW_KEY)                                                             \
	SEP X(tenant_id, row_str, ROW_NEW)                                                       \
	SEP X(node_id, row_chars, ROW_NEW | PLACE) SEP X(node_num, row_int, ROW_NEW | PLACE) SEP \
	X(name, row_chars, ROW_NEW)                                                              \
	SEP X(service, row_str, ROW_NEW)                                                         \
	SEP X(stage, row_int, ROW_NEW)                                                           \
	SEP X(state, state_type, ROW_NEW | ROW_SAVE) SEP X(unmet, row_int,                       \
	                                                   ROW_NEW | ROW_SAVE | WAITS) SEP       \
	X(attempt, row_int, ROW_SAVE)                                                            \
	SEP X(done_attempt, row_int, ROW_SAVE)                                                   \
	SEP X(failures, row_int, ROW_SAVE)                                                       \
	SEP X(losses, row_int, ROW_SAVE)                                                         \
	SEP X(not_before, row_int, ROW_OPTION | ROW_SAVE) SEP X(lease_ms, row_int, ROW_SAVE)     \
	SEP X(lease_until, row_int, ROW_SAVE)                                                    \
	SEP X(provisioner_id, row_str, ROW_SAVE)                                                 \
	SEP X(worker_id, row_str, ROW_SAVE)                                                      \
	SEP X(submit_time, row_int, ROW_SAVE)                                                    \
	SEP X(status_time, row_int, ROW_SAVE)                                                    \
	SEP X(status_code, row_int, ROW_SAVE)                                                    \
	SEP X(message, row_str, ROW_SAVE)                                                        \
	SEP X(claim, row_chars, ROW_SAVE)                                                        \
	SEP X(claim_hash, row_chars, ROW_SAVE)

static bool state_read(void *at, size_t size LOOM_UNUSED, const struct db_result *r, size_t row,
                       unsigned col)
{
	return task_state_parse(db_str(r, row, col), at);
}

static struct db_value state_write(const void *at, char **text LOOM_UNUSED)
{
	return db_s(task_state_name(*(const enum task_state *)at));
}

static const struct row_type state_type = { 'o', state_read, state_write, NULL, NULL };

#define TASK_COLUMN(col, type, flags) ROW_COLUMN(struct task, col, type, flags),
static const struct row_column columns[] = { TASK_ROW(TASK_COLUMN, )
	                                             TASK_COLUMN(gate, row_str, ROW_NEW) };
const struct row_table task_new_table = ROW_TABLE("task", struct task, columns);
const struct row_table task_table = { "task", columns, LOOM_COUNT(columns) - 1,
	                              sizeof(struct task) };

void tasks_free(struct tasks *ts)
{
	if (!ts)
		return;
	for (size_t i = 0; i < ts->n; i++)
		row_fini(&task_table, &ts->v[i]);
	loom_free(ts->v);
	loom_free(ts);
}

void task_gate(const char *task, const char *provider, char gate[TASK_GATE_MAX])
{
	bool create = str_eq(task, "CREATE");
	*gate = '\0';
	if (provider && (create || str_eq(task, "CONFIRM") || str_eq(task, "DELETE")))
		snprintf(gate, TASK_GATE_MAX, "%s%s", create ? TASK_GATE_CREATE : TASK_GATE_CALL,
		         provider);
}

#define COLUMNS ROW_NAMES(TASK_ROW)

static int rows_to_tasks(const struct db_result *r, struct tasks **ret)
{
	LOOM_CLEANUP(tasks_free) struct tasks *ts = loom_calloc(1, sizeof(*ts));
	int rc = 0;
	ts->v = loom_calloc(db_rows(r) + 1, sizeof(*ts->v));
	for (; !rc && ts->n < db_rows(r); ts->n++)
		rc = row_read(&task_table, r, ts->n, &ts->v[ts->n]);
	if (!rc)
		*ret = loom_take(ts);
	return rc;
}

int tasks_load(struct db *db, int64_t cluster, int64_t job, struct tasks **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT " COLUMNS " FROM task WHERE cluster_id=? AND (?=0 OR job_num=?)"
	                   " ORDER BY job_num, num",
	                   "iii", cluster, job, job);
	return rc ? rc : rows_to_tasks(r, ret);
}

int task_lock(struct db *db, const struct task_ref *ref, struct tasks **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT " COLUMNS " FROM task WHERE cluster_id=? AND job_num=? AND num=?"
	                   " FOR UPDATE",
	                   "iii", ref->cluster, ref->job, ref->task);
	return rc ? rc : rows_to_tasks(r, ret);
}

int task_get(struct db *db, const struct task_ref *ref, struct tasks **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r, "SELECT " COLUMNS " FROM task WHERE cluster_id=? AND job_num=? AND num=?",
		"iii", ref->cluster, ref->job, ref->task);
	return rc ? rc : rows_to_tasks(r, ret);
}

void task_emit_state(struct buf *out, const struct task *t, int64_t now)
{
	/* Show a task that waits for a retry as such, not as merely waiting. */
	bool again =
		t->failures + t->losses > 0 && (t->state == TASK_READY || t->state == TASK_BLOCKED);
	json_emit_str(out, "state", again ? "retry" : task_state_name(t->state));
	json_emit_int(out, "attempt", t->attempt);
	if (t->state == TASK_RUNNING)
		json_emit_str(out, "provisionerId", t->provisioner_id);
	if (again || t->state == TASK_FAILED)
		json_emit_int(out, "statusCode", t->status_code);
	if (again && t->not_before > t->status_time)
		json_emit_int(out, "retryAt", t->not_before);
	json_emit_str(out, "message", t->message);
	json_emit_int(out, "time", now);
}

void task_event(struct cluster *c, const struct task *t, int64_t now)
{
	char id[ID_MAX];
	struct buf b = BUF_INIT(EVENT_TEXT_MAX);
	id_task(id, t->cluster_id, t->job_num, t->num);
	buf_addc(&b, '{');
	json_emit_str(&b, "taskId", id);
	json_emit_str(&b, "taskName", t->name);
	json_emit_str(&b, "service", t->service);
	json_emit_str(&b, "nodeId", t->node_id);
	json_emit_int(&b, "nodenum", t->node_num);
	task_emit_state(&b, t, now);
	buf_addc(&b, '}');
	loom_assert(!b.full);
	cluster_event_text(c, "task", buf_take(&b));
}

void task_transition(struct cluster *c, struct task *t, enum task_state to, int64_t now)
{
	loom_assert(task_may_become(t->state, to));
	t->state = to;
	task_event(c, t, now);
}

/* ---- many at once ---------------------------------------------------------------------------- */

static struct db_value *ref_values(const struct task_ref *refs, size_t n)
{
	struct db_value *v = loom_calloc(n + 1, 3 * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[3 * i] = db_i(refs[i].cluster);
		v[3 * i + 1] = db_i(refs[i].job);
		v[3 * i + 2] = db_i(refs[i].task);
	}
	return v;
}

int tasks_get(struct db *db, const struct task_ref *refs, size_t n, struct tasks **ret)
{
	static const struct db_many many = { "SELECT " COLUMNS " FROM task WHERE ",
		                             "(cluster_id=? AND job_num=? AND num=?)", " OR ", "",
		                             3 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *v = ref_values(refs, n);
	int rc = db_select_many(db, &r, &many, v, n);
	loom_free(v);
	return rc ? rc : rows_to_tasks(r, ret);
}

int tasks_open(struct db *db, const struct task_ref *jobs, size_t n, struct tasks **ret)
{
	static const struct db_many many = { "SELECT " COLUMNS " FROM task FORCE INDEX (PRIMARY)"
		                             " WHERE state IN ('blocked','ready','running') AND (",
		                             "(cluster_id=? AND job_num=?)", " OR ", ")", 2 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *v = loom_calloc(n + 1, 2 * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[2 * i] = db_i(jobs[i].cluster);
		v[2 * i + 1] = db_i(jobs[i].job);
	}
	int rc = db_select_many(db, &r, &many, v, n);
	loom_free(v);
	return rc ? rc : rows_to_tasks(r, ret);
}

int tasks_of_nodes(struct db *db, const struct task_node *nodes, size_t n, struct tasks **ret)
{
	static const struct db_many many = {
		"SELECT " COLUMNS
		" FROM task WHERE unmet=0 AND state IN ('blocked','ready','running') AND (",
		"(node_id=? AND job_num=?)", " OR ", ")", 2
	};
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *v = loom_calloc(n + 1, 2 * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[2 * i] = db_s(nodes[i].id);
		v[2 * i + 1] = db_i(nodes[i].job);
	}
	int rc = db_select_many(db, &r, &many, v, n);
	loom_free(v);
	return rc ? rc : rows_to_tasks(r, ret);
}

int tasks_save(struct db *db, struct task *const *v, size_t n)
{
	return rows_save(db, &task_table, ROW_SAVE, (const void *const *)v, n);
}

int tasks_save_unmet(struct db *db, struct task *const *v, size_t n)
{
	return rows_save(db, &task_table, WAITS, (const void *const *)v, n);
}

/* ---- waiting, dropping, counting ------------------------------------------------------------- */

int tasks_place(struct db *db, struct task *const *v, size_t n)
{
	return rows_save(db, &task_table, PLACE, (const void *const *)v, n);
}

int tasks_await_nodes(struct db *db, int64_t cluster, int64_t job, bool *ret)
{
	int64_t one;
	return db_select_int(db, &one, ret,
	                     "SELECT 1 FROM task WHERE cluster_id=? AND job_num=?"
	                     " AND name IN ('CREATE','CONFIRM')"
	                     " AND state IN ('blocked','ready','running') LIMIT 1",
	                     "ii", cluster, job);
}

int tasks_clear_postponed(struct db *db, const struct task *const *of, size_t n, int64_t now,
                          int *ready)
{
	/* Tasks that need addresses wait in the queue without a gate; provider calls do not. */
	static const struct db_many many = {
		"UPDATE task FORCE INDEX (shares)"
		" SET not_before=CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"
		" WHERE state='ready' AND gate='' AND failures=0 AND (",
		"(tenant_id=? AND cluster_id=? AND not_before>? AND job_num=?)", " OR ", ")", 4
	};
	struct db_value *v = loom_calloc(n + 1, 4 * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[4 * i] = db_s(of[i]->tenant_id);
		v[4 * i + 1] = db_i(of[i]->cluster_id);
		v[4 * i + 2] = db_i(now);
		v[4 * i + 3] = db_i(of[i]->job_num);
	}
	int rc = db_exec_many(db, &many, v, n);
	loom_free(v);
	if (!rc)
		*ready += (int)db_affected(db);
	return rc;
}

int tasks_count(struct db *db, int64_t cluster, int64_t job, struct task_counts *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT COALESCE(SUM(state='running'),0), COALESCE(SUM(state='complete'),0),"
		" COALESCE(SUM(state='failed'),0), COALESCE(SUM(state='failed' AND"
		" status_code BETWEEN 200 AND 299),0),"
		" COALESCE(SUM(state IN ('blocked','ready')),0), COALESCE(SUM(attempt>0),0),"
		" COALESCE(SUM(name='CREATE' AND state='complete'),0),"
		" COALESCE(SUM(name='DELETE' AND state<>'complete'),0)"
		" FROM task WHERE cluster_id=? AND job_num=?",
		"ii", cluster, job);
	if (!rc)
		*ret = (struct task_counts){ .running = db_int(r, 0, 0),
			                     .complete = db_int(r, 0, 1),
			                     .failed = db_int(r, 0, 2),
			                     .failed_before_create = db_int(r, 0, 3),
			                     .open = db_int(r, 0, 4),
			                     .attempted = db_int(r, 0, 5),
			                     .created = db_int(r, 0, 6),
			                     .undeleted = db_int(r, 0, 7) };
	return rc;
}

static int refs(const struct db_result *r, struct task_ref **ret, size_t *ret_n)
{
	*ret_n = db_rows(r);
	*ret = loom_calloc(*ret_n + 1, sizeof(**ret));
	for (size_t i = 0; i < *ret_n; i++)
		(*ret)[i] = (struct task_ref){ db_int(r, i, 0), db_int(r, i, 1), db_int(r, i, 2) };
	return 0;
}

int tasks_expired(struct db *db, int64_t now, int64_t beside, int limit, struct task_ref **ret,
                  size_t *ret_n)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT cluster_id, job_num, num FROM task WHERE state='running'"
	                   " AND lease_until<? AND cluster_id<>? ORDER BY lease_until LIMIT ?",
	                   "iii", now, beside, (int64_t)limit);
	return rc ? rc : refs(r, ret, ret_n);
}

int tasks_rewind(struct db *db, int64_t now)
{
	return db_exec(db,
	               "UPDATE task SET lease_until=?+lease_ms WHERE state='running'"
	               " AND lease_until>?+lease_ms",
	               "ii", now, now + TASK_REWIND_MS);
}

int tasks_ready_after(struct db *db, int64_t time, int limit, struct task_ref **ret, size_t *ret_n)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT cluster_id, job_num, num FROM task WHERE state='ready'"
	                   " AND not_before>? ORDER BY cluster_id, job_num, num LIMIT ?",
	                   "ii", time, (int64_t)limit);
	return rc ? rc : refs(r, ret, ret_n);
}

bool task_claim_is(const struct task *t, const char *claim)
{
	const struct claim_kept kept = { t->claim, t->claim_hash, t->attempt };
	return claim_is(&kept, claim);
}

int task_renew(struct db *db, const struct task_ref *ref, const struct task_holder *by, int64_t now,
               enum task_lease *ret)
{
	char hash[CLAIM_HASH];
	*ret = LEASE_LOST;
	claim_hash(by->claim, by->attempt, hash);
	int rc = db_exec(db,
	                 "UPDATE task SET lease_until=?+lease_ms WHERE cluster_id=? AND job_num=?"
	                 " AND num=? AND state='running' AND attempt=? AND provisioner_id=?"
	                 " AND " CLAIM_IS_SQL,
	                 "iiiiisss", now, ref->cluster, ref->job, ref->task, by->attempt,
	                 by->provisioner, by->claim ? by->claim : "", hash);
	if (rc || db_affected(db) != 1)
		return rc;
	int64_t stop = 0;
	rc = db_select_int(db, &stop, NULL, "SELECT cancel FROM job WHERE cluster_id=? AND num=?",
	                   "ii", ref->cluster, ref->job);
	*ret = stop ? LEASE_CANCEL : LEASE_HELD;
	return rc;
}

int task_keep_failure(struct db *db, const struct task *t, const char *out, const char *err)
{
	return db_exec(db,
	               "INSERT INTO task_failure (cluster_id, job_num, task_num, attempt, node_id,"
	               " submit_time, status_time, status_code, message, stdout, stderr,"
	               " provisioner_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
	               "iiiisiiissss", t->cluster_id, t->job_num, t->num, t->attempt, t->node_id,
	               t->submit_time, t->status_time, t->status_code, t->message, out, err,
	               t->provisioner_id);
}

int task_failures(struct db *db, int64_t cluster, struct db_result **ret)
{
	return db_select(
		db, ret,
		"SELECT job_num, task_num, attempt, submit_time, status_time, stdout, stderr,"
		" node_id FROM task_failure WHERE cluster_id=? ORDER BY submit_time, attempt",
		"i", cluster);
}
