/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry - what is left of a failed job, as a plan: its tasks that are not complete, in their order;
 * skipped ones are left out, and what waited for them waits for what they waited for. If only some
 * are asked for, they and what they wait for are done, and the others are kept for later. Pure.
 */
#ifndef LOOM_SCHEDULER_RETRY_H
#define LOOM_SCHEDULER_RETRY_H

#include "common/model/node.h"
#include "common/model/task.h"
#include "services/scheduler/plan/planner.h"

struct retry_input {
	const struct tasks *tasks;     /* of the failed job, by number from 1 */
	const struct task_edge *edges; /* by `to` */
	size_t n_edges;
	const struct nodes *nodes; /* plan_task.node is an index into them */
	const struct json *skip;   /* ids of tasks; NULL: none */
	const struct json *only;   /* ids of tasks; NULL: all */
};

/* 0 with *ret owned, or 400 with err: a task that is named is not one that is left. */
LOOM_MUST_CHECK int retry_plan(const struct retry_input *in, struct plan **ret,
                               struct loom_err *err);

#endif
