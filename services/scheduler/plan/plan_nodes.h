/* SPDX-License-Identifier: Apache-2.0 */
/* plan_nodes - plans an action on the nodes of a cluster as they are stored. Pure; any thread. */
#ifndef LOOM_SCHEDULER_PLAN_NODES_H
#define LOOM_SCHEDULER_PLAN_NODES_H

#include "common/model/node.h"
#include "services/scheduler/plan/planner.h"

/* What of them is planned; NULL: all (planner.h). */
struct plan_scope {
	const struct strs *services, *nodes, *leaving, *changed;
	bool plain; /* edges only, no groups: the plan is going to be edited */
};

/* docs: {service: definition}. scope may be NULL. 0 with *ret owned, or 400 with err. */
LOOM_MUST_CHECK int plan_nodes(const struct nodes *ns, enum plan_action action,
                               const struct json *docs, const struct plan_scope *scope,
                               struct plan **ret, struct loom_err *err);

#endif
