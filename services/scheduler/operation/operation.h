/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation - what an operation on an existing cluster comes to: machines and services that come
 * and go (relayout.h), and the tasks (planner.h). Made outside any transaction; shown as a plan
 * with a hash, or committed by planning.c. Worker threads.
 */
#ifndef LOOM_SCHEDULER_OPERATION_H
#define LOOM_SCHEDULER_OPERATION_H

#include "services/scheduler/job/cluster_tx.h"
#include "services/scheduler/operation/job_draft.h"
#include "services/scheduler/placement/relayout.h"

struct operation {
	enum plan_action action;    /* PLAN_SOLVE_LAYOUT for sync, which has no tasks */
	struct relayout *relayout;  /* NULL when the layout stays */
	struct nodes *before;       /* present machines, by number */
	struct job_draft draft;     /* its nodes: the present ones, then the added */
	struct json *restarted;     /* names of services that the plan starts */
	struct job_params *carried; /* of the failed job that is retried, else NULL */
	struct job_params *back;    /* of a roll back: what its job takes over, else NULL */
	struct json *notes;         /* of a roll back: what will not be as it was; sentences */
	char hash[33];              /* of all that a user is shown of it */
};

void operation_fini(struct operation *op);

/* c has its documents. 0, a DB_E_ code, or 4xx with err: the reason for the user. */
LOOM_MUST_CHECK int operation_make(struct db_pool *p, const struct cluster *c,
                                   const struct job_params *params, struct operation *op,
                                   struct loom_err *err);
/* All machines go, in whatever state they are. */
LOOM_MUST_CHECK int operation_delete(struct db_pool *p, const struct cluster *c,
                                     struct operation *op, struct loom_err *err);
/* {"operation", "nodes": {added, removed, changed}, "services": {..}, "config": [..], "tasks"}. */
struct json *operation_preview(const struct operation *op, const struct cluster *c,
                               const struct job_params *params);

/* What a new configuration is compared with: once recorded, it is the cluster's already. */
const struct json *operation_old_config(const struct cluster *c, const struct job_params *params);

/* In the transaction that starts the job: what comes (services, machines) is written at once, what
 * goes is noted in the job's params. CLUSTER_E_QUOTA with err: more nodes than may be. */
LOOM_MUST_CHECK int operation_apply(struct db *db, struct cluster_tx *tx, struct job *j,
                                    const struct operation *op, struct loom_err *err);
/* In the transaction that completes the job: what was to go is gone. */
LOOM_MUST_CHECK int operation_complete(struct db *db, struct cluster_tx *tx, const struct job *j);
/* In the transaction that ends a job of which nothing was done at all: what it wrote when it was
 * asked for, or when it started, is taken back. */
LOOM_MUST_CHECK int operation_undo(struct db *db, struct cluster_tx *tx, const struct job *j);

#endif
