/* SPDX-License-Identifier: Apache-2.0 */
/* Provisioners that are registered, and when each was last heard of. */
#include "common/model/worker/provisioner.h"

#include "common/base/str.h"
#include "common/model/row.h"
#include "common/model/worker/quarantine.h"
#include "common/model/worker/worker_share.h"

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"

int provisioner_check_tenant(struct db *db, const char *id, const char *tenant)
{
	int64_t one;
	bool other = false;
	int rc = !*tenant ? 0
	                  : db_select_int(db, &one, &other,
	                                  "SELECT 1 FROM provisioner WHERE id=? AND tenant_id<>?"
	                                  " FOR UPDATE",
	                                  "ss", id, tenant);
	return rc ? rc : other ? PROVISIONER_E_OTHER : 0;
}

static int put(struct db *db, const struct registration *r)
{
	LOOM_CLEANUP_STR char *live = r->usage ? json_text(r->usage) : loom_strdup("{}");
	return db_exec(
		db,
		"INSERT INTO provisioner (id, tenant_id, host, port, capacity, live, told,"
		" heartbeat) VALUES (?,?,?,?,?,?,?," NOW ") ON DUPLICATE KEY UPDATE"
		" told=VALUES(told), tenant_id=VALUES(tenant_id), host=VALUES(host), port=VALUES(port), capacity=VALUES(capacity), live=VALUES(live),"
		" heartbeat=VALUES(heartbeat)",
		"sssiisi", r->id, r->tenant, r->host, r->port, r->capacity, live,
		(int64_t)r->managed);
}

int provisioner_put(struct db *db, const struct registration *r)
{
	int rc = put(db, r);
	if (rc || !r->managed)
		return rc;
	rc = shares_forget(db, r->id);
	return rc ? rc : shares_balance(db);
}

int provisioner_put_silent(struct db *db, const char *id, const char *tenant, const char *host,
                           int64_t silent_ms)
{
	int rc = provisioner_check_tenant(db, id, tenant);
	if (!rc)
		rc = put(db, &(struct registration){
				     .id = id, .tenant = tenant, .host = host, .capacity = 1 });
	return rc ? rc
	          : db_exec(db, "UPDATE provisioner SET heartbeat=heartbeat+? WHERE id=?", "is",
	                    silent_ms, id);
}

int provisioner_note_version(struct db *db, const char *id, const char *version)
{
	return db_exec(db, "UPDATE provisioner SET version=? WHERE id=?", "ss", version, id);
}

int provisioner_beat(struct db *db, const char *id, const struct json *usage)
{
	LOOM_CLEANUP_STR char *live = json_text(usage);
	int rc = db_exec(db, "UPDATE provisioner SET live=?, heartbeat=" NOW " WHERE id=?", "ss",
	                 live, id);
	return rc ? rc : db_affected(db) ? 0 : PROVISIONER_E_NONE;
}

/* Of the usage stored with the row; *ret_holder is owned, NULL: nobody that tells its place. */
static int holder_row(struct db *db, const char *id, struct json **ret_holder, int64_t *ret_heard,
                      int64_t *ret_now)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT live, heartbeat, " NOW " FROM provisioner WHERE id=? FOR UPDATE",
	                   "s", id);
	if (rc || !db_rows(r))
		return rc;
	LOOM_CLEANUP(json_free) struct json *live = row_json_at(r, 0, 0);
	*ret_holder = json_copy(json_get(live, PROVISIONER_HOLDER_KEY));
	*ret_heard = db_int(r, 0, 1);
	*ret_now = db_int(r, 0, 2);
	return 0;
}

static int note_refused(struct db *db, const char *id)
{
	return db_exec(db,
	               "UPDATE provisioner SET live=JSON_SET(live, '$.\"\".refused', " NOW
	               ") WHERE id=?",
	               "s", id);
}

int provisioner_holder_read(struct db *db, const char *id, const char *place,
                            const struct json *usage, struct provisioner_holder *ret)
{
	LOOM_CLEANUP(json_free) struct json *holder = NULL;
	int64_t heard = 0, now = 0;
	int rc = *place ? holder_row(db, id, &holder, &heard, &now) : 0;
	const char *has = json_get_str(holder, "place");
	*ret = (struct provisioner_holder){ .silent_ms = now - heard };
	ret->other = has && !str_eq(has, place) && ret->silent_ms >= 0 &&
	             ret->silent_ms < PROVISIONER_HEARD_MS;
	if (rc || ret->other)
		return rc ? rc : note_refused(db, id);
	ret->usage = json_copy(usage);
	if (!*place || !usage)
		return 0;
	if (!holder)
		holder = json_new_obj();
	json_set_str(holder, "place", place);
	json_set(ret->usage, PROVISIONER_HOLDER_KEY, loom_take(holder));
	return 0;
}

int provisioner_known(struct db *db, const char *id, bool *ret)
{
	int64_t one;
	return db_select_int(db, &one, ret, "SELECT 1 FROM provisioner WHERE id=?", "s", id);
}

int provisioner_note_tenant(struct db *db, const char *id, const char *tenant)
{
	return db_exec(db,
	               "INSERT INTO provisioner_tenant (provisioner_id, tenant_id, seen)"
	               " VALUES (?,?," NOW ") ON DUPLICATE KEY UPDATE seen=VALUES(seen)",
	               "ss", id, tenant);
}

static int delete (struct db *db, const char *id, bool *ret_was)
{
	int rc = db_exec(db, "DELETE FROM provisioner WHERE id=?", "s", id);
	*ret_was = !rc && db_affected(db);
	return rc || !*ret_was
	               ? rc
	               : db_exec(db,
	                         "INSERT INTO provisioner_drop (provisioner_id, time) VALUES (?," NOW
	                         ") ON DUPLICATE KEY UPDATE time=VALUES(time)",
	                         "s", id);
}

int provisioner_delete(struct db *db, const char *id, bool *ret_was)
{
	int rc = delete (db, id, ret_was);
	return rc || !*ret_was ? rc : shares_balance(db);
}

/* Locks the rows first, so that a heartbeat that arrives meanwhile prevents the drop. One that
 * never beats is held by its task: that may take as long as its lease. */
static int drop_silent(struct db *db, int64_t timeout_ms, size_t *ret_dropped)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT id FROM provisioner p WHERE heartbeat < " NOW " - ? AND NOT"
	                   " (id LIKE '" PROVISIONER_SILENT "%' AND EXISTS (SELECT 1 FROM task t"
	                   " WHERE t.provisioner_id=p.id AND t.state='running')) FOR UPDATE",
	                   "i", timeout_ms);
	bool was;
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = delete (db, db_str(r, i, 0), &was);
	*ret_dropped = rc ? 0 : db_rows(r);
	return rc || !*ret_dropped ? rc : shares_balance(db);
}

int provisioners_expire(struct db *db, int64_t timeout_ms, size_t *ret_dropped)
{
	int rc = drop_silent(db, timeout_ms, ret_dropped);
	if (!rc && *ret_dropped)
		rc = db_exec(db,
		             "DELETE FROM provisioner_tenant WHERE seen<" NOW "-600000 AND"
		             " provisioner_id NOT IN (SELECT id FROM provisioner)",
		             "");
	/* By then its held takes are over, too. */
	return rc ? rc
	          : db_exec(db,
	                    "DELETE FROM provisioner_drop WHERE time<" NOW "-120000 AND"
	                    " provisioner_id NOT IN (SELECT provisioner_id FROM task"
	                    " WHERE state='running')",
	                    "");
}

int provisioners_silence(struct db *db, int64_t *ret)
{
	*ret = INT64_MAX / 2;
	return db_select_int(db, ret, NULL,
	                     "SELECT " NOW "-heartbeat FROM provisioner WHERE heartbeat<=" NOW
	                     " ORDER BY heartbeat DESC LIMIT 1",
	                     "");
}

/* Tasks t of a dropped provisioner d: handed out before the drop, or after it while it is not
 * registered. */
#define HELD                                   \
	"(t.submit_time<=d.time OR NOT EXISTS" \
	" (SELECT 1 FROM provisioner p WHERE p.id=d.provisioner_id))"

int provisioners_held(struct db *db, int limit, struct db_result **ret)
{
	return db_select(
		db, ret,
		"SELECT t.cluster_id, t.job_num, t.num FROM provisioner_drop d JOIN task t ON"
		" t.provisioner_id=d.provisioner_id WHERE t.state='running' AND " HELD " LIMIT ?",
		"i", (int64_t)limit);
}

int provisioner_holds_no_more(struct db *db, const struct task_ref *ref, bool *ret)
{
	int64_t one;
	return db_select_int(
		db, &one, ret,
		"SELECT 1 FROM task t JOIN provisioner_drop d ON d.provisioner_id=t.provisioner_id"
		" WHERE t.cluster_id=? AND t.job_num=? AND t.num=? AND t.state='running' AND " HELD,
		"iii", ref->cluster, ref->job, ref->task);
}

int provisioners_supply(struct db *db, const char *tenant, struct provisioner_supply *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	LOOM_CLEANUP(quarantines_free) struct quarantines *bad = NULL;
	*ret = (struct provisioner_supply){ 0 };
	int rc = db_select(
		db, &r,
		"SELECT p.id, p.capacity, EXISTS (SELECT 1 FROM provisioner_tenant s WHERE"
		" s.provisioner_id=p.id AND s.tenant_id IN ('*', ?) AND s.seen>" NOW
		"-" PROVISIONER_SEEN_MS "),"
		" COALESCE(r.n, 0) FROM provisioner p LEFT JOIN (SELECT provisioner_id,"
		" COUNT(*) AS n FROM task WHERE state='running' GROUP BY provisioner_id)"
		" r ON r.provisioner_id=p.id",
		"s", tenant);
	if (!rc)
		rc = quarantines_load(db, NULL, &bad);
	if (rc)
		return rc;
	ret->bad = json_new_obj();
	for (size_t i = 0; i < bad->n; i++)
		json_set_str(ret->bad, bad->v[i].provisioner, bad->v[i].reason);
	ret->registered = (int64_t)db_rows(r);
	for (size_t i = 0; i < db_rows(r); i++) {
		if (!db_int(r, i, 2) || json_get(ret->bad, db_str(r, i, 0)))
			continue;
		ret->serving++;
		ret->capacity += db_int(r, i, 1);
		ret->running += db_int(r, i, 3);
	}
	return 0;
}
