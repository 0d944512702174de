/* SPDX-License-Identifier: Apache-2.0 */
/* expiry - how long a cluster may live: what its template and its owner say. */
#include "common/model/cluster/expiry.h"

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"

int expiry_check(const struct cluster *c, int64_t to, struct loom_err *err)
{
	const struct json *rule = json_path(c->template, "administration/leaseduration");
	int64_t max = json_get_int(rule, "max", 0), step = json_get_int(rule, "step", 0);
	if (c->status == CLUSTER_PENDING || c->status == CLUSTER_TERMINATED)
		return err_set(err, 400, "the lease of a %s cluster cannot be changed",
		               cluster_status_name(c->status));
	if (to < c->create_time)
		return err_set(err, 400, "expireTime %lld is before the cluster's creation (%lld)",
		               (long long)to, (long long)c->create_time);
	if (!max)
		return 0;
	/* Any time shortens the life of a cluster that never expires, so `step` does not apply. */
	if (step && c->expire_time && to > c->expire_time && to - c->expire_time > step)
		return err_set(err, 400,
		               "expireTime: the template allows at most %lld ms more at a time, "
		               "not %lld",
		               (long long)step, (long long)(to - c->expire_time));
	int64_t last = c->create_time + max;
	if (to > last)
		return err_set(err, 400,
		               "expireTime: the template allows at most %lld ms from the creation "
		               "on, until %lld",
		               (long long)max, (long long)last);
	return 0;
}

int expiry_set(struct db *db, struct cluster *c, int64_t to, int64_t now)
{
	c->expire_time = to;
	int rc = db_exec(db,
	                 "UPDATE cluster SET expiry_tries=0, expiry_retry=0, terms_due=terms_due"
	                 " WHERE id=?",
	                 "i", c->id);
	if (!rc)
		cluster_event(c, "lease", json_set_int(json_new_obj(), "expireTime", to), now);
	return rc;
}

int expiry_due(struct db *db, const struct expiry_window *w, struct expiry_due **ret, size_t *ret_n,
               int64_t *ret_now)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT id, expire_time, lease_warned, " NOW " FROM cluster c"
		" WHERE c.status IN ('active','incomplete','inconsistent','pending')"
		" AND (c.status<>'pending' OR EXISTS (SELECT 1 FROM job j WHERE j.cluster_id=c.id"
		" AND j.num=c.latest_job AND j.status='paused'))"
		" AND expire_time>0 AND expire_time<=" NOW "+? AND ((expire_time<=" NOW "+?"
		" AND expiry_retry<=" NOW ") OR (expire_time>" NOW " AND expire_time<=" NOW "+?"
		" AND lease_warned<>expire_time)) ORDER BY expire_time LIMIT ?",
		"iiii", w->ahead_ms > w->warning_ms ? w->ahead_ms : w->warning_ms, w->ahead_ms,
		w->warning_ms, w->limit);
	if (rc)
		return rc;
	*ret_n = db_rows(r);
	*ret = loom_calloc(*ret_n + 1, sizeof(**ret));
	for (size_t i = 0; i < *ret_n; i++)
		(*ret)[i] =
			(struct expiry_due){ db_int(r, i, 0), db_int(r, i, 1), db_int(r, i, 2) };
	*ret_now = *ret_n ? db_int(r, 0, 3) : 0;
	return 0;
}

int expiry_marks(struct db *db, int64_t cluster, struct expiry_marks *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT lease_warned, expiry_tries, expiry_retry FROM cluster"
	                   " WHERE id=?",
	                   "i", cluster);
	if (!rc && db_rows(r))
		*ret = (struct expiry_marks){ db_int(r, 0, 0), db_int(r, 0, 1), db_int(r, 0, 2) };
	return rc ? rc : db_rows(r) ? 0 : CLUSTER_E_NONE;
}

int expiry_mark(struct db *db, int64_t cluster, const struct expiry_marks *m)
{
	return db_exec(db,
	               "UPDATE cluster SET lease_warned=?, expiry_tries=?, expiry_retry=?,"
	               " terms_due=terms_due WHERE id=?",
	               "iiii", m->warned, m->tries, m->retry_at, cluster);
}
