/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state - the states of clusters, jobs and tasks, their names, and the allowed transitions (solver
 * spec 3.4). All knowledge of them is here; checked at every change.
 */
#ifndef LOOM_MODEL_STATE_H
#define LOOM_MODEL_STATE_H

#include <stdbool.h>

enum cluster_status {
	CLUSTER_PENDING,
	CLUSTER_ACTIVE,
	CLUSTER_INCOMPLETE,
	CLUSTER_INCONSISTENT,
	CLUSTER_TERMINATED,
	CLUSTER_STATUSES_
};

enum job_status {
	JOB_NOT_SUBMITTED,
	JOB_RUNNING,
	JOB_COMPLETE,
	JOB_FAILED,
	JOB_PAUSED,
	JOB_STATUSES_
};

enum task_state {
	TASK_BLOCKED, /* waits for edges, or for another task of its node */
	TASK_READY,   /* may be claimed once its not_before has come */
	TASK_RUNNING, /* claimed, under a lease */
	TASK_COMPLETE,
	TASK_FAILED,  /* given up */
	TASK_DROPPED, /* never run, because its job failed */
	TASK_STATES_
};

const char *cluster_status_name(enum cluster_status s); /* lower case, as in REST */
const char *job_status_name(enum job_status s);
const char *task_state_name(enum task_state s);
/* Any letter case. false: not a status. */
bool cluster_status_parse(const char *name, enum cluster_status *ret);
bool job_status_parse(const char *name, enum job_status *ret);
bool task_state_parse(const char *name, enum task_state *ret);

bool cluster_may_become(enum cluster_status from, enum cluster_status to);
bool job_may_become(enum job_status from, enum job_status to);
bool task_may_become(enum task_state from, enum task_state to);

static inline bool job_ended(enum job_status s)
{
	return s == JOB_COMPLETE || s == JOB_FAILED;
}

/* Is it still to be done? */
static inline bool task_is_open(enum task_state s)
{
	return s == TASK_BLOCKED || s == TASK_READY || s == TASK_RUNNING;
}

#endif
