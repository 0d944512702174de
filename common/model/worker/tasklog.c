/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of attempts in pieces, each byte once: the head and the tail of what was written. */
#include "common/model/worker/tasklog.h"

#include "common/base/str.h"
#include "common/model/cluster/state.h"
#include "common/model/worker/claim.h"

#include <inttypes.h>
#include <stdio.h>

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"
#define OF  " FROM task_log WHERE cluster_id=? AND job_num=? AND task_num=? AND attempt=?"

int tasklog_writer(struct db *db, const struct tasklog_at *at, const struct tasklog_piece *piece,
                   char tenant[65], enum tasklog_writer *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	const struct task_ref *ref = &at->ref;
	char hash[CLAIM_HASH];
	*ret = TASKLOG_NOT_HELD;
	claim_hash(piece->claim, at->attempt, hash);
	*tenant = '\0';
	int rc = db_select(db, &r,
	                   "SELECT tenant_id, state, status_time, " NOW " FROM task WHERE"
	                   " cluster_id=? AND job_num=? AND num=? AND attempt=? AND"
	                   " provisioner_id=? AND " CLAIM_IS_SQL,
	                   "iiiisss", ref->cluster, ref->job, ref->task, at->attempt,
	                   piece->provisioner, piece->claim ? piece->claim : "", hash);
	if (rc || !db_rows(r))
		return rc;
	bool running = str_eq(db_str(r, 0, 1), task_state_name(TASK_RUNNING));
	bool fresh = db_int(r, 0, 3) - db_int(r, 0, 2) <= TASKLOG_GRACE_MS;
	(void)snprintf(tenant, 65, "%s", db_str(r, 0, 0));
	*ret = running || fresh ? TASKLOG_OPEN : TASKLOG_CLOSED;
	return 0;
}

/* Locks the last piece, so that two concurrent pieces do not overlap. */
static int read_end(struct db *db, const struct tasklog_at *at, int64_t *ret)
{
	*ret = 0;
	return db_select_int(db, ret, NULL,
	                     "SELECT pos+LENGTH(data)" OF " ORDER BY pos DESC LIMIT 1 FOR UPDATE",
	                     "iiii", at->ref.cluster, at->ref.job, at->ref.task, at->attempt);
}

static bool in_order(int64_t end, int64_t pos, int64_t dropped)
{
	return pos == end || pos == end + dropped || (pos > end && end >= TASKLOG_HEAD);
}

/* Deletes the part between head and tail. */
static int trim(struct db *db, const struct tasklog_at *at, int64_t end)
{
	if (end - TASKLOG_TAIL <= TASKLOG_HEAD)
		return 0;
	return db_exec(db, "DELETE" OF " AND pos>=? AND pos<?", "iiiiii", at->ref.cluster,
	               at->ref.job, at->ref.task, at->attempt, (int64_t)TASKLOG_HEAD,
	               end - TASKLOG_TAIL);
}

int tasklog_add(struct db *db, const struct tasklog_at *at, const struct tasklog_piece *piece,
                bool *ok, int64_t *ret_end)
{
	int64_t after = at->pos + (int64_t)piece->len;
	int rc = read_end(db, at, ret_end);
	*ok = !rc && (after <= *ret_end || in_order(*ret_end, at->pos, piece->dropped));
	if (rc || !*ok || after <= *ret_end || !piece->len)
		return rc;
	rc = db_exec(db,
	             "INSERT IGNORE INTO task_log (cluster_id, job_num, task_num, attempt, pos,"
	             " data) VALUES (?,?,?,?,?,?)",
	             "iiiiib", at->ref.cluster, at->ref.job, at->ref.task, at->attempt, at->pos,
	             piece->data, piece->len);
	*ret_end = after;
	return rc ? rc : trim(db, at, after);
}

/* Finds how far to read for about max bytes, without reading the texts. */
static int read_far(struct db *db, const struct tasklog_at *at, size_t max, int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	size_t sum = 0;
	int rc = db_select(
		db, &r,
		"SELECT pos, LENGTH(data)" OF " AND pos+LENGTH(data)>? ORDER BY pos LIMIT 256",
		"iiiii", at->ref.cluster, at->ref.job, at->ref.task, at->attempt, at->pos);
	*ret = -1;
	for (size_t i = 0; !rc && i < db_rows(r) && sum < max; i++) {
		sum += (size_t)db_int(r, i, 1);
		*ret = db_int(r, i, 0);
	}
	return rc;
}

static void add_missing(struct tasklog_part *p, int64_t bytes)
{
	buf_addf(&p->text, "%s[%" PRId64 " bytes of the log were dropped here]\n",
	         p->mid_line ? "\n" : "", bytes);
	p->mid_line = false;
}

static void add_bytes(struct tasklog_part *p, const char *data, size_t len)
{
	if (!len)
		return;
	buf_add(&p->text, data, len);
	p->mid_line = data[len - 1] != '\n';
}

int tasklog_read(struct db *db, const struct tasklog_at *at, bool mid_line, size_t max,
                 struct tasklog_part *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t far;
	ret->end = at->pos;
	ret->mid_line = mid_line;
	int rc = read_far(db, at, max, &far);
	if (rc || far < 0)
		return rc;
	rc = db_select(
		db, &r, "SELECT pos, data" OF " AND pos<=? AND pos+LENGTH(data)>? ORDER BY pos",
		"iiiiii", at->ref.cluster, at->ref.job, at->ref.task, at->attempt, far, at->pos);
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		int64_t start = db_int(r, i, 0), len = (int64_t)db_len(r, i, 1);
		int64_t skip = ret->end > start ? ret->end - start : 0;
		if (start > ret->end)
			add_missing(ret, start - ret->end);
		if (skip < len) {
			add_bytes(ret, db_str(r, i, 1) + skip, (size_t)(len - skip));
			ret->end = start + len;
		}
	}
	return rc;
}

int tasklog_tail(struct db *db, const struct tasklog_at *at, int64_t bytes, int64_t *ret_pos)
{
	int64_t end = 0, before = 0;
	*ret_pos = 0;
	int rc = db_select_int(db, &end, NULL,
	                       "SELECT pos+LENGTH(data)" OF " ORDER BY pos DESC LIMIT 1", "iiii",
	                       at->ref.cluster, at->ref.job, at->ref.task, at->attempt);
	if (rc || end <= bytes)
		return rc;
	rc = db_select_int(db, &before, NULL,
	                   "SELECT pos+LENGTH(data)" OF " AND pos<? ORDER BY pos DESC LIMIT 1",
	                   "iiiii", at->ref.cluster, at->ref.job, at->ref.task, at->attempt,
	                   end - bytes);
	*ret_pos = before < end - bytes ? before : end - bytes;
	return rc;
}
