/* SPDX-License-Identifier: Apache-2.0 */
#include "common/model/provisioner.h"

#define NOW "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"

int provisioner_put(struct db *db, const char *id, const char *host, int64_t port, int64_t capacity,
                    const struct json *usage)
{
	LOOM_CLEANUP_STR char *live = usage ? json_text(usage) : loom_strdup("{}");
	return db_exec(db,
	               "INSERT INTO provisioner (id, host, port, capacity, live, heartbeat)"
	               " VALUES (?,?,?,?,?," NOW ") ON DUPLICATE KEY UPDATE host=VALUES(host),"
	               " port=VALUES(port), capacity=VALUES(capacity), live=VALUES(live),"
	               " heartbeat=VALUES(heartbeat)",
	               "ssiis", id, host, port, capacity, live);
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

int provisioner_delete(struct db *db, const char *id)
{
	return db_exec(db, "DELETE FROM provisioner WHERE id=?", "s", id);
}

int provisioners_expire(struct db *db, int64_t timeout_ms, int64_t *ret_removed)
{
	int rc = db_exec(db, "DELETE FROM provisioner WHERE heartbeat < " NOW " - ?", "i",
	                 timeout_ms);
	*ret_removed = rc ? 0 : db_affected(db);
	return rc;
}

int provisioners_load(struct db *db, int64_t *ret_n, int64_t *ret_capacity, int64_t *ret_running)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT COUNT(*), COALESCE(SUM(capacity),0) FROM provisioner",
	                   "");
	if (rc)
		return rc;
	*ret_n = db_int(r, 0, 0);
	*ret_capacity = db_int(r, 0, 1);
	return db_select_int(db, ret_running, NULL,
	                     "SELECT COUNT(*) FROM task WHERE state='running'", "");
}
