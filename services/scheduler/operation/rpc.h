/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc - what APIs ask about operations over the bus, each in a file of its own: a create's plan
 * (rpc_plan_create.c), the plan of a change (rpc_plan_change.c), pause, resume and abort
 * (rpc_control.c). Each is done on a worker, and answered when it is done.
 */
#ifndef LOOM_SCHEDULER_RPC_H
#define LOOM_SCHEDULER_RPC_H

#include "services/scheduler/scheduler.h"

/* What it came to: err.status 200, or the reason. */
struct rpc_answer {
	struct loom_err err;
	struct json *plan; /* owned */
	const char *action;
	char hash[65];
	int64_t revision;
};

/* Worker, blocking. asked is the message's struct. */
typedef void (*rpc_fn)(struct scheduler *s, const void *asked, struct rpc_answer *ret);

/* What is asked, and whose share of the workers it is to be done in (pool.h). */
struct rpc_work {
	rpc_fn fn;
	struct pool_share share; /* borrowed */
};
/* Loop thread: asked is taken, and call answered with a struct msg_answer. */
void rpc_run(struct scheduler *s, struct bus_call *call, void *asked, const struct rpc_work *w);
/* The status that rc stands for; its name where err says nothing. */
void rpc_settle(struct rpc_answer *ret, int rc);

/* Loop thread; once, before the scheduler joins the members. */
void rpc_plan_create_start(struct scheduler *s);
void rpc_plan_change_start(struct scheduler *s);
void rpc_control_start(struct scheduler *s);

#endif
