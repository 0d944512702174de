/* SPDX-License-Identifier: Apache-2.0 */
/* What users' clients keep for them. */
#include "common/model/profile.h"

#include "common/base/mem.h"

int profile_get(struct db *db, const char *tenant, const char *user, char **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT doc FROM profile WHERE tenant_id=? AND user=?", "ss",
	                   tenant, user);
	*ret = !rc && db_rows(r) ? loom_strdup(db_str(r, 0, 0)) : NULL;
	return rc;
}

int profile_put(struct db *db, const char *tenant, const char *user, const char *text)
{
	return db_exec(db,
	               "INSERT INTO profile (tenant_id, user, doc) VALUES (?,?,?)"
	               " ON DUPLICATE KEY UPDATE doc=VALUES(doc)",
	               "sss", tenant, user, text);
}

int profile_delete(struct db *db, const char *tenant, const char *user)
{
	return db_exec(db, "DELETE FROM profile WHERE tenant_id=? AND user=?", "ss", tenant, user);
}
