/* SPDX-License-Identifier: Apache-2.0 */
/* rpc - from the bus to a worker, and back with the answer. */
#include "services/scheduler/operation/rpc.h"

struct rpc {
	struct scheduler *s;
	struct bus_call *call;
	void *asked;
	rpc_fn fn;
	struct rpc_answer answer;
};

void rpc_settle(struct rpc_answer *ret, int rc)
{
	if (rc && (!*ret->err.msg || !err_is_refusal(rc)))
		(void)err_set(&ret->err, rc, "%s", err_name(rc));
	ret->err.status = err_http_status(rc);
}

static void work(void *arg)
{
	struct rpc *r = arg;
	r->fn(r->s, r->asked, &r->answer);
}

static void done(void *arg)
{
	struct rpc *r = arg;
	const struct rpc_answer *a = &r->answer;
	const struct msg_answer m = { .status = a->err.status,
		                      .message = *a->err.msg ? a->err.msg : NULL,
		                      .plan = a->plan,
		                      .action = a->action,
		                      .hash = *a->hash ? a->hash : NULL,
		                      .revision = a->revision };
	bus_answer(r->call, &m);
	json_free(a->plan);
	message_free(r->asked);
	loom_free(r);
}

void rpc_run(struct scheduler *s, struct bus_call *call, void *asked, const struct rpc_work *w)
{
	struct rpc *r = loom_calloc(1, sizeof(*r));
	*r = (struct rpc){ .s = s, .call = call, .asked = asked, .fn = w->fn };
	if (pool_submit_share(s->pool, &w->share, work, done, r)) {
		(void)err_set(&r->answer.err, 503, "the scheduler is busy");
		done(r);
	}
}
