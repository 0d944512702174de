/* SPDX-License-Identifier: Apache-2.0 */
/* plan_graph - removes tasks from plans and joins plans. Pure; any thread. */
#ifndef LOOM_SCHEDULER_PLAN_GRAPH_H
#define LOOM_SCHEDULER_PLAN_GRAPH_H

#include "services/scheduler/plan/planner.h"

enum plan_fate {
	FATE_DONE,  /* left out: no task waits for it any more */
	FATE_SKIP,  /* left out: its successors wait for what it waited for */
	FATE_KEEP,  /* kept under a new number */
	FATE_LATER, /* numbered after the kept ones (plan.n_later) */
};

/* Sorts the tasks of a plan without groups by their fates; fate[i] belongs to tasks[i]. */
void plan_sift(struct plan *p, const enum plan_fate *fate);
/* Appends the tasks of b to a and takes b (NULL: none). No task of one waits for the other. */
void plan_join(struct plan *a, struct plan *b);

#endif
