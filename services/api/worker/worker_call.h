/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_call - what taking tasks and handing in results share: who the worker is, and whether it
 * may. It starts on the loop, where most calls need nothing that blocks: handing each to a thread
 * and back took a quarter of the API's time. The others start again on a thread.
 */
#ifndef LOOM_API_WORKER_CALL_H
#define LOOM_API_WORKER_CALL_H

#include "services/api/request/auth.h"

struct worker_call {
	struct api *a;
	void (*handler)(struct http_req *req, void *ctx); /* runs on the loop, or on a worker
	                                                   * thread */
	/* Fills body, validated and in today's form; false after answering. */
	bool (*read)(struct http_req *req, struct worker_call *k);
	bool takes;    /* tasks, and does not hand in a result */
	bool only_try; /* it will not come again: where the database cannot be asked whether it
	                * may, the task's fence decides */
	bool legacy;   /* of version 0.9.7; set by worker_call_begin() */
	struct json *body;
	struct worker_pass pass;
	char *refusal; /* of the result that body's failure stands for; NULL: none */
};

/* Reads, checks and admits; false when answered, or when a worker thread goes on. */
bool worker_call_begin(struct http_req *req, struct worker_call *k);
void worker_call_fini(struct worker_call *k);

/* Replaces the body of a worker of version 0.9.7, which is its own provisioner and knows no
 * tenants, by one in today's form. Its workerId is validated. */
void worker_call_from_legacy(struct worker_call *k);

/* Does the worker show the task's secret, ask for one, or come from a network that needs none?
 * false after answering 403. Any thread. */
bool worker_allowed(struct http_req *req, const struct api *a, const struct json *body);

/* Answers with tasks. */
void worker_give_tasks(struct http_req *req, const struct json *tasks, int64_t held_ms);

#endif
