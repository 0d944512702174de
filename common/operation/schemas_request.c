/* SPDX-License-Identifier: Apache-2.0 */
/* Requests other than documents: clusters, operations, callback targets, provisioners. */
#include "common/operation/schemas.h"

#include "common/base/ids.h"
#include "common/base/str.h"

#include <string.h>

#define REQUIRED SCHEMA_REQUIRED
#define FILLED   SCHEMA_FILLED

/* clang-format off */
#define FIELDS(...) .fields = (const struct schema_field[]){ __VA_ARGS__, { 0 } }

/* ---- clusters -------------------------------------------------------------------------------- */

/* A name that looks like an id would be taken for one. */
static bool is_cluster_name(const struct json *v)
{
	int64_t id;
	return schema_is_name(v) && id_parse_cluster(json_str(v), &id);
}

static const char *const failures[] = { "keep", "rollback", NULL };
static const struct schema cluster_name = { .type = SCHEMA_STRING, .ok = is_cluster_name,
	.pattern = "^(?!\\.{1,2}$)(?![0-9]+$)[A-Za-z0-9_.-]{1,255}$",
	.must = "1 to 255 characters of A-Z a-z 0-9 _ . -, and not be taken for the id of a cluster" };
int64_t schema_machines_max = 1000000;
static const struct schema machines = { .type = SCHEMA_INTEGER, .min = 1, .max = 1000000,
	.limit = &schema_machines_max };
static const struct schema on_failure = { .type = SCHEMA_STRING, .words = failures };
static const struct schema labels = { .type = SCHEMA_MAP, .items = NULL };

#define CREATE_FIELDS \
	{ "name", &cluster_name, FILLED, NULL }, \
	{ "clusterTemplate", &schema_text, FILLED, "The name of a cluster template." }, \
	{ "numMachines", &machines, REQUIRED, NULL }, \
	{ "description", &schema_text, 0, NULL }, \
	{ "provider", &schema_text, 0, "The template's unless given." }, \
	{ "providerFields", &schema_map, 0, "What the type of the provider asks users for." }, \
	{ "services", &schema_names, 0, "The template's unless given." }, \
	{ "hardwaretype", &schema_text, 0, NULL }, \
	{ "imagetype", &schema_text, 0, NULL }, \
	{ "initialLeaseDuration", &schema_number, 0, \
	  "Milliseconds; 0 is forever, -1 as the template says." }, \
	{ "dnsSuffix", &schema_text, 0, NULL }, \
	{ "config", &schema_map, 0, "Instead of the template's." }, \
	{ "labels", &labels, 0, "Texts that clusters are found by." }, \
	{ "onFailure", &on_failure, 0, "What becomes of what a failed creation has made." }

const struct schema schema_create = { .type = SCHEMA_OBJECT, .name = "ClusterRequest",
	.doc = "A new cluster.", .must = "a JSON object with name, clusterTemplate and numMachines",
	FIELDS(CREATE_FIELDS) };

static const struct schema expire_time = { .type = SCHEMA_INTEGER,
	.min = -SCHEMA_LEASE_MAX, .max = SCHEMA_LEASE_MAX,
	.must = "a whole number: milliseconds since 1970, when the cluster is to end" };
const struct schema schema_expiry = { .type = SCHEMA_OBJECT, .name = "Expiry",
	FIELDS({ "expireTime", &expire_time, REQUIRED, NULL }) };

static const struct schema label_changes = { .type = SCHEMA_MAP,
	.must = "an object with what to set, as in {\"env\":\"test\",\"old\":null}; null removes a label" };
const struct schema schema_labels = { .type = SCHEMA_OBJECT, .name = "LabelChange",
	.must = "an object with labels: what to set, as in {\"labels\":{\"env\":\"test\",\"old\":null}}",
	FIELDS({ "labels", &label_changes, REQUIRED, NULL }) };

/* ---- operations ------------------------------------------------------------------------------ */

static const struct schema new_config = { .type = SCHEMA_MAP,
	.must = "an object, the whole new configuration" };
static const struct schema services = { .type = SCHEMA_ARRAY, .items = &schema_text, .max = SCHEMA_NAMES_MAX,
	.must = "an array of names" };
static const struct schema count = { .type = SCHEMA_INTEGER, .min = 1, .max = 1000000,
	.must = "a number of nodes, 1 to 1000000" };
static const struct schema nodes = { .type = SCHEMA_ARRAY, .items = &schema_number, .max = SCHEMA_NODES_MAX,
	.must = "an array of numbers of nodes" };
static const struct schema grow = { .type = SCHEMA_ARRAY, .items = &schema_text, .max = SCHEMA_NAMES_MAX,
	.must = "an array of names of services" };
static const struct schema skip = { .type = SCHEMA_ARRAY, .items = &schema_text, .max = SCHEMA_NODES_MAX,
	.must = "an array of task ids" };
static const struct schema tasks = { .type = SCHEMA_ARRAY, .items = &schema_text, .min = 1,
	.max = SCHEMA_NODES_MAX,
	.must = "an array of at least one task id" };

#define TOKEN { "token", &schema_text, 0, "Of a plan: do exactly that, or nothing (409)." }
/* All fields of operations; each operation uses those in its row. */
static const struct schema_field operation_fields[] = {
	{ "config", &new_config, 0, NULL },
	{ "restart", &schema_flag, 0, "Whether services are started again." },
	{ "services", &services, 0, NULL },
	{ "count", &count, 0, NULL },
	{ "nodes", &nodes, 0, NULL },
	{ "grow", &grow, 0, "Services of which there must be new instances." },
	{ "skip", &skip, 0, "Tasks that are left out." },
	{ "tasks", &tasks, 0, "The only ones that are done." },
	TOKEN,
};

const struct schema schema_plan = { .type = SCHEMA_OBJECT, .name = "OperationRequest",
	.must = "a JSON object with operation",
	FIELDS({ "operation", &schema_text, REQUIRED, "As GET /v2/operations names it." },
	       { "config", &new_config, 0, NULL },
	       { "restart", &schema_flag, 0, NULL },
	       { "services", &services, 0, NULL },
	       { "count", &count, 0, NULL },
	       { "nodes", &nodes, 0, NULL },
	       { "grow", &grow, 0, NULL },
	       { "skip", &skip, 0, NULL },
	       { "tasks", &tasks, 0, NULL }, TOKEN) };

/* ---- callback targets ------------------------------------------------------------------------ */

static const char *const events[] = { "start", "success", "failure", "lease_warning", "lease_expired",
				      NULL };
static const struct schema event = { .type = SCHEMA_STRING, .words = events };
static const struct schema event_list = { .type = SCHEMA_ARRAY, .items = &event, .min = 1, .max = 16 };
const struct schema schema_callback_target = { .type = SCHEMA_OBJECT, .name = "CallbackTarget",
	.must = "a JSON object with url and events",
	FIELDS({ "url", &schema_text, FILLED, "http:// or https://, without a user or password." },
	       { "events", &event_list, REQUIRED, NULL },
	       { "triggers", &schema_names, 0, NULL },
	       { "veto", &schema_flag, 0, "Whether its answer to start may stop a job." },
	       { "secret", &schema_secret, 0, "Signs the messages; never shown, kept unless given." }) };

/* ---- tenants --------------------------------------------------------------------------------- */

static const struct schema tenant = { .type = SCHEMA_OBJECT, .name = "Tenant",
	FIELDS({ "name", &schema_name, REQUIRED, NULL },
	       { "description", &schema_text, 0, NULL },
	       { "workers", &schema_whole, 0, "Wanted at provisioners of the original; 0 unless given." },
	       { "maxClusters", &schema_whole, 0, "No limit unless given." },
	       { "maxNodes", &schema_whole, 0, "No limit unless given." }) };
const struct schema schema_tenant = { .type = SCHEMA_OBJECT, .name = "TenantWrite",
	FIELDS({ "tenant", &tenant, REQUIRED, NULL },
	       { "bootstrap", &schema_flag, 0, "A new one begins with the documents of superadmin." }) };

/* ---- nodes ----------------------------------------------------------------------------------- */

/* The form of an id. */
static bool is_id(const struct json *v)
{
	return !str_padded(json_str(v));
}

#define ID { .type = SCHEMA_STRING, .min = 1, .max = 255, .ok = is_id, \
	.must = "a text of at most 255 bytes that does not end in a space" }
static const struct schema node_id = ID;
static const struct schema node_services = { .type = SCHEMA_ARRAY, .items = &schema_service };
static const struct schema node_actions = { .type = SCHEMA_ARRAY, .items = &schema_document };
const struct schema schema_node_record = { .type = SCHEMA_OBJECT, .name = "NodeRecord",
	.others = SCHEMA_OPEN, .doc = "What a client keeps in the form of a node.",
	FIELDS({ "id", &node_id, FILLED, NULL },
	       { "clusterId", &schema_text, FILLED, "Its number, as 00000012." },
	       { "services", &node_services, REQUIRED, NULL },
	       { "properties", &schema_map, 0, NULL },
	       { "actions", &node_actions, 0, NULL },
	       { "provisionerResults", &schema_map, 0, NULL }) };
const struct schema schema_node_properties = { .type = SCHEMA_OBJECT, .name = "NodePropertiesRequest",
	.others = SCHEMA_OPEN,
	FIELDS({ "clusterId", &schema_text, FILLED, NULL },
	       { "properties", &schema_names, 0, "All unless given." },
	       { "services", &schema_names, 0, "Only of nodes with all of them." }) };

/* ---- provisioners ---------------------------------------------------------------------------- */

static const struct schema id = ID;
static const struct schema port = { .type = SCHEMA_INTEGER, .max = 65535 };
static const struct schema capacity = { .type = SCHEMA_INTEGER, .min = 1, .max = 1000000 };
/* The server calls this host: a malformed one could change whom it calls, and with what path. */
static bool is_host(const struct json *v)
{
	const char *s = json_str(v);
	return (schema_is_name(v) && !strchr("-.", *s)) || str_is_address(s);
}

static const struct schema host = { .type = SCHEMA_STRING, .min = 1, .max = 255, .ok = is_host,
	.must = "a host name or an address" };
static const struct schema version = { .type = SCHEMA_STRING, .max = 64 };
static const struct schema place = { .type = SCHEMA_STRING, .max = 128 };
#define PLACE \
	{ "place", &place, 0, "Of the process: the same when it is started again, and another one's differs. " \
	                      "While it is heard no other place gets its id." }
static const struct schema workers = { .type = SCHEMA_INTEGER, .max = SCHEMA_WHOLE_MAX };
static const struct schema usage = { .type = SCHEMA_MAP, .items = &workers,
	.doc = "How many workers are busy, by the ids of tenants." };
const struct schema schema_provisioner = { .type = SCHEMA_OBJECT, .name = "ProvisionerRegistration",
	.others = SCHEMA_OPEN,
	FIELDS({ "id", &id, FILLED, "As in the path." },
	       { "host", &host, FILLED, "Its name or address." },
	       { "port", &port, REQUIRED, NULL },
	       { "capacityTotal", &capacity, REQUIRED, NULL },
	       { "version", &version, 0, "Of Loom, for who looks for one that was not upgraded." },
	       PLACE,
	       { "usage", &usage, 0, NULL }) };

/* Malformed entries are answered as lost, as in earlier versions. */
static const struct schema held_tasks = { .type = SCHEMA_ARRAY, .items = &schema_any, .max = 1024 };
const struct schema schema_heartbeat = { .type = SCHEMA_OBJECT, .name = "Heartbeat",
	.others = SCHEMA_OPEN,
	FIELDS({ "usage", &usage, REQUIRED, NULL },
	       PLACE,
	       { "tasks", &held_tasks, 0, "The tasks that it holds, to renew their leases." }) };

#define WORKER \
	{ "provisionerId", &id, FILLED, NULL }, { "workerId", &id, FILLED, NULL }, \
	{ "tenantId", &id, FILLED, NULL }
static const struct schema wait = { .type = SCHEMA_INTEGER, .max = 60 };
static const struct schema at_once = { .type = SCHEMA_INTEGER, .min = 1, .max = 64 };
const struct schema schema_take = { .type = SCHEMA_OBJECT, .name = "Take", .others = SCHEMA_OPEN,
	FIELDS(WORKER,
	       { "wait", &wait, 0, "Seconds to wait for a task." },
	       { "max", &at_once, 0, "How many tasks at most; given: they come as an array." },
	       { "lease", &schema_flag, 0, "Whether heartbeats renew the task." },
	       { "claim", &schema_flag, 0, "Whether a secret comes with the task." }) };
/* As messages between the services hold them. */
static const struct schema status = { .type = SCHEMA_INTEGER, .min = INT32_MIN, .max = INT32_MAX };
static const struct schema attempt_of = { .type = SCHEMA_INTEGER, .max = INT32_MAX };
static const struct schema next = { .type = SCHEMA_INTEGER, .max = 64 };
static const struct schema secret = { .type = SCHEMA_STRING, .max = 255 };
const struct schema schema_finish = { .type = SCHEMA_OBJECT, .name = "Result", .others = SCHEMA_OPEN,
	FIELDS(WORKER,
	       { "taskId", &schema_text, REQUIRED, NULL },
	       { "attempt", &attempt_of, 0, NULL },
	       { "claim", &secret, 0, "The secret that came with the task." },
	       { "status", &status, REQUIRED, "0 is success." },
	       { "retry", &schema_flag, 0, "false: the task is not to be tried again." },
	       { "lost", &schema_flag, 0, "The worker gave the task up." },
	       { "result", &schema_map, 0, NULL },
	       { "hostname", &schema_text, 0, NULL },
	       { "ipaddresses", &schema_strings, 0, NULL },
	       { "message", &schema_text, 0, NULL },
	       { "stdout", &schema_text, 0, NULL },
	       { "stderr", &schema_text, 0, NULL },
	       { "next", &next, 0, "How many tasks are asked for with it." },
	       { "lease", &schema_flag, 0, "Whether heartbeats renew those." }) };

static const struct schema legacy_worker = { .type = SCHEMA_STRING, .min = 1, .max = 200, .ok = is_id,
	.must = "a text of at most 200 bytes that does not end in a space" };
const struct schema schema_legacy_take = { .type = SCHEMA_OBJECT, .name = "TakeOf097",
	.others = SCHEMA_OPEN, FIELDS({ "workerId", &legacy_worker, FILLED, NULL }) };
const struct schema schema_legacy_finish = { .type = SCHEMA_OBJECT, .name = "ResultOf097",
	.others = SCHEMA_OPEN,
	FIELDS({ "workerId", &legacy_worker, FILLED, NULL },
	       { "taskId", &schema_text, REQUIRED, NULL },
	       { "status", &status, REQUIRED, "0 is success." },
	       { "result", &schema_map, 0, "With ipaddress and hostname of a new machine." },
	       { "stdout", &schema_text, 0, NULL },
	       { "stderr", &schema_text, 0, NULL }) };

static const struct schema attempt = { .type = SCHEMA_INTEGER, .min = 1, .max = SCHEMA_WHOLE_MAX };
const struct schema schema_log_piece = { .type = SCHEMA_OBJECT, .name = "LogPiece",
	.others = SCHEMA_OPEN,
	FIELDS({ "provisionerId", &schema_text, REQUIRED, NULL },
	       { "attempt", &attempt, REQUIRED, NULL },
	       { "offset", &schema_number, REQUIRED, NULL },
	       { "data", &schema_text, REQUIRED, NULL },
	       { "dropped", &schema_number, 0, NULL },
	       { "claim", &schema_text, 0, NULL }) };
/* clang-format on */

/* ---- made from the table of operations ------------------------------------------------------- */

static bool is_in_path(const char *path, const char *field)
{
	const struct operation_parameter *p = operation_parameter_in(path);
	return p && str_eq(p->field, field);
}

struct schema *schema_of_operation(const struct operation_kind *k, const char *path)
{
	struct schema_field *f = loom_calloc(LOOM_COUNT(operation_fields) + 1, sizeof(*f));
	size_t n = 0;
	for (size_t i = 0; i < LOOM_COUNT(operation_fields); i++) {
		const struct schema_field *of = &operation_fields[i];
		bool taken = str_eq(of->name, "token") || operation_kind_takes(k, of->name);
		if (!taken || is_in_path(path, of->name))
			continue;
		f[n] = *of;
		if (str_eq(k->needs, of->name))
			f[n].flags = SCHEMA_REQUIRED;
		n++;
	}
	struct schema *s = loom_calloc(1, sizeof(*s));
	*s = (struct schema){ .type = SCHEMA_OBJECT, .fields = f };
	return s;
}

void schema_of_operation_free(struct schema *s)
{
	if (!s)
		return;
	void *fields;
	memcpy(&fields, &s->fields, sizeof(fields));
	loom_free(fields);
	loom_free(s);
}
