/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/task.h"

#include "common/json/json_emit.h"

#include <stdio.h>
#include <string.h>

void tasks_free(struct tasks *ts)
{
	if (!ts)
		return;
	for (size_t i = 0; i < ts->n; i++) {
		loom_free(ts->v[i].tenant_id);
		loom_free(ts->v[i].service);
		loom_free(ts->v[i].provisioner_id);
		loom_free(ts->v[i].worker_id);
		loom_free(ts->v[i].message);
	}
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

#define COLUMNS                                                                                \
	"cluster_id, job_num, num, tenant_id, node_id, node_num, name, service, stage, state," \
	" unmet, attempt, done_attempt, failures, losses, not_before, lease_ms, lease_until,"  \
	" provisioner_id, worker_id, submit_time, status_time, status_code, message"

static int rows_to_tasks(const struct db_result *r, struct tasks **ret)
{
	LOOM_CLEANUP(tasks_free) struct tasks *ts = loom_calloc(1, sizeof(*ts));
	ts->n = db_rows(r);
	ts->v = loom_calloc(ts->n ? ts->n : 1, sizeof(*ts->v));
	for (size_t i = 0; i < ts->n; i++) {
		struct task *t = &ts->v[i];
		t->cluster_id = db_int(r, i, 0);
		t->job_num = db_int(r, i, 1);
		t->num = db_int(r, i, 2);
		t->tenant_id = loom_strdup(db_str(r, i, 3));
		snprintf(t->node_id, sizeof(t->node_id), "%s", db_str(r, i, 4));
		t->node_num = db_int(r, i, 5);
		snprintf(t->name, sizeof(t->name), "%s", db_str(r, i, 6));
		t->service = loom_strdup(db_str(r, i, 7));
		t->stage = db_int(r, i, 8);
		if (!task_state_parse(db_str(r, i, 9), &t->state))
			return DB_E_FATAL;
		int64_t *const ints[] = { &t->unmet,    &t->attempt,    &t->done_attempt,
			                  &t->failures, &t->losses,     &t->not_before,
			                  &t->lease_ms, &t->lease_until };
		for (unsigned k = 0; k < LOOM_COUNT(ints); k++)
			*ints[k] = db_int(r, i, 10 + k);
		t->provisioner_id = loom_strdup(db_str(r, i, 18));
		t->worker_id = loom_strdup(db_str(r, i, 19));
		t->submit_time = db_int(r, i, 20);
		t->status_time = db_int(r, i, 21);
		t->status_code = db_int(r, i, 22);
		t->message = loom_strdup(db_str(r, i, 23));
	}
	*ret = loom_take(ts);
	return 0;
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

void task_event(struct cluster *c, const struct task *t, int64_t now)
{
	char id[ID_MAX];
	struct buf b = BUF_INIT(EVENT_TEXT_MAX);
	/* A task that waits for another try is shown as such, not as a plain wait. */
	bool again =
		t->failures + t->losses > 0 && (t->state == TASK_READY || t->state == TASK_BLOCKED);
	id_task(id, t->cluster_id, t->job_num, t->num);
	buf_addc(&b, '{');
	json_emit_str(&b, "taskId", id);
	json_emit_str(&b, "taskName", t->name);
	json_emit_str(&b, "service", t->service);
	json_emit_str(&b, "nodeId", t->node_id);
	json_emit_int(&b, "nodenum", t->node_num);
	json_emit_str(&b, "state", again ? "retry" : task_state_name(t->state));
	json_emit_int(&b, "attempt", t->attempt);
	if (t->state == TASK_RUNNING)
		json_emit_str(&b, "provisionerId", t->provisioner_id);
	if (again || t->state == TASK_FAILED)
		json_emit_int(&b, "statusCode", t->status_code);
	if (again && t->not_before > t->status_time)
		json_emit_int(&b, "retryAt", t->not_before);
	json_emit_str(&b, "message", t->message);
	json_emit_int(&b, "time", now);
	buf_addc(&b, '}');
	loom_assert(!b.full);
	cluster_event_text(c, "task", buf_take(&b));
}

int task_set_state(struct db *db, struct cluster *c, struct task *t, enum task_state to,
                   int64_t now)
{
	loom_assert(task_may_become(t->state, to));
	t->state = to;
	int rc = db_exec(db,
	                 "UPDATE task SET state=?, unmet=?, attempt=?, done_attempt=?, failures=?,"
	                 " losses=?, not_before=?, lease_ms=?, lease_until=?, provisioner_id=?,"
	                 " worker_id=?, submit_time=?, status_time=?, status_code=?, message=?"
	                 " WHERE cluster_id=? AND job_num=? AND num=?",
	                 "siiiiiiiissiiisiii", task_state_name(to), t->unmet, t->attempt,
	                 t->done_attempt, t->failures, t->losses, t->not_before, t->lease_ms,
	                 t->lease_until, t->provisioner_id, t->worker_id, t->submit_time,
	                 t->status_time, t->status_code, t->message, t->cluster_id, t->job_num,
	                 t->num);
	if (!rc)
		task_event(c, t, now);
	return rc;
}

int task_promote(struct db *db, struct cluster *c, int64_t job, const char *node, int64_t now,
                 int *promoted)
{
	bool busy;
	int64_t one;
	int rc = db_select_int(db, &one, &busy,
	                       "SELECT 1 FROM task WHERE node_id=? AND job_num=?"
	                       " AND state IN ('ready','running') LIMIT 1",
	                       "si", node, job);
	if (rc || busy)
		return rc;
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	rc = db_select(db, &r,
	               "SELECT " COLUMNS
	               " FROM task WHERE node_id=? AND job_num=? AND state='blocked' AND unmet=0"
	               " ORDER BY num LIMIT 1",
	               "si", node, job);
	if (rc || !db_rows(r))
		return rc;
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	rc = rows_to_tasks(r, &ts);
	if (rc)
		return rc;
	/* not_before is the claim order too: the longest ready first. */
	if (ts->v[0].not_before < now && !ts->v[0].failures)
		ts->v[0].not_before = now;
	++*promoted;
	return task_set_state(db, c, &ts->v[0], TASK_READY, now);
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

#define SAVED_VALUES 18

static void saved_values(const struct task *t, struct db_value v[SAVED_VALUES])
{
	const struct db_value all[SAVED_VALUES] = {
		db_i(t->cluster_id),
		db_i(t->job_num),
		db_i(t->num),
		db_s(task_state_name(t->state)),
		db_i(t->unmet),
		db_i(t->attempt),
		db_i(t->done_attempt),
		db_i(t->failures),
		db_i(t->losses),
		db_i(t->not_before),
		db_i(t->lease_ms),
		db_i(t->lease_until),
		db_s(t->provisioner_id),
		db_s(t->worker_id),
		db_i(t->submit_time),
		db_i(t->status_time),
		db_i(t->status_code),
		db_s(t->message),
	};
	memcpy(v, all, sizeof(all));
}

int tasks_save(struct db *db, struct task *const *v, size_t n)
{
	/* The rows are there: none is ever inserted. */
	static const struct db_many many = {
		"INSERT INTO task (tenant_id, node_id, node_num, name, service, stage, cluster_id,"
		" job_num, num, state, unmet, attempt, done_attempt, failures, losses, not_before,"
		" lease_ms, lease_until, provisioner_id, worker_id, submit_time, status_time,"
		" status_code, message) VALUES ",
		"('','',0,'','',0,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", ",",
		" ON DUPLICATE KEY UPDATE state=VALUES(state), unmet=VALUES(unmet),"
		" attempt=VALUES(attempt), done_attempt=VALUES(done_attempt),"
		" failures=VALUES(failures), losses=VALUES(losses), not_before=VALUES(not_before),"
		" lease_ms=VALUES(lease_ms), lease_until=VALUES(lease_until),"
		" provisioner_id=VALUES(provisioner_id), worker_id=VALUES(worker_id),"
		" submit_time=VALUES(submit_time), status_time=VALUES(status_time),"
		" status_code=VALUES(status_code), message=VALUES(message)",
		SAVED_VALUES
	};
	struct db_value *values = loom_calloc(n + 1, SAVED_VALUES * sizeof(*values));
	for (size_t i = 0; i < n; i++)
		saved_values(v[i], values + i * SAVED_VALUES);
	int rc = db_upsert_many(db, &many, values, n);
	loom_free(values);
	return rc;
}

/* ---- waiting, dropping, counting ------------------------------------------------------------- */

int task_postpone(struct db *db, const struct task *t, int64_t until)
{
	return db_exec(db,
	               "UPDATE task SET not_before=? WHERE cluster_id=? AND job_num=? AND num=?"
	               " AND state='ready'",
	               "iiii", until, t->cluster_id, t->job_num, t->num);
}

int tasks_await_machines(struct db *db, int64_t cluster, int64_t job, bool *ret)
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
	/* The line in which what needs addresses waits: not the provider calls. */
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

int tasks_move(struct db *db, const struct task *of, const char *to_node, int64_t to_num)
{
	return db_exec(db,
	               "UPDATE task SET node_id=?, node_num=?, failures=0, losses=0"
	               " WHERE cluster_id=? AND job_num=? AND node_id=? AND state='blocked'",
	               "siiis", to_node, to_num, of->cluster_id, of->job_num, of->node_id);
}

int tasks_drop(struct db *db, struct cluster *c, int64_t job, int64_t now)
{
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	int rc = tasks_load(db, c->id, job, &ts);
	for (size_t i = 0; !rc && i < ts->n; i++)
		if (ts->v[i].state == TASK_BLOCKED || ts->v[i].state == TASK_READY)
			rc = task_set_state(db, c, &ts->v[i], TASK_DROPPED, now);
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

int tasks_expired(struct db *db, int64_t now, int limit, struct task_ref **ret, size_t *ret_n)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT cluster_id, job_num, num FROM task WHERE state='running'"
	                   " AND lease_until<? ORDER BY lease_until LIMIT ?",
	                   "ii", now, (int64_t)limit);
	return rc ? rc : refs(r, ret, ret_n);
}

int task_renew(struct db *db, const struct task_ref *ref, int64_t attempt, const char *provisioner,
               int64_t now, enum task_lease *ret)
{
	*ret = LEASE_LOST;
	int rc = db_exec(db,
	                 "UPDATE task SET lease_until=?+lease_ms WHERE cluster_id=? AND job_num=?"
	                 " AND num=? AND state='running' AND attempt=? AND provisioner_id=?",
	                 "iiiiis", now, ref->cluster, ref->job, ref->task, attempt, provisioner);
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
