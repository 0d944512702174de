/* SPDX-License-Identifier: Apache-2.0 */
/* Documents in the form of nodes, stored by clients. */
#include "common/model/node_record.h"

#include "common/base/str.h"
#include "common/model/identity/tenant.h"
#include "common/model/keys/kept.h"

static int open_one(struct kept_at *at, const struct db_result *r, size_t i, struct json *to,
                    struct loom_err *err)
{
	struct json *doc = NULL;
	LOOM_CLEANUP_STR char *text = NULL;
	at->name = db_str(r, i, 0);
	int rc = kept_open(at, db_str(r, i, 1), &text, err);
	if (!rc && json_parse_str(text, &doc, NULL))
		rc = err_set(err, 500, "node record %.64s is not JSON", db_str(r, i, 0));
	if (!rc)
		json_push(to, doc);
	return rc;
}

int node_records_list(struct keyring *ring, struct db *db, const struct node_records_at *at,
                      struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT id, doc FROM node_record WHERE tenant_id=? AND id>?"
	                   " AND (? IS NULL OR owner_id=?) AND (? IS NULL OR id=?)"
	                   " ORDER BY id LIMIT ?",
	                   "ssssssi", at->tenant, at->after, at->owner, at->owner, at->id, at->id,
	                   at->limit);
	struct kept_at kept = { ring, db, KEPT_RECORD, at->tenant, NULL };
	*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(r); i++)
		rc = open_one(&kept, r, i, *ret, err);
	return rc;
}

/* Lock the tenant's row: concurrent writes could exceed the maximum. */
static int may_write(struct db *db, const char *tenant, const char *user, bool see_all,
                     const char *id)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int64_t others = 0;
	int rc = tenant_lock(db, tenant);
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

int node_record_put(struct keyring *ring, struct db *db, const struct node_records_at *at,
                    bool see_all, const struct json *doc, struct loom_err *err)
{
	const char *id = json_get_str(doc, "id");
	LOOM_CLEANUP_STR char *text = json_text(doc), *stored = NULL;
	int rc = may_write(db, at->tenant, at->owner, see_all, id);
	if (!rc)
		rc = kept_seal(&(struct kept_at){ ring, db, KEPT_RECORD, at->tenant, id }, text,
		               &stored, err);
	return rc ? rc
	          : db_exec(db,
	                    "INSERT INTO node_record (tenant_id, id, owner_id, doc) VALUES (?,?,?,?)"
	                    " ON DUPLICATE KEY UPDATE doc=VALUES(doc)",
	                    "ssss", at->tenant, id, at->owner, stored);
}

int node_record_delete(struct db *db, const char *tenant, const char *owner, const char *id)
{
	return db_exec(
		db,
		"DELETE FROM node_record WHERE tenant_id=? AND id=? AND (? IS NULL OR owner_id=?)",
		"ssss", tenant, id, owner, owner);
}
