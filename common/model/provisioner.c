/* SPDX-License-Identifier: Apache-2.0 */
/* Provisioners that are registered, and when each was last heard of. */
#include "common/model/provisioner.h"

#include "common/base/str.h"
#include "common/model/quarantine.h"
#include "common/model/worker_share.h"

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

static int put(struct db *db, const char *id, const char *tenant, const char *host, int64_t port,
               int64_t capacity, const struct json *usage, bool told)
{
	LOOM_CLEANUP_STR char *live = usage ? json_text(usage) : loom_strdup("{}");
	return db_exec(
		db,
		"INSERT INTO provisioner (id, tenant_id, host, port, capacity, live, told,"
		" heartbeat) VALUES (?,?,?,?,?,?,?," NOW ") ON DUPLICATE KEY UPDATE"
		" told=VALUES(told), tenant_id=VALUES(tenant_id), host=VALUES(host), port=VALUES(port), capacity=VALUES(capacity), live=VALUES(live),"
		" heartbeat=VALUES(heartbeat)",
		"sssiisi", id, tenant, host, port, capacity, live, (int64_t)told);
}

int provisioner_put(struct db *db, const char *id, const char *tenant, const char *host,
                    int64_t port, int64_t capacity, const struct json *usage)
{
	return put(db, id, tenant, host, port, capacity, usage, false);
}

int provisioner_put_silent(struct db *db, const char *id, const char *tenant, const char *host,
                           int64_t silent_ms)
{
	int rc = provisioner_check_tenant(db, id, tenant);
	if (!rc)
		rc = put(db, id, tenant, host, 0, 1, NULL, false);
	return rc ? rc
	          : db_exec(db, "UPDATE provisioner SET heartbeat=heartbeat+? WHERE id=?", "is",
	                    silent_ms, id);
}

int provisioner_put_told(struct db *db, const char *id, const char *host, int64_t port,
                         int64_t capacity)
{
	int rc = put(db, id, "", host, port, capacity, NULL, true);
	if (!rc)
		rc = shares_forget(db, id);
	return rc ? rc : shares_balance(db);
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

/* Locked first, so that none whose heartbeat comes meanwhile is dropped. */
static int drop_silent(struct db *db, int64_t timeout_ms, size_t *ret_dropped)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT id FROM provisioner WHERE heartbeat < " NOW " - ? FOR UPDATE",
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
	/* A take of its that was held then is over, too. */
	return rc ? rc
	          : db_exec(db,
	                    "DELETE FROM provisioner_drop WHERE time<" NOW "-120000 AND"
	                    " provisioner_id NOT IN (SELECT provisioner_id FROM task"
	                    " WHERE state='running')",
	                    "");
}

/* Of a drop d, the task t: given before it, or after it to somebody who is not there. */
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

/* ---- shown ----------------------------------------------------------------------------------- */

static const char *tenant_name(const struct db_result *names, const char *id)
{
	for (size_t i = 0; i < db_rows(names); i++) {
		if (str_eq(db_str(names, i, 0), id))
			return db_str(names, i, 1);
	}
	return id;
}

/* Of ids to numbers one of names to numbers; adds them up. */
static struct json *named(const struct db_result *names, const char *text, int64_t *sum)
{
	LOOM_CLEANUP(json_free) struct json *in = NULL;
	struct json *out = json_new_obj();
	if (json_parse_str(text, &in, NULL))
		return out;
	for (size_t i = 0; i < json_len(in); i++) {
		int64_t n = json_get_int(in, json_key_at(in, i), 0);
		json_set_int(out, tenant_name(names, json_key_at(in, i)), n);
		*sum += n;
	}
	return out;
}

static struct json *strikes_of(struct db *db, const char *id)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct json *list = json_new_arr();
	if (db_select(
		    db, &r,
		    "SELECT cluster_id, job_num, task_num, done_by, failed_time, message FROM"
		    " provisioner_strike WHERE provisioner_id=? ORDER BY failed_time DESC LIMIT 10",
		    "s", id))
		return list;
	for (size_t i = 0; i < db_rows(r); i++) {
		char task[ID_MAX];
		id_task(task, db_int(r, i, 0), db_int(r, i, 1), db_int(r, i, 2));
		struct json *o = json_set_str(json_new_obj(), "taskId", task);
		json_set_str(o, "doneBy", db_str(r, i, 3));
		json_set_int(o, "failedTime", db_int(r, i, 4));
		json_push(list, json_set_str(o, "message", db_str(r, i, 5)));
	}
	return list;
}

static void show_quarantine(struct db *db, struct json *o, const struct quarantine *q)
{
	struct json *s = json_set_int(json_new_obj(), "since", q->since);
	json_set_str(s, "reason", q->reason);
	if (q->probe_attempt) {
		char task[ID_MAX];
		id_task(task, q->probe.cluster, q->probe.job, q->probe.task);
		json_set_str(s, "probe", task);
	} else {
		json_set_int(s, "nextProbe", q->next_probe);
	}
	json_set_int(s, "failedProbes", q->failed_probes);
	json_set(o, "quarantine", json_set(s, "strikes", strikes_of(db, q->provisioner)));
}

/* Of one that is told how many workers to run; adds them up. */
static struct json *told(const struct json *shares, const struct db_result *names, int64_t *sum)
{
	struct json *o = json_new_obj();
	*sum = 0;
	for (size_t i = 0; i < json_len(shares); i++) {
		int64_t n = json_get_int(shares, json_key_at(shares, i), 0);
		json_set_int(o, tenant_name(names, json_key_at(shares, i)), n);
		*sum += n;
	}
	return o;
}

static struct json *assignments(const struct db_result *served, const struct db_result *names,
                                const char *id, int64_t capacity)
{
	struct json *o = json_new_obj();
	for (size_t i = 0; i < db_rows(served); i++) {
		if (str_eq(db_str(served, i, 0), id))
			json_set_int(o, tenant_name(names, db_str(served, i, 1)), capacity);
	}
	return o;
}

int provisioners_list(struct db *db, const char *id, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL, *names = NULL, *served = NULL;
	LOOM_CLEANUP(quarantines_free) struct quarantines *bad = NULL;
	LOOM_CLEANUP(json_free) struct json *shares = NULL;
	int rc = db_select(
		db, &r,
		"SELECT id, host, port, capacity, live, heartbeat, version FROM provisioner"
		" WHERE ? IS NULL OR id=? ORDER BY id",
		"ss", id, id);
	if (!rc)
		rc = db_select(db, &names, "SELECT id, name FROM tenant", "");
	if (!rc)
		rc = db_select(
			db, &served,
			"SELECT provisioner_id, tenant_id FROM provisioner_tenant WHERE seen>" NOW
			"-" PROVISIONER_SEEN_MS " ORDER BY provisioner_id, tenant_id",
			"");
	if (!rc)
		rc = quarantines_load(db, NULL, &bad);
	if (!rc)
		rc = shares_list(db, &shares);
	if (rc)
		return rc;
	struct json *list = json_new_arr();
	for (size_t i = 0; i < db_rows(r); i++) {
		int64_t capacity = db_int(r, i, 3), busy = 0;
		struct json *usage = named(names, db_str(r, i, 4), &busy);
		const struct quarantine *q = quarantines_find(bad, db_str(r, i, 0));
		struct json *o = json_set_str(json_new_obj(), "id", db_str(r, i, 0));
		json_set_str(o, "host", db_str(r, i, 1));
		json_set_int(o, "port", db_int(r, i, 2));
		json_set_int(o, "capacityTotal", capacity);
		const struct json *share = json_get(shares, db_str(r, i, 0));
		struct json *assigned =
			share ? told(share, names, &busy)
			      : assignments(served, names, db_str(r, i, 0), capacity);
		json_set_int(o, "capacityFree", capacity > busy ? capacity - busy : 0);
		json_set(o, "assignments", assigned);
		json_set(o, "usage", usage);
		json_set_int(o, "heartbeat", db_int(r, i, 5));
		if (*db_str(r, i, 6))
			json_set_str(o, "version", db_str(r, i, 6));
		if (q)
			show_quarantine(db, o, q);
		json_push(list, o);
	}
	*ret = list;
	return 0;
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
