/* SPDX-License-Identifier: Apache-2.0 */
/* routes - every path of both ports (REST spec 2.1, 2.2). */
#include "services/api/api.h"
#include "services/api/resources.h"

#define POOL HTTP_ON_POOL

#define ENTITY(path)                                                                               \
	{ "GET", "/v2/" path, POOL, entities_list }, { "POST", "/v2/" path, POOL, entities_post }, \
		{ "GET", "/v2/" path "/{name}", POOL, entities_get },                              \
		{ "PUT", "/v2/" path "/{name}", POOL, entities_put },                              \
		{ "DELETE", "/v2/" path "/{name}", POOL, entities_delete },                        \
		{ "GET", "/v2/" path "/{name}/{version}", POOL, entities_get },                    \
	{                                                                                          \
		"DELETE", "/v2/" path "/{name}/{version}", POOL, entities_delete                   \
	}

#define PLUGIN_TYPE(path)                                                                \
	{ "GET", "/v2/plugins/" path, POOL, entities_list },                             \
		{ "GET", "/v2/plugins/" path "/{name}", POOL, entities_get },            \
		{ "DELETE", "/v2/plugins/" path "/{name}", POOL, entities_delete },      \
	{                                                                                \
		"DELETE", "/v2/plugins/" path "/{name}/{version}", POOL, entities_delete \
	}

void status_ok(struct http_req *req, void *ctx LOOM_UNUSED)
{
	http_reply_text(req, 200, "OK\n");
}

const struct http_route external_routes[] = {
	SERVICE_ROUTES,
	{ "GET", "/status", HTTP_ON_LOOP, status_ok },
	ENTITY("providers"),
	ENTITY("hardwaretypes"),
	ENTITY("imagetypes"),
	ENTITY("services"),
	ENTITY("clustertemplates"),
	ENTITY("partialtemplates"),
	PLUGIN_TYPE("providertypes"),
	PLUGIN_TYPE("automatortypes"),
	{ "GET", "/v2/provisioners", POOL, provisioners_list_all },
	{ "GET", "/v2/provisioners/{id}", POOL, provisioners_get },
	{ "POST", "/v2/provisioners/{id}/release", POOL, provisioners_release },
	{ "GET", "/v2/callbacks", POOL, callbacks_list },
	{ "POST", "/v2/callbacks/{id}/replay", POOL, callbacks_replay },
	{ "DELETE", "/v2/callbacks/{id}", POOL, callbacks_delete },
	{ "GET", "/v2/callbacktargets", POOL, callback_targets_get },
	{ "GET", "/v2/callbacktargets/{name}", POOL, callback_targets_get },
	{ "PUT", "/v2/callbacktargets/{name}", POOL, callback_targets_put },
	{ "DELETE", "/v2/callbacktargets/{name}", POOL, callback_targets_delete },
	{ "POST", "/v2/resolve", POOL, resolve_post },
	{ "GET", "/v2/export", POOL, bulk_export },
	{ "POST", "/v2/import", POOL, bulk_import },
	{ "GET", "/v2/clusters", POOL, clusters_list },
	{ "POST", "/v2/clusters", POOL, clusters_create },
	{ "POST", "/v2/clusters/plan", POOL, clusters_plan },
	{ "GET", "/v2/clusters/events", POOL, events_tenant },
	{ "GET", "/v2/clusters/{id}", POOL, clusters_get },
	{ "POST", "/v2/clusters/{id}", POOL, clusters_lease },
	{ "DELETE", "/v2/clusters/{id}", POOL, clusters_delete },
	{ "GET", "/v2/clusters/{id}/status", POOL, clusters_status },
	{ "GET", "/v2/clusters/{id}/config", POOL, clusters_config },
	{ "GET", "/v2/clusters/{id}/services", POOL, clusters_services },
	{ "POST", "/v2/clusters/{id}/pause", POOL, clusters_control },
	{ "POST", "/v2/clusters/{id}/resume", POOL, clusters_control },
	{ "POST", "/v2/clusters/{id}/abort", POOL, clusters_control },
	{ "POST", "/v2/clusters/{id}/plan", POOL, clusters_change_plan },
	{ "PUT", "/v2/clusters/{id}/config", POOL, clusters_configure },
	{ "POST", "/v2/clusters/{id}/services", POOL, clusters_add_services },
	{ "POST", "/v2/clusters/{id}/services/start", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/services/stop", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/services/restart", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/services/{service}/start", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/services/{service}/stop", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/services/{service}/restart", POOL, clusters_named_operation },
	{ "DELETE", "/v2/clusters/{id}/services/{service}", POOL, clusters_remove_service },
	{ "POST", "/v2/clusters/{id}/expand", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/shrink", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/retry", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/rollback", POOL, clusters_named_operation },
	{ "POST", "/v2/clusters/{id}/clustertemplate/sync", POOL, clusters_sync_template },
	{ "GET", "/v2/clusters/{id}/why", POOL, clusters_why },
	{ "GET", "/v2/clusters/{id}/plans", POOL, plans_list },
	{ "GET", "/v2/clusters/{id}/plans/{job}", POOL, plans_get },
	{ "GET", "/v2/clusters/{id}/events", POOL, events_cluster },
	{ "GET", "/v2/tasks/{id}/log", POOL, logs_get },
	{ 0 },
};

const struct http_route internal_routes[] = {
	SERVICE_ROUTES,
	{ "POST", "/v2/tasks/take", POOL, tasks_take },
	{ "POST", "/v2/tasks/finish", POOL, tasks_finish },
	{ "POST", "/v2/tasks/{id}/log", POOL, logs_post },
	{ "PUT", "/v2/provisioners/{id}", POOL, provisioners_put },
	{ "DELETE", "/v2/provisioners/{id}", POOL, provisioners_delete },
	{ "POST", "/v2/provisioners/{id}/heartbeat", POOL, provisioners_heartbeat },
	{ "PUT", "/v2/plugins/providertypes/{name}", POOL, plugin_types_put },
	{ "PUT", "/v2/plugins/automatortypes/{name}", POOL, plugin_types_put },
	{ 0 },
};
