/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_send - makes and sends the message to a target (REST spec 15).
 */
#ifndef LOOM_SCHEDULER_WEBHOOK_SEND_H
#define LOOM_SCHEDULER_WEBHOOK_SEND_H

#include "common/model/cluster/job.h"
#include "common/model/cluster/node.h"
#include "common/net/http_client.h"
#include "services/scheduler/webhook/webhook_targets.h"

/* "job" of the message: {"jobId","clusterId","clusterAction","jobStatus","statusMessage", steps}.
 */
struct json *webhook_job(const struct job *j);

struct webhook_message {
	const char *delivery;
	enum callback_kind kind;
	int64_t time;
	const struct cluster *c; /* its config is included if loaded */
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
	const char *own; /* secret of "tenant:NAME"; NULL or empty: unsigned */
	enum callback_kind kind;
	int64_t timeout_ms;
	/* out */
	int status;        /* 0: no answer */
	int64_t later_ms;  /* so long it wants to be left alone; 0: it does not say */
	bool never;        /* not sent, and not to be retried unless something changes */
	struct buf answer; /* at most 4 KiB */
	char reason[512];  /* "" if answered with 2xx */
	/* private to webhook_send.c */
	char *host;
	struct strs headers;
	const char *class; /* why the last address was refused */
	bool listed;       /* the host is listed, so any address will do */
	struct http_fetch *fetch;
	webhook_done done;
	void *arg;
};
/* Worker threads, because it reads secrets. Does not keep `own`. False: refused, with the
 * reason. */
bool webhook_prepare(struct webhook_post *p);
/* Loop thread; once prepared. Does not keep `body`. done(): ok if answered with 2xx. */
void webhook_start(struct webhook_post *p, struct http_client *c, webhook_done done, void *arg);
bool webhook_cancel(struct webhook_post *p); /* true: cancelled, done() is not called */
void webhook_post_fini(struct webhook_post *p);

#endif
