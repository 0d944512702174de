/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_send - what a target is sent (REST spec 15), and sending it.
 */
#ifndef LOOM_SCHEDULER_WEBHOOK_SEND_H
#define LOOM_SCHEDULER_WEBHOOK_SEND_H

#include "common/model/job.h"
#include "common/model/node.h"
#include "common/net/http_client.h"
#include "services/scheduler/webhook/webhook_targets.h"

/* "job" of the message: {"jobId","clusterId","clusterAction","jobStatus","statusMessage", steps}.
 */
struct json *webhook_job(const struct job *j);

struct webhook_message {
	const char *delivery;
	enum callback_kind kind;
	int64_t time;
	const struct cluster *c; /* config is sent when loaded */
	const struct nodes *nodes;
	const struct json *snapshot; /* {"clusterStatus","clusterMessage","expireTime","job"} */
};
/* {"event","delivery","time","cluster","job","nodes"} without any setting of the provider. */
char *webhook_body(const struct webhook_message *m); /* returns owned */

/* "sha256=" and the HMAC-SHA256 in hex; returns owned. */
char *webhook_sign(const void *key, size_t key_len, const char *body, size_t len);

struct webhook_post;
typedef void (*webhook_done)(struct webhook_post *p, bool ok, void *arg);

struct webhook_post {
	const struct webhook_config *cfg;
	const char *tenant_id, *url, *secret, *delivery, *body;
	const char *own; /* of "tenant:NAME": what it is signed with; NULL or empty: not */
	enum callback_kind kind;
	int64_t timeout_ms;
	/* out */
	int status;        /* 0: no answer */
	bool never;        /* it was not even sent, and will not be while nothing is changed */
	struct buf answer; /* at most 4 KiB */
	char reason[512];  /* "" when it was answered with 2xx */
	/* webhook_send.c's own */
	char *host;
	struct strs headers;
	const char *class; /* why the last address was refused */
	bool listed;       /* the host is, so that any address will do */
	struct http_fetch *fetch;
	webhook_done done;
	void *arg;
};
/* Worker threads: reads secrets. `own` is not needed after it. False: refused, with the reason. */
bool webhook_prepare(struct webhook_post *p);
/* Loop; once prepared. `body` is not needed after it. done(): ok when answered with 2xx. */
void webhook_start(struct webhook_post *p, struct http_client *c, webhook_done done, void *arg);
bool webhook_cancel(struct webhook_post *p); /* true: it was under way; done() is not called */
void webhook_post_fini(struct webhook_post *p);

#endif
