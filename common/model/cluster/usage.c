/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of the original's metrics, out of the tasks. */
#include "common/model/cluster/usage.h"

#include "common/base/str.h"

int usage_queues(struct db *db, const char *tenant_id, struct json **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = db_select(
		db, &r,
		"SELECT n.name,"
		" (SELECT COUNT(*) FROM task t WHERE t.state='ready' AND t.tenant_id=n.id),"
		" (SELECT COUNT(*) FROM task t WHERE t.state='running' AND t.tenant_id=n.id)"
		" FROM tenant n WHERE ? IS NULL OR n.id=? ORDER BY n.name",
		"ss", tenant_id, tenant_id);
	*ret = json_new_obj();
	for (size_t i = 0; !rc && i < db_rows(r); i++) {
		int64_t ready = db_int(r, i, 1), running = db_int(r, i, 2);
		struct json *one = json_set_int(json_new_obj(), "queued", ready);
		json_set_int(one, "inProgress", running);
		json_set(*ret, db_str(r, i, 0), json_set_int(one, "total", ready + running));
	}
	return rc;
}

/* A node's rows are adjacent, CREATE before DELETE. */
static void each_machine(const struct db_result *r, usage_machine_fn fn, void *arg)
{
	for (size_t i = 0; i < db_rows(r); i++) {
		if (!str_eq(db_str(r, i, 1), "CREATE"))
			continue;
		bool deleted = i + 1 < db_rows(r) && str_eq(db_str(r, i, 0), db_str(r, i + 1, 0)) &&
		               str_eq(db_str(r, i + 1, 1), "DELETE");
		fn(db_int(r, i, 2) / 1000, deleted ? db_int(r, i + 1, 2) / 1000 : 0, arg);
	}
}

int usage_machines(struct db *db, const int64_t *clusters, size_t n, usage_machine_fn fn, void *arg)
{
	/* Sorted by job and task: a node is created, and later deleted. */
	static const struct db_many many = {
		"SELECT node_id, name, status_time FROM task WHERE state='complete'"
		" AND name IN ('CREATE','DELETE') AND cluster_id IN (",
		"?", ",", ") ORDER BY cluster_id, node_id, job_num, num", 1
	};
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	struct db_value *values = loom_calloc(n + 1, sizeof(*values));
	for (size_t i = 0; i < n; i++)
		values[i] = db_i(clusters[i]);
	int rc = n ? db_select_many(db, &r, &many, values, n) : 0;
	loom_free(values);
	if (!rc && n)
		each_machine(r, fn, arg);
	return rc;
}
