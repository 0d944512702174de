/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_fields - one table of a cluster's fields: options of create, columns of list, lines of
 * show. */
#ifndef LOOM_CLI_CLUSTER_FIELDS_H
#define LOOM_CLI_CLUSTER_FIELDS_H

#include "services/cli/args.h"

#include "common/json/json.h"

/* Options that change a configuration instead of replacing it. */
#define CONFIG_CHANGES(of)                                                                 \
	{ "merge", 0, "JSON|@FILE", "into " of ": what it says is set, null removes" },    \
		{ "set", 0, "PATH=TEXT",                                                   \
		  "one value in " of ", as web/port=81; PATH:=JSON for what is no text" }, \
	{                                                                                  \
		"unset", 0, "PATH", "remove one value of " of                              \
	}

extern const struct option cluster_create_options[], cluster_plan_options[];

struct cluster_field {
	const char *name; /* title of the column or line */
	const char *path; /* its path in a cluster's summary, or details */
	char *(*text)(const struct json *v, const char *path); /* owned; NULL: nothing to show */
};
/* Both end with a NULL name. */
extern const struct cluster_field cluster_columns[], cluster_lines[];

#endif
