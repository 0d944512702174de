/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api - the context of one loom-api, shared by its resources. One file per resource; the routes are
 * in routes/routes.c. Handlers on workers may block on the database; bus and streams belong to the
 * loop.
 */
#ifndef LOOM_API_H
#define LOOM_API_H

#include "common/base/seal.h"
#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "common/coord/coord.h"
#include "common/db/db.h"
#include "common/model/keys/keyring.h"
#include "common/net/http_server.h"
#include "common/net/pool.h"
#include "common/service/service.h"

struct api_config {
	char *external_listen, *internal_listen;
	char *secretless_workers; /* networks */
	char *host_values;        /* provider fields for every tenant: "field=pattern, ..." */
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
	int64_t tenant_rate, tenant_burst, tenant_change_rate, tenant_change_burst, token_rate,
		token_burst, tenant_held;
	int64_t bad_token_rate, bad_token_burst, bad_password_rate, bad_password_burst;
	char *oidc_issuer, *oidc_audience, *oidc_keys, *oidc_roles;
	char *oidc_user_claim, *oidc_user_prefix, *oidc_groups_claim;
	int64_t threads;
	int64_t id_start, id_step; /* so that datacenters share one id space */
	int64_t max_cluster_size, max_unfinished_jobs;
	int64_t plugin_resource_mib, plugin_resources_mib, plugin_uploads;
	int64_t poll_ms; /* in case notices are lost */
	struct http_config http;
	struct tls_config tls;
	char *internal_tls_client_ca;
	struct db_config db;
	struct keyring_config keys;
	struct bus_config bus;
	struct coord_config coord;
};

struct audit;
struct db_outage;
struct share_push;
struct provisioner_cache;
struct budget;
struct pace;
struct token_cache;
struct repeats;
struct oidc;
struct watchers;
struct feed;
struct tally;
struct peers;
struct secrets;
struct terms;
struct takes;
struct api_routes;
struct described;
struct upload;

struct api {
	struct api_config cfg;
	struct tls_config internal_tls; /* borrows from cfg */
	struct service *service;
	struct loop *loop;
	struct pool *pool;
	struct db_pool *db;
	struct bus *bus;
	struct coord *coord;
	struct api_routes *routes;
	struct described *described; /* OpenAPI and its page */
	struct http_server *external, *internal;
	struct audit *audit;           /* the audit log's writer */
	struct share_push *share_push; /* calls to the original's provisioners */
	struct db_outage *outage;
	struct provisioner_cache *provisioners;
	struct budget *log_budget; /* bytes of task output, by tenant */
	struct pace *pace;
	struct token_cache *tokens; /* auth.h */
	struct oidc *oidc;          /* oidc.h; NULL: no provider is configured */
	struct repeats *repeats;
	struct peers *peers;
	struct secrets *secrets; /* sealing of documents: secrets.h */
	struct terms *terms;     /* search terms of clusters: terms.h */
	struct watchers *watchers;
	struct feed *feeds;     /* for watchers of a whole tenant */
	struct tally *tallies;  /* for requests that wait for a list to change */
	struct takes *takes;    /* held long polls */
	struct upload *uploads; /* in progress (plugin_upload.c) */
	struct loop_timer *draining;
	struct seal_key mail_key; /* seals requests through the database */
	struct keyring *ring;     /* seals stored secrets */
};

extern const struct config_key api_config_keys[];
int api_check(void *ctx, struct loom_err *err);
int api_start(struct service *service, void *ctx, struct loom_err *err);
void api_drain(struct service *service, void *ctx);
void api_stop(struct service *service, void *ctx);
bool api_ready(struct service *service, void *ctx, struct loom_err *err);
void api_notes(struct service *service, void *ctx, struct strs *ret);

/* Answers a DB_E_ code with 503 and Retry-After, or 500; a refusal with its status and name. */
void api_reply_db(struct http_req *req, int rc);
/* Answers with the only member of a list that was read, or 404 that there is no such `what`. */
void api_reply_one(struct http_req *req, int rc, const struct json *list, const char *name,
                   const char *what);
/* Answers with what outcome_tx() gave: nothing but the status, or the words of the refusal. */
struct outcome;
void api_reply_outcome(struct http_req *req, int rc, const struct outcome *o);
/* http_body_json() for documents that are stored and sent inside others: refuses nesting so deep
 * that those could not be parsed. */
LOOM_MUST_CHECK int api_body_json(struct http_req *req, struct json **ret);
/* The same for a document that was parsed already: 0, or 400 with err. */
LOOM_MUST_CHECK int api_json_check(const struct json *doc, struct loom_err *err);

/* peers.c: schedulers and other APIs. */
void peers_start(struct api *a);
void peers_stop(struct api *a);
/* Sends a request to one scheduler after another until one answers or the time is over; m is
 * encoded at once. Loop thread. Calls cb once: error 0 with the answer, or -EHOSTUNREACH. Returns a
 * handle for peers_cancel(). */
struct ask;
struct ask *peers_ask(struct api *a, enum messages type, const void *m, int64_t timeout_ms,
                      bus_reply_cb cb, void *arg);
/* The new request concerns a cluster: all such requests go to one scheduler while it lives. */
void peers_about(struct ask *k, int64_t cluster);
/* The new request, which is answered by a msg_answer, is asked again while the answer is 503. */
void peers_insist(struct ask *k);
/* Withdraws a take, so that no task is handed to a worker that has gone. */
void peers_cancel(struct ask *k);
/* The status of the result: 200 only when a scheduler says so; else from 400 on. */
int peers_status(int error, const struct msg_answer *m);
bool peers_unheard(const struct api *a); /* no scheduler answers pings; any thread */
/* A notice to each. Between peers_start() and peers_stop(), on the loop thread. */
void peers_notify_schedulers(struct api *a, enum messages type, const void *m);
void peers_notify_apis(struct api *a, enum messages type, const void *m);

/* notices.c: after a commit, from any thread: has schedulers look for jobs, and watchers for
 * events. */
void peers_committed(struct api *a, int64_t cluster, const char *tenant_id, int64_t seq, bool job);
/* Other tasks may be ready now: has schedulers check. Any thread. */
void peers_ready(struct api *a);
void peers_dropped(struct api *a);                       /* a provisioner's leases have ended */
void peers_log_grew(struct api *a, const char *task_id); /* any thread */
/* Documents of a tenant, or rows of another list, were written or deleted: wakes the requests that
 * wait for a list of them. kind: as in entity_collection(), or the list's path, static; NULL:
 * documents of any kind. Any thread. */
void peers_catalog(struct api *a, const char *tenant_id, const char *kind);

/* tasks.c: answers all held long polls without tasks. Loop thread. */
void takes_drain(struct api *a);
/* Ends held takes for which fn returns true, given the token's id and stamp. */
typedef bool (*takes_over_fn)(const char *token, uint64_t stamp, void *arg);
void takes_end(struct api *a, takes_over_fn over, void *arg);

/* events.c: called on the loop when a notice reports new events of a cluster, or a longer log. */
void watchers_start(struct api *a);
void watchers_stop(struct api *a);
void watchers_event(struct api *a, int64_t cluster, const char *tenant_id);
void watchers_log(struct api *a, const char *task_id);

#endif
