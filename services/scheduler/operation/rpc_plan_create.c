/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_plan_create - answers what a create request would make, without making it. */
#include "services/scheduler/scheduler.h"

#include "services/scheduler/operation/job_draft.h"

struct preview {
	struct scheduler *s;
	struct bus_call *call;
	struct json *ask, *answer;
};

static void preview_work(void *arg)
{
	struct preview *pv = arg;
	const struct json *request = json_get(pv->ask, "request");
	struct job_draft_ask ask = { .tenant_id = json_get_str(pv->ask, "tenantId"),
		                     .cluster_name = json_get_str(request, "name"),
		                     .cluster_id = 0,
		                     .request = request,
		                     .template = json_get(pv->ask, "template"),
		                     .provider = json_get(pv->ask, "provider") };
	struct job_draft b = { 0 };
	struct loom_err err = { 0 };
	int rc = job_draft_create(pv->s->db, &ask, &b, &err);
	if (!rc) {
		json_set_int(pv->answer, "status", 200);
		json_set(pv->answer, "plan", job_draft_preview(&b));
	} else if (rc >= DB_E_DUP) {
		json_set_int(pv->answer, "status", 503);
		json_set_str(pv->answer, "message", "the database is away");
	} else {
		json_set_int(pv->answer, "status", err.status);
		json_set_str(pv->answer, "message", err.msg);
	}
	job_draft_fini(&b);
}

static void preview_done(void *arg)
{
	struct preview *pv = arg;
	bus_answer(pv->call, pv->answer);
	json_free(pv->ask);
	json_free(pv->answer);
	loom_free(pv);
}

static void on_plan(struct bus_call *call, const struct json *body, void *arg)
{
	struct preview *pv = loom_calloc(1, sizeof(*pv));
	*pv = (struct preview){
		.s = arg, .call = call, .ask = json_copy(body), .answer = json_new_obj()
	};
	if (!json_get_str(body, "tenantId") ||
	    pool_submit(pv->s->pool, preview_work, preview_done, pv)) {
		json_set_int(pv->answer, "status", 503);
		json_set_str(pv->answer, "message", "the scheduler is busy");
		preview_done(pv);
	}
}

void preview_start(struct scheduler *s)
{
	bus_on_request(s->bus, "plan", on_plan, s);
}
