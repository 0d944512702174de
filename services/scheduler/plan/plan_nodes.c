/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows the planner the nodes of a cluster as the database stores them.
 * Separate, so that the planner itself need not know how nodes are stored.
 */
#include "services/scheduler/plan/plan_nodes.h"

int plan_nodes(const struct nodes *ns, enum plan_action action, const struct json *docs,
               const struct plan_scope *scope, struct plan **ret, struct loom_err *err)
{
	struct plan_node *pn = loom_calloc(ns->n + 1, sizeof(*pn));
	struct strs *services = loom_calloc(ns->n + 1, sizeof(*services));
	const struct json **states = loom_calloc(ns->n + 1, sizeof(*states));
	LOOM_CLEANUP(json_free) struct json *list = json_new_arr();
	for (size_t i = 0; i < ns->n; i++) {
		const struct node *n = &ns->v[i];
		json_read_strs(n->services, &services[i]);
		pn[i] = (struct plan_node){ n->id, (int)n->num, &services[i] };
		states[i] = n->states;
	}
	for (size_t i = 0; i < json_len(docs); i++)
		json_push(list, json_copy(json_value_at(docs, i)));
	const struct plan_input in = { .action = action,
		                       .nodes = pn,
		                       .n_nodes = ns->n,
		                       .services = list,
		                       .planned_services = scope ? scope->services : NULL,
		                       .planned_nodes = scope ? scope->nodes : NULL,
		                       .leaving_nodes = scope ? scope->leaving : NULL,
		                       .changed_services = scope ? scope->changed : NULL,
		                       .states = states,
		                       .groups = !(scope && scope->plain) };
	const int rc = plan_make(&in, ret, err);
	for (size_t i = 0; i < ns->n; i++)
		strs_fini(&services[i]);
	loom_free(services);
	loom_free(states);
	loom_free(pn);
	return rc;
}

struct json *plan_node_shown(const struct node *n)
{
	struct json *o = json_set_str(json_new_obj(), "nodeId", n->id);
	json_set_int(o, "nodenum", n->num);
	json_set_str(o, "hostname", n->hostname);
	json_set_str(o, "hardwaretype", n->hardwaretype);
	json_set_str(o, "imagetype", n->imagetype);
	return json_set(o, "services", json_copy(n->services));
}
