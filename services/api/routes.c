/* SPDX-License-Identifier: Apache-2.0 */
/* routes - every path of both ports (REST spec 2.1, 2.2). */
#include "services/api/api.h"
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/operation/operation.h"

#define POOL  HTTP_ON_POOL
#define HEAVY HTTP_ON_POOL | HTTP_HEAVY

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

static const struct http_route routes[] = {
	SERVICE_ROUTES,
	{ "GET", "/status", HTTP_ON_LOOP | HTTP_HEALTH, status_ok },
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
	{ "GET", "/v2/export", HEAVY, bulk_export },
	{ "POST", "/v2/import", HEAVY, bulk_import },
	{ "GET", "/v2/operations", POOL, operations_list },
	{ "GET", "/v2/clusters", HEAVY, clusters_list },
	{ "POST", "/v2/clusters", POOL, clusters_create },
	{ "POST", "/v2/clusters/plan", POOL, clusters_plan },
	{ "GET", "/v2/clusters/events", POOL, events_tenant },
	{ "GET", "/v2/clusters/{id}", POOL, clusters_get },
	{ "POST", "/v2/clusters/{id}", POOL, clusters_expiry },
	{ "DELETE", "/v2/clusters/{id}", POOL, clusters_delete },
	{ "GET", "/v2/clusters/{id}/status", POOL, clusters_status },
	{ "GET", "/v2/clusters/{id}/config", POOL, clusters_config },
	{ "GET", "/v2/clusters/{id}/services", POOL, clusters_services },
	{ "PUT", "/v2/clusters/{id}/labels", POOL, clusters_labels },
	{ "POST", "/v2/clusters/{id}/pause", POOL, clusters_control },
	{ "POST", "/v2/clusters/{id}/resume", POOL, clusters_control },
	{ "POST", "/v2/clusters/{id}/abort", POOL, clusters_control },
	{ "POST", "/v2/clusters/{id}/plan", POOL, operations_plan },
	{ "GET", "/v2/clusters/{id}/why", POOL, clusters_why },
	{ "GET", "/v2/clusters/{id}/plans", POOL, plans_list },
	{ "GET", "/v2/clusters/{id}/plans/{job}", POOL, plans_get },
	{ "GET", "/v2/clusters/{id}/events", POOL, events_cluster },
	{ "GET", "/v2/clusters/{id}/snapshot", POOL, snapshots_get },
	{ "GET", "/v2/events", POOL, events_many },
	{ "GET", "/v2/tasks/{id}/log", POOL, logs_get },
	{ 0 },
};

/* ---- with those of the operations ------------------------------------------------------------ */

struct api_routes {
	struct http_route *v;
	struct strs patterns; /* of the operations */
};

static void add_operation(struct api_routes *r, size_t *n, const char *method, const char *path)
{
	if (!path)
		return;
	strs_addf(&r->patterns, "/v2/clusters/{id}/%s", path);
	r->v[(*n)++] = (struct http_route){ method, r->patterns.v[r->patterns.n - 1], POOL,
		                            operations_start };
}

struct api_routes *api_routes_create(void)
{
	struct api_routes *r = loom_calloc(1, sizeof(*r));
	size_t kinds = 0, n = 0;
	while (operation_kinds[kinds].name)
		kinds++;
	r->v = loom_calloc(LOOM_COUNT(routes) + 2 * kinds, sizeof(*r->v));
	for (; routes[n].method; n++)
		r->v[n] = routes[n];
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		add_operation(r, &n, k->method, k->path);
		add_operation(r, &n, k->method, k->one_path);
	}
	return r;
}

void api_routes_destroy(struct api_routes *r)
{
	if (!r)
		return;
	strs_fini(&r->patterns);
	loom_free(r->v);
	loom_free(r);
}

const struct http_route *api_routes_external(const struct api_routes *r)
{
	return r->v;
}

const struct http_route internal_routes[] = {
	SERVICE_ROUTES,
	{ "POST", "/v2/tasks/take", HTTP_ON_LOOP | HTTP_SMALL, tasks_take },
	{ "POST", "/v2/tasks/finish", HTTP_ON_LOOP, tasks_finish },
	{ "POST", "/v2/tasks/{id}/log", POOL, logs_post },
	{ "PUT", "/v2/provisioners/{id}", POOL, provisioners_put },
	{ "DELETE", "/v2/provisioners/{id}", POOL, provisioners_delete },
	{ "POST", "/v2/provisioners/{id}/heartbeat", POOL | HTTP_SMALL, provisioners_heartbeat },
	{ "PUT", "/v2/plugins/providertypes/{name}", POOL, plugin_types_put },
	{ "PUT", "/v2/plugins/automatortypes/{name}", POOL, plugin_types_put },
	{ 0 },
};
