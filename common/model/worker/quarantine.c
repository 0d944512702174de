/* SPDX-License-Identifier: Apache-2.0 */
/* What is held against provisioners, and which are in quarantine. */
#include "common/model/worker/quarantine.h"

#include "common/model/worker/provisioner.h"

#include <stdio.h>

#define ALIVE_MS 15000  /* since its last heartbeat */
#define SAMPLE   "1000" /* this many of the newest tasks suffice to compare provisioners */

void quarantines_free(struct quarantines *q)
{
	for (size_t i = 0; q && i < q->n; i++) {
		loom_free(q->v[i].provisioner);
		loom_free(q->v[i].reason);
	}
	if (q)
		loom_free(q->v);
	loom_free(q);
}

const struct quarantine *quarantines_find(const struct quarantines *q, const char *provisioner)
{
	for (size_t i = 0; q && i < q->n; i++) {
		if (str_eq(q->v[i].provisioner, provisioner))
			return &q->v[i];
	}
	return NULL;
}

#define COLUMNS                                                                         \
	"SELECT provisioner_id, reason, since, next_probe, failed_probes, good_probes," \
	" probe_cluster, probe_job, probe_task, probe_attempt FROM quarantine"

static struct quarantines *rows(const struct db_result *r)
{
	struct quarantines *q = loom_calloc(1, sizeof(*q));
	q->n = db_rows(r);
	q->v = loom_calloc(q->n + 1, sizeof(*q->v));
	for (size_t i = 0; i < q->n; i++)
		q->v[i] = (struct quarantine){
			.provisioner = loom_strdup(db_str(r, i, 0)),
			.reason = loom_strdup(db_str(r, i, 1)),
			.since = db_int(r, i, 2),
			.next_probe = db_int(r, i, 3),
			.failed_probes = db_int(r, i, 4),
			.good_probes = db_int(r, i, 5),
			.probe = { db_int(r, i, 6), db_int(r, i, 7), db_int(r, i, 8) },
			.probe_attempt = db_int(r, i, 9),
		};
	return q;
}

int quarantines_load(struct db *db, const char *provisioner, struct quarantines **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, COLUMNS " WHERE ? IS NULL OR provisioner_id=?", "ss",
	                   provisioner, provisioner);
	if (!rc)
		*ret = rows(r);
	return rc;
}

int quarantine_lock(struct db *db, const char *provisioner, struct quarantines **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, COLUMNS " WHERE provisioner_id=? FOR UPDATE", "s", provisioner);
	if (!rc)
		*ret = rows(r);
	return rc;
}

int quarantine_begin(struct db *db, const char *provisioner, const char *reason, int64_t now,
                     int64_t next_probe)
{
	return db_exec(db,
	               "INSERT IGNORE INTO quarantine (provisioner_id, since, next_probe, reason)"
	               " VALUES (?,?,?,?)",
	               "siis", provisioner, now, next_probe, reason);
}

int quarantine_release(struct db *db, const char *provisioner, bool *ret)
{
	int rc = db_exec(db, "DELETE FROM quarantine WHERE provisioner_id=?", "s", provisioner);
	*ret = !rc && db_affected(db) > 0;
	return rc ? rc
	          : db_exec(db, "DELETE FROM provisioner_strike WHERE provisioner_id=?", "s",
	                    provisioner);
}

int quarantine_save(struct db *db, const struct quarantine *q)
{
	return db_exec(db,
	               "UPDATE quarantine SET next_probe=?, failed_probes=?, good_probes=?,"
	               " probe_attempt=? WHERE provisioner_id=?",
	               "iiiis", q->next_probe, q->failed_probes, q->good_probes, q->probe_attempt,
	               q->provisioner);
}

int quarantine_probe(struct db *db, const char *provisioner, const struct task_ref *ref,
                     int64_t attempt, int64_t now, bool *ret)
{
	int rc = db_exec(db,
	                 "UPDATE quarantine SET probe_cluster=?, probe_job=?, probe_task=?,"
	                 " probe_attempt=? WHERE provisioner_id=? AND probe_attempt=0"
	                 " AND next_probe<=?",
	                 "iiiisi", ref->cluster, ref->job, ref->task, attempt, provisioner, now);
	*ret = !rc && db_affected(db) == 1;
	return rc;
}

/* ---- evidence -------------------------------------------------------------------------------- */

int strikes_add(struct db *db, const struct task *t, int64_t now, int64_t since, struct strs *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	/* A worker that vanished proves nothing: its attempt has no output and the code -1. */
	int rc = db_select(db, &r,
	                   "SELECT provisioner_id, MAX(status_time), MAX(message) FROM task_failure"
	                   " WHERE cluster_id=? AND job_num=? AND task_num=? AND provisioner_id<>?"
	                   " AND NOT (status_code=-1 AND stdout IS NULL AND stderr IS NULL)"
	                   " AND status_time>? GROUP BY provisioner_id",
	                   "iiisi", t->cluster_id, t->job_num, t->num, t->provisioner_id, since);
	if (!rc && db_rows(r))
		rc = db_exec(db, "DELETE FROM provisioner_strike WHERE time<? LIMIT 100", "i",
		             since);
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		rc = db_exec(db,
		             "INSERT IGNORE INTO provisioner_strike (provisioner_id, cluster_id,"
		             " job_num, task_num, failed_time, time, done_by, message)"
		             " VALUES (?,?,?,?,?,?,?,?)",
		             "siiiiiss", db_str(r, i, 0), t->cluster_id, t->job_num, t->num,
		             db_int(r, i, 1), now, t->provisioner_id, db_str(r, i, 2));
		strs_add(ret, db_str(r, i, 0));
	}
	return rc;
}

int provisioners_beside(struct db *db, const char *provisioner, const char *tenant, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     "SELECT COUNT(*) FROM provisioner p WHERE p.id<>? AND p.heartbeat>"
	                     "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)-?"
	                     " AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE"
	                     " q.provisioner_id=p.id)"
	                     " AND EXISTS (SELECT 1 FROM provisioner_tenant t WHERE"
	                     " t.provisioner_id=p.id AND t.tenant_id IN ('*', ?) AND t.seen>"
	                     "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)-" PROVISIONER_SEEN_MS ")",
	                     "sis", provisioner, (int64_t)ALIVE_MS, tenant);
}

/* Everybody's results since then. A lease never ends before its task does. */
static int compare(struct db *db, const char *provisioner, struct strike_record *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc =
		db_select(db, &r,
	                  "SELECT COALESCE(SUM(provisioner_id=?),0), COALESCE(SUM(provisioner_id<>?"
	                  " AND attempt=1),0) FROM (SELECT provisioner_id, status_time, attempt"
	                  " FROM task WHERE state='complete' AND lease_until>=?"
	                  " ORDER BY lease_until DESC LIMIT " SAMPLE ") s WHERE status_time>=?",
	                  "ssii", provisioner, provisioner, ret->first_failed, ret->first_failed);
	if (!rc) {
		ret->done = db_int(r, 0, 0);
		ret->fresh = db_int(r, 0, 1);
	}
	if (!rc)
		rc = db_select_int(db, &ret->failures, NULL,
		                   "SELECT COUNT(*) FROM task_failure WHERE provisioner_id=?"
		                   " AND status_time>=?",
		                   "si", provisioner, ret->first_failed);
	return rc ? rc
	          : db_select_int(db, &ret->theirs, NULL,
	                          "SELECT COUNT(*) FROM provisioner p JOIN task_failure f"
	                          " ON f.provisioner_id=p.id AND f.status_time>=? WHERE p.id<>?"
	                          " AND NOT EXISTS (SELECT 1 FROM quarantine q WHERE"
	                          " q.provisioner_id=p.id)",
	                          "is", ret->first_failed, provisioner);
}

int strikes_look(struct db *db, const char *provisioner, const char *tenant, int64_t since,
                 struct strike_record *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT COUNT(*), COALESCE(MIN(failed_time),0), MAX(message)"
	                   " FROM provisioner_strike WHERE provisioner_id=? AND time>=?",
	                   "si", provisioner, since);
	if (rc)
		return rc;
	*ret = (struct strike_record){ .strikes = db_int(r, 0, 0),
		                       .first_failed = db_int(r, 0, 1),
		                       .last = loom_strdup(db_str(r, 0, 2)) };
	rc = compare(db, provisioner, ret);
	return rc ? rc : provisioners_beside(db, provisioner, tenant, &ret->others);
}
