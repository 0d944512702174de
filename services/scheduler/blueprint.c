/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/blueprint.h"

#include "common/base/str.h"
#include "common/model/entity.h"
#include "services/scheduler/solver.h"

#include <stdio.h>

void blueprint_fini(struct blueprint *b)
{
	layout_free(b->layout);
	nodes_free(b->nodes);
	json_free(b->service_docs);
	plan_free(b->plan);
	*b = (struct blueprint){ 0 };
}

static struct json *names_json(const struct strs *l)
{
	struct json *a = json_new_arr();
	for (size_t i = 0; i < l->n; i++)
		json_push(a, json_new_str(l->v[i]));
	return a;
}

static struct nodes *nodes_of_layout(const struct layout *l)
{
	struct nodes *ns = loom_calloc(1, sizeof(*ns));
	ns->n = l->n_nodes;
	ns->v = loom_calloc(ns->n + 1, sizeof(*ns->v));
	for (size_t i = 0; i < ns->n; i++) {
		const struct layout_node *from = &l->nodes[i];
		struct node *n = &ns->v[i];
		id_uuid(n->id);
		n->num = from->nodenum;
		n->hostname = loom_strdup(from->hostname);
		n->hardwaretype = loom_strdup(from->hardwaretype);
		n->imagetype = loom_strdup(from->imagetype);
		n->flavor = loom_strdup(from->flavor);
		n->image = loom_strdup(from->image);
		n->sshuser = loom_strdup(from->sshuser);
		n->services = names_json(&from->services);
		n->automators = names_json(&from->automators);
	}
	return ns;
}

static int plan_nodes(struct blueprint *b, enum plan_action action, const struct json *docs,
                      struct loom_err *err)
{
	struct plan_node *pn = loom_calloc(b->nodes->n + 1, sizeof(*pn));
	struct strs *services = loom_calloc(b->nodes->n + 1, sizeof(*services));
	for (size_t i = 0; i < b->nodes->n; i++) {
		const struct node *n = &b->nodes->v[i];
		for (size_t k = 0; k < json_len(n->services); k++)
			strs_add(&services[i], json_str(json_at(n->services, k)));
		pn[i] = (struct plan_node){ n->id, (int)n->num, &services[i] };
	}
	LOOM_CLEANUP(json_free) struct json *list = json_new_arr();
	for (size_t i = 0; i < json_len(docs); i++)
		json_push(list, json_copy(json_value_at(docs, i)));
	struct plan_input in = {
		.action = action, .nodes = pn, .n_nodes = b->nodes->n, .services = list
	};
	int rc = plan_make(&in, &b->plan, err);
	for (size_t i = 0; i < b->nodes->n; i++)
		strs_fini(&services[i]);
	loom_free(services);
	loom_free(pn);
	return rc;
}

struct catalog {
	const char *tenant;
	struct json *hardware, *images, *services;
};

static void catalog_fini(struct catalog *c)
{
	json_free(c->hardware);
	json_free(c->images);
	json_free(c->services);
	c->hardware = c->images = c->services = NULL;
}

static int catalog_read(struct db *db, void *arg)
{
	struct catalog *c = arg;
	catalog_fini(c);
	int rc = entity_list(db, c->tenant, ENTITY_HARDWARETYPE, &c->hardware);
	if (!rc)
		rc = entity_list(db, c->tenant, ENTITY_IMAGETYPE, &c->images);
	return rc ? rc : entity_list(db, c->tenant, ENTITY_SERVICE, &c->services);
}

/* The definitions of the services in use, as they are now: later edits do not reach the cluster. */
static struct json *docs_in_use(const struct json *all, const struct strs *names)
{
	struct json *docs = json_new_obj();
	for (size_t i = 0; i < json_len(all); i++) {
		const char *name = json_get_str(json_at(all, i), "name");
		if (strs_has(names, name))
			json_set(docs, name, json_copy(json_at(all, i)));
	}
	return docs;
}

int blueprint_create(struct db_pool *p, const struct blueprint_ask *ask, struct blueprint *b,
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
	}
	if (!rc) {
		b->nodes = nodes_of_layout(b->layout);
		b->service_docs = docs_in_use(cat.services, &b->layout->services);
		rc = plan_nodes(b, PLAN_CREATE, b->service_docs, err);
	}
	catalog_fini(&cat);
	return rc;
}

struct load {
	int64_t cluster;
	struct nodes *nodes;
};

static int load_read(struct db *db, void *arg)
{
	struct load *l = arg;
	nodes_free(l->nodes);
	l->nodes = NULL;
	return nodes_load(db, l->cluster, &l->nodes);
}

int blueprint_change(struct db_pool *p, int64_t cluster, enum plan_action action,
                     const struct json *service_docs, struct blueprint *b, struct loom_err *err)
{
	struct load l = { .cluster = cluster };
	int rc = db_read(p, load_read, &l);
	b->nodes = l.nodes;
	return rc ? rc : plan_nodes(b, action, service_docs, err);
}

void blueprint_rows(const struct blueprint *b, const struct cluster *c, int64_t job, int64_t now,
                    struct task **ret, struct task_edge **ret_edges, size_t *ret_n_edges)
{
	const struct plan *p = b->plan;
	struct task *v = loom_calloc(p->n + 1, sizeof(*v));
	bool *busy = loom_calloc(b->nodes->n + 1, sizeof(*busy));
	size_t n_edges = 0;
	for (size_t i = 0; i < p->n; i++)
		n_edges += p->tasks[i].n_after;
	struct task_edge *e = loom_calloc(n_edges + 1, sizeof(*e));
	n_edges = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *pt = &p->tasks[i];
		const struct node *n = &b->nodes->v[pt->node];
		struct task *t = &v[i];
		bool ready = !pt->n_after && !busy[pt->node];
		*t = (struct task){ .cluster_id = c->id,
			            .job_num = job,
			            .num = pt->num,
			            .tenant_id = c->tenant_id,
			            .node_num = n->num,
			            .service = pt->service,
			            .stage = pt->stage,
			            .state = ready ? TASK_READY : TASK_BLOCKED,
			            .not_before = ready ? now : 0,
			            .unmet = (int64_t)pt->n_after };
		snprintf(t->node_id, sizeof(t->node_id), "%s", n->id);
		snprintf(t->name, sizeof(t->name), "%s", pt->name);
		busy[pt->node] = busy[pt->node] || ready;
		for (size_t k = 0; k < pt->n_after; k++)
			e[n_edges++] = (struct task_edge){ pt->after[k], pt->num };
	}
	loom_free(busy);
	*ret = v;
	*ret_edges = e;
	*ret_n_edges = n_edges;
}

static struct json *node_json(const struct node *n, bool with_id)
{
	struct json *o = json_new_obj();
	if (with_id)
		json_set_str(o, "nodeId", n->id);
	json_set_int(o, "nodenum", n->num);
	json_set_str(o, "hostname", n->hostname);
	json_set_str(o, "hardwaretype", n->hardwaretype);
	json_set_str(o, "imagetype", n->imagetype);
	return json_set(o, "services", json_copy(n->services));
}

struct json *blueprint_event(const struct blueprint *b, int64_t cluster, int64_t job,
                             const char *action)
{
	char id[ID_MAX];
	id_job(id, cluster, job);
	struct json *e = json_set_str(json_new_obj(), "jobId", id);
	json_set_str(e, "action", action);
	struct json *nodes = json_new_arr(), *tasks = json_new_arr();
	for (size_t i = 0; i < b->nodes->n; i++)
		json_push(nodes, node_json(&b->nodes->v[i], true));
	for (size_t i = 0; i < b->plan->n; i++) {
		const struct plan_task *pt = &b->plan->tasks[i];
		const struct node *n = &b->nodes->v[pt->node];
		id_task(id, cluster, job, pt->num);
		struct json *o = json_set_str(json_new_obj(), "taskId", id);
		json_set_str(o, "taskName", pt->name);
		json_set_str(o, "nodeId", n->id);
		json_set_int(o, "nodenum", n->num);
		json_set_str(o, "service", pt->service);
		json_set_int(o, "stage", pt->stage);
		struct json *after = json_new_arr();
		for (size_t k = 0; k < pt->n_after; k++) {
			id_task(id, cluster, job, pt->after[k]);
			json_push(after, json_new_str(id));
		}
		json_push(tasks, json_set(o, "after", after));
	}
	return json_set(json_set(e, "nodes", nodes), "tasks", tasks);
}

/* Ids of a preview count from 0. */
struct json *blueprint_preview(const struct blueprint *b)
{
	struct json *layout = json_new_arr(), *nodes = json_new_arr(), *tasks = json_new_arr();
	for (size_t i = 0; i < b->layout->n_groups; i++) {
		const struct layout_group *g = &b->layout->groups[i];
		struct json *o = json_set_int(json_new_obj(), "count", g->count);
		json_set_str(o, "hardwaretype", g->hardwaretype);
		json_set_str(o, "imagetype", g->imagetype);
		json_push(layout, json_set(o, "services", names_json(&g->services)));
	}
	for (size_t i = 0; i < b->nodes->n; i++)
		json_push(nodes, node_json(&b->nodes->v[i], false));
	for (size_t i = 0; i < b->plan->n; i++) {
		const struct plan_task *pt = &b->plan->tasks[i];
		struct json *o = json_set_int(json_new_obj(), "id", pt->num - 1);
		json_set_str(o, "taskName", pt->name);
		json_set_int(o, "nodenum", b->nodes->v[pt->node].num);
		json_set_str(o, "service", pt->service);
		struct json *after = json_new_arr();
		for (size_t k = 0; k < pt->n_after; k++)
			json_push(after, json_new_int(pt->after[k] - 1));
		json_push(tasks, json_set(o, "after", after));
	}
	struct json *out = json_set(json_new_obj(), "layout", layout);
	return json_set(json_set(out, "nodes", nodes), "tasks", tasks);
}
