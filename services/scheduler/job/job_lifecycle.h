/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_lifecycle - how a task's end, or a user's word, moves its job and cluster, on the rows of a
 * unit of work (unit.h). What follows from it for other tasks and for the cluster is found by
 * unit_commit().
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
	const char *claim; /* the secret that it is told; "": it asked for none */
	int64_t lease_ms;
};
/* A worker has taken a ready task. */
void lifecycle_claim(struct unit *u, struct task *t, const struct task_taker *by);
/* A running task reported. */
LOOM_MUST_CHECK int lifecycle_finish(struct unit *u, struct task *t, const struct task_result *res);
/* Does the result change what is known of its node? */
bool lifecycle_about_node(const struct task *t, const struct task_result *res);
void lifecycle_forget_node(struct node *n); /* what was told of it: there is none now */
/* A running task's worker is gone; why: LOST_LEASE or LOST_DROPPED. */
#define LOST_LEASE   "its worker stopped renewing its lease"
#define LOST_DROPPED "its provisioner is gone: it was removed, or silent for too long"
LOOM_MUST_CHECK int lifecycle_lost(struct unit *u, struct task *t, const char *why);
/* A ready task cannot even be handed out. */
LOOM_MUST_CHECK int lifecycle_refuse(struct unit *u, struct task *t, const char *message);

/* Puts a new job on the cluster, which waits for it from now on. */
void lifecycle_submit(struct unit *u, struct unit_cluster *uc, const char *action,
                      const struct job_params *params);
/* Ends a job that has not ended: nothing more is handed out, what runs is asked to stop, and when
 * it has, then_action follows (NULL: the cluster is left as it is). */
LOOM_MUST_CHECK int lifecycle_abort(struct unit *u, struct unit_job *j, const char *why,
                                    const char *then_action);
/* What follows a job that has failed, but whose last task still runs: then_action, and the task is
 * asked to stop. */
void lifecycle_follow(struct unit_job *j, const char *then_action);

/* ---- job_recover.c: what comes before a step that is tried again ----------------------------- */

/* Deletes and creates the node first, as new tasks before the step. */
LOOM_MUST_CHECK int lifecycle_roll_back(struct unit *u, struct unit_job *j, struct task *t);
/* May another node take the place of the one that t could not make, by what the template or the
 * operator allow? c has its documents. Pure. */
bool lifecycle_may_replace(const struct job_policy *p, const struct cluster *c, const struct job *j,
                           const struct task *t);
/* It does: the node of t is deleted, and a new one with a number and name of its own is made for
 * the services of the old. All that was to be done there is done on the new one. */
LOOM_MUST_CHECK int lifecycle_replace(struct unit *u, struct unit_job *j, struct task *t);

/* ---- job_finish.c ---------------------------------------------------------------------------- */

/* t was given up: nothing more of its job is handed out. */
LOOM_MUST_CHECK int lifecycle_fail_job(struct unit *u, struct unit_job *j, const struct task *t);
/* A deletion goes on without a node that the provider does not give up, and says so at its end. */
LOOM_MUST_CHECK int lifecycle_kept(struct unit *u, struct unit_job *j, const struct task *t);

#endif
