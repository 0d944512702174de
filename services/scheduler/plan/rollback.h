/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollback - plans how to undo a failed or aborted job. The tasks that were begun tell what was
 * done, and so what the cluster was like before.
 *
 *   create            its nodes are deleted
 *   expand            the added nodes are deleted; nodes that know of them are reconfigured
 *   add services      the begun part of them is stopped and removed
 *   remove services   removed services are installed again, stopped ones started
 *   configure         the former configuration is restored (operation.c)
 *   start, stop,      services that ran before run again, the others are stopped
 *   restart
 *   shrink            stopped services are started; a node whose deletion was begun is recreated
 *   replace           for the new node like expand, for the old one like shrink
 *
 * Pure; any thread.
 */
#ifndef LOOM_SCHEDULER_ROLLBACK_H
#define LOOM_SCHEDULER_ROLLBACK_H

#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"
#include "common/operation/job_params.h"
#include "services/scheduler/plan/planner.h"

/* Everything is borrowed. */
struct rollback_input {
	enum plan_action failed;
	const struct tasks *tasks;       /* of the failed job, after those of the jobs it retried */
	const struct job_params *params; /* of the failed job */
	const struct nodes *nodes;       /* plan_task.node is an index into them */
	const struct strs *untouched;    /* ids of nodes on which no task was ever begun */
	const struct json *service_docs;
};

struct rollback {
	enum plan_action action; /* of the job that rolls back */
	struct plan *plan;
	struct job_params back; /* parameters of that job: leaving, services */
	struct json *notes;     /* what cannot be restored; sentences for the user */
};

/* 0, or 4xx with err: why the job cannot be undone. */
LOOM_MUST_CHECK int rollback_plan(const struct rollback_input *in, struct rollback *ret,
                                  struct loom_err *err);
void rollback_fini(struct rollback *r);

#endif
