/* SPDX-License-Identifier: Apache-2.0 */
/* routes - every path of both ports (REST spec 2.1, 2.2). */
#include "services/api/request/route.h"

#include "common/service/service.h"
#include "services/api/resources.h"

#define LOOP  HTTP_ON_LOOP
#define POOL  HTTP_ON_POOL
#define HEAVY HTTP_ON_POOL | HTTP_HEAVY
#define V0_1  "0.1.0"

/* clang-format off */
/* One argument for each property, so that none is forgotten. */
#define ROUTE(method, path, run, fn, roles, scope, owner, repeat, takes, body, answer, errors, summary) \
	{ method, path, run, fn, roles, scope, owner, repeat, takes, body, answer, errors, summary, V0_1, \
	  TAG_NONE, NULL }
/* For things with versions that requests may name. */
#define TAGGED(tag, method, path, run, fn, roles, scope, owner, repeat, takes, body, answer, errors, \
               summary) \
	{ method, path, run, fn, roles, scope, owner, repeat, takes, body, answer, errors, summary, V0_1, \
	  tag, NULL }
/* For changes of clusters; each has a named permission. */
#define ACTION(action, tag, method, path, run, fn, roles, owner, repeat, takes, body, answer, errors, \
               summary) \
	{ method, path, run, fn, roles, "clusters:write", owner, repeat, takes, body, answer, errors, \
	  summary, V0_1, tag, "clusters:" action }
#define EMPTY   &answer_empty
#define LIST(of) static const struct schema list_##of = { .type = SCHEMA_ARRAY, .items = &schema_##of }
LIST(provider);
LIST(hardwaretype);
LIST(imagetype);
LIST(service);
LIST(clustertemplate);
LIST(partialtemplate);
LIST(providertype);
LIST(automatortype);
LIST(plugin_resource);
LIST(provisioner_shown);
LIST(callback);
LIST(callback_target_shown);
LIST(operation);
LIST(job);
LIST(account_shown);
LIST(token_shown);
LIST(own_role_shown);
LIST(audit_row);
LIST(tenant_shown);
LIST(node_shown);
LIST(status);

#define READ_ON(run, path, fn, scope, owner, answer, errors, summary) \
	ROUTE("GET", path, run, fn, ROLES_READ, scope ":read", owner, REPEAT_READS, TAKES_NONE, NULL, \
	      answer, errors, summary)
#define READ(path, fn, scope, owner, answer, errors, summary) \
	READ_ON(POOL, path, fn, scope, owner, answer, errors, summary)
#define READ_TAGGED(tag, path, fn, scope, owner, answer, errors, summary) \
	TAGGED(tag, "GET", path, POOL, fn, ROLES_READ, scope ":read", owner, REPEAT_READS, TAKES_NONE, NULL, \
	       answer, errors, summary)

#define HEALTH(path, run, fn, errors, summary) \
	ROUTE("GET", path, run | HTTP_HEALTH, fn, ROLE_ANYBODY, "", OWNER_NONE, REPEAT_READS, TAKES_NONE, \
	      NULL, &answer_text, errors, summary)
#define SERVICE \
	HEALTH("/livez", LOOP, service_livez, "", "Whether the process lives"), \
	HEALTH("/readyz", POOL, service_readyz, "503", "Whether it can serve"), \
	HEALTH("/metrics", LOOP, service_metrics, "", "Figures, as Prometheus reads them")

#define ENTITY(path, of, one, many) \
	READ("/v2/" path, entities_list, "catalog", OWNER_NONE, &list_##of, "", \
	     "The newest versions of all " many), \
	ROUTE("POST", "/v2/" path, POOL, entities_post, ROLES_ADMIN, "catalog:write", OWNER_NONE, \
	      REPEAT_KEY, TAKES_WHOLE, &schema_##of, EMPTY, "409", "Add " one), \
	READ_TAGGED(TAG_ASKED, "/v2/" path "/{name}", entities_get, "catalog", OWNER_TENANT, \
	            &schema_##of, "404", "The newest version of " one), \
	TAGGED(TAG_ASKED, "PUT", "/v2/" path "/{name}", POOL, entities_put, ROLES_ADMIN, "catalog:write", \
	       OWNER_TENANT, REPEAT_AGAIN, TAKES_WHOLE, &schema_##of, EMPTY, "", \
	       "Write a new version of " one), \
	TAGGED(TAG_ASKED, "PATCH", "/v2/" path "/{name}", POOL, entities_patch, ROLES_ADMIN, \
	       "catalog:write", OWNER_TENANT, REPEAT_AGAIN, TAKES_PATCH, &schema_##of, EMPTY, "404", \
	       "Write a new version that differs in what is given"), \
	TAGGED(TAG_ASKED, "DELETE", "/v2/" path "/{name}", POOL, entities_delete, ROLES_ADMIN, \
	       "catalog:write", OWNER_TENANT, REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "409", \
	       "Delete all versions of " one), \
	READ_TAGGED(TAG_ASKED, "/v2/" path "/{name}/{version}", entities_get, "catalog", OWNER_TENANT, \
	            &schema_##of, "400 404", "One version of " one), \
	TAGGED(TAG_ASKED, "DELETE", "/v2/" path "/{name}/{version}", POOL, entities_delete, ROLES_ADMIN, \
	       "catalog:write", OWNER_TENANT, REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "400 409", \
	       "Delete one version of " one)

#define PLUGIN_TYPE(path, of, one, many) \
	READ("/v2/plugins/" path, entities_list, "plugins", OWNER_NONE, &list_##of, "", \
	     "The newest versions of all " many), \
	READ_TAGGED(TAG_ASKED, "/v2/plugins/" path "/{name}", entities_get, "plugins", OWNER_ALL, \
	            &schema_##of, "404", "The newest version of " one), \
	TAGGED(TAG_ASKED, "DELETE", "/v2/plugins/" path "/{name}", POOL, entities_delete, \
	       ROLE_SUPERADMIN, "plugins:write", OWNER_ALL, REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "", \
	       "Delete all versions of " one), \
	TAGGED(TAG_ASKED, "DELETE", "/v2/plugins/" path "/{name}/{part}", POOL, entities_delete, \
	       ROLE_SUPERADMIN, "plugins:write", OWNER_ALL, REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "400", \
	       "Delete one version of " one)

#define RESOURCE(method, kind, path, run, fn, verb, repeat, takes, body, answer, errors, summary) \
	ROUTE(method, "/v2/plugins/" kind "/" path, run, fn, ROLES_ADMIN, "plugins:" verb, \
	      OWNER_TENANT, repeat, takes, body, answer, errors, summary)
#define RESOURCE_READ(kind, path, fn, answer, summary) \
	RESOURCE("GET", kind, path, POOL, fn, "read", REPEAT_READS, TAKES_NONE, NULL, answer, "400 404", \
	         summary)
#define RESOURCE_CHANGE(method, kind, path, fn, repeat, errors, summary) \
	RESOURCE(method, kind, "{plugin}/{type}/{name}" path, POOL, fn, "write", repeat, TAKES_NONE, NULL, EMPTY, errors, \
	         summary)
/* {part} means a type of files in GET, a version in DELETE: the original's paths differ only in
 * this, and OpenAPI wants one name for both. */
#define RESOURCES(kind) \
	RESOURCE_READ(kind, "{name}/{part}", plugin_resources_list_get, &schema_map, \
	              "The tenant's files of one type for a plug-in, by name"), \
	RESOURCE_READ(kind, "{plugin}/{type}/{name}", plugin_resources_get, &list_plugin_resource, \
	              "The versions of a file for a plug-in"), \
	RESOURCE("POST", kind, "{plugin}/{type}/{name}", POOL | HTTP_STREAMED, plugin_resources_post, "write", REPEAT_KEY, \
	         TAKES_OWN, &answer_bytes, &schema_plugin_resource, "404 409 413 429", \
	         "Store a new version of a file for a plug-in: the body, as it is"), \
	RESOURCE_CHANGE("DELETE", kind, "", plugin_resources_delete, REPEAT_SAME, "404 409", \
	                "Delete all versions of a file for a plug-in"), \
	RESOURCE_CHANGE("DELETE", kind, "/versions/{version}", plugin_resources_delete, REPEAT_AGAIN, \
	                "400 404 409", "Delete a version of a file for a plug-in"), \
	RESOURCE_CHANGE("POST", kind, "/versions/{version}/stage", plugin_resources_stage, REPEAT_SAME, \
	                "400 404", "The next sync makes it the live version"), \
	RESOURCE_CHANGE("POST", kind, "/versions/{version}/recall", plugin_resources_recall, REPEAT_SAME, \
	                "400 404", "After the next sync it is not live any more")

#define CLUSTER(path, fn, answer, errors, summary) \
	READ("/v2/clusters/{id}" path, fn, "clusters", OWNER_CLUSTER, answer, errors, summary)
#define CHANGE(action, tag, method, path, fn, repeat, takes, body, answer, errors, summary) \
	ACTION(action, tag, method, "/v2/clusters/{id}" path, POOL, fn, ROLES_USER, OWNER_CLUSTER, repeat, \
	       takes, body, answer, errors, summary)
#define CONTROL(verb, summary) \
	CHANGE(verb, TAG_NONE, "POST", "/" verb, clusters_control, REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "409", \
	       summary)

/* Calls for administrators other than on documents and clusters. */
#define ADMIN(method, path, fn, roles, scope, owner, repeat, answer, errors, summary) \
	ROUTE(method, "/v2/" path, POOL, fn, roles, scope, owner, repeat, TAKES_NONE, NULL, answer, errors, \
	      summary)
#define ADMIN_TAGGED(tag, method, path, fn, roles, scope, owner, repeat, answer, errors, summary) \
	TAGGED(tag, method, "/v2/" path, POOL, fn, roles, scope, owner, repeat, TAKES_NONE, NULL, answer, \
	       errors, summary)

const struct route external_routes[] = {
	SERVICE,
	ROUTE("GET", "/openapi.json", LOOP, openapi_get, ROLE_ANYBODY, "", OWNER_NONE, REPEAT_READS,
	      TAKES_NONE, NULL, &schema_map, "304", "This interface, as OpenAPI 3.1"),
	ROUTE("GET", "/docs", LOOP, docs_get, ROLE_ANYBODY, "", OWNER_NONE, REPEAT_READS, TAKES_NONE,
	      NULL, &answer_html, "304", "This interface, to read"),
	HEALTH("/status", LOOP, status_ok, "", "Whether the process lives, as the original says it"),

	ROUTE("POST", "/v2/login", POOL | HTTP_SMALL, login_post, ROLE_ANYBODY, "", OWNER_NONE,
	      REPEAT_AGAIN, TAKES_WHOLE, &schema_login, &schema_session, "401 429",
	      "Sign in: a password for a session's token"),
	ROUTE("POST", "/v2/logout", POOL, logout_post, ROLES_READ, "session:end", OWNER_NONE, REPEAT_SAME,
	      TAKES_NONE, NULL, &schema_logout, "", "End the session of the token in the request"),
	ROUTE("GET", "/v2/whoami", POOL, whoami_get, ROLES_READ, "session:read", OWNER_NONE, REPEAT_READS,
	      TAKES_NONE, NULL, &schema_whoami, "", "Who the caller is"),
	ROUTE("PUT", "/v2/password", POOL | HTTP_SMALL, password_put, ROLES_READ, "session:password",
	      OWNER_NONE, REPEAT_AGAIN, TAKES_WHOLE, &schema_password_change, EMPTY, "409 429",
	      "Change one's own password"),
	ADMIN("GET", "users", accounts_list, ROLES_AUDIT, "users:read", OWNER_NONE, REPEAT_READS,
	      &list_account_shown, "", "The users of the tenant"),
	ADMIN_TAGGED(TAG_ASKED, "GET", "users/{name}", accounts_get, ROLES_AUDIT, "users:read", OWNER_TENANT, REPEAT_READS,
	      &schema_account_shown, "404", "A user of the tenant"),
	TAGGED(TAG_ASKED, "PUT", "/v2/users/{name}", POOL | HTTP_SMALL, accounts_put, ROLES_ADMIN, "users:write",
	      OWNER_TENANT, REPEAT_SAME, TAKES_WHOLE, &schema_account, EMPTY, "409",
	      "Add or change a user of the tenant"),
	ADMIN_TAGGED(TAG_ASKED, "DELETE", "users/{name}", accounts_delete, ROLES_ADMIN, "users:write", OWNER_TENANT,
	      REPEAT_SAME, EMPTY, "404 409", "Delete a user and all tokens of it"),
	ADMIN("GET", "roles", roles_list, ROLES_AUDIT, "users:read", OWNER_NONE, REPEAT_READS,
	      &list_own_role_shown, "", "The tenant's own roles"),
	ADMIN_TAGGED(TAG_ASKED, "GET", "roles/{name}", roles_get, ROLES_AUDIT, "users:read", OWNER_TENANT,
	      REPEAT_READS, &schema_own_role_shown, "404", "A role of the tenant's own"),
	TAGGED(TAG_ASKED, "PUT", "/v2/roles/{name}", POOL | HTTP_SMALL, roles_put, ROLES_ADMIN, "users:write",
	      OWNER_TENANT, REPEAT_SAME, TAKES_WHOLE, &schema_own_role, EMPTY, "409",
	      "Add or change a role of the tenant's own"),
	ADMIN_TAGGED(TAG_ASKED, "DELETE", "roles/{name}", roles_delete, ROLES_ADMIN, "users:write",
	      OWNER_TENANT, REPEAT_SAME, EMPTY, "404 409", "Delete a role that nobody has"),
	ADMIN("GET", "tokens", tokens_list, ROLES_READ, "tokens:read", OWNER_NONE, REPEAT_READS,
	      &list_token_shown, "", "The caller's tokens; for administrators those of the tenant"),
	ROUTE("POST", "/v2/tokens", POOL | HTTP_SMALL, tokens_post, ROLES_READ, "tokens:write", OWNER_NONE,
	      REPEAT_KEY, TAKES_WHOLE, &schema_token, &schema_token_made, "404 409",
	      "Make a token, which is shown only once"),
	ADMIN("DELETE", "tokens/{id}", tokens_delete, ROLES_READ, "tokens:write", OWNER_TENANT,
	      REPEAT_SAME, EMPTY, "404", "End a token"),

	ADMIN("GET", "tenants", tenants_list_all, ROLE_SUPERADMIN, "tenants:read", OWNER_NONE, REPEAT_READS,
	      &list_tenant_shown, "", "All tenants"),
	ADMIN("GET", "tenants/{name}", tenants_get, ROLE_SUPERADMIN, "tenants:read", OWNER_ALL,
	      REPEAT_READS, &schema_tenant_shown, "404", "A tenant"),
	ROUTE("POST", "/v2/tenants", POOL, tenants_post, ROLE_SUPERADMIN, "tenants:write", OWNER_NONE,
	      REPEAT_KEY, TAKES_WHOLE, &schema_tenant, EMPTY, "409", "Add a tenant"),
	ROUTE("PUT", "/v2/tenants/{name}", POOL, tenants_put, ROLE_SUPERADMIN, "tenants:write", OWNER_ALL,
	      REPEAT_SAME, TAKES_WHOLE, &schema_tenant, EMPTY, "409", "Add or change a tenant"),
	ADMIN("DELETE", "tenants/{name}", tenants_delete, ROLE_SUPERADMIN, "tenants:write", OWNER_ALL,
	      REPEAT_SAME, EMPTY, "409", "Delete a tenant and all that is its own"),
	ROUTE("GET", "/v2/audit", HEAVY, audit_get, ROLES_AUDIT, "audit:read", OWNER_NONE, REPEAT_READS,
	      TAKES_NONE, NULL, &list_audit_row, "400", "Who did what, and who was refused what"),
	ROUTE("GET", "/v2/audit/verify", HEAVY, audit_verify_get, ROLES_AUDIT, "audit:read", OWNER_NONE,
	      REPEAT_READS, TAKES_NONE, NULL, &schema_audit_check, "400",
	      "Whether the audit log is what it was"),

	ENTITY("providers", provider, "a provider", "providers"),
	ENTITY("hardwaretypes", hardwaretype, "a hardware type", "hardware types"),
	ENTITY("imagetypes", imagetype, "an image type", "image types"),
	ENTITY("services", service, "a service", "services"),
	ENTITY("clustertemplates", clustertemplate, "a cluster template", "cluster templates"),
	ENTITY("partialtemplates", partialtemplate, "a partial template", "partial templates"),
	PLUGIN_TYPE("providertypes", providertype, "a type of providers", "types of providers"),
	PLUGIN_TYPE("automatortypes", automatortype, "a type of automators", "types of automators"),
	RESOURCES("providertypes"),
	RESOURCES("automatortypes"),
	ROUTE("POST", "/v2/plugins/sync", POOL, plugin_resources_sync_post, ROLES_ADMIN, "plugins:write",
	      OWNER_NONE, REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "",
	      "Make the staged files for plug-ins the live ones, and tell provisioners"),
	ROUTE("POST", "/v2/resolve", POOL, resolve_post, ROLES_READ, "catalog:read", OWNER_NONE,
	      REPEAT_READS, TAKES_WHOLE, &schema_clustertemplate, &schema_clustertemplate, "404",
	      "What a template comes to with all that it extends and includes"),
	READ_ON(HEAVY, "/v2/export", bulk_export, "catalog", OWNER_NONE, &schema_catalog, "",
	     "All documents of the tenant"),
	ROUTE("POST", "/v2/export", HEAVY, bulk_export_sealed, ROLES_ADMIN, "catalog:write", OWNER_NONE,
	      REPEAT_READS, TAKES_WHOLE, &schema_passphrase, &schema_catalog, "",
	      "All documents of the tenant, their secrets sealed with a passphrase"),
	ROUTE("POST", "/v2/import", HEAVY, bulk_import, ROLES_ADMIN, "catalog:write", OWNER_NONE,
	      REPEAT_SAME, TAKES_WHOLE, &schema_catalog, &schema_import_report, "",
	      "Replace all documents of the tenant"),

	ADMIN("GET", "doctor", doctor_get, ROLE_SUPERADMIN, "doctor:read", OWNER_NONE, REPEAT_READS,
	      &schema_findings, "", "What is wrong with this Loom, and what to do"),
	ADMIN("GET", "provisioners", provisioners_list_all, ROLE_SUPERADMIN, "provisioners:read",
	      OWNER_NONE, REPEAT_READS, &list_provisioner_shown, "", "All provisioners"),
	ADMIN_TAGGED(TAG_MATCH, "GET", "provisioners/{id}", provisioners_get, ROLE_SUPERADMIN, "provisioners:read",
	      OWNER_ALL, REPEAT_READS, &schema_provisioner_shown, "404", "A provisioner"),
	ADMIN_TAGGED(TAG_MATCH, "POST", "provisioners/{id}/release", provisioners_release, ROLE_SUPERADMIN,
	      "provisioners:write", OWNER_ALL, REPEAT_SAME, EMPTY, "404",
	      "Let a provisioner out of quarantine"),
	ADMIN("GET", "callbacks", callbacks_list, ROLES_AUDIT, "callbacks:read", OWNER_NONE,
	      REPEAT_READS, &list_callback, "400", "Callbacks that are not delivered yet"),
	ADMIN("POST", "callbacks/{id}/replay", callbacks_replay, ROLES_ADMIN, "callbacks:write",
	      OWNER_TENANT, REPEAT_SAME, EMPTY, "400 404", "Tell it again"),
	ADMIN("DELETE", "callbacks/{id}", callbacks_delete, ROLES_ADMIN, "callbacks:write",
	      OWNER_TENANT, REPEAT_SAME, EMPTY, "400", "Tell it no more"),
	ADMIN("GET", "callbacktargets", callback_targets_list, ROLES_AUDIT, "callbacks:read",
	      OWNER_NONE, REPEAT_READS, &list_callback_target_shown, "",
	      "The tenant's callback targets"),
	ADMIN_TAGGED(TAG_ASKED, "GET", "callbacktargets/{name}", callback_targets_get, ROLES_AUDIT, "callbacks:read",
	      OWNER_TENANT, REPEAT_READS, &schema_callback_target_shown, "400 404",
	      "A callback target"),
	TAGGED(TAG_ASKED, "PUT", "/v2/callbacktargets/{name}", POOL, callback_targets_put, ROLES_ADMIN,
	      "callbacks:write", OWNER_TENANT, REPEAT_SAME, TAKES_WHOLE, &schema_callback_target, EMPTY,
	      "409", "Add or change a callback target"),
	ADMIN_TAGGED(TAG_ASKED, "DELETE", "callbacktargets/{name}", callback_targets_delete, ROLES_ADMIN,
	      "callbacks:write", OWNER_TENANT, REPEAT_SAME, EMPTY, "400", "Delete a callback target"),

	READ_ON(HEAVY, "/v2/nodes", nodes_list, "nodes", OWNER_NONE, &list_node_shown, "400",
	        "The machines of the caller's clusters, and what clients keep beside them"),
	READ("/v2/nodes/{id}", nodes_get, "nodes", OWNER_TENANT, &schema_node_shown, "404",
	     "A machine, or what a client keeps in its form"),
	ROUTE("POST", "/v2/nodes", POOL | HTTP_SMALL, nodes_post, ROLES_USER, "nodes:write", OWNER_NONE,
	      REPEAT_KEY, TAKES_WHOLE, &schema_node_record, EMPTY, "201 409",
	      "Keep a document in the form of a node"),
	ROUTE("PUT", "/v2/nodes/{id}", POOL | HTTP_SMALL, nodes_put, ROLES_USER, "nodes:write",
	      OWNER_TENANT, REPEAT_SAME, TAKES_WHOLE, &schema_node_record, EMPTY, "204 409",
	      "Keep or replace a document in the form of a node"),
	ROUTE("DELETE", "/v2/nodes/{id}", POOL, nodes_delete, ROLES_USER, "nodes:write", OWNER_TENANT,
	      REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "204 409", "Delete a document in the form of a node"),
	ROUTE("POST", "/v2/getNodeProperties", POOL, rpc_node_properties, ROLES_READ, "clusters:read",
	      OWNER_NONE, REPEAT_READS, TAKES_WHOLE, &schema_node_properties, &schema_map, "",
	      "Properties of the nodes of a cluster"),
	ROUTE("POST", "/v2/getClusterStatuses", HEAVY, clusters_statuses, ROLES_READ, "clusters:read",
	      OWNER_NONE, REPEAT_READS, TAKES_NONE, NULL, &list_status, "",
	      "How far the newest job of each cluster is"),
	ROUTE("GET", "/v2/profile", POOL, profile_get_own, ROLES_READ, "profile:read", OWNER_NONE,
	      REPEAT_READS, TAKES_NONE, NULL, &schema_map, "404", "What clients keep for the caller"),
	ROUTE("PUT", "/v2/profile", POOL | HTTP_SMALL, profile_put_own, ROLES_READ, "profile:write",
	      OWNER_NONE, REPEAT_SAME, TAKES_WHOLE, &schema_document, EMPTY, "",
	      "Keep something for the caller"),
	ROUTE("DELETE", "/v2/profile", POOL, profile_delete_own, ROLES_READ, "profile:write", OWNER_NONE,
	      REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "", "Keep it no more"),
	ADMIN("GET", "metrics/queues", figures_queues, ROLES_AUDIT, "metrics:read", OWNER_NONE,
	      REPEAT_READS, &schema_queues, "", "Tasks that wait and run, by tenant"),
	READ_ON(HEAVY, "/v2/metrics/nodes/usage", figures_nodes, "metrics", OWNER_NONE, &schema_node_usage,
	        "400 405", "For how long machines were there"),

	READ("/v2/operations", operations_list, "clusters", OWNER_NONE, &list_operation, "",
	     "What can be asked of a cluster"),
	READ_ON(HEAVY, "/v2/clusters", clusters_list, "clusters", OWNER_NONE, &schema_cluster_summary, "400",
	     "All clusters that the caller sees, the newest first"),
	ACTION("create", TAG_NONE, "POST", "/v2/clusters", POOL, clusters_create, ROLES_USER, OWNER_NONE,
	      REPEAT_KEY, TAKES_WHOLE, &schema_create, &schema_created, "404 409 429",
	      "Create a cluster"),
	ROUTE("POST", "/v2/clusters/plan", POOL | HTTP_PROBLEM, clusters_plan, ROLES_READ, "clusters:read", OWNER_NONE,
	      REPEAT_READS, TAKES_WHOLE, &schema_create, &schema_change, "404 409",
	      "What a new cluster would be, without creating it"),
	READ("/v2/clusters/events", events_tenant, "clusters", OWNER_NONE, &answer_events, "",
	     "Summaries of the caller's clusters as they change"),
	READ_TAGGED(TAG_MATCH, "/v2/clusters/{id}", clusters_get, "clusters", OWNER_CLUSTER,
	            &schema_cluster, "400 410", "A cluster with its nodes and services"),
	CHANGE("expiry", TAG_MATCH, "POST", "", clusters_expiry, REPEAT_SAME, TAKES_WHOLE, &schema_expiry, EMPTY, "",
	       "Move the time at which a cluster ends"),
	CHANGE("delete", TAG_MATCH, "DELETE", "", clusters_delete, REPEAT_SAME, TAKES_MAYBE, &schema_document, EMPTY, "409",
	       "Delete a cluster"),
	CLUSTER("/status", clusters_status, &schema_status, "400 410",
		"How far the newest job of a cluster is"),
	CLUSTER("/config", clusters_config, &schema_map, "", "The configuration of a cluster"),
	CLUSTER("/services", clusters_services, &schema_names, "", "The services of a cluster"),
	CHANGE("labels", TAG_MATCH, "PUT", "/labels", clusters_labels, REPEAT_SAME, TAKES_WHOLE, &schema_labels,
	       &schema_labels_answer, "", "Set and remove labels of a cluster"),
	CONTROL("pause", "Pause the job under way"),
	CONTROL("resume", "Go on with a paused job"),
	CONTROL("abort", "End the job under way"),
	ROUTE("POST", "/v2/clusters/{id}/plan", POOL | HTTP_PROBLEM, operations_plan, ROLES_READ, "clusters:read",
	      OWNER_CLUSTER, REPEAT_READS, TAKES_WHOLE, &schema_plan, &schema_change, "409",
	      "What an operation would do, without doing it"),
	CLUSTER("/why", clusters_why, &schema_why, "", "What a cluster waits for, in words"),
	CLUSTER("/plans", plans_list, &list_job, "", "The jobs of a cluster and their tasks by stages"),
	CLUSTER("/plans/{job}", plans_get, &schema_job, "400",
		"A job of a cluster and its tasks by stages"),
	CLUSTER("/events", events_cluster, &answer_events, "400 410", "What happens to a cluster"),
	CLUSTER("/snapshot", snapshots_get, &schema_snapshot, "",
		"All that a page shows of a cluster at one moment"),
	READ("/v2/events", events_many, "clusters", OWNER_NONE, &answer_events, "400",
	     "Events of several clusters, and summaries, in one stream"),
	READ("/v2/tasks/{id}/log", logs_get, "clusters", OWNER_TASK, &answer_text, "",
	     "What the plug-in of a task writes"),
	{ 0 },
};

#define WORKER(method, path, run, fn, scope, owner, repeat, takes, body, answer, errors, summary) \
	ROUTE(method, "/v2/" path, run, fn, ROLE_PROVISIONER, scope, owner, repeat, takes, body, answer, \
	      errors, summary)
#define REGISTER "provisioners:register"

#define DOWNLOAD(kind) \
	WORKER("GET", "tenants/{tenant}/" kind "/{plugin}/{type}/{name}/versions/{version}", POOL, \
	       plugin_resources_download, "tasks:work", OWNER_ALL, REPEAT_READS, TAKES_NONE, NULL, \
	       &answer_bytes, "206 400 404 416", "A file for a plug-in, or a range of it")

const struct route internal_routes[] = {
	SERVICE,
	WORKER("POST", "tasks/take", LOOP | HTTP_SMALL, tasks_take, "tasks:work", OWNER_NONE,
	       REPEAT_AGAIN, TAKES_OWN, &schema_take, &schema_tasks, "204 403",
	       "Take tasks, or wait for them"),
	WORKER("POST", "tasks/finish", LOOP, tasks_finish, "tasks:work", OWNER_CLAIM, REPEAT_SAME,
	       TAKES_OWN, &schema_finish, &schema_tasks, "403 417",
	       "Hand in a result, and take the next tasks"),
	WORKER("POST", "tasks/{id}/log", POOL, logs_post, "tasks:work", OWNER_CLAIM, REPEAT_SAME,
	       TAKES_OWN, &schema_log_piece, EMPTY, "403 409 417 429", "Add to the log of a task"),
	WORKER("PUT", "provisioners/{id}", POOL, provisioners_put, REGISTER, OWNER_ALL, REPEAT_SAME,
	       TAKES_WHOLE, &schema_provisioner, EMPTY, "409", "Register a provisioner"),
	WORKER("DELETE", "provisioners/{id}", POOL, provisioners_delete, REGISTER, OWNER_ALL, REPEAT_SAME,
	       TAKES_NONE, NULL, EMPTY, "", "A provisioner ends"),
	WORKER("POST", "provisioners/{id}/heartbeat", POOL | HTTP_SMALL, provisioners_heartbeat, "tasks:work",
	       OWNER_ALL, REPEAT_SAME, TAKES_WHOLE, &schema_heartbeat, &schema_leases, "404 409",
	       "A provisioner lives, and renews the leases of its tasks"),
	WORKER("PUT", "plugins/providertypes/{name}", POOL, plugin_types_put, REGISTER, OWNER_ALL,
	       REPEAT_AGAIN, TAKES_WHOLE, &schema_providertype, EMPTY, "",
	       "Register a type of providers"),
	WORKER("PUT", "plugins/automatortypes/{name}", POOL, plugin_types_put, REGISTER, OWNER_ALL,
	       REPEAT_AGAIN, TAKES_WHOLE, &schema_automatortype, EMPTY, "",
	       "Register a type of automators"),
	DOWNLOAD("providertypes"),
	DOWNLOAD("automatortypes"),
	{ 0 },
};
/* clang-format on */

void status_ok(struct http_req *req, void *ctx LOOM_UNUSED)
{
	http_reply_text(req, 200, "OK\n");
}
