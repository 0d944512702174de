/* SPDX-License-Identifier: Apache-2.0 */
/* plan_graph - parts of plans: some tasks left out, two plans made one. Pure; any thread. */
#ifndef LOOM_SCHEDULER_PLAN_GRAPH_H
#define LOOM_SCHEDULER_PLAN_GRAPH_H

#include "services/scheduler/plan/planner.h"

enum plan_fate {
	FATE_DONE,  /* left out: nothing waits for it any more */
	FATE_SKIP,  /* left out: what waited for it waits for what it waited for */
	FATE_KEEP,  /* numbered anew */
	FATE_LATER, /* numbered behind those that are kept (plan.n_later) */
};

/* Sorts the tasks of a plan without groups by their fates, which are given by index. */
void plan_sift(struct plan *p, const enum plan_fate *fate);
/* Adds the tasks of b, which is taken (NULL: none): the two wait for nothing of each other. */
void plan_join(struct plan *a, struct plan *b);

#endif
