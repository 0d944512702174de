/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant's targets of callbacks, secrets sealed. */
#include "common/model/callback/callback_target.h"

#include "common/base/str.h"
#include "common/model/identity/tenant.h"
#include "common/model/row.h"

int callback_target_list(struct db *db, const char *tenant, const struct list_part *part,
                         struct json **ret)
{
	static const char *const parts[] =
		LIST_PARTS("SELECT doc, secret<>'' FROM callback_target WHERE tenant_id=?", "name");
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, parts[part->down], "s" LIST_PART_TYPES, tenant,
	                   LIST_PART_VALUES(part));
	*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct json *doc = row_json_at(r, i, 0);
		json_push(*ret, json_set_bool(doc, "signed", db_int(r, i, 1)));
	}
	return rc;
}

int callback_target_tally(struct db *db, const char *tenant, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     LIST_TALLY("name,secret,doc") "callback_target WHERE tenant_id=?", "s",
	                     tenant);
}

int callback_target_tag(struct db *db, const char *tenant, const char *name, bool lock,
                        char tag[TAG_MAX])
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = lock ? tenant_lock(db, tenant) : 0;
	tag[0] = '\0';
	if (!rc)
		rc = db_select(
			db, &r,
			"SELECT doc, secret FROM callback_target WHERE tenant_id=? AND name=?",
			"ss", tenant, name);
	if (rc || !db_rows(r))
		return rc;
	LOOM_CLEANUP_STR char *all = loom_asprintf("%s\n%s", db_str(r, 0, 0), db_str(r, 0, 1));
	precondition_tag(tag, all, NULL);
	return 0;
}

static int has_room(struct db *db, const char *tenant, const char *name)
{
	int64_t others = 0;
	/* The tenant's row keeps those out who would add another at the same time. */
	int rc = tenant_lock(db, tenant);
	if (!rc)
		rc = db_select_int(db, &others, NULL,
		                   "SELECT COUNT(*) FROM callback_target"
		                   " WHERE tenant_id=? AND name<>?",
		                   "ss", tenant, name);
	return rc ? rc : others >= CALLBACK_TARGETS_MAX ? CALLBACK_TARGET_E_MANY : 0;
}

int callback_target_put(struct db *db, const char *tenant, const struct json *doc,
                        const char *sealed)
{
	const char *name = json_get_str(doc, "name");
	LOOM_CLEANUP_STR char *text = json_text(doc);
	int rc = has_room(db, tenant, name);
	return rc ? rc
	          : db_exec(db,
	                    "INSERT INTO callback_target (tenant_id, name, doc, secret)"
	                    " VALUES (?,?,?,COALESCE(?,'')) ON DUPLICATE KEY UPDATE"
	                    " doc=VALUES(doc), secret=COALESCE(?,secret)",
	                    "sssss", tenant, name, text, sealed, sealed);
}

int callback_target_delete(struct db *db, const char *tenant, const char *name)
{
	return db_exec(db, "DELETE FROM callback_target WHERE tenant_id=? AND name=?", "ss", tenant,
	               name);
}

int callback_target_secret(struct db *db, const char *tenant, const char *name, char **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc =
		db_select(db, &r, "SELECT secret FROM callback_target WHERE tenant_id=? AND name=?",
	                  "ss", tenant, name);
	if (rc || !db_rows(r))
		return rc ? rc : CALLBACK_TARGET_E_NONE;
	*ret = loom_strdup(db_str(r, 0, 0));
	return 0;
}
