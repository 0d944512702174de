/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operation - computes the effect of an operation on an existing cluster: machines and services
 * that it adds or removes (relayout.h), and its tasks (planner.h). Made outside any transaction;
 * shown as a plan with a hash, or committed by planning.c. Worker threads.
 */
#ifndef LOOM_SCHEDULER_OPERATION_H
#define LOOM_SCHEDULER_OPERATION_H

#include "services/scheduler/job/cluster_tx.h"
#include "services/scheduler/operation/job_draft.h"
#include "services/scheduler/placement/relayout.h"

struct operation {
	enum plan_action action;    /* PLAN_SOLVE_LAYOUT for sync, which has no tasks */
	struct relayout *relayout;  /* NULL if the layout stays */
	struct nodes *before;       /* present machines, by number */
	struct job_draft draft;     /* its nodes: the present ones, then the added */
	struct json *restarted;     /* names of services that the plan starts */
	struct job_params *carried; /* parameters of the failed job in a retry, else NULL */
	struct job_params *back;    /* parameters for the job of a roll back, else NULL */
	struct json *notes;         /* in a roll back: what cannot be restored; sentences */
	char hash[33];              /* of everything that the preview shows */
};

void operation_fini(struct operation *op);

/* c has its documents. 0, a DB_E_ code, or 4xx with err: the reason for the user. */
LOOM_MUST_CHECK int operation_make(struct db_pool *p, const struct cluster *c,
                                   const struct job_params *params, struct operation *op,
                                   struct loom_err *err);
/* Plans the deletion of all machines, whatever their state. */
LOOM_MUST_CHECK int operation_delete(struct db_pool *p, const struct cluster *c,
                                     struct operation *op, struct loom_err *err);
/* {"operation", "nodes": {added, removed, changed}, "services": {..}, "config": [..], "tasks"}. */
struct json *operation_preview(const struct operation *op, const struct cluster *c,
                               const struct job_params *params);

/* The configuration to compare a new one with. A new one replaces the cluster's as soon as it is
 * recorded. */
const struct json *operation_old_config(const struct cluster *c, const struct job_params *params);

/* In the transaction that starts the job: writes added services and machines at once, and notes
 * removed ones in the job's params. CLUSTER_E_QUOTA with err: too many nodes. */
LOOM_MUST_CHECK int operation_apply(struct db *db, struct cluster_tx *tx, struct job *j,
                                    const struct operation *op, struct loom_err *err);
/* In the transaction that completes the job: removes the noted services and machines. */
LOOM_MUST_CHECK int operation_complete(struct db *db, struct cluster_tx *tx, const struct job *j);
/* In the transaction that ends a job that did nothing: undoes what its request or its start
 * wrote. */
LOOM_MUST_CHECK int operation_undo(struct db *db, struct cluster_tx *tx, const struct job *j);

#endif
