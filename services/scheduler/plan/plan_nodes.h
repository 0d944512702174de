/* SPDX-License-Identifier: Apache-2.0 */
/* plan_nodes - plans an action on the stored nodes of a cluster. Pure; any thread. */
#ifndef LOOM_SCHEDULER_PLAN_NODES_H
#define LOOM_SCHEDULER_PLAN_NODES_H

#include "common/model/cluster/node.h"
#include "services/scheduler/plan/planner.h"

/* The part of the cluster to plan for; NULL: everything (planner.h). */
struct plan_scope {
	const struct strs *services, *nodes, *leaving, *changed;
	bool plain; /* edges only, no groups, because the plan will be edited */
};

/* docs: {service: definition}. scope may be NULL. 0 with *ret owned, or 400 with err. */
LOOM_MUST_CHECK int plan_nodes(const struct nodes *ns, enum plan_action action,
                               const struct json *docs, const struct plan_scope *scope,
                               struct plan **ret, struct loom_err *err);

/* {"nodeId","nodenum","hostname","hardwaretype","imagetype","services"}, as users see a node that
 * is planned; owned. */
struct json *plan_node_shown(const struct node *n);

#endif
