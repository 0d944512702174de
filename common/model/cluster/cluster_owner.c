/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a cluster is: asked before each request that names one. */
#include "common/model/cluster/cluster.h"

void cluster_owner_fini(struct cluster_owner *o)
{
	loom_free(o->tenant);
	loom_free(o->user);
	loom_free(o->template);
	loom_free(o->provider);
	*o = (struct cluster_owner){ 0 };
}

int cluster_owner(struct db *db, int64_t id, struct cluster_owner *ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc =
		db_select(db, &r,
	                  "SELECT tenant_id, owner_id, JSON_VALUE(brief, '$.clusterTemplate.name'),"
	                  " JSON_VALUE(brief, '$.provider.name') FROM cluster WHERE id=?",
	                  "i", id);
	if (rc)
		return rc;
	if (!db_rows(r))
		return CLUSTER_E_NONE;
	*ret = (struct cluster_owner){ loom_strdup(db_str(r, 0, 0)), loom_strdup(db_str(r, 0, 1)),
		                       loom_strdup(db_str(r, 0, 2)), loom_strdup(db_str(r, 0, 3)) };
	return 0;
}
