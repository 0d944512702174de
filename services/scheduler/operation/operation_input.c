/* SPDX-License-Identifier: Apache-2.0 */
/* operation_input - reads all inputs of an operation in one transaction. */
#include "services/scheduler/operation/operation_input.h"

#include "common/model/catalog/entity.h"

#include <string.h>

void catalog_fini(struct catalog *c)
{
	json_free(c->hardware);
	json_free(c->images);
	json_free(c->services);
	c->hardware = c->images = c->services = NULL;
}

int catalog_read(struct db *db, void *arg)
{
	struct catalog *c = arg;
	catalog_fini(c);
	int rc = entity_list(db, c->tenant, ENTITY_HARDWARETYPE, &c->hardware);
	if (!rc)
		rc = entity_list(db, c->tenant, ENTITY_IMAGETYPE, &c->images);
	return rc ? rc : entity_list(db, c->tenant, ENTITY_SERVICE, &c->services);
}

void operation_input_fini(struct operation_input *p)
{
	nodes_free(p->nodes);
	catalog_fini(&p->catalog);
	strs_fini(&p->untouched);
	job_fini(&p->failed);
	job_fini(&p->first);
	p->failed = p->first = (struct job){ 0 };
	tasks_free(p->tasks);
	loom_free(p->edges);
	p->tasks = NULL;
	p->edges = NULL;
	p->nodes = NULL;
}

static int failed_read(struct db *db, struct operation_input *p)
{
	int64_t num = p->params->job;
	bool found;
	int rc = job_get(db, p->c->id, num, &p->failed, &found);
	if (!rc && found)
		rc = tasks_load(db, p->c->id, num, &p->tasks);
	if (!rc && found)
		rc = task_edges(db, p->c->id, num, &p->edges, &p->n_edges);
	return rc;
}

/* Appends b to a. Takes both. */
static struct tasks *tasks_before(struct tasks *a, struct tasks *b)
{
	if (!b)
		return a;
	a->v = loom_realloc(a->v, (a->n + b->n + 1) * sizeof(*a->v));
	memcpy(a->v + a->n, b->v, b->n * sizeof(*b->v));
	a->n += b->n;
	b->n = 0;
	tasks_free(b);
	return a;
}

/* A retry worked on top of the job before it, so collect the tasks of the whole chain. */
static int first_read(struct db *db, struct operation_input *p)
{
	int64_t num = p->params->job;
	bool found = true;
	int rc = job_get(db, p->c->id, num, &p->failed, &found);
	const struct job *j = &p->failed;
	while (!rc && found && job_params_is(&j->params, "retry")) {
		struct job before = { 0 };
		struct tasks *ts = NULL;
		rc = job_get(db, p->c->id, j->params.job, &before, &found);
		if (!rc && found)
			rc = tasks_load(db, p->c->id, before.num, &ts);
		if (ts)
			p->tasks = tasks_before(ts, p->tasks);
		job_fini(&p->first);
		p->first = before;
		j = &p->first;
	}
	struct tasks *own = NULL;
	if (!rc && p->failed.num)
		rc = tasks_load(db, p->c->id, p->failed.num, &own);
	if (own)
		p->tasks = p->tasks ? tasks_before(p->tasks, own) : own;
	return rc;
}

int operation_input_read(struct db *db, void *arg)
{
	struct operation_input *p = arg;
	operation_input_fini(p);
	int rc = nodes_load(db, p->c->id, &p->nodes);
	if (!rc)
		rc = nodes_untouched(db, p->c->id, &p->untouched);
	if (!rc && job_params_is(p->params, "retry"))
		return failed_read(db, p);
	if (!rc && job_params_is(p->params, "rollback"))
		return first_read(db, p);
	p->catalog.tenant = p->c->tenant_id;
	return rc ? rc : catalog_read(db, &p->catalog);
}
