/* SPDX-License-Identifier: Apache-2.0 */
/* view - formats what users see of a cluster (REST spec 5.5, 5.6, 5.9). Pure. */
#ifndef LOOM_API_VIEW_H
#define LOOM_API_VIEW_H

#include "common/model/cluster/job.h"
#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"

/* A failed attempt. */
struct failure {
	int64_t job, task, attempt, submit_time, status_time;
	const char *stdout_, *stderr_; /* NULL where none; borrowed */
	const char *node;              /* its node, if the task has moved to another since; else
	                                * NULL */
};

struct view {
	const struct cluster *c; /* with its documents */
	const struct job *latest;
	const struct nodes *nodes;
	const struct tasks *tasks;      /* of all jobs, by their numbers */
	const struct failure *failures; /* by time */
	size_t n_failures;
};

struct json *view_details(const struct view *v);
/* Only the array of its nodes. */
struct json *view_nodes(const struct view *v);
struct json *view_status(const struct cluster *c, const struct job *latest);
struct json *view_plan(const struct job *j, const struct tasks *ts); /* tasks of this job */

#endif
