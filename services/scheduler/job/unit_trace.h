/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit_trace - the spans of jobs and of attempts at their tasks (common/net/spans.h): which they
 * are, and what is told of those that end in a unit of work, once it is committed.
 */
#ifndef LOOM_SCHEDULER_UNIT_TRACE_H
#define LOOM_SCHEDULER_UNIT_TRACE_H

#include "common/net/spans.h"
#include "services/scheduler/job/unit.h"

/* The job's span, within that of the request. False: nobody asked for the job, or before it was
 * noted who did. */
bool job_trace(const struct job *j, struct trace *ret);
/* That of an attempt, within the job's. */
bool task_trace(const struct job *j, const struct task *t, struct trace *ret);

/* Before it moves from running to another state. */
void unit_trace_task(struct unit *u, const struct task *t, enum task_state to);
/* When it has ended. */
void unit_trace_job(struct unit *u, const struct job *j);

#endif
