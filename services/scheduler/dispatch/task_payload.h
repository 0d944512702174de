/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_payload - what a worker is told about a task (REST spec 10.1, plus attempt and leaseMs), and
 * a cache of the parts that no task of a job changes. One worker thread at a time.
 *
 * The documents of a cluster (provider, configuration, services) are written only by the
 * transaction that starts a job, so for the tasks of one job they stay what they are.
 */
#ifndef LOOM_SCHEDULER_TASK_PAYLOAD_H
#define LOOM_SCHEDULER_TASK_PAYLOAD_H

#include "common/model/node.h"
#include "common/model/secret.h"
#include "common/model/task.h"

struct payload_cache;
struct payload_parts {             /* borrowed until the next payload_cache_get() */
	const char *provider;      /* JSON, its secrets open: for tasks of its own plugin */
	const char *bare_provider; /* without them: for others */
	const char *config;
	const struct json *macros; /* the configuration, if it has macros; else NULL */
	const struct json *service_docs;
	/* Why secrets cannot be opened; NULL: they are. */
	const char *locked_provider, *locked_services;
};

/* key: of SECRET_USE, borrowed. */
struct payload_cache *payload_cache_create(const struct seal_key *key);
void payload_cache_destroy(struct payload_cache *d);
#define PAYLOAD_CACHE_MAX ((size_t)4 << 20) /* bytes; more only for one job that is larger */
size_t payload_cache_bytes(struct payload_cache *d); /* any thread */
/* The documents of a locked cluster, as the tasks of this job see them. */
LOOM_MUST_CHECK int payload_cache_get(struct payload_cache *d, struct db *db, struct cluster *c,
                                      int64_t job, struct payload_parts *ret);

/* The machines of a cluster as its tasks see them: hostnames and addresses are borrowed, and must
 * stay what they are. */
struct node_view;
struct node_view *node_view_create(const struct node *v, size_t n, const char *owner);
void node_view_destroy(struct node_view *s);
size_t node_view_size(const struct node_view *s); /* bytes, about; NULL ok */
/* The cluster's configuration as the task's node sees it: macros expanded, but for machine-level
 * steps. 0 and the JSON, owned; or a MACRO_E_ code with err. */
LOOM_MUST_CHECK int node_view_config(const struct node_view *s,
                                     const struct payload_parts *payloads, const struct task *t,
                                     char **ret, struct loom_err *err);
struct payload_task {
	const struct task *t; /* with the attempt and the lease that it is to be told */
	const struct node *n; /* its machine; NULL when there is none */
	const char *config;
	const char *claim;       /* the secret of the attempt; "": its worker asked for none */
	const char *traceparent; /* its span; "": none */
};
/* The payload as JSON, owned; NULL when it is larger than max bytes. */
char *node_view_payload(const struct node_view *s, const struct payload_parts *payloads,
                        const struct payload_task *of, size_t max);

LOOM_DEFINE_CLEANUP(struct node_view *, node_view_destroy)

#endif
