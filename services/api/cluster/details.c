/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a cluster with its nodes and its failed attempts. */
#include "services/api/cluster/details.h"

void details_fini(struct details *d)
{
	cluster_free(d->c);
	job_fini(&d->latest);
	nodes_free(d->nodes);
	tasks_free(d->tasks);
	db_result_free(d->failed);
	loom_free(d->failures);
	*d = (struct details){ 0 };
}

int details_read_head(struct db *db, int64_t id, struct details *ret)
{
	bool found;
	int rc = cluster_get(db, id, &ret->c);
	if (rc)
		return rc;
	loom_assert(ret->c);
	rc = job_get(db, id, ret->c->latest_job, &ret->latest, &found);
	return rc ? rc : found ? 0 : DB_E_RETRY;
}

/* The texts stay owned by the result. */
static struct failure *failures_of(const struct db_result *r)
{
	struct failure *f = loom_calloc(db_rows(r) + 1, sizeof(*f));
	for (size_t i = 0; i < db_rows(r); i++)
		f[i] = (struct failure){ db_int(r, i, 0), db_int(r, i, 1), db_int(r, i, 2),
			                 db_int(r, i, 3), db_int(r, i, 4), db_str(r, i, 5),
			                 db_str(r, i, 6), db_str(r, i, 7) };
	return f;
}

int details_read(struct db *db, int64_t id, struct details *ret)
{
	int rc = details_read_head(db, id, ret);
	if (!rc)
		rc = cluster_load_docs(db, ret->c);
	if (!rc)
		rc = nodes_load(db, id, &ret->nodes);
	if (!rc)
		rc = tasks_load(db, id, 0, &ret->tasks);
	if (!rc)
		rc = task_failures(db, id, &ret->failed);
	if (!rc)
		ret->failures = failures_of(ret->failed);
	return rc;
}

struct view details_view(const struct details *d)
{
	return (struct view){
		d->c, &d->latest, d->nodes, d->tasks, d->failures, db_rows(d->failed)
	};
}
