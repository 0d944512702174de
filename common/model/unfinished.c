/* SPDX-License-Identifier: Apache-2.0 */
/* unfinished - a cluster has at most one job that has not ended, and is pending as long. */
#include "common/model/unfinished.h"

/* Who leaves at least so much room does not wait for others: more than ask at the same time. */
#define ROOMY 1000

/* At most so many are counted. */
static int count(struct db *db, const char *tenant, int64_t most, int64_t *ret)
{
	return db_select_int(db, ret, NULL,
	                     "SELECT COUNT(*) FROM (SELECT 1 FROM cluster FORCE INDEX (by_status)"
	                     " WHERE tenant_id=? AND status='pending' LIMIT ?) c",
	                     "si", tenant, most);
}

static int lock(struct db *db, const char *tenant)
{
	int64_t one;
	return db_select_int(db, &one, NULL, "SELECT 1 FROM tenant WHERE id=? FOR UPDATE", "s",
	                     tenant);
}

int unfinished_room(struct db *db, const char *tenant, int64_t most, char **ret_words)
{
	int64_t has = 0;
	int rc = count(db, tenant, most, &has);
	if (rc || has + ROOMY < most)
		return rc;
	rc = lock(db, tenant);
	if (!rc)
		rc = count(db, tenant, most, &has);
	if (rc || has < most)
		return rc;
	*ret_words = loom_asprintf("the tenant has %lld jobs that have not ended, and may have no "
	                           "more at once (max_unfinished_jobs); ask again when some have",
	                           (long long)has);
	return JOB_E_MANY;
}
