/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas - the bodies of the REST interface, described once for all who read or write them. Tables
 * only (json/schema.h), without I/O. Rules that depend on existing data, as names, quotas or the
 * limits of other fields, are checked elsewhere.
 */
#ifndef LOOM_OPERATION_SCHEMAS_H
#define LOOM_OPERATION_SCHEMAS_H

#include "common/json/schema.h"
#include "common/operation/operation.h"

#define SCHEMA_WHOLE_MAX 2147483647
#define SCHEMA_LEASE_MAX (1LL << 52) /* ms */
/* Names are searched linearly, also by the scheduler: with this many it is still fast. */
#define SCHEMA_NAMES_MAX 1000
#define SCHEMA_NODES_MAX 10000 /* nodes in one request; tasks, too */

/* schemas.c: shared parts */
extern const struct schema schema_text, schema_secret, schema_name, schema_names, schema_flag,
	schema_whole, schema_number, schema_any, schema_map, schema_strings, schema_document,
	schema_id, schema_time;
bool schema_is_name(const struct json *v);

/* schemas_catalog.c: documents of tenants and types of plug-ins, in requests and answers */
extern const struct schema schema_provider, schema_hardwaretype, schema_imagetype, schema_service,
	schema_clustertemplate, schema_partialtemplate, schema_providertype, schema_automatortype,
	schema_plugin_resource, schema_catalog, schema_passphrase;

/* schemas_request.c: other requests */
extern int64_t schema_machines_max; /* nodes of a cluster: set before the first request is read, if
                                     * at all */
extern const struct schema schema_create, schema_plan, schema_expiry, schema_labels,
	schema_callback_target, schema_provisioner, schema_heartbeat, schema_take, schema_finish,
	schema_legacy_take, schema_legacy_finish, schema_log_piece, schema_tenant,
	schema_node_record, schema_node_properties;
/* Schema of an operation's request body, without the field that a path parameter gives. The caller
 * frees it. */
struct schema *schema_of_operation(const struct operation_kind *k, const char *path);
void schema_of_operation_free(struct schema *s);

/* schemas_identity.c: identity, in requests and answers */
extern const struct schema schema_login, schema_session, schema_logout, schema_password_change,
	schema_whoami, schema_audit_row, schema_audit_check, schema_account, schema_account_shown,
	schema_token, schema_token_made, schema_token_shown, schema_own_role, schema_own_role_shown;

/* schemas_answer.c: answers */
extern const struct schema schema_created, schema_cluster_summary, schema_cluster, schema_status,
	schema_job, schema_why, schema_snapshot, schema_labels_answer, schema_operation,
	schema_change, schema_provisioner_shown, schema_callback, schema_callback_target_shown,
	schema_tasks, schema_leases, schema_problem, schema_tenant_shown, schema_node_shown,
	schema_queues, schema_node_usage, schema_findings, schema_import_report;

#endif
