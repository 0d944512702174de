/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc - requests of APIs that are done on a worker and answered when they are done.
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

/* Loop thread: asked is taken, and call answered with a struct msg_answer. */
void rpc_run(struct scheduler *s, struct bus_call *call, void *asked, rpc_fn fn);
/* The status that rc stands for; its name where err says nothing. */
void rpc_settle(struct rpc_answer *ret, int rc);

#endif
