/* SPDX-License-Identifier: Apache-2.0 */
/* operation_preview - describes an operation to the user before it is done. */
#include "services/scheduler/operation/operation.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/json/jsondiff.h"

const struct json *operation_old_config(const struct cluster *c, const struct job_params *params)
{
	return params->before ? params->before : c->config;
}

static struct json *node_brief(const struct node *n)
{
	struct json *o = json_set_int(json_new_obj(), "nodenum", n->num);
	return json_set_str(o, "hostname", n->hostname);
}

/* Adds what a roll back recreates, what it removes, and which services leave which machines. */
static void add_back(const struct operation *op, struct json *added, struct json *removed,
                     struct json *changed)
{
	LOOM_CLEANUP(map_destroy) struct map *seen = map_create(NULL);
	const struct json *leaving_services = op->back ? op->back->services : NULL,
			  *leaving = op->back ? op->back->leaving : NULL;
	for (size_t i = 0; op->back && i < op->draft.plan->n; i++) {
		const struct node *n = &op->draft.nodes->v[op->draft.plan->tasks[i].node];
		if (op->draft.plan->tasks[i].step == STEP_CREATE)
			json_push(added,
			          json_set(node_brief(n), "services", json_copy(n->services)));
	}
	for (size_t i = 0; op->back && op->action == PLAN_DELETE && i < op->before->n; i++)
		json_push(removed, node_brief(&op->before->v[i]));
	for (size_t i = 0; i < json_len(leaving); i++)
		map_set(seen, json_str(json_at(leaving, i)), added);
	for (size_t i = 0; op->back && i < op->before->n; i++) {
		const struct node *n = &op->before->v[i];
		struct json *off = json_new_arr();
		for (size_t k = 0; k < json_len(leaving_services); k++) {
			if (json_arr_has_str(n->services, json_str(json_at(leaving_services, k))))
				json_push(off, json_copy(json_at(leaving_services, k)));
		}
		if (map_get(seen, n->id))
			json_push(removed, node_brief(n));
		else if (json_len(off))
			json_push(changed,
			          json_set(json_set(node_brief(n), "servicesAdded", json_new_arr()),
			                   "servicesRemoved", json_copy(off)));
		json_free(off);
	}
}

static struct json *nodes_preview(const struct operation *op)
{
	const struct relayout *t = op->relayout;
	struct json *added = json_new_arr(), *removed = json_new_arr(), *changed = json_new_arr();
	for (size_t i = 0; t && i < t->added.n_nodes; i++) {
		const struct node *n = &op->draft.nodes->v[op->before->n + i];
		struct json *o = node_brief(n);
		json_set_str(o, "hardwaretype", n->hardwaretype);
		json_set_str(o, "imagetype", n->imagetype);
		json_push(added, json_set(o, "services", json_copy(n->services)));
	}
	for (size_t i = 0; t && i < t->n_removed; i++)
		json_push(removed, node_brief(&op->draft.nodes->v[t->removed[i]]));
	for (size_t i = 0; t && i < t->n_changed; i++) {
		struct json *o = node_brief(&op->draft.nodes->v[t->changed[i].node]);
		json_set(o, "servicesAdded", json_new_strs(&t->changed[i].added));
		json_push(changed,
		          json_set(o, "servicesRemoved", json_new_strs(&t->changed[i].removed)));
	}
	add_back(op, added, removed, changed);
	struct json *o = json_set(json_new_obj(), "added", added);
	return json_set(json_set(o, "removed", removed), "changed", changed);
}

struct json *operation_preview(const struct operation *op, const struct cluster *c,
                               const struct job_params *params)
{
	struct json *o = json_set_str(json_new_obj(), "operation", params->operation);
	json_set(o, "nodes", nodes_preview(op));
	json_set(o, "started", json_copy(op->restarted));
	const struct json *config = op->back ? op->back->config : params->config;
	json_set(o, "config",
	         config ? json_diff(operation_old_config(c, params), config) : json_new_arr());
	if (params->template)
		json_set(o, "template", json_diff(c->template, params->template));
	if (op->notes)
		json_set(o, "notes", json_copy(op->notes));
	if (op->draft.plan && op->draft.plan->n_later)
		json_set_int(o, "later", (int64_t)op->draft.plan->n_later);
	return json_set(o, "tasks", op->draft.plan ? job_draft_tasks(&op->draft) : json_new_arr());
}
