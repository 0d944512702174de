/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes_legacy - the paths of version 0.9.7 of the original (REST spec 18), as rows of the table
 * of routes. They share today's handlers; legacy.c converts forms that differ. Tasks are served at
 * the internal port only: at the users' port anybody could take them, and the secrets in them.
 */
#include "services/api/request/legacy.h"
#include "services/api/request/route.h"
#include "services/api/resources.h"

#include "common/base/str.h"

#define POOL  HTTP_ON_POOL
#define HEAVY HTTP_ON_POOL | HTTP_HEAVY

/* clang-format off */
#define EMPTY &answer_empty
#define JSON  &schema_any
#define ROUTE(tag, method, path, run, fn, roles, scope, owner, repeat, takes, body, answer, errors, \
              summary) \
	{ method, LEGACY_PREFIX path, run, fn, roles, scope, owner, repeat, takes, body, answer, errors, \
	  summary, "0.1.0", tag, NULL }
#define ACTION(action, tag, method, path, owner, run, fn, repeat, takes, body, answer, errors, summary) \
	{ method, LEGACY_PREFIX path, run, fn, ROLES_USER, "clusters:write", owner, repeat, takes, body, \
	  answer, errors, summary, "0.1.0", tag, "clusters:" action }
#define READ(tag, path, run, fn, scope, owner, answer, errors, summary) \
	ROUTE(tag, "GET", path, run, fn, ROLES_READ, scope ":read", owner, REPEAT_READS, TAKES_NONE, NULL, \
	      answer, errors, summary)

#define DOCUMENTS(path, of, one, many) \
	READ(TAG_NONE, "/" path, POOL, entities_list, "catalog", OWNER_NONE, JSON, "", "All " many), \
	ROUTE(TAG_NONE, "POST", "/" path, POOL, entities_post, ROLES_ADMIN, "catalog:write", OWNER_NONE, \
	      REPEAT_KEY, TAKES_OWN, &schema_##of, EMPTY, "", "Add " one), \
	READ(TAG_MATCH, "/" path "/{name}", POOL, entities_get, "catalog", OWNER_TENANT, &answer_text, \
	     "404", "One of the " many ": JSON, as text"), \
	ROUTE(TAG_MATCH, "PUT", "/" path "/{name}", POOL, entities_put, ROLES_ADMIN, "catalog:write", \
	      OWNER_TENANT, REPEAT_AGAIN, TAKES_OWN, &schema_##of, EMPTY, "", "Write " one), \
	ROUTE(TAG_MATCH, "DELETE", "/" path "/{name}", POOL, entities_delete, ROLES_ADMIN, \
	      "catalog:write", OWNER_TENANT, REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "409", "Delete " one)

#define PLUGIN_TYPE(path, of, one, many) \
	READ(TAG_NONE, "/" path, POOL, entities_list, "plugins", OWNER_NONE, JSON, "", "All " many), \
	READ(TAG_MATCH, "/" path "/{name}", POOL, entities_get, "plugins", OWNER_ALL, &answer_text, "404", \
	     "One of the " many ": JSON, as text"), \
	ROUTE(TAG_MATCH, "PUT", "/" path "/{name}", POOL, entities_put, ROLE_SUPERADMIN, "plugins:write", \
	      OWNER_ALL, REPEAT_AGAIN, TAKES_OWN, &schema_##of, EMPTY, "", "Write " one), \
	ROUTE(TAG_MATCH, "DELETE", "/" path "/{name}", POOL, entities_delete, ROLE_SUPERADMIN, \
	      "plugins:write", OWNER_ALL, REPEAT_SAME, TAKES_NONE, NULL, EMPTY, "", "Delete " one)

#define CLUSTER(tag, path, fn, answer, errors, summary) \
	READ(tag, "/clusters/{id}" path, POOL, fn, "clusters", OWNER_CLUSTER, answer, errors, summary)
#define CHANGE(action, tag, method, path, fn, takes, body, answer, errors, summary) \
	ACTION(action, tag, method, "/clusters/{id}" path, OWNER_CLUSTER, POOL, fn, REPEAT_SAME, takes, \
	       body, answer, errors, summary)

const struct route legacy_routes[] = {
	DOCUMENTS("providers", provider, "a provider", "providers"),
	DOCUMENTS("hardwaretypes", hardwaretype, "a hardware type", "hardware types"),
	DOCUMENTS("imagetypes", imagetype, "an image type", "image types"),
	DOCUMENTS("services", service, "a service", "services"),
	DOCUMENTS("clustertemplates", clustertemplate, "a cluster template", "cluster templates"),
	PLUGIN_TYPE("providertypes", providertype, "a type of providers", "types of providers"),
	PLUGIN_TYPE("automatortypes", automatortype, "a type of automators", "types of automators"),
	READ(TAG_NONE, "/export", HEAVY, bulk_export, "catalog", OWNER_NONE, JSON, "",
	     "All documents of the tenant"),
	ROUTE(TAG_NONE, "POST", "/import", HEAVY, bulk_import, ROLES_ADMIN, "catalog:write", OWNER_NONE,
	      REPEAT_SAME, TAKES_OWN, &schema_catalog, EMPTY, "",
	      "Replace all documents of the tenant but partial templates"),

	READ(TAG_NONE, "/clusters", HEAVY, clusters_list, "clusters", OWNER_NONE, JSON, "",
	     "All clusters that the caller sees, the newest first"),
	ACTION("create", TAG_NONE, "POST", "/clusters", OWNER_NONE, POOL, clusters_create, REPEAT_KEY,
	       TAKES_WHOLE, &schema_create, &schema_created, "404 409 429", "Create a cluster"),
	CLUSTER(TAG_MATCH, "", clusters_get, JSON, "", "A cluster with its nodes and services"),
	CHANGE("expiry", TAG_MATCH, "POST", "", clusters_expiry, TAKES_WHOLE, &schema_expiry, EMPTY, "",
	       "Move the time at which a cluster ends"),
	CHANGE("delete", TAG_MATCH, "DELETE", "", clusters_delete, TAKES_MAYBE, &schema_document, EMPTY, "409",
	       "Delete a cluster"),
	CLUSTER(TAG_NONE, "/status", clusters_status, JSON, "", "How far the newest job of a cluster is"),
	CLUSTER(TAG_NONE, "/config", clusters_config, &schema_map, "", "The configuration of a cluster"),
	CLUSTER(TAG_NONE, "/services", clusters_services, &schema_names, "", "The services of a cluster"),
	CLUSTER(TAG_NONE, "/plans", plans_list, JSON, "", "The jobs of a cluster and their tasks by stages"),
	CLUSTER(TAG_NONE, "/plans/{job}", plans_get, &schema_job, "400",
	        "A job of a cluster and its tasks by stages"),
	CHANGE("abort", TAG_NONE, "POST", "/abort", clusters_control, TAKES_NONE, NULL, EMPTY, "409",
	       "End the job under way"),
	ROUTE(TAG_NONE, "POST", "/getNodeProperties", POOL, rpc_node_properties, ROLES_READ,
	      "clusters:read", OWNER_NONE, REPEAT_READS, TAKES_WHOLE, &schema_node_properties, &schema_map,
	      "", "Properties of the nodes of a cluster"),
	ROUTE(TAG_NONE, "POST", "/getClusterStatuses", HEAVY, clusters_statuses, ROLES_READ,
	      "clusters:read", OWNER_NONE, REPEAT_READS, TAKES_NONE, NULL, JSON, "404",
	      "How far the newest job of each cluster is"),
	{ 0 },
};

#define WORKER(method, path, run, fn, scope, owner, repeat, takes, body, answer, errors, summary) \
	ROUTE(TAG_NONE, method, path, run, fn, ROLE_PROVISIONER, scope, owner, repeat, takes, body, answer, \
	      errors, summary)

const struct route legacy_internal_routes[] = {
	WORKER("POST", "/tasks/take", HTTP_ON_LOOP | HTTP_SMALL, tasks_take, "tasks:work", OWNER_NONE,
	       REPEAT_AGAIN, TAKES_OWN, &schema_legacy_take, &answer_text, "204 403", "Take a task"),
	WORKER("POST", "/tasks/finish", HTTP_ON_LOOP, tasks_finish, "tasks:work", OWNER_CLAIM, REPEAT_SAME,
	       TAKES_OWN, &schema_legacy_finish, EMPTY, "403 417", "Hand in a result"),
	WORKER("PUT", "/providertypes/{name}", POOL, plugin_types_put, "provisioners:register", OWNER_ALL,
	       REPEAT_AGAIN, TAKES_OWN, &schema_providertype, EMPTY, "", "Register a type of providers"),
	WORKER("PUT", "/automatortypes/{name}", POOL, plugin_types_put, "provisioners:register", OWNER_ALL,
	       REPEAT_AGAIN, TAKES_OWN, &schema_automatortype, EMPTY, "", "Register a type of automators"),
	{ 0 },
};
/* clang-format on */

bool legacy_has_operation(const char *name)
{
	static const char *const names[] = { "configure", "add_services", "start", "stop",
		                             "restart" };
	for (size_t i = 0; i < LOOM_COUNT(names); i++) {
		if (str_eq(names[i], name))
			return true;
	}
	return false;
}
