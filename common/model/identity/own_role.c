/* SPDX-License-Identifier: Apache-2.0 */
/* Roles of a tenant's own: rows, and who has one. */
#include "common/model/identity/own_role.h"

#include "common/base/str.h"
#include "common/model/row.h"

#include <string.h>

void own_role_fini(struct own_role *r)
{
	loom_free(r->permissions);
	json_free(r->templates);
	json_free(r->providers);
	*r = (struct own_role){ 0 };
}

bool own_role_names(const struct json *names, const char *name)
{
	for (size_t i = 0; i < json_len(names); i++) {
		const char *one = json_str(json_at(names, i));
		size_t n = one ? strlen(one) : 0;
		bool begins = n && one[n - 1] == '*';
		if (n && name && (begins ? !strncmp(one, name, n - 1) : str_eq(one, name)))
			return true;
	}
	return !names;
}

static char *joined(const struct json *words)
{
	LOOM_CLEANUP(strs_fini) struct strs all = { 0 };
	for (size_t i = 0; i < json_len(words); i++)
		strs_add(&all, json_str(json_at(words, i)));
	return strs_join(&all, " ");
}

/* An empty list counts as absent: all. */
static struct json *some(const struct json *doc, const char *field)
{
	const struct json *names = json_get(doc, field);
	return json_len(names) ? json_copy(names) : NULL;
}

int own_role_get(struct db *db, const char *tenant, const char *name, struct own_role *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	*ret = (struct own_role){ 0 };
	int rc = db_select(db, &r, "SELECT doc, changed FROM own_role WHERE tenant_id=? AND name=?",
	                   "ss", tenant, name);
	if (rc)
		return rc;
	LOOM_CLEANUP(json_free) struct json *doc = db_rows(r) ? row_json_at(r, 0, 0) : NULL;
	if (!doc || !account_role_parse(json_get_str(doc, "base"), &ret->base))
		return OWN_ROLE_E_NONE;
	ret->changed = db_int(r, 0, 1);
	ret->permissions = joined(json_get(doc, "permissions"));
	ret->templates = some(doc, "templates");
	ret->providers = some(doc, "providers");
	return 0;
}

int own_role_base(struct db *db, const char *tenant, const char *name, enum account_role *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r,
	                   "SELECT base FROM own_role WHERE tenant_id=? AND name=?"
	                   " LOCK IN SHARE MODE",
	                   "ss", tenant, name);
	if (rc)
		return rc;
	return db_rows(r) && account_role_parse(db_str(r, 0, 0), ret) ? 0 : OWN_ROLE_E_NONE;
}

int own_role_list(struct db *db, const char *tenant, const struct list_part *part,
                  struct json **ret)
{
	static const char *const parts[] =
		LIST_PARTS("SELECT doc, changed FROM own_role WHERE tenant_id=?", "name");
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, parts[part->down], "s" LIST_PART_TYPES, tenant,
	                   LIST_PART_VALUES(part));
	*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct json *doc = row_json_at(r, i, 0);
		json_push(*ret, json_set_int(doc, "changed", db_int(r, i, 1)));
	}
	return rc;
}

int own_role_tally(struct db *db, const char *tenant, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     LIST_TALLY("name,changed,doc") "own_role WHERE tenant_id=?", "s",
	                     tenant);
}

int own_role_put(struct db *db, const char *tenant, const struct json *doc)
{
	const char *name = json_get_str(doc, "name"), *base = json_get_str(doc, "base");
	LOOM_CLEANUP_STR char *text = json_text(doc);
	int64_t others = 0, now = 0;
	int rc = db_select_int(db, &others, NULL,
	                       "SELECT COUNT(*) FROM own_role WHERE tenant_id=? AND name<>?", "ss",
	                       tenant, name);
	if (!rc && others >= OWN_ROLES_MAX)
		return OWN_ROLE_E_MANY;
	if (!rc)
		rc = db_now(db, &now);
	if (!rc)
		rc = db_exec(db,
		             "INSERT INTO own_role (tenant_id, name, base, doc, changed)"
		             " VALUES (?,?,?,?,?) ON DUPLICATE KEY UPDATE base=VALUES(base),"
		             " doc=VALUES(doc), changed=VALUES(changed)",
		             "ssssi", tenant, name, base, text, now);
	return rc ? rc
	          : db_exec(db, "UPDATE account SET role=? WHERE tenant_id=? AND own_role=?", "sss",
	                    base, tenant, name);
}

int own_role_delete(struct db *db, const char *tenant, const char *name)
{
	int64_t there = 0, users = 0, tokens = 0;
	int rc = db_select_int(db, &there, NULL,
	                       "SELECT 1 FROM own_role WHERE tenant_id=? AND name=? FOR UPDATE",
	                       "ss", tenant, name);
	if (!rc && !there)
		return OWN_ROLE_E_NONE;
	if (!rc)
		rc = db_select_int(db, &users, NULL,
		                   "SELECT COUNT(*) FROM account WHERE tenant_id=? AND own_role=?",
		                   "ss", tenant, name);
	if (!rc)
		rc = db_select_int(db, &tokens, NULL,
		                   "SELECT COUNT(*) FROM token WHERE tenant_id=? AND own_role=?",
		                   "ss", tenant, name);
	if (!rc && users + tokens)
		return OWN_ROLE_E_USED;
	return rc ? rc
	          : db_exec(db, "DELETE FROM own_role WHERE tenant_id=? AND name=?", "ss", tenant,
	                    name);
}
