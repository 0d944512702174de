/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry - plans the rest of a failed job: its incomplete tasks, in their order. Successors of a
 * skipped task wait for what it waited for. If only some tasks are requested, the plan does them
 * and their predecessors and keeps the others for later. Pure.
 */
#ifndef LOOM_SCHEDULER_RETRY_H
#define LOOM_SCHEDULER_RETRY_H

#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"
#include "services/scheduler/plan/planner.h"

struct retry_input {
	const struct tasks *tasks;     /* of the failed job, by number from 1 */
	const struct task_edge *edges; /* by `to` */
	size_t n_edges;
	const struct nodes *nodes; /* plan_task.node is an index into them */
	const struct json *skip;   /* ids of tasks; NULL: none */
	const struct json *only;   /* ids of tasks; NULL: all */
};

/* 0 with *ret owned, or 400 with err if a named task is not among the remaining ones. */
LOOM_MUST_CHECK int retry_plan(const struct retry_input *in, struct plan **ret,
                               struct loom_err *err);

#endif
