/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_fields - the fields of a cluster, once: options of create, columns of list, lines of
 * show. */
#ifndef LOOM_CLI_CLUSTER_FIELDS_H
#define LOOM_CLI_CLUSTER_FIELDS_H

#include "services/cli/args.h"

#include "common/json/json.h"

/* As changes to a configuration, beside the whole of it. */
#define CONFIG_CHANGES(of)                                                                 \
	{ "merge", 0, "JSON|@FILE", "into " of ": what it says is set, null removes" },    \
		{ "set", 0, "PATH=TEXT",                                                   \
		  "one value in " of ", as web/port=81; PATH:=JSON for what is no text" }, \
	{                                                                                  \
		"unset", 0, "PATH", "remove one value of " of                              \
	}

extern const struct option cluster_create_options[], cluster_plan_options[];

struct cluster_field {
	const char *name; /* head of the column, or what the line begins with */
	const char *path; /* where it is in a cluster's summary, or details */
	char *(*text)(const struct json *v, const char *path); /* owned; NULL: nothing to show */
};
/* Both end with a NULL name. */
extern const struct cluster_field cluster_columns[], cluster_lines[];

#endif
