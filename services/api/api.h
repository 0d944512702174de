/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api - the context of one loom-api, and what its resources share. One file per resource; the
 * routes are in routes.c. Handlers on workers may block on the database; bus and streams belong to
 * the loop.
 */
#ifndef LOOM_API_H
#define LOOM_API_H

#include "common/base/seal.h"
#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "common/coord/coord.h"
#include "common/db/db.h"
#include "common/net/http_server.h"
#include "common/net/pool.h"
#include "common/service/service.h"

struct api_config {
	char *external_listen, *internal_listen;
	char *secretless_workers; /* networks */
	char *host_values;        /* of providers, for every tenant: "field=pattern, ..." */
	char *auth_mode;          /* token, headers */
	bool auth_headers_public;
	char *admin_token_file, *provisioner_token_file, *first_token_file;
	char *tokenless_workers; /* networks */
	bool require_if_match;
	bool audit;
	int64_t audit_keep;    /* ms; 0: for ever */
	char *trusted_proxies; /* networks */
	char *cors_origins;
	bool cors_credentials;
	int64_t tenant_rate, tenant_burst, token_rate, token_burst, tenant_held;
	int64_t bad_token_rate, bad_token_burst;
	char *oidc_issuer, *oidc_audience, *oidc_keys, *oidc_roles;
	char *oidc_user_claim, *oidc_user_prefix, *oidc_groups_claim;
	int64_t threads;
	int64_t id_start, id_step; /* so that datacenters share one id space */
	int64_t max_cluster_size, max_unfinished_jobs;
	int64_t plugin_resource_mib, plugin_resources_mib, plugin_uploads;
	int64_t poll_ms; /* the safety net behind notices */
	struct http_config http;
	struct db_config db;
	struct bus_config bus;
	struct coord_config coord;
};

struct audit;
struct db_outage;
struct telling;
struct provisioner_cache;
struct budget;
struct pace;
struct token_cache;
struct repeats;
struct oidc;
struct watchers;
struct feed;
struct peers;
struct secrets;
struct takes;
struct api_routes;
struct described;
struct upload;

struct api {
	struct api_config cfg;
	struct service *service;
	struct loop *loop;
	struct pool *pool;
	struct db_pool *db;
	struct bus *bus;
	struct coord *coord;
	struct api_routes *routes;
	struct described *described; /* the interface, for programs and people */
	struct http_server *external, *internal;
	struct audit *audit;     /* what is written into the log of who did what */
	struct telling *telling; /* provisioners how many workers to run */
	struct db_outage *outage;
	struct provisioner_cache *provisioners;
	struct budget *log_budget; /* bytes, by tenant */
	struct pace *pace;
	struct token_cache *tokens; /* auth.h */
	struct oidc *oidc;          /* oidc.h; NULL: there is no provider */
	struct repeats *repeats;
	struct peers *peers;
	struct secrets *secrets; /* of documents: secrets.h */
	struct watchers *watchers;
	struct feed *feeds;     /* of those who watch a whole tenant */
	struct takes *takes;    /* held long polls */
	struct upload *uploads; /* under way (plugin_upload.c) */
	struct loop_timer *draining;
	struct seal_key mail_key;     /* seals what is asked by way of the database */
	struct seal_key callback_key; /* seals the secrets of tenants' callback targets */
	struct seal_key answer_key;   /* seals answers with secrets that are kept (repeat.h) */
};

extern const struct config_key api_config_keys[];
int api_start(struct service *service, void *ctx, struct loom_err *err);
void api_drain(struct service *service, void *ctx);
void api_stop(struct service *service, void *ctx);
bool api_ready(struct service *service, void *ctx, struct loom_err *err);
void api_notes(struct service *service, void *ctx, struct strs *ret);

/* Answers for a DB_E_ code: 503 with Retry-After, or 500; for a refusal its status and name. */
void api_reply_db(struct http_req *req, int rc);
/* Answers with a list that was read; name: with its only member, or 404 that there is no such
 * `what`. NULL: all of it, by the rules
 * (list_query.h; NULL: the caller has seen to the parameters). */
struct list_rules;
void api_reply_list(struct http_req *req, int rc, const struct json *list, const char *name,
                    const char *what, const struct list_rules *rules);
/* Answers with what outcome_tx() gave: nothing but the status, or the words of the refusal. */
struct outcome;
void api_reply_outcome(struct http_req *req, int rc, const struct outcome *o);
/* http_body_json() for documents that are kept and sent on inside others: not nested so deep that
 * those could not be read any more. */
LOOM_MUST_CHECK int api_body_json(struct http_req *req, struct json **ret);

/* peers.c: schedulers and other APIs. */
void peers_start(struct api *a);
void peers_stop(struct api *a);
/* Asks one scheduler after another until one answers or the time is over; m is written at once.
 * Loop thread. cb once, error 0 with the answer or -EHOSTUNREACH. Returns a handle for
 * peers_cancel(). */
struct ask;
struct ask *peers_ask(struct api *a, enum messages type, const void *m, int64_t timeout_ms,
                      bus_reply_cb cb, void *arg);
/* An ask just made is about a cluster: all those go to one scheduler while it lives. */
void peers_about(struct ask *k, int64_t cluster);
/* A take is withdrawn, so that no task is handed to somebody who has gone. */
void peers_cancel(struct ask *k);
/* What came of it: 200 only when a scheduler says so; else a status from 400 on. */
int peers_status(int error, const struct msg_answer *m);
bool peers_unheard(const struct api *a); /* no scheduler gives a sign of life; any thread */
/* What follows a commit, from any thread: schedulers look for jobs, watchers for events. */
void peers_committed(struct api *a, int64_t cluster, const char *tenant_id, int64_t seq, bool job);
/* What may be handed out is not what it was: schedulers look again. Any thread. */
void peers_ready(struct api *a);
void peers_dropped(struct api *a);                       /* a provisioner: what it held is over */
void peers_log_grew(struct api *a, const char *task_id); /* any thread */

/* tasks.c: whether a worker shows a secret, or asks for one, or is where it need not; false after
 * answering 403. Any thread. */
bool tasks_worker_allowed(struct http_req *req, const struct api *a, const struct json *body);
/* tasks.c: answers all held long polls empty-handed. Loop thread. */
void takes_drain(struct api *a);

/* events.c: on the loop, when a notice says that a cluster has new events or a log has grown. */
void watchers_start(struct api *a);
void watchers_stop(struct api *a);
void watchers_event(struct api *a, int64_t cluster, const char *tenant_id);
void watchers_log(struct api *a, const char *task_id);

#endif
