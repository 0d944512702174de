/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants and their quotas. */
#include "common/model/tenant.h"

int tenant_id_by_name(struct db *db, const char *name, char **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT id FROM tenant WHERE name=?", "s", name);
	if (!rc)
		*ret = db_rows(r) ? loom_strdup(db_str(r, 0, 0)) : NULL;
	return rc;
}

int tenant_name_of(struct db *db, const char *id, char **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT name FROM tenant WHERE id=?", "s", id);
	if (!rc)
		*ret = loom_strdup(db_rows(r) ? db_str(r, 0, 0) : id);
	return rc;
}
