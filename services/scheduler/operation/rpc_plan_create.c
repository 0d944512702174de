/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_plan_create - tells an API what a create request would make, without making it. */
#include "services/scheduler/operation/job_draft.h"
#include "services/scheduler/operation/rpc.h"

void rpc_plan_create(struct scheduler *s, const void *asked, struct rpc_answer *ret)
{
	const struct msg_plan *m = asked;
	struct job_draft_ask ask = { .tenant_id = m->tenant,
		                     .cluster_name = json_get_str(m->request, "name"),
		                     .cluster_id = 0,
		                     .request = m->request,
		                     .template = m->template,
		                     .provider = m->provider };
	struct job_draft b = { 0 };
	int rc = job_draft_create(s->db, &ask, &b, &ret->err);
	if (!rc)
		ret->plan = job_draft_preview(&b);
	rpc_settle(ret, rc);
	job_draft_fini(&b);
}
