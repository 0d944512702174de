/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that clients store for their users. */
#include "common/model/profile.h"

#include "common/base/mem.h"
#include "common/model/identity/tenant.h"
#include "common/model/keys/kept.h"

int profile_get(struct keyring *ring, struct db *db, const char *tenant, const char *user,
                char **ret, struct loom_err *err)
{
	const struct kept_at at = { ring, db, KEPT_PROFILE, tenant, user };
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT doc FROM profile WHERE tenant_id=? AND user=?", "ss",
	                   tenant, user);
	*ret = NULL;
	return rc || !db_rows(r) ? rc : kept_open(&at, db_str(r, 0, 0), ret, err);
}

int profile_put(struct keyring *ring, struct db *db, const char *tenant, const char *user,
                const char *text, struct loom_err *err)
{
	const struct kept_at at = { ring, db, KEPT_PROFILE, tenant, user };
	LOOM_CLEANUP_STR char *stored = NULL;
	int rc = tenant_hold(db, tenant);
	if (!rc)
		rc = kept_seal(&at, text, &stored, err);
	return rc ? rc
	          : db_exec(db,
	                    "INSERT INTO profile (tenant_id, user, doc) VALUES (?,?,?)"
	                    " ON DUPLICATE KEY UPDATE doc=VALUES(doc)",
	                    "sss", tenant, user, stored);
}

int profile_delete(struct db *db, const char *tenant, const char *user)
{
	return db_exec(db, "DELETE FROM profile WHERE tenant_id=? AND user=?", "ss", tenant, user);
}
