/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_cache_verify - in test builds, compares every cached cluster with the database when it is
 * used. */
#include "services/scheduler/dispatch/cluster_cache.h"

#ifdef LOOM_BREAKABLE

#include "common/base/str.h"

#include <string.h>

static const struct task *find_task(const struct tasks *ts, const struct task *as)
{
	for (size_t i = 0; ts && i < ts->n; i++) {
		if (ts->v[i].job_num == as->job_num && ts->v[i].num == as->num)
			return &ts->v[i];
	}
	return NULL;
}

/* Compares all but what changes without an event: leases, and the start of postponed tasks. */
static void same_task(const struct task *a, const struct task *b)
{
	loom_assert(b && a->state == b->state && a->unmet == b->unmet);
	loom_assert(a->attempt == b->attempt && a->done_attempt == b->done_attempt);
	loom_assert(a->failures == b->failures && a->losses == b->losses);
	loom_assert(a->node_num == b->node_num);
	loom_assert(a->not_before == b->not_before || (a->state == TASK_READY && !a->failures));
	loom_assert(strcmp(a->node_id, b->node_id) == 0 && str_eq(a->service, b->service));
	loom_assert(str_eq(a->provisioner_id, b->provisioner_id));
	loom_assert(str_eq(a->worker_id, b->worker_id));
}

static int verify_tasks(const struct cluster_rows *p, struct db *db)
{
	LOOM_CLEANUP(tasks_free) struct tasks *real = NULL;
	int rc = tasks_load(db, p->cluster, 0, &real);
	if (rc)
		return rc;
	for (size_t i = 0; p->tasks && i < p->tasks->n; i++)
		same_task(&p->tasks->v[i], find_task(real, &p->tasks->v[i]));
	for (size_t i = 0; i < real->n; i++) {
		const struct task *t = &real->v[i];
		bool nodes_loaded = !t->unmet && map_get(p->nodes_loaded, t->node_id);
		if (task_is_open(t->state) && (nodes_loaded || t->job_num == p->whole_job))
			loom_assert(find_task(p->tasks, t));
	}
	return 0;
}

static void same_json(const struct json *a, const struct json *b)
{
	LOOM_CLEANUP_STR char *x = json_text(a);
	LOOM_CLEANUP_STR char *y = json_text(b);
	loom_assert(str_eq(x, y));
}

static int verify_jobs(const struct cluster_rows *p, struct db *db)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < p->n_jobs; i++) {
		const struct job *j = &p->jobs[i];
		struct job real = { 0 };
		bool found;
		rc = job_get(db, j->cluster_id, j->num, &real, &found);
		if (rc)
			break;
		loom_assert(found && real.status == j->status && str_eq(real.phase, j->phase));
		loom_assert(real.tasks_done == j->tasks_done && real.tasks_total == j->tasks_total);
		LOOM_CLEANUP(json_free) struct json *is = job_params_encode(&real.params);
		LOOM_CLEANUP(json_free) struct json *cached = job_params_encode(&j->params);
		same_json(is, cached);
		loom_assert(real.n_waits == j->n_waits);
		loom_assert(!j->n_waits ||
		            memcmp(real.waits, j->waits, j->n_waits * sizeof(*j->waits)) == 0);
		job_fini(&real);
	}
	return rc;
}

static int verify_nodes(const struct cluster_rows *p, struct db *db)
{
	LOOM_CLEANUP(nodes_free) struct nodes *real = NULL;
	int rc = p->nodes ? nodes_load(db, p->cluster, &real) : 0;
	if (rc || !real)
		return rc;
	loom_assert(real->n == p->nodes->n);
	for (size_t i = 0; i < real->n; i++) {
		const struct node *a = &real->v[i], *b = &p->nodes->v[i];
		loom_assert(strcmp(a->id, b->id) == 0 && str_eq(a->hostname, b->hostname));
		same_json(a->ipaddresses, b->ipaddresses);
		same_json(a->results, b->results);
		same_json(a->states, b->states);
		same_json(a->services, b->services);
	}
	return 0;
}

int cluster_rows_verify(const struct cluster_rows *p, struct db *db)
{
	int rc = verify_tasks(p, db);
	if (!rc)
		rc = verify_jobs(p, db);
	return rc ? rc : verify_nodes(p, db);
}

#endif
