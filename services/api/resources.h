/* SPDX-License-Identifier: Apache-2.0 */
/* resources - the handlers that routes/routes.c names, by file. */
#ifndef LOOM_API_RESOURCES_H
#define LOOM_API_RESOURCES_H

#include "common/net/http_server.h"

/* entities.c */
void entities_list(struct http_req *req, void *ctx);
void entities_get(struct http_req *req, void *ctx);
void entities_post(struct http_req *req, void *ctx);
void entities_put(struct http_req *req, void *ctx);
void entities_patch(struct http_req *req, void *ctx);
void entities_delete(struct http_req *req, void *ctx);
void plugin_types_put(struct http_req *req, void *ctx);

/* plugin_resources.c */
void plugin_resources_list_get(struct http_req *req, void *ctx);
void plugin_resources_get(struct http_req *req, void *ctx);
void plugin_resources_delete(struct http_req *req, void *ctx);
void plugin_resources_stage(struct http_req *req, void *ctx);
void plugin_resources_recall(struct http_req *req, void *ctx);
void plugin_resources_sync_post(struct http_req *req, void *ctx);

/* plugin_upload.c */
void plugin_resources_post(struct http_req *req, void *ctx);

/* plugin_download.c */
void plugin_resources_download(struct http_req *req, void *ctx);

/* create.c */
void clusters_create(struct http_req *req, void *ctx);
void clusters_plan(struct http_req *req, void *ctx);

/* cluster_list.c */
void clusters_list(struct http_req *req, void *ctx);
void clusters_statuses(struct http_req *req, void *ctx);

/* clusters.c */
void clusters_get(struct http_req *req, void *ctx);
void clusters_delete(struct http_req *req, void *ctx);
void clusters_status(struct http_req *req, void *ctx);
void clusters_config(struct http_req *req, void *ctx);
void clusters_services(struct http_req *req, void *ctx);

/* control.c */
void clusters_control(struct http_req *req, void *ctx);

/* callbacks.c */
void callbacks_list(struct http_req *req, void *ctx);
void callbacks_replay(struct http_req *req, void *ctx);
void callbacks_delete(struct http_req *req, void *ctx);

/* callback_targets.c */
void callback_targets_list(struct http_req *req, void *ctx);
void callback_targets_get(struct http_req *req, void *ctx);
void callback_targets_put(struct http_req *req, void *ctx);
void callback_targets_delete(struct http_req *req, void *ctx);

/* labels.c */
void clusters_labels(struct http_req *req, void *ctx);

/* expiry.c */
void clusters_expiry(struct http_req *req, void *ctx);

/* bulk.c */
void bulk_export_sealed(struct http_req *req, void *ctx);
void bulk_export(struct http_req *req, void *ctx);
void bulk_import(struct http_req *req, void *ctx);

/* templates.c */
void resolve_post(struct http_req *req, void *ctx);

/* operation_requests.c */
void operations_list(struct http_req *req, void *ctx);
void operations_plan(struct http_req *req, void *ctx);
void operations_start(struct http_req *req, void *ctx);

/* why.c */
void clusters_why(struct http_req *req, void *ctx);

/* nodes.c */
void nodes_list(struct http_req *req, void *ctx);
void nodes_get(struct http_req *req, void *ctx);
void nodes_post(struct http_req *req, void *ctx);
void nodes_put(struct http_req *req, void *ctx);
void nodes_delete(struct http_req *req, void *ctx);

/* rpc.c */
void rpc_node_properties(struct http_req *req, void *ctx);

/* profiles.c */
void profile_get_own(struct http_req *req, void *ctx);
void profile_put_own(struct http_req *req, void *ctx);
void profile_delete_own(struct http_req *req, void *ctx);

/* figures.c */
void figures_queues(struct http_req *req, void *ctx);
void figures_nodes(struct http_req *req, void *ctx);

/* plans.c */
void plans_list(struct http_req *req, void *ctx);
void plans_get(struct http_req *req, void *ctx);

/* events.c */
void events_cluster(struct http_req *req, void *ctx);
void events_tenant(struct http_req *req, void *ctx);
void events_many(struct http_req *req, void *ctx);

/* snapshots.c */
void snapshots_get(struct http_req *req, void *ctx);

/* tasks.c */
void tasks_take(struct http_req *req, void *ctx);

/* finish.c */
void tasks_finish(struct http_req *req, void *ctx);

/* logs.c */
void logs_post(struct http_req *req, void *ctx);
void logs_get(struct http_req *req, void *ctx);

/* provisioners.c */
void provisioners_put(struct http_req *req, void *ctx);
void provisioners_heartbeat(struct http_req *req, void *ctx);
void provisioners_delete(struct http_req *req, void *ctx);
void provisioners_list_all(struct http_req *req, void *ctx);
void provisioners_get(struct http_req *req, void *ctx);
void provisioners_release(struct http_req *req, void *ctx);

/* doctor.c */
void doctor_get(struct http_req *req, void *ctx);

/* described.c */
void openapi_get(struct http_req *req, void *ctx);
void docs_get(struct http_req *req, void *ctx);

/* login.c */
void login_post(struct http_req *req, void *ctx);
void logout_post(struct http_req *req, void *ctx);
void whoami_get(struct http_req *req, void *ctx);
void password_put(struct http_req *req, void *ctx);

/* accounts.c */
void accounts_list(struct http_req *req, void *ctx);
void accounts_get(struct http_req *req, void *ctx);
void accounts_put(struct http_req *req, void *ctx);
void accounts_delete(struct http_req *req, void *ctx);

/* roles.c */
void roles_list(struct http_req *req, void *ctx);
void roles_get(struct http_req *req, void *ctx);
void roles_put(struct http_req *req, void *ctx);
void roles_delete(struct http_req *req, void *ctx);

/* tokens.c */
void tokens_list(struct http_req *req, void *ctx);
void tokens_post(struct http_req *req, void *ctx);
void tokens_delete(struct http_req *req, void *ctx);

/* tenants.c */
void tenants_list_all(struct http_req *req, void *ctx);
void tenants_get(struct http_req *req, void *ctx);
void tenants_post(struct http_req *req, void *ctx);
void tenants_put(struct http_req *req, void *ctx);
void tenants_delete(struct http_req *req, void *ctx);

/* audit_log.c */
void audit_get(struct http_req *req, void *ctx);
void audit_verify_get(struct http_req *req, void *ctx);

/* routes/routes.c */
void status_ok(struct http_req *req, void *ctx);

#endif
