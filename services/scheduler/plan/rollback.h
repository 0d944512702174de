/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollback - what takes a failed or aborted job back: its tasks that were begun say what was done,
 * and so what the cluster was before.
 *
 *   create            its nodes are deleted
 *   expand            the nodes it added are deleted; nodes that know of them are reconfigured
 *   add services      what was begun of them is stopped and removed
 *   remove services   what was removed is installed anew, what was stopped is started
 *   configure         the former configuration is put back (operation.c)
 *   start, stop,      what ran before runs again, what did not run is stopped
 *   restart
 *   shrink            what was stopped is started; a node whose deletion was begun is made anew
 *   replace           as of an expand by the new node and a shrink by the old one
 *
 * Pure; any thread.
 */
#ifndef LOOM_SCHEDULER_ROLLBACK_H
#define LOOM_SCHEDULER_ROLLBACK_H

#include "common/model/node.h"
#include "common/model/task.h"
#include "common/operation/job_params.h"
#include "services/scheduler/plan/planner.h"

/* All is borrowed. */
struct rollback_input {
	enum plan_action failed;
	const struct tasks *tasks; /* of the failed job, after those of the jobs that it retried */
	const struct job_params *params; /* of the failed job */
	const struct nodes *nodes;       /* plan_task.node is an index into them */
	const struct strs *untouched;    /* ids of nodes on which nothing was ever begun */
	const struct json *service_docs;
};

struct rollback {
	enum plan_action action; /* of the job that does it */
	struct plan *plan;
	struct job_params back; /* what that job takes over: leaving, services */
	struct json *notes;     /* what will not be as it was; sentences for the user */
};

/* 0, or 4xx with err: why there is no way back. */
LOOM_MUST_CHECK int rollback_plan(const struct rollback_input *in, struct rollback *ret,
                                  struct loom_err *err);
void rollback_fini(struct rollback *r);

#endif
