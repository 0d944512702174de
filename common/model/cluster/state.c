/* SPDX-License-Identifier: Apache-2.0 */
/* The states of clusters, jobs and tasks, and what may follow what. */
#include "common/model/cluster/state.h"

#include "common/base/str.h"

#define BIT(s) (1u << (s))

static const char *const cluster_names[CLUSTER_STATUSES_] = {
	[CLUSTER_PENDING] = "pending",       [CLUSTER_ACTIVE] = "active",
	[CLUSTER_INCOMPLETE] = "incomplete", [CLUSTER_INCONSISTENT] = "inconsistent",
	[CLUSTER_TERMINATED] = "terminated",
};

static const char *const job_names[JOB_STATUSES_] = {
	[JOB_NOT_SUBMITTED] = "not_submitted",
	[JOB_RUNNING] = "running",
	[JOB_COMPLETE] = "complete",
	[JOB_FAILED] = "failed",
	[JOB_PAUSED] = "paused",
};

static const char *const task_names[TASK_STATES_] = {
	[TASK_BLOCKED] = "blocked",   [TASK_READY] = "ready",   [TASK_RUNNING] = "running",
	[TASK_COMPLETE] = "complete", [TASK_FAILED] = "failed", [TASK_DROPPED] = "dropped",
};

static const unsigned cluster_next[CLUSTER_STATUSES_] = {
	[CLUSTER_PENDING] = BIT(CLUSTER_ACTIVE) | BIT(CLUSTER_INCOMPLETE) |
	                    BIT(CLUSTER_INCONSISTENT) | BIT(CLUSTER_TERMINATED),
	[CLUSTER_ACTIVE] = BIT(CLUSTER_PENDING),
	[CLUSTER_INCOMPLETE] = BIT(CLUSTER_PENDING),
	[CLUSTER_INCONSISTENT] = BIT(CLUSTER_PENDING),
	[CLUSTER_TERMINATED] = 0,
};

static const unsigned job_next[JOB_STATUSES_] = {
	[JOB_NOT_SUBMITTED] =
		BIT(JOB_RUNNING) | BIT(JOB_COMPLETE) | BIT(JOB_FAILED) | BIT(JOB_PAUSED),
	[JOB_RUNNING] = BIT(JOB_COMPLETE) | BIT(JOB_FAILED) | BIT(JOB_PAUSED),
	/* Complete: its last task was still running when it was paused. */
	[JOB_PAUSED] =
		BIT(JOB_RUNNING) | BIT(JOB_NOT_SUBMITTED) | BIT(JOB_COMPLETE) | BIT(JOB_FAILED),
};

static const unsigned task_next[TASK_STATES_] = {
	[TASK_BLOCKED] = BIT(TASK_READY) | BIT(TASK_DROPPED),
	[TASK_READY] = BIT(TASK_RUNNING) | BIT(TASK_DROPPED) | BIT(TASK_FAILED),
	[TASK_RUNNING] =
		BIT(TASK_COMPLETE) | BIT(TASK_FAILED) | BIT(TASK_READY) | BIT(TASK_BLOCKED),
};

static bool parse(const char *const *names, int n, const char *name, int *ret)
{
	for (int i = 0; i < n; i++) {
		if (str_ieq(names[i], name)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

const char *cluster_status_name(enum cluster_status s)
{
	return cluster_names[s];
}

const char *job_status_name(enum job_status s)
{
	return job_names[s];
}

const char *task_state_name(enum task_state s)
{
	return task_names[s];
}

bool cluster_status_parse(const char *name, enum cluster_status *ret)
{
	int i;
	if (!parse(cluster_names, CLUSTER_STATUSES_, name, &i))
		return false;
	*ret = (enum cluster_status)i;
	return true;
}

bool job_status_parse(const char *name, enum job_status *ret)
{
	int i;
	if (!parse(job_names, JOB_STATUSES_, name, &i))
		return false;
	*ret = (enum job_status)i;
	return true;
}

bool task_state_parse(const char *name, enum task_state *ret)
{
	int i;
	if (!parse(task_names, TASK_STATES_, name, &i))
		return false;
	*ret = (enum task_state)i;
	return true;
}

bool cluster_may_become(enum cluster_status from, enum cluster_status to)
{
	return cluster_next[from] & BIT(to);
}

bool job_may_become(enum job_status from, enum job_status to)
{
	return job_next[from] & BIT(to);
}

bool task_may_become(enum task_state from, enum task_state to)
{
	return task_next[from] & BIT(to);
}
