/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/commands.h"

#define LAYOUT_OPTIONS                                                                          \
	{ "template", 't', "T", "cluster template (needed)" },                                  \
		{ "size", 'n', "N", "number of machines (needed)" },                            \
		{ "provider", 0, "P", "provider of the machines, else the template's" },        \
		{ "services", 0, "A,B", "services, else the template's" },                      \
		{ "hardware", 0, "H", "hardware type of all machines, else the template's" },   \
		{ "image", 0, "I", "image type of all machines, else the template's" },         \
		{ "config", 0, "JSON|@FILE",                                                    \
		  "configuration, instead of the template's (@-: stdin)" },                     \
		{ "provider-fields", 0, "JSON|@FILE", "what the provider asks its users for" }, \
	{                                                                                       \
		"dns-suffix", 0, "NAME", "domain of the machines' names"                        \
	}

static const struct option create_options[] = {
	LAYOUT_OPTIONS,
	{ "lease", 0, "TIME", "end of its life after 12h, 7d ...; 0: never; else the template's" },
	{ "description", 0, "TEXT", "a line for people" },
	{ "on-failure", 0, "keep|rollback",
	  "what becomes of its machines when it cannot be finished, else keep" },
	{ "wait", 'w', NULL, "watch until it is active" },
	{ 0 },
};
static const struct option plan_options[] = { LAYOUT_OPTIONS, { 0 } };
static const struct option list_options[] = {
	{ "all", 'a', NULL, "the terminated ones too" },
	{ "status", 0, "A,B", "only these: pending active incomplete inconsistent terminated" },
	{ 0 },
};
static const struct option delete_options[] = {
	{ "yes", 'y', NULL, "do not ask" },
	{ "provider-fields", 0, "JSON|@FILE", "what the provider asks its users for" },
	{ "wait", 'w', NULL, "watch until it is terminated" },
	{ 0 },
};
static const struct option log_options[] = {
	{ "follow", 'f', NULL, "go on until the attempt has ended" },
	{ "attempt", 0, "N", "which attempt, else the last" },
	{ "tail", 0, "BYTES", "only the end of what there is" },
	{ 0 },
};

#define PLAN_OPTIONS                                                                              \
	{ "plan", 0, NULL, "only show what would be done" },                                      \
		{ "token", 0, "T", "do exactly what --plan showed with this token, or nothing" }, \
	{                                                                                         \
		"wait", 'w', NULL, "watch until it is done"                                       \
	}

static const struct option operation_options[] = { PLAN_OPTIONS, { 0 } };
static const struct option configure_options[] = {
	{ "config", 0, "JSON|@FILE", "the whole new configuration (@-: stdin; needed)" },
	{ "no-restart", 0, NULL, "configure only: leave running services as they are" },
	PLAN_OPTIONS,
	{ 0 },
};
static const struct option expand_options[] = {
	{ "count", 'n', "N", "how many machines to add (needed)" },
	PLAN_OPTIONS,
	{ 0 },
};
static const struct option shrink_options[] = {
	{ "count", 'n', "N", "how many machines to remove" },
	{ "nodes", 0, "1002,1003", "which machines to remove" },
	PLAN_OPTIONS,
	{ 0 },
};
static const struct option retry_options[] = {
	{ "skip", 0, "TASK,TASK", "ids of tasks to leave out, as in 'cluster show -o json'" },
	{ "only", 0, "TASK,TASK", "ids of tasks to do, and what they need; the rest stays failed" },
	PLAN_OPTIONS,
	{ 0 },
};
static const struct option wait_options[] = {
	{ "wait", 'w', NULL, "watch until the cluster is at rest" },
	{ 0 },
};
static const struct option callback_options[] = {
	{ "dead", 0, NULL, "only those that are not tried any more" },
	{ 0 },
};
static const struct option target_options[] = {
	{ "events", 0, "A,B", "of start success failure lease_warning lease_expired (needed)" },
	{ "triggers", 0, "A,B", "only of these operations, as cluster_create; else of all" },
	{ "veto", 0, NULL, "ask it before a job starts; it may refuse" },
	{ "secret-file", 0, "FILE", "sign with what FILE holds (-: stdin); else as before" },
	{ "no-secret", 0, NULL, "do not sign any more" },
	{ 0 },
};
static const struct option extend_options[] = {
	{ "until", 0, "TIME", "the end: 2030-01-31T18:00Z, in UTC" },
	{ "by", 0, "DURATION", "from its present end: 2h, 7d" },
	{ 0 },
};

static const struct operation configure = { "configure", "PUT", "config", OPERATION_CONFIG, true };
static const struct operation add_services = { "add_services", "POST", "services",
	                                       OPERATION_SERVICES, true };
static const struct operation remove_service = { "remove_services", "DELETE", "services",
	                                         OPERATION_SERVICES, true };
static const struct operation start = { "start", "POST", "services/start", OPERATION_SERVICES,
	                                true };
static const struct operation stop = { "stop", "POST", "services/stop", OPERATION_SERVICES, true };
static const struct operation restart = { "restart", "POST", "services/restart", OPERATION_SERVICES,
	                                  true };
static const struct operation expand = { "expand", "POST", "expand", OPERATION_COUNT, true };
static const struct operation shrink = { "shrink", "POST", "shrink", OPERATION_COUNT, true };
static const struct operation sync_template = { "sync", "POST", "clustertemplate/sync",
	                                        OPERATION_NOTHING, false };
static const struct operation rollback = { "rollback", "POST", "rollback", OPERATION_NOTHING,
	                                   true };
static const struct operation retry = { "retry", "POST", "retry", OPERATION_TASKS, true };

static const struct collection templates = {
	"clustertemplates", "NAME|VERSION|PROVIDER|SERVICES|DESCRIPTION",
	"name|version|defaults/provider|defaults/services|description"
};
static const struct collection providers = { "providers", "NAME|VERSION|TYPE|DESCRIPTION",
	                                     "name|version|providertype|description" };
static const struct collection services = {
	"services", "NAME|VERSION|REQUIRES|DESCRIPTION",
	"name|version|dependencies/runtime/requires|description"
};
static const struct collection hardware = { "hardwaretypes", "NAME|VERSION|DESCRIPTION",
	                                    "name|version|description" };
static const struct collection callback_targets = { "callbacktargets", "NAME|URL|EVENTS|TRIGGERS",
	                                            "name|url|events|triggers" };
static const struct collection provisioners = {
	"provisioners", "ID|HOST|SLOTS|FREE|IN QUARANTINE BECAUSE",
	"id|host|capacityTotal|capacityFree|quarantine/reason"
};
static const struct collection images = { "imagetypes", "NAME|VERSION|DESCRIPTION",
	                                  "name|version|description" };

#define OPERATION(word, args, min, max, what, options, op)                               \
	{                                                                                \
		"cluster " word, args, min, max, what, options, cluster_operation, &(op) \
	}

#define COLLECTION(word, what, data)                                                             \
	{ word " list", "", 0, 0, "List the " what, NULL, collection_list, data },               \
	{                                                                                        \
		word " show", "NAME", 1, 1, "Show one of the " what, NULL, collection_show, data \
	}

const struct command commands[] = {
	{ "status", "", 0, 0, "Show whether Loom is up, and what it has", NULL, status_show, NULL },
	{ "cluster create", "NAME", 1, 1, "Create a cluster and print its id", create_options,
	  cluster_create, NULL },
	{ "cluster list", "", 0, 0, "List the clusters", list_options, cluster_list, NULL },
	{ "cluster show", "ID|NAME", 1, 1, "Show a cluster and its machines", NULL, cluster_show,
	  NULL },
	{ "cluster watch", "ID|NAME", 1, 1, "Watch what happens to a cluster until it is at rest",
	  NULL, cluster_watch, NULL },
	{ "cluster delete", "ID|NAME", 1, 1, "Delete a cluster and its machines", delete_options,
	  cluster_delete, NULL },
	{ "cluster plan", "[NAME]", 0, 1, "Show what a create would make, without making it",
	  plan_options, cluster_plan, NULL },
	{ "cluster why", "ID|NAME", 1, 1, "Show what a cluster waits for", NULL, cluster_why,
	  NULL },
	{ "cluster services", "ID|NAME", 1, 1, "List the services of a cluster", NULL,
	  cluster_services, NULL },
	OPERATION("add-services", "ID|NAME A,B", 2, 2, "Add services to a cluster",
	          operation_options, add_services),
	OPERATION("remove-service", "ID|NAME SERVICE", 2, 2, "Remove a service from a cluster",
	          operation_options, remove_service),
	OPERATION("start", "ID|NAME [SERVICE]", 1, 2, "Start a service, or all, and what it needs",
	          operation_options, start),
	OPERATION("stop", "ID|NAME [SERVICE]", 1, 2, "Stop a service, or all, and what needs it",
	          operation_options, stop),
	OPERATION("restart", "ID|NAME [SERVICE]", 1, 2, "Restart a service, or all",
	          operation_options, restart),
	OPERATION("configure", "ID|NAME", 1, 1, "Give a cluster a new configuration",
	          configure_options, configure),
	OPERATION("expand", "ID|NAME", 1, 1, "Add machines to a cluster", expand_options, expand),
	OPERATION("shrink", "ID|NAME", 1, 1, "Remove machines from a cluster", shrink_options,
	          shrink),
	OPERATION("sync", "ID|NAME", 1, 1, "Take over the newest version of its template",
	          operation_options, sync_template),
	OPERATION("retry", "ID|NAME", 1, 1, "Do again what is left of a failed job", retry_options,
	          retry),
	OPERATION("rollback", "ID|NAME", 1, 1, "Take back what a failed or aborted job has done",
	          operation_options, rollback),
	{ "cluster pause", "ID|NAME", 1, 1, "Hold a job back: nothing further is begun", NULL,
	  cluster_control, "pause" },
	{ "cluster resume", "ID|NAME", 1, 1, "Go on with a paused job", wait_options,
	  cluster_control, "resume" },
	{ "cluster abort", "ID|NAME", 1, 1, "End a job; an aborted create is taken back",
	  wait_options, cluster_control, "abort" },
	{ "cluster extend", "ID|NAME", 1, 1, "Move the end of a cluster's lease", extend_options,
	  cluster_extend, NULL },
	{ "task log", "TASKID", 1, 1, "Print what a step wrote", log_options, task_log, NULL },
	COLLECTION("template", "cluster templates", &templates),
	COLLECTION("provider", "providers", &providers),
	COLLECTION("service", "services", &services),
	COLLECTION("hardware", "hardware types", &hardware),
	COLLECTION("image", "image types", &images),
	COLLECTION("provisioner", "provisioners and what is held against them", &provisioners),
	{ "provisioner release", "ID", 1, 1, "Trust a provisioner in quarantine again", NULL,
	  provisioner_release, NULL },
	COLLECTION("callback-target", "targets that are told of all clusters of the tenant",
	           &callback_targets),
	{ "callback-target set", "NAME URL", 2, 2, "Tell a target of all clusters of the tenant",
	  target_options, callback_target_set, NULL },
	{ "callback-target delete", "NAME", 1, 1, "Tell a target nothing any more", NULL,
	  callback_target_delete, NULL },
	{ "callback list", "", 0, 0, "List what targets have not been told yet", callback_options,
	  callback_list, NULL },
	{ "callback replay", "ID", 1, 1, "Tell a target again, from its first try", NULL,
	  callback_change, "POST" },
	{ "callback delete", "ID", 1, 1, "Do not tell it", NULL, callback_change, "DELETE" },
	{ 0 },
};
