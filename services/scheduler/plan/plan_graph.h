/* SPDX-License-Identifier: Apache-2.0 */
/* plan_graph - parts of plans: some tasks left out, two plans made one. Pure; any thread. */
#ifndef LOOM_SCHEDULER_PLAN_GRAPH_H
#define LOOM_SCHEDULER_PLAN_GRAPH_H

#include "services/scheduler/plan/planner.h"

/* Leaves out the tasks of a plan without groups for which keep[index] is false; what waited for
 * them waits for what they waited for. The others are numbered anew. */
void plan_prune(struct plan *p, const bool *keep);
/* Adds the tasks of b, which is taken (NULL: none): the two wait for nothing of each other. */
void plan_join(struct plan *a, struct plan *b);

#endif
