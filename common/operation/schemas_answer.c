/* SPDX-License-Identifier: Apache-2.0 */
/* Answers, described for the interface's readers: named members are present unless they have no
 * value, and others may be added. */
#include "common/operation/schemas.h"

/* clang-format off */
#define FIELDS(...) .fields = (const struct schema_field[]){ __VA_ARGS__, { 0 } }
#define SHOWN(title, about) .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN, .name = title, .doc = about

static const char *const statuses[] = { "pending", "active", "incomplete", "inconsistent", "terminated",
					NULL };
static const char *const job_statuses[] = { "not_submitted", "running", "complete", "failed", "paused",
					    NULL };
static const struct schema status = { .type = SCHEMA_STRING, .words = statuses };
static const struct schema job_status = { .type = SCHEMA_STRING, .words = job_statuses };
static const struct schema brief = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "name", &schema_text, 0, NULL }, { "version", &schema_number, 0, NULL }) };
static const struct schema progress = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "action", &schema_text, 0, NULL },
	       { "actionstatus", &job_status, 0, NULL },
	       { "stepstotal", &schema_number, 0, NULL },
	       { "stepscompleted", &schema_number, 0, NULL }) };

const struct schema schema_created = { SHOWN("ClusterCreated", NULL),
	FIELDS({ "id", &schema_id, SCHEMA_REQUIRED, "Its id, as 00000012." }) };

#define CLUSTER \
	{ "id", &schema_id, SCHEMA_REQUIRED, NULL }, \
	{ "name", &schema_text, SCHEMA_REQUIRED, NULL }, \
	{ "description", &schema_text, 0, NULL }, \
	{ "createTime", &schema_time, SCHEMA_REQUIRED, NULL }, \
	{ "expireTime", &schema_time, 0, NULL }, \
	{ "status", &status, SCHEMA_REQUIRED, NULL }, \
	{ "labels", &schema_strings, 0, NULL }, \
	{ "services", &schema_names, 0, NULL }
static const struct schema summary = { SHOWN("ClusterSummary", NULL),
	FIELDS(CLUSTER,
	       { "ownerId", &schema_text, 0, NULL },
	       { "numNodes", &schema_number, 0, NULL },
	       { "provider", &brief, 0, NULL },
	       { "clusterTemplate", &brief, 0, NULL },
	       { "message", &schema_text, 0, NULL },
	       { "progress", &progress, 0, NULL }) };
const struct schema schema_cluster_summary = { .type = SCHEMA_ARRAY, .items = &summary };

static const struct schema node = { SHOWN("Node", NULL),
	FIELDS({ "id", &schema_id, SCHEMA_REQUIRED, NULL },
	       { "clusterId", &schema_id, 0, NULL },
	       { "properties", &schema_map, 0, NULL }) };
static const struct schema node_list = { .type = SCHEMA_ARRAY, .items = &node };
const struct schema schema_cluster = { SHOWN("Cluster", NULL),
	FIELDS(CLUSTER,
	       { "nodes", &node_list, 0, NULL },
	       { "provider", &schema_map, 0, NULL },
	       { "clusterTemplate", &schema_map, 0, NULL },
	       { "config", &schema_map, 0, NULL },
	       { "latestJobId", &schema_id, 0, NULL },
	       { "operations", &schema_names, 0, "What can be asked of it now." },
	       { "progress", &progress, 0, NULL },
	       { "message", &schema_text, 0, NULL },
	       { "why", &schema_text, 0, "What it waits for." },
	       { "lastEvent", &schema_number, 0, NULL }) };

const struct schema schema_status = { SHOWN("CurrentStatus", NULL),
	FIELDS({ "clusterid", &schema_id, 0, NULL },
	       { "status", &status, 0, NULL },
	       { "actionstatus", &job_status, 0, NULL },
	       { "stepstotal", &schema_number, 0, NULL },
	       { "stepscompleted", &schema_number, 0, NULL },
	       { "action", &schema_text, 0, NULL }) };

static const struct schema plan_task = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "id", &schema_id, 0, NULL },
	       { "taskName", &schema_text, 0, NULL },
	       { "nodeId", &schema_id, 0, NULL },
	       { "service", &schema_text, 0, NULL }) };
static const struct schema stage = { .type = SCHEMA_ARRAY, .items = &plan_task };
static const struct schema stages = { .type = SCHEMA_ARRAY, .items = &stage };
const struct schema schema_job = { SHOWN("Job", NULL),
	FIELDS({ "id", &schema_id, SCHEMA_REQUIRED, NULL },
	       { "clusterId", &schema_id, 0, NULL },
	       { "action", &schema_text, 0, NULL },
	       { "currentStage", &schema_number, 0, NULL },
	       { "stages", &stages, 0, NULL }) };

static const struct schema why_task = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "taskId", &schema_id, 0, NULL },
	       { "state", &schema_text, 0, NULL },
	       { "cause", &schema_text, 0, NULL },
	       { "reason", &schema_text, 0, NULL }) };
static const struct schema why_tasks = { .type = SCHEMA_ARRAY, .items = &why_task };
const struct schema schema_why = { SHOWN("Why", "What a cluster waits for."),
	FIELDS({ "status", &schema_text, 0, NULL },
	       { "cause", &schema_text, 0, NULL },
	       { "reason", &schema_text, 0, "One sentence." },
	       { "tasks", &why_tasks, 0, NULL }) };

static const struct schema event = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "seq", &schema_number, 0, NULL },
	       { "type", &schema_text, 0, NULL },
	       { "data", &schema_map, 0, NULL }) };
static const struct schema event_list = { .type = SCHEMA_ARRAY, .items = &event };
static const struct schema maps = { .type = SCHEMA_ARRAY, .items = &schema_map };
const struct schema schema_snapshot = { SHOWN("Snapshot", NULL),
	FIELDS({ "cluster", &schema_map, 0, NULL },
	       { "before", &event_list, 0, NULL },
	       { "recent", &event_list, 0, NULL },
	       { "tasks", &maps, 0, NULL }) };

const struct schema schema_tenant_shown = { SHOWN("TenantShown", NULL),
	FIELDS({ "name", &schema_text, SCHEMA_REQUIRED, NULL },
	       { "description", &schema_text, 0, NULL },
	       { "workers", &schema_whole, 0, NULL },
	       { "maxClusters", &schema_whole, 0, NULL },
	       { "maxNodes", &schema_whole, 0, NULL }) };

const struct schema schema_labels_answer = { SHOWN("Labels", NULL),
	FIELDS({ "labels", &schema_strings, SCHEMA_REQUIRED, NULL }) };

const struct schema schema_operation = { SHOWN("Operation", "What can be asked of a cluster."),
	FIELDS({ "name", &schema_text, SCHEMA_REQUIRED, NULL },
	       { "actions", &schema_names, 0, NULL },
	       { "from", &schema_names, 0, "In which statuses." },
	       { "needs", &schema_names, 0, "One of these fields must be given." },
	       { "fields", &schema_names, 0, NULL },
	       { "method", &schema_text, 0, NULL },
	       { "path", &schema_text, 0, NULL },
	       { "title", &schema_text, 0, NULL }) };
const struct schema schema_change = { SHOWN("Plan", "What would be done."),
	FIELDS({ "token", &schema_text, 0, "To do exactly this." }) };

const struct schema schema_provisioner_shown = { SHOWN("Provisioner", NULL),
	FIELDS({ "id", &schema_id, SCHEMA_REQUIRED, NULL },
	       { "host", &schema_text, 0, NULL },
	       { "port", &schema_number, 0, NULL },
	       { "capacityTotal", &schema_number, 0, NULL },
	       { "capacityFree", &schema_number, 0, NULL },
	       { "assignments", &schema_map, 0, "Workers by names of tenants." },
	       { "usage", &schema_map, 0, "Workers that are busy, likewise." },
	       { "quarantine", &schema_map, 0, NULL },
	       { "version", &schema_text, 0, "As it says." },
	       { "heartbeat", &schema_time, 0, NULL }) };

static const char *const levels[] = { "error", "warning", NULL };
static const struct schema level = { .type = SCHEMA_STRING, .words = levels };
static const struct schema finding = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "level", &level, SCHEMA_REQUIRED, NULL },
	       { "where", &schema_text, SCHEMA_REQUIRED, NULL },
	       { "what", &schema_text, SCHEMA_REQUIRED, "What is wrong, in one sentence." },
	       { "do", &schema_text, SCHEMA_REQUIRED, "What to do." }) };
static const struct schema findings = { .type = SCHEMA_ARRAY, .items = &finding };
const struct schema schema_findings = { SHOWN("Findings", NULL),
	FIELDS({ "findings", &findings, SCHEMA_REQUIRED, "Empty: all is well." }) };

const struct schema schema_callback = { SHOWN("Callback", "A message that a target has not taken yet."),
	FIELDS({ "id", &schema_number, SCHEMA_REQUIRED, NULL },
	       { "delivery", &schema_text, 0, "As its header says it." },
	       { "tenantId", &schema_text, 0, NULL },
	       { "clusterId", &schema_id, 0, NULL },
	       { "jobId", &schema_id, 0, NULL },
	       { "event", &schema_text, 0, NULL },
	       { "target", &schema_text, 0, NULL },
	       { "url", &schema_text, 0, NULL },
	       { "state", &schema_text, 0, NULL },
	       { "attempts", &schema_number, 0, NULL },
	       { "createTime", &schema_time, 0, NULL },
	       { "nextTime", &schema_time, 0, NULL },
	       { "lastTime", &schema_time, 0, NULL },
	       { "lastStatus", &schema_number, 0, NULL },
	       { "message", &schema_text, 0, NULL }) };
const struct schema schema_callback_target_shown = { SHOWN("CallbackTargetShown", NULL),
	FIELDS({ "name", &schema_text, SCHEMA_REQUIRED, NULL },
	       { "url", &schema_text, 0, NULL },
	       { "events", &schema_names, 0, NULL },
	       { "veto", &schema_flag, 0, NULL },
	       { "signed", &schema_flag, 0, NULL }) };

const struct schema schema_node_shown = { SHOWN("NodeShown", "With services by the names of the original's classes."),
	FIELDS({ "id", &schema_id, SCHEMA_REQUIRED, NULL },
	       { "clusterId", &schema_id, 0, NULL },
	       { "services", &maps, 0, NULL },
	       { "properties", &schema_map, 0, NULL },
	       { "actions", &maps, 0, NULL },
	       { "provisionerResults", &schema_map, 0, NULL }) };
static const struct schema queue = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "queued", &schema_number, 0, NULL },
	       { "inProgress", &schema_number, 0, NULL },
	       { "total", &schema_number, 0, NULL }) };
const struct schema schema_queues = { .type = SCHEMA_MAP, .items = &queue, .name = "Queues",
	.doc = "Tasks, by names of tenants." };
static const struct schema interval = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "time", &schema_number, 0, "Seconds since 1970: when it begins." },
	       { "value", &schema_number, 0, NULL }) };
static const struct schema interval_list = { .type = SCHEMA_ARRAY, .items = &interval };
const struct schema schema_node_usage = { SHOWN("NodeUsage", NULL),
	FIELDS({ "start", &schema_number, SCHEMA_REQUIRED, "Seconds since 1970." },
	       { "end", &schema_number, SCHEMA_REQUIRED, NULL },
	       { "data", &interval_list, SCHEMA_REQUIRED, NULL }) };

const struct schema schema_tasks = { SHOWN("Tasks", "What a worker is to do."),
	FIELDS({ "tasks", &maps, 0, NULL }, { "heldMs", &schema_number, 0, NULL }) };
const struct schema schema_leases = { SHOWN("Leases", NULL),
	FIELDS({ "leases", &maps, 0, NULL },
	       { "cancel", &maps, 0, NULL },
	       { "quarantine", &schema_text, 0, NULL }) };

static const struct schema fault = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN,
	FIELDS({ "pointer", &schema_text, SCHEMA_REQUIRED, "JSON pointer, as a fragment: #/numMachines." },
	       { "detail", &schema_text, SCHEMA_REQUIRED, NULL }) };
static const struct schema faults = { .type = SCHEMA_ARRAY, .items = &fault };
const struct schema schema_problem = { SHOWN("Problem", "RFC 9457."),
	FIELDS({ "type", &schema_text, SCHEMA_REQUIRED, NULL },
	       { "title", &schema_text, 0, NULL },
	       { "status", &schema_number, SCHEMA_REQUIRED, NULL },
	       { "detail", &schema_text, 0, NULL },
	       { "instance", &schema_text, 0, "The request's id, which the server's log has." },
	       { "errors", &faults, 0, "All that is wrong with the body." }) };

static const char *const import_results[] = { "created", "updated", "unchanged", "deleted", "refused", NULL };
static const struct schema import_result = { .type = SCHEMA_STRING, .words = import_results };
static const struct schema import_item = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN, .name = "ImportItem",
	FIELDS({ "kind", &schema_text, SCHEMA_REQUIRED, "clustertemplates, say." },
	       { "name", &schema_text, 0, "None: what is refused has none." },
	       { "result", &import_result, SCHEMA_REQUIRED, NULL },
	       { "pointer", &schema_text, 0, "What is refused, in the body: #/providers/0." },
	       { "detail", &schema_text, 0, "Why." }) };
static const struct schema import_items = { .type = SCHEMA_ARRAY, .items = &import_item };
const struct schema schema_import_report = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN, .name = "ImportReport",
	.doc = "With report or dry_run; else the answer has no content.",
	FIELDS({ "dryRun", &schema_flag, SCHEMA_REQUIRED, "Nothing was changed." },
	       { "created", &schema_whole, SCHEMA_REQUIRED, "So many documents." },
	       { "updated", &schema_whole, SCHEMA_REQUIRED, NULL },
	       { "unchanged", &schema_whole, SCHEMA_REQUIRED, NULL },
	       { "deleted", &schema_whole, SCHEMA_REQUIRED, NULL },
	       { "refused", &schema_whole, SCHEMA_REQUIRED, "Of a dry run; else nothing is imported." },
	       { "items", &import_items, SCHEMA_REQUIRED, "One for each document." }) };
/* clang-format on */
