/* SPDX-License-Identifier: Apache-2.0 */
/* retry_policy - what the service, the template and the operator say of tries. */
#include "services/scheduler/job/retry_policy.h"

#include "services/scheduler/plan/planner.h"

static const struct json *said(const struct cluster *c, const struct task *t)
{
	enum plan_step step;
	if (!plan_step_parse(t->name, &step))
		return NULL;
	const char *action = plan_step_action(step);
	const struct json *actions =
		json_path(json_get(c->service_docs, t->service), "provisioner/actions");
	const struct json *retry = json_get(json_get(actions, action), "retry");
	return retry ? retry : json_get(json_path(c->template, "administration/retries"), action);
}

struct job_policy retry_policy(const struct job_policy *own, const struct cluster *c,
                               const struct task *t)
{
	struct job_policy p = *own;
	const struct json *retry = said(c, t);
	p.tries = json_get_int(retry, "tries", p.tries);
	p.retry_base_ms = json_get_int(retry, "base", p.retry_base_ms);
	p.retry_cap_ms = json_get_int(retry, "cap", p.retry_cap_ms);
	return p;
}
