/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc - requests of APIs about operations, over the bus, each in its own file. A worker thread does
 * each one, and the answer follows when it is done. A tenant gets at most a quarter of the worker
 * threads for plans, and for controls, so that other tenants, jobs, and its own aborts go on
 * meanwhile.
 */
#ifndef LOOM_SCHEDULER_RPC_H
#define LOOM_SCHEDULER_RPC_H

#include "services/scheduler/scheduler.h"

/* The result: err.status 200, or the reason of a refusal. */
struct rpc_answer {
	struct loom_err err;
	struct json *plan; /* owned */
	const char *action;
	char hash[65];
	int64_t revision;
};

/* Sets the status for rc. Its name becomes the message, unless rc is a refusal with a message. */
void rpc_settle(struct rpc_answer *ret, int rc);

/* Worker thread, blocking. asked is the struct of the message. */
void rpc_plan_create(struct scheduler *s, const void *asked, struct rpc_answer *ret);
void rpc_plan_change(struct scheduler *s, const void *asked, struct rpc_answer *ret);
/* Pause, resume, abort, delete. */
void rpc_control(struct scheduler *s, const void *asked, struct rpc_answer *ret);

/* Loop thread; once, before the scheduler joins the members. */
void rpc_start(struct scheduler *s);

#endif
