/* SPDX-License-Identifier: Apache-2.0 */
/* job_draft - solves a new cluster's layout, plans the tasks of its nodes, writes both. */
#include "services/scheduler/operation/job_draft.h"

#include "common/base/clock.h"
#include "common/base/compare.h"
#include "common/base/str.h"
#include "services/scheduler/operation/config_fits.h"
#include "services/scheduler/operation/operation_input.h"
#include "services/scheduler/placement/solve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_BYTES ((size_t)48 << 10) /* of a `plan` event: one piece on the bus (BUS_PIECE) */

void job_draft_fini(struct job_draft *b)
{
	layout_free(b->layout);
	nodes_free(b->nodes);
	json_free(b->service_docs);
	plan_free(b->plan);
	*b = (struct job_draft){ 0 };
}

void job_draft_add_nodes(struct nodes *ns, const struct layout_node *v, size_t n)
{
	ns->v = loom_realloc(ns->v, (ns->n + n + 1) * sizeof(*ns->v));
	for (size_t i = 0; i < n; i++) {
		const struct layout_node *from = &v[i];
		struct node *to = &ns->v[ns->n++];
		*to = (struct node){ .num = from->nodenum,
			             .hostname = loom_strdup(from->hostname),
			             .hardwaretype = loom_strdup(from->hardwaretype),
			             .imagetype = loom_strdup(from->imagetype),
			             .flavor = loom_strdup(from->flavor),
			             .image = loom_strdup(from->image),
			             .sshuser = loom_strdup(from->sshuser),
			             .services = json_new_strs(&from->services),
			             .automators = json_new_strs(&from->automators),
			             .ipaddresses = json_new_obj(),
			             .results = json_new_obj(),
			             .states = json_new_obj() };
		id_uuid(to->id);
	}
}

void job_draft_add_docs(struct json *docs, const struct json *all, const struct strs *names)
{
	for (size_t i = 0; names && i < json_len(all); i++) {
		const char *name = json_get_str(json_at(all, i), "name");
		if (strs_has(names, name) && !json_get(docs, name))
			json_set(docs, name, json_copy(json_at(all, i)));
	}
}

static const struct json *config_of(const struct job_draft_ask *ask)
{
	const struct json *given = json_get(ask->request, "config");
	return given ? given : json_path(ask->template, "defaults/config");
}

int job_draft_create(struct db_pool *p, const struct job_draft_ask *ask, struct job_draft *b,
                     struct loom_err *err)
{
	struct catalog cat = { .tenant = ask->tenant_id };
	int rc = db_read(p, catalog_read, &cat);
	if (!rc) {
		struct solve_input in = { .request = ask->request,
			                  .template = ask->template,
			                  .provider = ask->provider,
			                  .hardwaretypes = cat.hardware,
			                  .imagetypes = cat.images,
			                  .services = cat.services,
			                  .cluster_id = ask->cluster_id,
			                  .cluster_name = ask->cluster_name };
		rc = solve(&in, &b->layout, err);
		b->solved_us = clock_wall_us();
	}
	if (!rc) {
		b->nodes = loom_calloc(1, sizeof(*b->nodes));
		job_draft_add_nodes(b->nodes, b->layout->nodes, b->layout->n_nodes);
		rc = config_fits(config_of(ask), b->nodes, NULL, err);
	}
	if (!rc) {
		b->service_docs = json_new_obj();
		job_draft_add_docs(b->service_docs, cat.services, &b->layout->services);
		rc = plan_nodes(b->nodes, PLAN_CREATE, b->service_docs, NULL, &b->plan, err);
	}
	catalog_fini(&cat);
	return rc;
}

static void fill_task(struct task *t, const struct plan_task *pt, const struct node *n,
                      const struct cluster *c)
{
	*t = (struct task){ .cluster_id = c->id,
		            .num = pt->num,
		            .tenant_id = c->tenant_id,
		            .node_num = n->num,
		            .service = pt->service,
		            .stage = pt->stage,
		            .state = TASK_BLOCKED,
		            .unmet = (int64_t)(pt->n_after + pt->n_after_groups) };
	snprintf(t->node_id, sizeof(t->node_id), "%s", n->id);
	snprintf(t->name, sizeof(t->name), "%s", pt->name);
}

/* Room for all edges. */
static struct task_edge *new_edges(const struct plan *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n + p->n_later; i++)
		n += p->tasks[i].n_after + p->tasks[i].n_after_groups;
	for (size_t g = 0; g < p->n_groups; g++)
		n += p->groups[g].n_tasks;
	return loom_calloc(n + 1, sizeof(struct task_edge));
}

static void add_edges(struct job_draft_rows *rows, const struct plan_task *t)
{
	for (size_t k = 0; k < t->n_after; k++)
		rows->edges[rows->n_edges++] = (struct task_edge){ t->after[k], t->num };
	for (size_t k = 0; k < t->n_after_groups; k++)
		rows->edges[rows->n_edges++] =
			(struct task_edge){ -(t->after_groups[k] + 1), t->num };
}

static void add_groups(struct job_draft_rows *rows, const struct plan *p)
{
	rows->waits = loom_calloc(p->n_groups + 1, sizeof(*rows->waits));
	for (int g = 0; g < (int)p->n_groups; g++) {
		const struct plan_group *group = &p->groups[g];
		rows->waits[rows->n_waits++] = (int64_t)group->n_tasks;
		for (size_t k = 0; k < group->n_tasks; k++)
			rows->edges[rows->n_edges++] =
				(struct task_edge){ group->tasks[k], -(g + 1) };
	}
}

void job_draft_rows(const struct job_draft *b, const struct cluster *c, int64_t job, int64_t now,
                    struct job_draft_rows *ret)
{
	const struct plan *p = b->plan;
	bool *busy = loom_calloc(b->nodes->n + 1, sizeof(*busy));
	size_t n = p->n + p->n_later;
	*ret = (struct job_draft_rows){ .tasks = loom_calloc(n + 1, sizeof(*ret->tasks)),
		                        .n = n,
		                        .edges = new_edges(p) };
	for (size_t i = 0; i < n; i++) {
		const struct plan_task *pt = &p->tasks[i];
		struct task *t = &ret->tasks[i];
		fill_task(t, pt, &b->nodes->v[pt->node], c);
		t->job_num = job;
		bool free = i < p->n && !t->unmet && !busy[pt->node];
		/* the initial state */
		t->state = i >= p->n ? TASK_DROPPED : free ? TASK_READY : TASK_BLOCKED;
		if (free) {
			busy[pt->node] = true;
			t->not_before = now;
		}
		add_edges(ret, pt);
	}
	add_groups(ret, p);
	loom_free(busy);
}

void job_draft_rows_fini(struct job_draft_rows *r)
{
	loom_free(r->tasks);
	loom_free(r->edges);
	loom_free(r->waits);
}

/* ---- as documents ---------------------------------------------------------------------------- */

/* most edges in a document, about 20 bytes each: 400 KB; larger plans keep their groups */
#define MOST_EDGES 20000

static bool is_small(const struct plan *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n && n <= MOST_EDGES; i++) {
		for (size_t k = 0; k < p->tasks[i].n_after_groups; k++)
			n += p->groups[p->tasks[i].after_groups[k]].n_tasks;
	}
	return n <= MOST_EDGES;
}

/* Names a task by number: in a job or in a preview. */
struct naming {
	int64_t cluster, job; /* 0: a preview */
};

static struct json *name_of(const struct naming *nm, int num)
{
	char id[ID_MAX];
	if (!nm->cluster)
		return json_new_int(num - 1);
	id_task(id, nm->cluster, nm->job, num);
	return json_new_str(id);
}

/* "after": the preceding tasks; in large plans, those in groups are in "afterGroups" instead. */
static void set_after(struct json *o, const struct plan *p, const struct plan_task *t, bool small,
                      const struct naming *nm)
{
	size_t n = t->n_after;
	for (size_t k = 0; small && k < t->n_after_groups; k++)
		n += p->groups[t->after_groups[k]].n_tasks;
	int *nums = loom_calloc(n + 1, sizeof(*nums));
	for (n = 0; n < t->n_after; n++)
		nums[n] = t->after[n];
	for (size_t k = 0; small && k < t->n_after_groups; k++) {
		const struct plan_group *g = &p->groups[t->after_groups[k]];
		memcpy(nums + n, g->tasks, g->n_tasks * sizeof(*nums));
		n += g->n_tasks;
	}
	qsort(nums, n, sizeof(*nums), compare_ints);
	struct json *after = json_new_arr();
	for (size_t k = 0; k < n; k++) {
		if (!k || nums[k - 1] != nums[k])
			json_push(after, name_of(nm, nums[k]));
	}
	loom_free(nums);
	json_set(o, "after", after);
	if (small || !t->n_after_groups)
		return;
	struct json *groups = json_new_arr();
	for (size_t k = 0; k < t->n_after_groups; k++)
		json_push(groups, json_new_int(t->after_groups[k]));
	json_set(o, "afterGroups", groups);
}

static struct json *group_json(const struct plan_group *g, const struct naming *nm)
{
	struct json *tasks = json_new_arr();
	for (size_t k = 0; k < g->n_tasks; k++)
		json_push(tasks, name_of(nm, g->tasks[k]));
	return tasks;
}

/* The lists of tasks to which the numbers in "afterGroups" refer. */
static struct json *groups_json(const struct plan *p, const struct naming *nm)
{
	struct json *groups = json_new_arr();
	for (size_t g = 0; g < p->n_groups; g++)
		json_push(groups, group_json(&p->groups[g], nm));
	return groups;
}

static struct json *task_json(const struct job_draft *b, const struct plan_task *pt, bool small,
                              const struct naming *nm)
{
	char id[ID_MAX];
	const struct node *n = &b->nodes->v[pt->node];
	id_task(id, nm->cluster, nm->job, pt->num);
	struct json *o = json_set_str(json_new_obj(), "taskId", id);
	json_set_str(o, "taskName", pt->name);
	json_set_str(o, "nodeId", n->id);
	json_set_int(o, "nodenum", n->num);
	json_set_str(o, "service", pt->service);
	json_set_int(o, "stage", pt->stage);
	set_after(o, b->plan, pt, small, nm);
	return o;
}

/* Adds an item to a list of the event, taking it; false if the part is long enough now. */
static bool add_item(struct json *e, const char *list, struct json *item, size_t *bytes)
{
	LOOM_CLEANUP_STR char *text = json_text(item);
	*bytes += strlen(text);
	json_push(json_get(e, list), item);
	return *bytes < PART_BYTES;
}

static struct json *part_head(const struct job_draft *b, const struct naming *nm,
                              const char *action)
{
	char id[ID_MAX];
	id_job(id, nm->cluster, nm->job);
	struct json *e = json_set_str(json_new_obj(), "jobId", id);
	json_set_str(e, "action", action);
	if (b->plan->n_later)
		json_set(e, "later", json_new_arr());
	if (!is_small(b->plan))
		json_set(e, "groups", json_new_arr());
	json_set(e, "nodes", json_new_arr());
	return json_set(e, "tasks", json_new_arr());
}

struct json *job_draft_event(const struct job_draft *b, int64_t cluster, int64_t job,
                             const char *action, struct job_draft_at *at)
{
	const struct plan *p = b->plan;
	const bool small = is_small(p);
	const size_t n_tasks = p->n + p->n_later, n_groups = small ? 0 : p->n_groups;
	const struct naming nm = { cluster, job };
	size_t bytes = 0;
	bool room = true;
	if (at->part && at->node == b->nodes->n && at->task == n_tasks && at->group == n_groups)
		return NULL;
	struct json *e = part_head(b, &nm, action);
	while (room && at->node < b->nodes->n)
		room = add_item(e, "nodes", plan_node_shown(&b->nodes->v[at->node++]), &bytes);
	for (; room && at->task < n_tasks; at->task++)
		room = add_item(e, at->task < p->n ? "tasks" : "later",
		                task_json(b, &p->tasks[at->task], small, &nm), &bytes);
	while (room && at->group < n_groups)
		room = add_item(e, "groups", group_json(&p->groups[at->group++], &nm), &bytes);
	if (!at->part++ && room)
		return e; /* a single part */
	json_set_int(e, "part", at->part);
	json_set_int(e, "nodestotal", (int64_t)b->nodes->n);
	json_set_int(e, "taskstotal", (int64_t)p->n);
	return e;
}

struct json *job_draft_tasks(const struct job_draft *b)
{
	const struct naming nm = { 0 };
	const bool small = is_small(b->plan);
	struct json *tasks = json_new_arr();
	for (size_t i = 0; i < b->plan->n; i++) {
		const struct plan_task *pt = &b->plan->tasks[i];
		struct json *o = json_set_int(json_new_obj(), "id", pt->num - 1);
		json_set_str(o, "taskName", pt->name);
		json_set_int(o, "nodenum", b->nodes->v[pt->node].num);
		json_set_str(o, "service", pt->service);
		set_after(o, b->plan, pt, small, &nm);
		json_push(tasks, o);
	}
	return tasks;
}

struct json *job_draft_preview(const struct job_draft *b)
{
	struct json *layout = json_new_arr(), *nodes = json_new_arr();
	for (size_t i = 0; i < b->layout->n_groups; i++) {
		const struct layout_group *g = &b->layout->groups[i];
		struct json *o = json_set_int(json_new_obj(), "count", g->count);
		json_set_str(o, "hardwaretype", g->hardwaretype);
		json_set_str(o, "imagetype", g->imagetype);
		json_push(layout, json_set(o, "services", json_new_strs(&g->services)));
	}
	for (size_t i = 0; i < b->nodes->n; i++) {
		struct json *o = plan_node_shown(&b->nodes->v[i]);
		json_del(o, "nodeId"); /* a preview makes no nodes */
		json_push(nodes, o);
	}
	struct json *out = json_set(json_new_obj(), "layout", layout);
	if (!is_small(b->plan))
		json_set(out, "groups", groups_json(b->plan, &(struct naming){ 0 }));
	return json_set(json_set(out, "nodes", nodes), "tasks", job_draft_tasks(b));
}
