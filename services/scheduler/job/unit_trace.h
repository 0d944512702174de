/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit_trace - the spans of jobs and of attempts at tasks (common/net/spans.h). Spans that end in a
 * unit of work are exported once it has committed.
 */
#ifndef LOOM_SCHEDULER_UNIT_TRACE_H
#define LOOM_SCHEDULER_UNIT_TRACE_H

#include "common/net/spans.h"
#include "services/scheduler/job/unit.h"

/* The job's span, a child of the request's. False: no request caused the job, or it is too old to
 * have recorded one. */
bool job_trace(const struct job *j, struct trace *ret);
/* The span of an attempt, a child of the job's. */
bool task_trace(const struct job *j, const struct task *t, struct trace *ret);

/* Call before a running task moves to another state. */
void unit_trace_task(struct unit *u, const struct task *t, enum task_state to);
/* Call after a job has ended. */
void unit_trace_job(struct unit *u, const struct job *j);

#endif
