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
static const struct collection images = { "imagetypes", "NAME|VERSION|DESCRIPTION",
	                                  "name|version|description" };

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
	{ "task log", "TASKID", 1, 1, "Print what a step wrote", log_options, task_log, NULL },
	COLLECTION("template", "cluster templates", &templates),
	COLLECTION("provider", "providers", &providers),
	COLLECTION("service", "services", &services),
	COLLECTION("hardware", "hardware types", &hardware),
	COLLECTION("image", "image types", &images),
	{ 0 },
};
