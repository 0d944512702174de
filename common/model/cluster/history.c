/* SPDX-License-Identifier: Apache-2.0 */
/* Finds what ended long ago by an index of finished jobs, and deletes it in small pieces. */
#include "common/model/cluster/history.h"

#include "common/base/str.h"
#include "common/model/cluster/cluster.h"

static const char *const names[HISTORY_N] = { "events", "logs", "jobs", "clusters" };

const char *history_name(enum history h)
{
	return names[h];
}

/* ---- which are due? -------------------------------------------------------------------------- */

static char *counter_of(enum history h)
{
	return loom_asprintf("history of %s", names[h]);
}

static int seen_until(struct db *db, enum history h, int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	LOOM_CLEANUP_STR char *name = counter_of(h);
	int rc = db_select(db, &r, "SELECT value FROM counter WHERE name=?", "s", name);
	*ret = !rc && db_rows(r) ? db_int(r, 0, 0) : 0;
	return rc;
}

int history_due(struct db *db, enum history h, const struct history_from *from,
                struct history_job *ret, size_t max, size_t *ret_n)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t now, seen;
	*ret_n = 0;
	int rc = db_now(db, &now);
	if (!rc)
		rc = seen_until(db, h, &seen);
	if (!rc)
		rc = db_select(db, &r,
		               "SELECT cluster_id, num, end_time FROM job FORCE INDEX (ended)"
		               " WHERE phase='end' AND end_time>? AND end_time<?"
		               " ORDER BY end_time, cluster_id, num LIMIT ?",
		               "iii", seen > from->seen ? seen : from->seen, now - from->kept_ms,
		               (int64_t)max);
	for (; !rc && *ret_n < db_rows(r); (*ret_n)++)
		ret[*ret_n] = (struct history_job){ db_int(r, *ret_n, 0), db_int(r, *ret_n, 1),
			                            db_int(r, *ret_n, 2) };
	return rc;
}

int history_done(struct db *db, enum history h, int64_t end_time)
{
	LOOM_CLEANUP_STR char *name = counter_of(h);
	return db_exec(db,
	               "INSERT INTO counter (name, value) VALUES (?,?)"
	               " ON DUPLICATE KEY UPDATE value=GREATEST(value, VALUES(value))",
	               "si", name, end_time);
}

/* ---- letting go ------------------------------------------------------------------------------ */

/* A statement per table; referencing tables come first. Pieces of a log are large. */
struct piece {
	const char *sql;
	int64_t most;
};
static const struct piece of_job[] = {
	{ "DELETE FROM task_log WHERE cluster_id=? AND job_num=? LIMIT 50", 50 },
	{ "DELETE FROM task_failure WHERE cluster_id=? AND job_num=? LIMIT 500", 500 },
	{ "DELETE FROM task_edge WHERE cluster_id=? AND job_num=? LIMIT 500", 500 },
	{ "DELETE FROM task WHERE cluster_id=? AND job_num=? LIMIT 500", 500 },
	{ "DELETE FROM job WHERE cluster_id=? AND num=?", 0 },
	{ 0 },
};
static const struct piece of_cluster[] = {
	{ "DELETE FROM task_log WHERE cluster_id=? LIMIT 50", 50 },
	{ "DELETE FROM event WHERE cluster_id=? LIMIT 500", 500 },
	{ "DELETE FROM task_failure WHERE cluster_id=? LIMIT 500", 500 },
	{ "DELETE FROM task_edge WHERE cluster_id=? LIMIT 500", 500 },
	{ "DELETE FROM task WHERE cluster_id=? LIMIT 500", 500 },
	{ "DELETE FROM callback WHERE cluster_id=? LIMIT 500", 500 },
	{ "DELETE FROM node WHERE cluster_id=? LIMIT 500", 500 },
	{ "DELETE FROM job WHERE cluster_id=? LIMIT 500", 500 },
	{ "DELETE FROM cluster_term WHERE cluster_id=?", 0 },
	{ "DELETE FROM cluster WHERE id=?", 0 },
	{ 0 },
};

/* Stops at the first table that has more than one piece. num 0: a whole cluster. */
static int delete_pieces(struct db *db, const struct piece *p, int64_t cluster, int64_t num,
                         int64_t *rows)
{
	for (; p->sql; p++) {
		int rc = num ? db_exec(db, p->sql, "ii", cluster, num)
		             : db_exec(db, p->sql, "i", cluster);
		if (rc)
			return rc;
		int64_t n = db_affected(db);
		*rows += n;
		if (p->most && n == p->most)
			break;
	}
	return 0;
}

/* Compares the time in each event. Reads only the first ones, as a large cluster has many. */
static int drop_events(struct db *db, const struct history_job *j, int64_t *rows)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT MAX(e.seq) FROM (SELECT seq, data FROM event"
	                   " WHERE cluster_id=? ORDER BY seq LIMIT 500) e"
	                   " WHERE CAST(JSON_VALUE(e.data, '$.time') AS SIGNED)<=?",
	                   "ii", j->cluster, j->end_time);
	if (rc || !db_int(r, 0, 0))
		return rc;
	rc = db_exec(db, "DELETE FROM event WHERE cluster_id=? AND seq<=?", "ii", j->cluster,
	             db_int(r, 0, 0));
	*rows = db_affected(db);
	return rc;
}

static int drop_logs(struct db *db, const struct history_job *j, int64_t *rows)
{
	int rc = db_exec(db, of_job[0].sql, "ii", j->cluster, j->num);
	*rows = db_affected(db);
	return rc;
}

/* Also examines the jobs before it: one of them may have been the newest when it was its turn. */
static int drop_jobs(struct db *db, const struct history_job *j, int64_t *rows)
{
	LOOM_CLEANUP(db_result_free) struct db_result *c = NULL, *r = NULL;
	int rc = db_select(db, &c,
	                   "SELECT latest_job FROM cluster WHERE id=? AND status='active'"
	                   " FOR UPDATE",
	                   "i", j->cluster);
	if (rc || !db_rows(c))
		return rc;
	rc = db_select(db, &r,
	               "SELECT num FROM job WHERE cluster_id=? AND num<=? AND num<?"
	               " AND phase='end' AND end_time<=? AND NOT EXISTS (SELECT 1 FROM task t"
	               "  WHERE t.cluster_id=job.cluster_id AND t.job_num=job.num"
	               "  AND t.name IN ('CREATE','CONFIRM','DELETE')) ORDER BY num LIMIT 1",
	               "iiii", j->cluster, j->num, db_int(c, 0, 0), j->end_time);
	if (rc || !db_rows(r))
		return rc;
	return delete_pieces(db, of_job, j->cluster, db_int(r, 0, 0), rows);
}

/* A cluster ends with its newest job. One whose job lists nodes that the provider did not delete is
 * kept: nothing else knows of them. */
static int drop_cluster(struct db *db, const struct history_job *j, int64_t *rows)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT 1 FROM cluster WHERE id=? AND status='terminated'"
	                   " AND latest_job<=? AND NOT EXISTS (SELECT 1 FROM task t"
	                   "  WHERE t.cluster_id=cluster.id AND t.job_num=cluster.latest_job"
	                   "  AND t.name='DELETE' AND t.state<>'complete') FOR UPDATE",
	                   "ii", j->cluster, j->num);
	return rc || !db_rows(r) ? rc : delete_pieces(db, of_cluster, j->cluster, 0, rows);
}

int history_let_go(struct db *db, enum history h, const struct history_job *j, int64_t *ret_rows)
{
	static int (*const drop[HISTORY_N])(struct db *, const struct history_job *,
	                                    int64_t *) = { drop_events, drop_logs, drop_jobs,
		                                           drop_cluster };
	*ret_rows = 0;
	return drop[h](db, j, ret_rows);
}

int history_first_event(struct db *db, int64_t cluster, int64_t *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT MIN(seq) FROM event WHERE cluster_id=?", "i", cluster);
	*ret = rc ? 0 : db_int(r, 0, 0);
	return rc;
}
