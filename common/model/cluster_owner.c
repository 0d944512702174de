/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a cluster is: asked before each request that names one. */
#include "common/model/cluster.h"

int cluster_owner(struct db *db, int64_t id, char **ret_tenant, char **ret_owner)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(db, &r, "SELECT tenant_id, owner_id FROM cluster WHERE id=?", "i", id);
	if (rc)
		return rc;
	if (!db_rows(r))
		return CLUSTER_E_NONE;
	*ret_tenant = loom_strdup(db_str(r, 0, 0));
	*ret_owner = loom_strdup(db_str(r, 0, 1));
	return 0;
}
