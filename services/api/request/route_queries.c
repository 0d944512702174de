/* SPDX-License-Identifier: Apache-2.0 */
/* route_queries - the query parameters of each path. */
#include "services/api/request/route.h"

/* clang-format off */
const struct schema query_fills = { .type = SCHEMA_BOOLEAN };
static const struct schema event_number = { .type = SCHEMA_INTEGER, .max = INT64_MAX };
static const struct schema several_texts = { .type = SCHEMA_ARRAY, .items = &schema_text };
static const char *const cluster_orders[] = { "-createTime", "createTime", "name", "-name", NULL };
static const struct schema cluster_sort = { .type = SCHEMA_STRING, .words = cluster_orders };
static const struct schema list_limit = { .type = SCHEMA_INTEGER, .min = 1, .max = 1000 };
static const struct schema callback_limit = { .type = SCHEMA_INTEGER, .min = 1, .max = 2000 };
static const char *const callback_states[] = { "waiting", "dead", NULL };
static const struct schema callback_state = { .type = SCHEMA_STRING, .words = callback_states };
static const char *const audit_outcomes[] = { "done", "refused", NULL };
static const struct schema audit_outcome = { .type = SCHEMA_STRING, .words = audit_outcomes };
static const char *const usage_groups[] = { "hour", "day", "week", "month", "year", NULL };
static const struct schema usage_group = { .type = SCHEMA_STRING, .words = usage_groups };
static const char *const usage_units[] = { "nanoseconds", "microseconds", "milliseconds", "seconds", "minutes", "hours", "days", NULL };
static const struct schema usage_unit = { .type = SCHEMA_STRING, .words = usage_units };
static const struct schema attempt = { .type = SCHEMA_INTEGER, .min = 1, .max = SCHEMA_WHOLE_MAX };

#define RESOURCE_STATUS "Only those that are so; in any case of letters."
static const char *const resource_statuses[] = { "inactive", "staged", "active", "recalled", NULL };
static const struct schema resource_status = { .type = SCHEMA_STRING, .words = resource_statuses, .any_case = true };

#define INDEX "Wait until there is something newer than this X-Loom-Index."
#define LIST_INDEX "Wait until the number of what the caller sees is another one than this X-Loom-Index; 0: do not wait."
#define WAIT  "For how long, as 30s, which is also the default; at most 50s."
static const char *const name_orders[] = { "name", "-name", NULL };
static const struct schema name_sort = { .type = SCHEMA_STRING, .words = name_orders };
static const char *const user_orders[] = { "user", "-user", NULL };
static const struct schema user_sort = { .type = SCHEMA_STRING, .words = user_orders };
static const char *const version_orders[] = { "version", "-version", NULL };
static const struct schema version_sort = { .type = SCHEMA_STRING, .words = version_orders };
static const char *const id_orders[] = { "id", "-id", NULL };
static const struct schema id_sort = { .type = SCHEMA_STRING, .words = id_orders };
/* Parameters of every list. */
#define PARTS(path, sort) \
	{ path, "sort", &sort, "The order; a minus turns it." }, \
	{ path, "fields", &schema_text, "Only these members of each, separated by commas." }, \
	{ path, "limit", &list_limit, "The most on a page; the header Link leads to the next." }, \
	{ path, "after", &schema_text, "Where the page before has ended, as Link says it." }
#define HELD(path) \
	{ path, "index", &event_number, LIST_INDEX }, \
	{ path, "wait", &schema_text, WAIT }
#define SEARCH(path) { path, "q", &schema_text, "Only where a name or description has this text, in any case." }
#define FILES_OF_TYPE "/{name}/{part}"
#define FILES_OF_NAME "/{plugin}/{type}/{name}"
/* The first is an object, of whose members none can be chosen. */
#define FILES(kind) \
	{ "/v2/plugins/" kind FILES_OF_TYPE, "status", &resource_status, RESOURCE_STATUS }, \
	{ "/v2/plugins/" kind FILES_OF_TYPE, "sort", &name_sort, "The order; a minus turns it." }, \
	{ "/v2/plugins/" kind FILES_OF_TYPE, "limit", &list_limit, "The most names on a page; the header Link leads to the next." }, \
	{ "/v2/plugins/" kind FILES_OF_TYPE, "after", &schema_text, "Where the page before has ended, as Link says it." }, \
	HELD("/v2/plugins/" kind FILES_OF_TYPE), \
	{ "/v2/plugins/" kind FILES_OF_NAME, "status", &resource_status, RESOURCE_STATUS }, \
	PARTS("/v2/plugins/" kind FILES_OF_NAME, version_sort), \
	HELD("/v2/plugins/" kind FILES_OF_NAME)

const struct route_query route_queries[] = {
	PARTS("/v2/providers", name_sort),
	SEARCH("/v2/providers"),
	HELD("/v2/providers"),
	{ "/v2/providers", "providertype", &schema_text, "Only of this type." },
	PARTS("/v2/hardwaretypes", name_sort),
	SEARCH("/v2/hardwaretypes"),
	HELD("/v2/hardwaretypes"),
	PARTS("/v2/imagetypes", name_sort),
	SEARCH("/v2/imagetypes"),
	HELD("/v2/imagetypes"),
	PARTS("/v2/services", name_sort),
	SEARCH("/v2/services"),
	HELD("/v2/services"),
	PARTS("/v2/clustertemplates", name_sort),
	SEARCH("/v2/clustertemplates"),
	HELD("/v2/clustertemplates"),
	PARTS("/v2/partialtemplates", name_sort),
	SEARCH("/v2/partialtemplates"),
	HELD("/v2/partialtemplates"),
	{ "/v2/partialtemplates", "immutable", &schema_flag, NULL },
	PARTS("/v2/plugins/providertypes", name_sort),
	SEARCH("/v2/plugins/providertypes"),
	HELD("/v2/plugins/providertypes"),
	PARTS("/v2/plugins/automatortypes", name_sort),
	SEARCH("/v2/plugins/automatortypes"),
	HELD("/v2/plugins/automatortypes"),
	PARTS("/v2/users", name_sort),
	SEARCH("/v2/users"),
	HELD("/v2/users"),
	{ "/v2/users", "role", &schema_text, "Only of this role." },
	PARTS("/v2/roles", name_sort),
	SEARCH("/v2/roles"),
	HELD("/v2/roles"),
	{ "/v2/roles", "base", &schema_text, "Only with this base." },
	PARTS("/v2/tokens", user_sort),
	SEARCH("/v2/tokens"),
	HELD("/v2/tokens"),
	{ "/v2/tokens", "user", &schema_text, "Only this user's; for administrators." },
	{ "/v2/tokens", "kind", &schema_text, "Only of this kind." },
	PARTS("/v2/tenants", name_sort),
	SEARCH("/v2/tenants"),
	HELD("/v2/tenants"),
	PARTS("/v2/callbacktargets", name_sort),
	SEARCH("/v2/callbacktargets"),
	HELD("/v2/callbacktargets"),
	PARTS("/v2/provisioners", id_sort),
	SEARCH("/v2/provisioners"),
	HELD("/v2/provisioners"),
	{ "/v2/provisioners", "host", &schema_text, "Only at this host." },
	PARTS("/v2/clusters/{id}/plans", id_sort),
	{ "/v2/clusters/{id}/plans", "index", &event_number, INDEX },
	{ "/v2/clusters/{id}/plans", "wait", &schema_text, WAIT },
	{ "/v2/clusters/{id}/plans", "action", &schema_text, "Only jobs of this action." },
	{ "/v2/audit", "tenant", &schema_text, "Of this one; for those of the tenant superadmin, who see all." },
	{ "/v2/audit", "user", &schema_text, "Who." },
	{ "/v2/audit", "action", &schema_text, "What, or how it begins: DELETE, or PUT /v2/providers/{name}" },
	{ "/v2/audit", "object", &schema_text, "On what: providers/lab, clusters/00000012" },
	{ "/v2/audit", "request", &schema_text, "Of the request with this id." },
	{ "/v2/audit", "outcome", &audit_outcome, NULL },
	{ "/v2/audit", "since", &event_number, "Milliseconds since 1970." },
	{ "/v2/audit", "until", &event_number, "Before this." },
	{ "/v2/audit", "limit", &list_limit, "100 unless given; the header Link leads to the next." },
	{ "/v2/audit", "after", &schema_text, "Where the page before has ended, as Link says it." },
	HELD("/v2/audit"),
	{ "/v2/audit/verify", "seq", &event_number, "A row of which somebody has noted the hash." },
	{ "/v2/audit/verify", "hash", &schema_text, "That hash." },
	{ "/v2/audit/verify", "from", &schema_flag, "Check only the rows after that one." },
	{ "/v2/clusters", "status", &schema_text, "Only these statuses, separated by commas." },
	{ "/v2/clusters", "label", &several_texts, "Only with this label, as key=value; may be repeated." },
	{ "/v2/clusters", "name", &schema_text, "Only of this name." },
	{ "/v2/clusters", "q", &schema_name, "Only names that begin with this; in the order of names." },
	{ "/v2/clusters", "template", &schema_text, "Only of the template of this name." },
	{ "/v2/clusters", "provider", &schema_text, "Only at the provider of this name." },
	{ "/v2/clusters", "owner", &schema_text, "Only this user's." },
	{ "/v2/clusters", "sort", &cluster_sort, "The order; a minus turns it. -createTime unless given." },
	{ "/v2/clusters", "fields", &schema_text, "Only these members of each, separated by commas." },
	{ "/v2/clusters", "limit", &list_limit, "The most on a page; the header Link leads to the next." },
	{ "/v2/clusters", "after", &schema_text, "Where the page before has ended, as Link says it." },
	HELD("/v2/clusters"),
	{ "/v2/clusters/{id}", "index", &event_number, INDEX },
	{ "/v2/clusters/{id}", "wait", &schema_text, WAIT },
	{ "/v2/clusters/{id}/status", "index", &event_number, INDEX },
	{ "/v2/clusters/{id}/status", "wait", &schema_text, WAIT },
	{ "/v2/clusters/{id}/events", "after", &event_number, "Only later ones." },
	{ "/v2/clusters/{id}/snapshot", "plans", &schema_text, "\"brief\": without what plans say of each task." },
	{ "/v2/events", "cluster", &several_texts,
	  "A cluster's id, a colon, and the number of the event seen last; may be repeated." },
	{ "/v2/events", "clusters", &schema_flag, "Summaries of all clusters, too." },
	{ "POST /v2/import", "dry_run", &query_fills, "Change nothing, and answer a report of what would be done." },
	{ "POST /v2/import", "report", &query_fills, "Answer a report of what was done, as clients want that read an answer by its schema." },
	{ "/v2/nodes", "fields", &schema_text, "Only these members of each, separated by commas." },
	HELD("/v2/nodes"),
	{ "/v2/nodes", "limit", &list_limit, "At most so many; the header Link leads to the next." },
	{ "/v2/nodes", "after", &schema_text, "Where the page before has ended, as Link says it." },
	{ "/v2/metrics/nodes/usage", "tenant", &schema_text,
	  "The id of a tenant; superadmins are shown all unless given." },
	{ "/v2/metrics/nodes/usage", "user", &schema_text, "Only in clusters of this user." },
	{ "/v2/metrics/nodes/usage", "cluster", &schema_text, "Only in this cluster." },
	{ "/v2/metrics/nodes/usage", "clustertemplate", &schema_text, "Only in clusters of this template." },
	{ "/v2/metrics/nodes/usage", "start", &event_number, "Seconds since 1970." },
	{ "/v2/metrics/nodes/usage", "end", &event_number, "Seconds since 1970." },
	{ "/v2/metrics/nodes/usage", "groupby", &usage_group, "One sum unless given." },
	{ "/v2/metrics/nodes/usage", "timeunit", &usage_unit, "Of the values; seconds unless given." },
	FILES("providertypes"),
	FILES("automatortypes"),
	{ "/v2/callbacks", "state", &callback_state, NULL },
	{ "/v2/callbacks", "sort", &id_sort, "The order; a minus turns it. -id unless given." },
	{ "/v2/callbacks", "fields", &schema_text, "Only these members of each, separated by commas." },
	{ "/v2/callbacks", "limit", &callback_limit, "200 unless given; the header Link leads to the next." },
	{ "/v2/callbacks", "after", &schema_text, "Where the page before has ended, as Link says it." },
	HELD("/v2/callbacks"),
	{ "/v2/tasks/{id}/log", "attempt", &attempt, "The newest unless given." },
	{ "/v2/tasks/{id}/log", "tail", &schema_whole, "Only this many bytes at the end." },
	{ "/v2/tasks/{id}/log", "follow", &schema_flag, "Wait for what comes, until the attempt ends." },
	{ 0 },
};
/* clang-format on */
