/* SPDX-License-Identifier: Apache-2.0 */
/* unfinished - a cluster has at most one job that has not ended, and is pending as long. */
#include "common/model/cluster/unfinished.h"

#include "common/model/identity/tenant.h"

/* A tenant with this much room left need not lock: fewer requests run concurrently. */
#define ROOMY 1000

/* Counts up to `most`. */
static int count(struct db *db, const char *tenant, int64_t most, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     "SELECT COUNT(*) FROM (SELECT 1 FROM cluster FORCE INDEX (by_status)"
	                     " WHERE tenant_id=? AND status='pending' LIMIT ?) c",
	                     "si", tenant, most);
}

int unfinished_room(struct db *db, const char *tenant, int64_t most, char **ret_words)
{
	int64_t has = 0;
	int rc = count(db, tenant, most, &has);
	if (rc || has + ROOMY < most)
		return rc;
	rc = tenant_lock(db, tenant);
	if (!rc)
		rc = count(db, tenant, most, &has);
	if (rc || has < most)
		return rc;
	*ret_words = loom_asprintf("the tenant has %lld jobs that have not ended, and may have no "
	                           "more at once (max_unfinished_jobs); ask again when some have",
	                           (long long)has);
	return JOB_E_MANY;
}
