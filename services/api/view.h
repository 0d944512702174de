/* SPDX-License-Identifier: Apache-2.0 */
/* view - what users are shown of a cluster (REST spec 5.5, 5.6, 5.9). Pure. */
#ifndef LOOM_API_VIEW_H
#define LOOM_API_VIEW_H

#include "common/model/job.h"
#include "common/model/node.h"
#include "common/model/task.h"

/* An attempt that did not succeed. */
struct failure {
	int64_t job, task, attempt, submit_time, status_time;
	const char *stdout_, *stderr_; /* NULL where none; borrowed */
	const char *node;              /* where, if not where the task is now; NULL: there */
};

struct view {
	const struct cluster *c; /* with documents */
	const struct job *latest;
	const struct nodes *nodes;
	const struct tasks *tasks;      /* of all jobs */
	const struct failure *failures; /* by time */
	size_t n_failures;
};

struct json *view_details(const struct view *v);
/* Only its nodes, as in the details: an array. */
struct json *view_nodes(const struct view *v);
struct json *view_status(const struct cluster *c, const struct job *latest);
struct json *view_plan(const struct job *j, const struct tasks *ts); /* tasks of this job */

#endif
