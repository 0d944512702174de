/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/tasklog.h"

int tasklog_add(struct db *db, const struct task_ref *ref, int64_t attempt, const char *provisioner,
                int64_t pos, const void *data, size_t len, bool *ok)
{
	int64_t one;
	int rc = db_select_int(db, &one, ok,
	                       "SELECT 1 FROM task WHERE cluster_id=? AND job_num=? AND num=?"
	                       " AND attempt=? AND provisioner_id=?",
	                       "iiiis", ref->cluster, ref->job, ref->task, attempt, provisioner);
	if (rc || !*ok || !len || pos >= TASKLOG_MAX)
		return rc;
	if (pos + (int64_t)len > TASKLOG_MAX)
		len = (size_t)(TASKLOG_MAX - pos);
	return db_exec(
		db,
		"INSERT IGNORE INTO task_log (cluster_id, job_num, task_num, attempt, pos, data)"
		" VALUES (?,?,?,?,?,?)",
		"iiiiib", ref->cluster, ref->job, ref->task, attempt, pos, data, len);
}

int tasklog_read(struct db *db, const struct task_ref *ref, int64_t attempt, int64_t pos,
                 size_t max, struct buf *out, int64_t *ret_pos)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT pos, data FROM task_log WHERE cluster_id=? AND job_num=?"
		" AND task_num=? AND attempt=? AND pos+LENGTH(data)>? ORDER BY pos LIMIT 256",
		"iiiii", ref->cluster, ref->job, ref->task, attempt, pos);
	if (rc)
		return rc;
	int64_t at = pos;
	for (size_t i = 0; i < db_rows(r) && (size_t)(at - pos) < max; i++) {
		int64_t start = db_int(r, i, 0), len = (int64_t)db_len(r, i, 1);
		int64_t skip = at > start ? at - start : 0;
		if (skip < len)
			buf_add(out, db_str(r, i, 1) + skip, (size_t)(len - skip));
		at = start + len > at ? start + len : at;
	}
	*ret_pos = at;
	return 0;
}

int tasklog_size(struct db *db, const struct task_ref *ref, int64_t attempt, int64_t *ret)
{
	*ret = 0;
	return db_select_int(
		db, ret, NULL,
		"SELECT COALESCE(MAX(pos+LENGTH(data)),0) FROM task_log WHERE cluster_id=?"
		" AND job_num=? AND task_num=? AND attempt=?",
		"iiii", ref->cluster, ref->job, ref->task, attempt);
}
