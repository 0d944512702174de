/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_lifecycle - how the end of a task, or a user's command, moves its job and cluster, on the
 * rows of a unit of work (unit.h). unit_commit() finds the consequences for other tasks and the
 * cluster.
 */
#ifndef LOOM_SCHEDULER_JOB_LIFECYCLE_H
#define LOOM_SCHEDULER_JOB_LIFECYCLE_H

#include "services/scheduler/job/unit.h"

struct task_result {
	int64_t status; /* 0 is success */
	bool never_again;
	const char *message, *out, *err;
	const struct json *result, *ipaddresses; /* may be NULL */
	const char *hostname;
};

struct task_taker {
	const char *provisioner, *worker;
	const char *claim; /* secret shown to this worker; "": it requested none */
	int64_t lease_ms;
};
/* A worker has taken a ready task. */
void lifecycle_claim(struct unit *u, struct task *t, const struct task_taker *by);
/* A running task reported. */
LOOM_MUST_CHECK int lifecycle_finish(struct unit *u, struct task *t, const struct task_result *res);
/* Does the result change facts about its node? */
bool lifecycle_about_node(const struct task *t, const struct task_result *res);
void lifecycle_forget_node(struct node *n); /* clears reported facts: the node no longer exists */
/* The worker of a running task is gone; why: LOST_LEASE or LOST_DROPPED. */
#define LOST_LEASE   "its worker stopped renewing its lease"
#define LOST_DROPPED "its provisioner is gone: it was removed, or silent for too long"
LOOM_MUST_CHECK int lifecycle_lost(struct unit *u, struct task *t, const char *why);
/* Fails a ready task that cannot even be handed out. */
LOOM_MUST_CHECK int lifecycle_refuse(struct unit *u, struct task *t, const char *message);

/* Adds a new job to the cluster, which is pending from now on. */
void lifecycle_submit(struct unit *u, struct unit_cluster *uc, const char *action,
                      const struct job_params *params);
/* Ends a job that has not ended: no more tasks are handed out, running ones are asked to stop;
 * after they have, then_action follows (NULL: the cluster is left as it is). */
LOOM_MUST_CHECK int lifecycle_abort(struct unit *u, struct unit_job *j, const char *why,
                                    const char *then_action);
/* Sets the action that follows a failed job, and asks its last running task to stop. */
void lifecycle_follow(struct unit_job *j, const char *then_action);

/* ---- job_recover.c: steps inserted before a retried one -------------------------------------- */

/* Deletes and creates the node again, as new tasks before t. */
LOOM_MUST_CHECK int lifecycle_roll_back(struct unit *u, struct unit_job *j, struct task *t);
/* Do the template and the operator allow another node to replace the one that t could not make? c
 * has its documents. Pure. */
bool lifecycle_may_replace(const struct job_policy *p, const struct cluster *c, const struct job *j,
                           const struct task *t);
/* Replaces the node of t: deletes it and creates a new one, with its own number and name, for the
 * same services. The waiting tasks of the old node move to the new one. */
LOOM_MUST_CHECK int lifecycle_replace(struct unit *u, struct unit_job *j, struct task *t);

/* ---- job_finish.c ---------------------------------------------------------------------------- */

/* Fails the job of t, which was given up: drops the remaining tasks. If a create has
 * onFailure=rollback, a delete follows. */
LOOM_MUST_CHECK int lifecycle_fail_job(struct unit *u, struct unit_job *j, const struct task *t);
/* Lets a deletion go on without a node that the provider did not release; the job reports it at the
 * end. */
LOOM_MUST_CHECK int lifecycle_kept(struct unit *u, struct unit_job *j, const struct task *t);

#endif
