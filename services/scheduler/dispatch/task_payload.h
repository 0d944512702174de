/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_payload - makes the JSON about a task for its worker (REST spec 10.1, plus attempt and
 * leaseMs), and caches the parts common to all tasks of a job. One worker thread at a time.
 *
 * The documents of a cluster (provider, configuration, services) change only in the transaction
 * that starts a job, so all tasks of one job see the same ones.
 */
#ifndef LOOM_SCHEDULER_TASK_PAYLOAD_H
#define LOOM_SCHEDULER_TASK_PAYLOAD_H

#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"
#include "common/model/keys/secret.h"

struct payload_cache;
struct payload_parts {             /* borrowed until the next payload_cache_get() */
	const char *provider;      /* JSON with opened secrets: for tasks of its own plugin */
	const char *bare_provider; /* without secrets: for all others */
	const char *config;
	const struct json *macros; /* the configuration, if it has macros; else NULL */
	const struct json *service_docs;
	/* Why secrets cannot be opened; NULL: they are open. */
	const char *locked_provider, *locked_services;
};

/* ring: to open secrets, borrowed. */
struct payload_cache *payload_cache_create(struct keyring *ring);
void payload_cache_destroy(struct payload_cache *d);
#define PAYLOAD_CACHE_MAX ((size_t)4 << 20) /* bytes; exceeded only by a single larger job */
size_t payload_cache_bytes(struct payload_cache *d); /* any thread */
/* The size of the cluster's configuration; on a cache miss only the size is read. */
LOOM_MUST_CHECK int payload_cache_config_size(struct payload_cache *d, struct db *db,
                                              const struct cluster *c, int64_t job, int64_t *ret);
/* The documents of a locked cluster, as the tasks of this job see them. */
LOOM_MUST_CHECK int payload_cache_get(struct payload_cache *d, struct db *db, struct cluster *c,
                                      int64_t job, struct payload_parts *ret);

/* The machines of a cluster as its tasks see them: hostnames and addresses are borrowed, and must
 * not change. */
struct node_view;
struct node_view *node_view_create(const struct node *v, size_t n, const char *owner);
void node_view_destroy(struct node_view *s);
size_t node_view_size(const struct node_view *s); /* bytes, about; NULL ok */
/* The cluster's configuration for the task's node, with macros expanded except for machine-level
 * steps. 0 and the JSON, owned; or a MACRO_E_ code with err. */
LOOM_MUST_CHECK int node_view_config(const struct node_view *s,
                                     const struct payload_parts *payloads, const struct task *t,
                                     char **ret, struct loom_err *err);
struct payload_task {
	const struct task *t;       /* with the attempt and lease to be sent */
	const struct node *n;       /* its machine; NULL: none */
	const struct json *results; /* facts reported by plug-ins, secrets open */
	const char *config;
	const char *claim;       /* secret of the attempt; "": none requested */
	const char *traceparent; /* its span; "": none */
	const char *tracestate;  /* of the same span; NULL: none */
};
/* The payload as JSON, owned; NULL if it would be larger than max bytes. */
char *node_view_payload(const struct node_view *s, const struct payload_parts *payloads,
                        const struct payload_task *of, size_t max);

LOOM_DEFINE_CLEANUP(struct node_view *, node_view_destroy)

#endif
