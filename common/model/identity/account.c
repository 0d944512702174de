/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts: rows, the last superadmin, and hashes of passwords. */
#include "common/model/identity/account.h"

#include "common/base/str.h"
#include "common/model/catalog/entity.h"
#include "common/model/identity/own_role.h"
#include "common/model/identity/tenant.h"
#include "common/model/identity/token.h"
#include "common/model/profile.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char *const roles[] = {
	[ACCOUNT_USER] = "user",
	[ACCOUNT_AUDITOR] = "auditor",
	[ACCOUNT_ADMIN] = "admin",
	[ACCOUNT_PROVISIONER] = "provisioner",
};

const char *account_role_name(enum account_role r)
{
	return roles[r];
}

bool account_role_parse(const char *name, enum account_role *ret)
{
	for (size_t i = 0; i < LOOM_COUNT(roles); i++) {
		if (name && str_eq(roles[i], name)) {
			*ret = (enum account_role)i;
			return true;
		}
	}
	return false;
}

bool account_role_least(enum account_role role, enum account_role to, enum account_role *ret)
{
	*ret = role == ACCOUNT_ADMIN ? to : role;
	return role == to || (role == ACCOUNT_ADMIN && to != ACCOUNT_PROVISIONER) ||
	       (to == ACCOUNT_ADMIN && role != ACCOUNT_PROVISIONER);
}

int account_reachable(struct db *db, bool *ret)
{
	int64_t found;
	int rc = tenant_lock(db, TENANT_SUPERADMIN);
	*ret = false;
	if (!rc)
		rc = db_select_int(db, &found, ret,
		                   "SELECT 1 FROM account WHERE password<>'' LIMIT 1", "");
	return rc || *ret ? rc
	                  : db_select_int(db, &found, ret,
	                                  "SELECT 1 FROM token WHERE kind IN"
	                                  " ('api', 'installed') LIMIT 1",
	                                  "");
}

int account_list(struct db *db, const char *tenant, const struct list_part *part, struct json **ret)
{
	static const char *const parts[] = LIST_PARTS(
		"SELECT name, IF(own_role='', role, own_role), password<>'', changed FROM account"
		" WHERE tenant_id=?",
		"name");
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, parts[part->down], "s" LIST_PART_TYPES, tenant,
	                   LIST_PART_VALUES(part));
	*ret = json_new_arr();
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		struct json *a = json_set_str(json_new_obj(), "name", db_str(r, i, 0));
		json_set_str(a, "role", db_str(r, i, 1));
		json_set_bool(a, "hasPassword", db_int(r, i, 2));
		json_push(*ret, json_set_int(a, "changed", db_int(r, i, 3)));
	}
	return rc;
}

int account_tally(struct db *db, const char *tenant, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     LIST_TALLY("name,role,own_role,changed") "account WHERE tenant_id=?",
	                     "s", tenant);
}

int account_get(struct db *db, const char *tenant, const char *name, struct account *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	*ret = (struct account){ 0 };
	if (str_padded(name))
		return ACCOUNT_E_NONE;
	int rc = db_select(db, &r,
	                   "SELECT role, password, own_role FROM account"
	                   " WHERE tenant_id=? AND name=?",
	                   "ss", tenant, name);
	if (rc)
		return rc;
	if (!db_rows(r) || !account_role_parse(db_str(r, 0, 0), &ret->role))
		return ACCOUNT_E_NONE;
	ret->password = loom_strdup(db_str(r, 0, 1));
	snprintf(ret->own, sizeof(ret->own), "%s", db_str(r, 0, 2));
	return 0;
}

/* Would removing this account leave no superadmin? */
static int check_last(struct db *db, const char *tenant, const char *name)
{
	int64_t others = 1;
	int rc = !str_eq(tenant, TENANT_SUPERADMIN)
	                 ? 0
	                 : db_select_int(db, &others, NULL,
	                                 "SELECT COUNT(*) FROM account WHERE tenant_id=?"
	                                 " AND role='admin' AND own_role='' AND name<>?",
	                                 "ss", tenant, name);
	return rc ? rc : others ? 0 : ACCOUNT_E_LAST;
}

static int check_room(struct db *db, const char *tenant, const char *name)
{
	int64_t others = 0;
	int rc = db_select_int(db, &others, NULL,
	                       "SELECT COUNT(*) FROM account WHERE tenant_id=? AND name<>?", "ss",
	                       tenant, name);
	return rc ? rc : others >= ACCOUNTS_MAX ? ACCOUNT_E_MANY : 0;
}

int account_put(struct db *db, const char *tenant, const char *name, enum account_role role,
                const char *own, const char *password)
{
	int64_t now = 0;
	int rc = tenant_lock(db, tenant);
	if (!rc)
		rc = check_room(db, tenant, name);
	if (!rc && *own)
		rc = own_role_base(db, tenant, own, &role);
	if (!rc && (role != ACCOUNT_ADMIN || *own))
		rc = check_last(db, tenant, name);
	if (!rc)
		rc = db_now(db, &now);
	if (!rc)
		rc = db_exec(
			db,
			"INSERT INTO account (tenant_id, name, role, own_role, password, changed)"
			" VALUES (?,?,?,?,COALESCE(?,''),?) ON DUPLICATE KEY UPDATE"
			" role=VALUES(role), own_role=VALUES(own_role),"
			" password=COALESCE(?,password), changed=VALUES(changed)",
			"sssssis", tenant, name, roles[role], own, password, now, password);
	return rc || !password ? rc : token_end_sessions(db, tenant, name);
}

int account_ensure(struct db *db, const char *tenant, const char *name, enum account_role role)
{
	struct account a;
	int rc = tenant_lock(db, tenant);
	if (!rc)
		rc = account_get(db, tenant, name, &a);
	if (rc == ACCOUNT_E_NONE)
		return account_put(db, tenant, name, role, "", NULL);
	if (!rc)
		loom_free(a.password);
	return rc;
}

int account_delete(struct db *db, const char *tenant, const char *name)
{
	int rc = tenant_lock(db, tenant);
	if (!rc)
		rc = check_last(db, tenant, name);
	if (!rc)
		rc = db_exec(db, "DELETE FROM account WHERE tenant_id=? AND name=?", "ss", tenant,
		             name);
	if (!rc && !db_affected(db))
		return ACCOUNT_E_NONE;
	if (!rc)
		rc = profile_delete(db, tenant, name);
	return rc ? rc : token_end_all(db, tenant, name);
}

/* ---- passwords ------------------------------------------------------------------------------- */

char *account_password_hash(const char *password)
{
	char hash[crypto_pwhash_STRBYTES];
	int rc = crypto_pwhash_str(hash, password, strlen(password),
	                           crypto_pwhash_OPSLIMIT_INTERACTIVE,
	                           crypto_pwhash_MEMLIMIT_INTERACTIVE);
	return rc ? NULL : loom_strdup(hash);
}

bool account_password_right(const char *hash, const char *password)
{
	/* Takes as long without an account: timing must not reveal whether it exists. */
	LOOM_CLEANUP_STR char *made = *hash ? NULL : account_password_hash(password);
	return *hash && !crypto_pwhash_str_verify(hash, password, strlen(password));
}
