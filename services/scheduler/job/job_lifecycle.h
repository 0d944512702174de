/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_lifecycle - how one task's end moves its job and cluster. Every function runs inside db_tx()
 * with the row of its cluster locked.
 */
#ifndef LOOM_SCHEDULER_JOB_LIFECYCLE_H
#define LOOM_SCHEDULER_JOB_LIFECYCLE_H

#include "common/model/job.h"
#include "common/model/node.h"
#include "common/model/task.h"
#include "services/scheduler/job/cluster_tx.h"

struct task_result {
	int64_t status; /* 0 is success */
	bool never_again;
	const char *message, *out, *err;
	const struct json *result, *ipaddresses; /* may be NULL */
	const char *hostname;
};

/* A running task reported (t->state is running). */
LOOM_MUST_CHECK int lifecycle_finish(struct db *db, struct cluster_tx *tx, struct task *t,
                                     const struct task_result *res);
/* The node's stored results take what the plug-in said; a deleted machine's are forgotten. Results
 * that are too many make it a failure. True: an event tells of the node. */
bool lifecycle_to_node(struct node *n, const struct task *t, struct task_result *res);
LOOM_MUST_CHECK int lifecycle_node_event(struct db *db, struct cluster_tx *tx,
                                         const struct node *n);
/* Did the provider keep machines that this job was to delete? Then it cannot complete, and ends
 * when nothing is left to be done. */
bool lifecycle_has_kept(const struct job *j);
/* A running task's worker stopped renewing its lease. */
LOOM_MUST_CHECK int lifecycle_lost(struct db *db, struct cluster_tx *tx, struct task *t);
/* Puts a new job on the cluster, which waits for it from now on. */
LOOM_MUST_CHECK int lifecycle_submit(struct db *db, struct cluster_tx *tx, const char *action,
                                     const struct json *params);
/* Ends a job that has not ended: nothing more is handed out, what runs is asked to stop, and when
 * it has, then_action follows (NULL: the cluster is left as it is). */
LOOM_MUST_CHECK int lifecycle_abort(struct db *db, struct cluster_tx *tx, struct job *j,
                                    const char *why, const char *then_action);
/* What follows a job that has failed, but whose last task still runs: then_action, and the task is
 * asked to stop. */
LOOM_MUST_CHECK int lifecycle_follow(struct db *db, struct cluster_tx *tx, struct job *j,
                                     const char *then_action);
/* A job that was planned to have no task at all is complete. */
LOOM_MUST_CHECK int lifecycle_complete_job(struct db *db, struct cluster_tx *tx, struct job *j);
/* A ready task cannot even be handed out. */
LOOM_MUST_CHECK int lifecycle_refuse(struct db *db, struct cluster_tx *tx, struct task *t,
                                     const char *message);

#endif
