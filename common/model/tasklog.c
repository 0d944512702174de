/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of attempts in pieces, each byte once. */
#include "common/model/tasklog.h"

int tasklog_add(struct db *db, const struct tasklog_at *at, const struct tasklog_piece *piece,
                bool *ok)
{
	const struct task_ref *ref = &at->ref;
	int64_t one;
	int rc = db_select_int(db, &one, ok,
	                       "SELECT 1 FROM task WHERE cluster_id=? AND job_num=? AND num=?"
	                       " AND attempt=? AND provisioner_id=?",
	                       "iiiis", ref->cluster, ref->job, ref->task, at->attempt,
	                       piece->provisioner);
	if (rc || !*ok || !piece->len || at->pos >= TASKLOG_MAX)
		return rc;
	size_t room = (size_t)(TASKLOG_MAX - at->pos);
	return db_exec(
		db,
		"INSERT IGNORE INTO task_log (cluster_id, job_num, task_num, attempt, pos, data)"
		" VALUES (?,?,?,?,?,?)",
		"iiiiib", ref->cluster, ref->job, ref->task, at->attempt, at->pos, piece->data,
		piece->len < room ? piece->len : room);
}

int tasklog_read(struct db *db, const struct tasklog_at *at, size_t max, struct buf *out,
                 int64_t *ret_pos)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT pos, data FROM task_log WHERE cluster_id=? AND job_num=?"
		" AND task_num=? AND attempt=? AND pos+LENGTH(data)>? ORDER BY pos LIMIT 256",
		"iiiii", at->ref.cluster, at->ref.job, at->ref.task, at->attempt, at->pos);
	if (rc)
		return rc;
	int64_t pos = at->pos;
	for (size_t i = 0; i < db_rows(r) && (size_t)(pos - at->pos) < max; i++) {
		int64_t start = db_int(r, i, 0), len = (int64_t)db_len(r, i, 1);
		int64_t skip = pos > start ? pos - start : 0;
		if (skip < len)
			buf_add(out, db_str(r, i, 1) + skip, (size_t)(len - skip));
		pos = start + len > pos ? start + len : pos;
	}
	*ret_pos = pos;
	return 0;
}

int tasklog_size(struct db *db, const struct tasklog_at *at, int64_t *ret)
{
	*ret = 0;
	return db_select_int(
		db, ret, NULL,
		"SELECT COALESCE(MAX(pos+LENGTH(data)),0) FROM task_log WHERE cluster_id=?"
		" AND job_num=? AND task_num=? AND attempt=?",
		"iiii", at->ref.cluster, at->ref.job, at->ref.task, at->attempt);
}
