/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs as rows, and the claim by which only one scheduler at a time plans a job: owner, epoch and
 * expiry.
 */
#include "common/model/cluster/job.h"

#include "common/base/str.h"
#include "common/json/json_emit.h"
#include "common/model/row.h"

#include <stdio.h>
#include <stdlib.h>

static void read_waits(struct job *j, const char *text)
{
	char *end = NULL;
	size_t most = 0;
	for (const char *at = text; at && *at; at = end) {
		int64_t n = strtoll(at, &end, 10);
		if (end == at)
			break;
		if (j->n_waits == most) {
			most = most ? 2 * most : 32;
			j->waits = loom_realloc(j->waits, most * sizeof(*j->waits));
		}
		j->waits[j->n_waits++] = n;
	}
}

/* Owned; NULL when there are no groups. */
static char *waits_text(const struct job *j)
{
	struct buf b = BUF_INIT(1u << 22);
	for (size_t i = 0; i < j->n_waits; i++)
		buf_addf(&b, i ? " %lld" : "%lld", (long long)j->waits[i]);
	loom_assert(!b.full);
	if (j->n_waits)
		return buf_take(&b);
	buf_fini(&b);
	return NULL;
}

static struct job *job_of(void *waits)
{
	return (struct job *)(void *)((char *)waits - offsetof(struct job, waits));
}

static bool waits_read(void *at, size_t size LOOM_UNUSED, const struct db_result *r, size_t row,
                       unsigned col)
{
	read_waits(job_of(at), db_str(r, row, col));
	return true;
}

static struct db_value waits_write(const void *at, char **text)
{
	const char *job = (const char *)at - offsetof(struct job, waits);
	*text = waits_text((const struct job *)(const void *)job);
	return db_s(*text);
}

static void waits_fini(void *at)
{
	struct job *j = job_of(at);
	loom_free(j->waits);
	j->n_waits = 0;
}

static void waits_copy(void *to, const void *from)
{
	const char *job = (const char *)from - offsetof(struct job, waits);
	const struct job *j = (const struct job *)(const void *)job;
	struct job *copy = job_of(to);
	copy->n_waits = j->n_waits;
	copy->waits = loom_calloc(j->n_waits + 1, sizeof(*j->waits));
	for (size_t i = 0; i < j->n_waits; i++)
		copy->waits[i] = j->waits[i];
}

static bool status_read(void *at, size_t size LOOM_UNUSED, const struct db_result *r, size_t row,
                        unsigned col)
{
	return job_status_parse(db_str(r, row, col), at);
}

static struct db_value status_write(const void *at, char **text LOOM_UNUSED)
{
	return db_s(job_status_name(*(const enum job_status *)at));
}

static bool params_read(void *at, size_t size LOOM_UNUSED, const struct db_result *r, size_t row,
                        unsigned col)
{
	LOOM_CLEANUP(json_free) struct json *v = row_json_at(r, row, col);
	job_params_decode(v, at);
	return true;
}

static struct db_value params_write(const void *at, char **text)
{
	LOOM_CLEANUP(json_free) struct json *v = job_params_encode(at);
	*text = v ? json_text(v) : NULL;
	return db_s(*text);
}

static void params_fini(void *at)
{
	job_params_fini(at);
}

static void params_copy(void *to, const void *from)
{
	job_params_copy(to, from);
}

static const struct row_type params_type = { 'o', params_read, params_write, params_fini,
	                                     params_copy };
static const struct row_type waits_type = { 'o', waits_read, waits_write, waits_fini, waits_copy };
static const struct row_type status_type = { 'o', status_read, status_write, NULL, NULL };

/* Groups of columns that are saved separately. */
enum { PROGRESS = ROW_GROUP, WAITS = ROW_GROUP << 1, PARAMS = ROW_GROUP << 2 };

#define JOB_ROW(X, SEP)                                                                            \
	X(cluster_id, row_int, ROW_KEY)                                                            \
	SEP X(num, row_int, ROW_KEY)                                                               \
	SEP X(action, row_chars, ROW_NEW)                                                          \
	SEP X(status, status_type, ROW_NEW | ROW_SAVE) SEP X(phase, row_chars, ROW_NEW | ROW_SAVE) \
		SEP                                                                                \
		X(epoch, row_int, 0) SEP                                                           \
		X(tasks_total, row_int, ROW_SAVE | PROGRESS) SEP                                   \
		X(tasks_done, row_int, ROW_SAVE | PROGRESS) SEP                                    \
		X(create_time, row_int, ROW_NEW)                                                   \
	SEP X(end_time, row_int, ROW_SAVE)                                                         \
	SEP X(message, row_str, ROW_SAVE)                                                          \
	SEP X(params, params_type, ROW_OPTION | PARAMS) SEP X(then_action, row_chars, ROW_SAVE)    \
	SEP X(cancel, row_int, ROW_SAVE)                                                           \
	SEP X(waits, waits_type, WAITS)

#define JOB_COLUMN(col, type, flags) ROW_COLUMN(struct job, col, type, flags),
static const struct row_column columns[] = { JOB_ROW(JOB_COLUMN, ) JOB_COLUMN(
	tenant_id, row_str, ROW_NEW) JOB_COLUMN(lease_until, row_int, ROW_NEW) };
const struct row_table job_table = ROW_TABLE("job", struct job, columns);
static const struct row_table loaded = { "job", columns, LOOM_COUNT(columns) - 2,
	                                 sizeof(struct job) };

#define COLUMNS ROW_NAMES(JOB_ROW)

void job_fini(struct job *j)
{
	row_fini(&loaded, j);
}

static int read_job(const struct db_result *r, size_t i, struct job *ret)
{
	*ret = (struct job){ 0 };
	return row_read(&loaded, r, i, ret);
}

static int row_to_job(const struct db_result *r, struct job *ret, bool *found)
{
	*found = db_rows(r) > 0;
	return *found ? read_job(r, 0, ret) : 0;
}

int job_lock(struct db *db, int64_t cluster, int64_t num, struct job *ret, bool *found)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT " COLUMNS " FROM job WHERE cluster_id=? AND num=? FOR UPDATE",
	                   "ii", cluster, num);
	return rc ? rc : row_to_job(r, ret, found);
}

int job_get(struct db *db, int64_t cluster, int64_t num, struct job *ret, bool *found)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT " COLUMNS " FROM job WHERE cluster_id=? AND num=?", "ii",
	                   cluster, num);
	return rc ? rc : row_to_job(r, ret, found);
}

int job_numbers(struct db *db, int64_t cluster, const char *action, const struct list_part *part,
                struct db_result **ret)
{
	static const char *const parts[] = LIST_PARTS_AS(
		"SELECT num FROM job WHERE cluster_id=? AND (? IS NULL OR UPPER(action)=BINARY ?)",
		"num", "CAST(? AS SIGNED)");
	return db_select(db, ret, parts[part->down], "iss" LIST_PART_TYPES, cluster, action, action,
	                 LIST_PART_VALUES(part));
}

void job_event(struct cluster *c, const struct job *j, int64_t now)
{
	char id[ID_MAX];
	struct buf b = BUF_INIT(EVENT_TEXT_MAX);
	id_job(id, j->cluster_id, j->num);
	buf_addc(&b, '{');
	json_emit_str(&b, "jobId", id);
	json_emit_str(&b, "action", j->action);
	json_emit_str(&b, "status", job_status_name(j->status));
	json_emit_int(&b, "stepstotal", j->tasks_total);
	json_emit_int(&b, "stepscompleted", j->tasks_done);
	json_emit_str(&b, "message", j->message);
	json_emit_int(&b, "time", now);
	buf_addc(&b, '}');
	loom_assert(!b.full);
	cluster_event_text(c, "job", buf_take(&b));
}

void job_new(struct cluster *c, const char *action, const struct job_params *params, int64_t now,
             struct job *ret)
{
	*ret = (struct job){ .cluster_id = c->id,
		             .num = c->next_job++,
		             .status = JOB_NOT_SUBMITTED,
		             .create_time = now };
	if (params)
		job_params_copy(&ret->params, params);
	snprintf(ret->action, sizeof(ret->action), "%s", action);
	snprintf(ret->phase, sizeof(ret->phase), "plan");
	c->latest_job = ret->num;
	job_event(c, ret, now);
}

int job_insert(struct db *db, const struct cluster *c, const struct job *j)
{
	struct job row = *j;
	row.tenant_id = c->tenant_id;
	row.lease_until = j->create_time; /* claims are ordered by this: the oldest first, and free
	                                   * at once */
	return row_insert(db, &job_table, &row);
}

int job_add(struct db *db, struct cluster *c, const char *action, const struct job_params *params,
            int64_t now, int64_t *ret_num)
{
	struct job j;
	job_new(c, action, params, now, &j);
	int rc = job_insert(db, c, &j);
	*ret_num = j.num;
	job_fini(&j);
	return rc;
}

int job_save_params(struct db *db, const struct job *j)
{
	return row_save(db, &job_table, PARAMS, j);
}

void job_set_cancelled(struct job *j, const char *then_action)
{
	j->cancel = 1;
	snprintf(j->then_action, sizeof(j->then_action), "%s", then_action ? then_action : "");
}

int job_cancelled(struct db *db, int64_t cluster, int64_t num, bool *ret)
{
	int64_t cancel = 0;
	int rc = db_select_int(db, &cancel, NULL,
	                       "SELECT cancel FROM job WHERE cluster_id=? AND num=?", "ii", cluster,
	                       num);
	*ret = !rc && cancel;
	return rc;
}

int job_asked(struct db *db, const struct cluster *c, const char *ask, bool *ret)
{
	struct job j = { 0 };
	bool found = false;
	int rc = ask ? job_get(db, c->id, c->latest_job, &j, &found) : 0;
	*ret = !rc && found && str_eq(j.params.ask, ask);
	job_fini(&j);
	return rc;
}

void job_transition(struct cluster *c, struct job *j, enum job_status to, const char *message,
                    int64_t now)
{
	char *copy = loom_strdup(message);
	loom_assert(job_may_become(j->status, to));
	j->status = to;
	loom_free(j->message);
	j->message = copy;
	j->end_time = job_ended(to) ? now : 0;
	if (job_ended(to))
		snprintf(j->phase, sizeof(j->phase), "end");
	else if (to == JOB_RUNNING)
		snprintf(j->phase, sizeof(j->phase), "run");
	else if (to == JOB_NOT_SUBMITTED)
		snprintf(j->phase, sizeof(j->phase), "plan");
	job_event(c, j, now);
}

int job_save(struct db *db, const struct job *j)
{
	return row_save(db, &job_table, ROW_SAVE | PARAMS | WAITS, j);
}

int jobs_get(struct db *db, const struct task_ref *refs, size_t n, struct job **ret, size_t *ret_n)
{
	static const struct db_many many = { "SELECT DISTINCT " COLUMNS " FROM job WHERE ",
		                             "(cluster_id=? AND num=?)", " OR ", "", 2 };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *v = loom_calloc(n + 1, 2 * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		v[2 * i] = db_i(refs[i].cluster);
		v[2 * i + 1] = db_i(refs[i].job);
	}
	int rc = db_select_many(db, &r, &many, v, n);
	loom_free(v);
	*ret_n = 0;
	*ret = loom_calloc((rc ? 0 : db_rows(r)) + 1, sizeof(**ret));
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = read_job(r, i, &(*ret)[(*ret_n)++]);
	return rc;
}

int jobs_save_progress(struct db *db, struct job *const *v, size_t n)
{
	return rows_save(db, &job_table, PROGRESS | WAITS, (const void *const *)v, n);
}

struct claim {
	const char *owner, *tenant;
	int64_t lease_ms;
	struct job *job;
	bool found;
	int64_t cluster, num, epoch; /* claimed by an earlier run of the transaction */
};

/* Did an earlier run commit, although its reply was lost? */
static int claimed_before(struct db *db, const struct claim *cl, bool *ret)
{
	int64_t n = 0;
	int rc = !cl->cluster ? 0
	                      : db_select_int(db, &n, NULL,
	                                      "SELECT COUNT(*) FROM job WHERE cluster_id=? AND"
	                                      " num=? AND epoch=? AND owner=? AND phase='plan'",
	                                      "iiis", cl->cluster, cl->num, cl->epoch, cl->owner);
	*ret = !rc && n;
	return rc;
}

static int claim_tx(struct db *db, void *arg)
{
	struct claim *cl = arg;
	cl->found = false;
	job_fini(cl->job);
	int64_t now;
	bool before = false;
	int rc = db_now(db, &now);
	if (!rc)
		rc = claimed_before(db, cl, &before);
	if (rc)
		return rc;
	if (before)
		return job_get(db, cl->cluster, cl->num, cl->job, &cl->found);
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	rc = db_select(db, &r,
	               "SELECT cluster_id, num FROM job FORCE INDEX (planning)"
	               " WHERE phase='plan' AND status='not_submitted' AND tenant_id=?"
	               " AND lease_until<=? ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED",
	               "si", cl->tenant, now);
	if (rc || !db_rows(r))
		return rc;
	int64_t cluster = db_int(r, 0, 0), num = db_int(r, 0, 1);
	rc = db_exec(
		db,
		"UPDATE job SET owner=?, epoch=epoch+1, lease_until=? WHERE cluster_id=? AND num=?",
		"siii", cl->owner, now + cl->lease_ms, cluster, num);
	if (!rc)
		rc = job_get(db, cluster, num, cl->job, &cl->found);
	cl->cluster = cluster;
	cl->num = num;
	cl->epoch = cl->job->epoch;
	return rc;
}

struct turn {
	const char *after;
	char *tenant;
	size_t size;
	bool found;
};

#define TO_PLAN                                                                \
	"(SELECT tenant_id FROM job FORCE INDEX (planning) WHERE phase='plan'" \
	" AND status='not_submitted' AND lease_until<="                        \
	"CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"
#define IN_TURN " ORDER BY tenant_id, lease_until LIMIT 1)"

/* A tenant's free jobs come first in the index, so only jobs that others hold are skipped. */
static int turn_read(struct db *db, void *arg)
{
	struct turn *t = arg;
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT COALESCE(" TO_PLAN " AND tenant_id>?" IN_TURN
	                   ", " TO_PLAN IN_TURN ")",
	                   "s", t->after);
	t->found = !rc && db_rows(r) && !db_is_null(r, 0, 0);
	if (t->found)
		snprintf(t->tenant, t->size, "%s", db_str(r, 0, 0));
	return rc;
}

int job_turn(struct db_pool *p, const char *after, char *ret, size_t size, bool *ret_found)
{
	struct turn t = { .after = after, .size = size };
	t.tenant = ret;
	int rc = db_read(p, turn_read, &t);
	*ret_found = !rc && t.found;
	return rc;
}

int job_claim(struct db_pool *p, const struct job_claimant *by, struct job *ret, bool *ret_found)
{
	*ret = (struct job){ 0 };
	struct claim cl = {
		.owner = by->owner, .tenant = by->tenant, .lease_ms = by->lease_ms, .job = ret
	};
	int rc = db_tx(p, claim_tx, &cl);
	*ret_found = !rc && cl.found;
	if (rc)
		job_fini(ret);
	return rc;
}

int job_extend_claim(struct db *db, const struct job *claimed, int64_t lease_ms, bool *ret_ours)
{
	int64_t now;
	int rc = db_now(db, &now);
	if (!rc)
		rc = db_exec(db,
		             "UPDATE job SET lease_until=? WHERE cluster_id=? AND num=? AND epoch=?"
		             " AND phase='plan'",
		             "iiii", now + lease_ms, claimed->cluster_id, claimed->num,
		             claimed->epoch);
	*ret_ours = !rc && db_affected(db) == 1;
	return rc;
}

int job_release_claims(struct db *db, const char *owner, int64_t *ret_n)
{
	int rc = db_exec(db,
	                 "UPDATE job SET lease_until=0 WHERE phase='plan' AND lease_until>0"
	                 " AND owner=?",
	                 "s", owner);
	*ret_n = rc ? 0 : db_affected(db);
	return rc;
}

int jobs_rewind(struct db *db, int64_t now, int64_t lease_ms)
{
	return db_exec(db,
	               "UPDATE job SET lease_until=IF(owner IS NULL OR owner='', ?, ?) WHERE"
	               " phase='plan' AND lease_until>?",
	               "iii", now, now + lease_ms, now + lease_ms + JOB_REWIND_MS);
}

int job_check_claim(struct db *db, const struct job *claimed, bool *ret_ours)
{
	struct job now_ = { 0 };
	bool found;
	int rc = job_lock(db, claimed->cluster_id, claimed->num, &now_, &found);
	*ret_ours = !rc && found && str_eq(now_.phase, "plan") && now_.epoch == claimed->epoch;
	job_fini(&now_);
	return rc;
}

int job_hold_get(struct db *db, int64_t cluster, int64_t num, struct job_hold *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT owner, lease_until, held_by, held_time FROM job"
	                   " WHERE cluster_id=? AND num=?",
	                   "ii", cluster, num);
	*ret = (struct job_hold){ 0 };
	if (rc || !db_rows(r))
		return rc;
	snprintf(ret->owner, sizeof(ret->owner), "%s", db_str(r, 0, 0) ? db_str(r, 0, 0) : "");
	snprintf(ret->paused_by, sizeof(ret->paused_by), "%s",
	         db_str(r, 0, 2) ? db_str(r, 0, 2) : "");
	ret->planned_until = db_int(r, 0, 1);
	ret->paused_at = db_int(r, 0, 3);
	return 0;
}

int job_hold_pause(struct db *db, const struct job *j, const char *user, int64_t now)
{
	return db_exec(db, "UPDATE job SET held_by=?, held_time=? WHERE cluster_id=? AND num=?",
	               "siii", user, user ? now : 0, j->cluster_id, j->num);
}
