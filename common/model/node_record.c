/* SPDX-License-Identifier: Apache-2.0 */
/* Documents with the form of nodes, which clients keep here. */
#include "common/model/node_record.h"

#include "common/base/str.h"
#include "common/model/row.h"

int node_records_list(struct db *db, const char *tenant, const char *owner, const char *id,
                      const char *after, int64_t limit, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT doc FROM node_record WHERE tenant_id=? AND id>?"
	                   " AND (? IS NULL OR owner_id=?) AND (? IS NULL OR id=?)"
	                   " ORDER BY id LIMIT ?",
	                   "ssssssi", tenant, after, owner, owner, id, id, limit);
	*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		json_push(*ret, row_json_at(r, i, 0));
	return rc;
}

/* The tenant's row keeps those out who would write another at the same time. */
static int may_write(struct db *db, const char *tenant, const char *user, bool see_all,
                     const char *id)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t others = 0;
	int rc = db_select_int(db, &others, NULL, "SELECT 1 FROM tenant WHERE id=? FOR UPDATE", "s",
	                       tenant);
	if (!rc)
		rc = db_select(db, &r,
		               "SELECT owner_id FROM node_record WHERE tenant_id=? AND id=?", "ss",
		               tenant, id);
	if (rc)
		return rc;
	if (db_rows(r))
		return see_all || str_eq(db_str(r, 0, 0), user) ? 0 : NODE_RECORD_E_OTHER;
	rc = db_select_int(db, &others, NULL, "SELECT COUNT(*) FROM node_record WHERE tenant_id=?",
	                   "s", tenant);
	return rc ? rc : others >= NODE_RECORDS_MAX ? NODE_RECORD_E_MANY : 0;
}

int node_record_put(struct db *db, const char *tenant, const char *user, bool see_all,
                    const struct json *doc)
{
	const char *id = json_get_str(doc, "id");
	LOOM_CLEANUP_STR char *text = json_text(doc);
	int rc = may_write(db, tenant, user, see_all, id);
	return rc ? rc
	          : db_exec(db,
	                    "INSERT INTO node_record (tenant_id, id, owner_id, doc) VALUES (?,?,?,?)"
	                    " ON DUPLICATE KEY UPDATE doc=VALUES(doc)",
	                    "ssss", tenant, id, user, text);
}

int node_record_delete(struct db *db, const char *tenant, const char *owner, const char *id)
{
	return db_exec(
		db,
		"DELETE FROM node_record WHERE tenant_id=? AND id=? AND (? IS NULL OR owner_id=?)",
		"ssss", tenant, id, owner, owner);
}
