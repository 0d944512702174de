/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_plan_create - answers what a create request would make, without making it. */
#include "services/scheduler/operation/job_draft.h"
#include "services/scheduler/operation/rpc.h"

static void plan_create(struct scheduler *s, const void *asked, struct rpc_answer *ret)
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

static void on_plan(struct bus_call *call, void *m, void *arg)
{
	struct scheduler *s = arg;
	const struct msg_plan *asked = m;
	LOOM_CLEANUP_STR char *name = loom_asprintf("plans of %s", asked->tenant);
	const struct pool_share share = { name, pool_threads(s->pool, 4) };
	rpc_run(s, call, m, &(struct rpc_work){ plan_create, share });
}

void rpc_plan_create_start(struct scheduler *s)
{
	bus_on_request(s->bus, &messages[MSG_PLAN], on_plan, s);
}
