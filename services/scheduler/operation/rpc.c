/* SPDX-License-Identifier: Apache-2.0 */
/* rpc - passes requests from the bus to worker threads, and their answers back. */
#include "services/scheduler/operation/rpc.h"

typedef void (*rpc_fn)(struct scheduler *s, const void *asked, struct rpc_answer *ret);

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

struct work {
	rpc_fn fn;
	const char *kind, *tenant; /* tenant NULL: unknown; such requests share one limit */
};

static void run(struct scheduler *s, struct bus_call *call, void *asked, const struct work *w)
{
	LOOM_CLEANUP_STR char *name =
		loom_asprintf("%s of %s", w->kind, w->tenant ? w->tenant : "");
	const struct pool_share share = { name, pool_threads(s->pool, 4) };
	struct rpc *r = loom_calloc(1, sizeof(*r));
	*r = (struct rpc){ .s = s, .call = call, .asked = asked, .fn = w->fn };
	if (pool_submit_share(s->pool, &share, work, done, r)) {
		(void)err_set(&r->answer.err, 503, "the scheduler is busy");
		done(r);
	}
}

static void on_plan(struct bus_call *call, void *m, void *arg)
{
	const struct msg_plan *asked = m;
	run(arg, call, m, &(struct work){ rpc_plan_create, "plans", asked->tenant });
}

static void on_change(struct bus_call *call, void *m, void *arg)
{
	const struct msg_change *asked = m;
	run(arg, call, m, &(struct work){ rpc_plan_change, "plans", asked->tenant });
}

static void on_control(struct bus_call *call, void *m, void *arg)
{
	const struct msg_control *asked = m;
	run(arg, call, m, &(struct work){ rpc_control, "controls", asked->tenant });
}

void rpc_start(struct scheduler *s)
{
	bus_on_request(s->bus, &messages[MSG_PLAN], on_plan, s);
	bus_on_request(s->bus, &messages[MSG_CHANGE], on_change, s);
	bus_on_request(s->bus, &messages[MSG_CONTROL], on_control, s);
}
