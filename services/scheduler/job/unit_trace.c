/* SPDX-License-Identifier: Apache-2.0 */
/* unit_trace - names the spans of jobs and attempts, and writes those that end. */
#include "services/scheduler/job/unit_trace.h"

#include "common/base/ids.h"

#include <stdio.h>

static bool traced(const struct unit *u)
{
	return u->policy->traced;
}

bool job_trace(const struct job *j, struct trace *ret)
{
	char name[ID_MAX + 8], id[ID_MAX];
	struct trace request;
	if (!trace_parse(j->params.trace, &request))
		return false;
	id_job(id, j->cluster_id, j->num);
	snprintf(name, sizeof(name), "job %s", id);
	trace_named(&request, name, ret);
	return true;
}

bool task_trace(const struct job *j, const struct task *t, struct trace *ret)
{
	char name[ID_MAX + 32], id[ID_MAX];
	struct trace request;
	if (!trace_parse(j->params.trace, &request))
		return false;
	id_task(id, t->cluster_id, t->job_num, t->num);
	snprintf(name, sizeof(name), "task %s %lld", id, (long long)t->attempt);
	trace_named(&request, name, ret);
	return true;
}

static void keep(struct unit *u, int64_t cluster, const struct span *sp)
{
	LOOM_CLEANUP_STR char *text = span_text(sp);
	if (text)
		strs_add(&unit_held(u, cluster)->tx.spans, text);
}

void unit_trace_task(struct unit *u, const struct task *t, enum task_state to)
{
	const struct unit_job *j = traced(u) ? unit_job_of(u, t) : NULL;
	struct trace at, job;
	char id[ID_MAX];
	if (!j || !task_trace(&j->job, t, &at) || !job_trace(&j->job, &job))
		return;
	id_task(id, t->cluster_id, t->job_num, t->num);
	LOOM_CLEANUP_STR char *name =
		*t->service ? loom_asprintf("%s %s", t->name, t->service) : loom_strdup(t->name);
	const struct log_field fields[] = { LOG_S("loom.task", id),
		                            LOG_S("loom.node", t->node_id),
		                            LOG_I("loom.attempt", t->attempt),
		                            LOG_S("loom.provisioner", t->provisioner_id),
		                            { 0 } };
	keep(u, t->cluster_id,
	     &(struct span){ .at = &at,
	                     .parent = job.span,
	                     .state = j->job.params.trace_state,
	                     .name = name,
	                     .kind = SPAN_PRODUCER,
	                     .start_us = t->submit_time * 1000,
	                     .end_us = u->now * 1000,
	                     .fields = fields,
	                     .failed = to != TASK_COMPLETE,
	                     .message = t->message });
}

void unit_trace_job(struct unit *u, const struct job *j)
{
	struct trace at, request;
	char id[ID_MAX];
	if (!traced(u) || !job_trace(j, &at) || !trace_parse(j->params.trace, &request))
		return;
	id_job(id, j->cluster_id, j->num);
	const struct log_field fields[] = { LOG_S("loom.job", id),
		                            LOG_I("loom.tasks", j->tasks_total),
		                            { 0 } };
	keep(u, j->cluster_id,
	     &(struct span){ .at = &at,
	                     .parent = request.span,
	                     .state = j->params.trace_state,
	                     .name = j->action,
	                     .kind = SPAN_CONSUMER,
	                     .start_us = j->create_time * 1000,
	                     .end_us = u->now * 1000,
	                     .fields = fields,
	                     .failed = j->status != JOB_COMPLETE,
	                     .message = j->message });
}
