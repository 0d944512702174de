/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callback_send - what a target is sent (REST spec 15), and sending it. Blocking; worker threads.
 */
#ifndef LOOM_SCHEDULER_CALLBACK_SEND_H
#define LOOM_SCHEDULER_CALLBACK_SEND_H

#include "common/model/job.h"
#include "common/model/node.h"
#include "services/scheduler/webhook/callback_targets.h"

/* "job" of the message: {"jobId","clusterId","clusterAction","jobStatus","statusMessage", steps}.
 */
struct json *callback_job(const struct job *j);

struct callback_message {
	const char *delivery;
	enum callback_kind kind;
	int64_t time;
	const struct cluster *c; /* config is sent when loaded */
	const struct nodes *nodes;
	const struct json *as_then; /* {"clusterStatus","clusterMessage","expireTime","job"} */
};
/* {"event","delivery","time","cluster","job","nodes"} without any setting of the provider. */
char *callback_body(const struct callback_message *m); /* returns owned */

/* "sha256=" and the HMAC-SHA256 in hex; returns owned. */
char *callback_sign(const void *key, size_t key_len, const char *body, size_t len);

struct callback_post {
	const struct callback_config *cfg;
	const char *tenant_id, *url, *secret, *delivery, *body;
	const char *own; /* of "tenant:NAME": what it is signed with; NULL or empty: not */
	enum callback_kind kind;
	int64_t timeout_ms;
	/* out */
	int status;        /* 0: no answer */
	bool never;        /* it was not even sent, and will not be while nothing is changed */
	struct buf answer; /* at most 4 KiB */
	char reason[512];  /* "" when it was answered with 2xx */
};
/* true when answered with 2xx. */
bool callback_post(struct callback_post *p);
void callback_post_fini(struct callback_post *p);

#endif
