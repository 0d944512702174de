/* SPDX-License-Identifier: Apache-2.0 */
/* why - says of a cluster that is not moving what it waits for, in words a person can act on. Pure.
 */
#ifndef LOOM_API_WHY_H
#define LOOM_API_WHY_H

#include "common/model/job.h"
#include "common/model/task.h"

struct why_input {
	const struct cluster *c;
	const struct job *latest;
	const struct tasks *tasks; /* of the latest job */
	const struct task_edge *edges; /* as stored: with groups */
	size_t n_edges;
	int64_t provisioners, capacity; /* registered, and their slots */
	int64_t running;                /* tasks running anywhere */
	int64_t now;
};

/* {"status", "reason": one sentence, "tasks": [{"taskId", "state", "reason"}]}: the tasks that run,
 * are ready, or come next. */
struct json *why_answer(const struct why_input *in);

#endif
