/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: shows its newest rows, and verifies it. */
#include "services/cli/commands.h"
#include "services/cli/table.h"

#include "common/base/clock.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
	const char *option, *query;
} filters[] = {
	{ "by", "user" },       { "of-tenant", "tenant" }, { "action", "action" },
	{ "object", "object" }, { "request", "request" },  { "outcome", "outcome" },
	{ "limit", "limit" },
};

static int add_time(const struct args *a, const char *option, const char *query, struct strs *to)
{
	const char *text = args_get(a, option);
	int64_t ms;
	if (!text)
		return CLI_OK;
	if (time_parse(text, &ms))
		return cli_fail(CLI_USAGE, "--%s is a time such as 2030-01-31T18:00Z, not '%s'",
		                option, text);
	strs_addf(to, "%s=%" PRId64, query, ms);
	return CLI_OK;
}

static void add_row(struct table *t, const struct json *v)
{
	char time[32];
	clock_format(json_get_int(v, "time", 0), time);
	table_addf(t, "%.19sZ", time);
	cells_add(t, v, "user|tenant|from|action|object");
	table_addf(t, "%s %" PRId64, cli_text(v, "outcome"), json_get_int(v, "status", 0));
	table_addf(t, "%" PRId64, json_get_int(v, "count", 1));
}

int audit_list(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(strs_fini) struct strs query = { 0 };
	LOOM_CLEANUP(json_free) struct json *rows = NULL;
	for (size_t i = 0; i < LOOM_COUNT(filters); i++) {
		const char *value = args_get(a, filters[i].option);
		LOOM_CLEANUP_STR char *quoted = value ? cli_quote(value) : NULL;
		if (quoted)
			strs_addf(&query, "%s=%s", filters[i].query, quoted);
	}
	int code = add_time(a, "since", "since", &query);
	if (!code)
		code = add_time(a, "until", "until", &query);
	if (code)
		return code;
	LOOM_CLEANUP_STR char *all = strs_join(&query, "&");
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/audit%s%s", *all ? "?" : "", all);
	code = cli_get(c, path, JSON_ARRAY, &rows);
	if (code || !rows)
		return code;
	struct table t;
	table_init(&t, "TIME|USER|TENANT|FROM|ACTION|OBJECT|OUTCOME|TIMES");
	for (size_t i = 0; i < json_len(rows); i++)
		add_row(&t, json_at(rows, i));
	table_print(&t, "");
	table_fini(&t);
	return CLI_OK;
}

/* Verifies part by part, each from the end of the one before. */
int audit_verify(struct cli *c, const struct args *a)
{
	const char *seq = args_get(a, "seq"), *hash = args_get(a, "hash");
	LOOM_CLEANUP_STR char *number = seq ? cli_quote(seq) : NULL;
	LOOM_CLEANUP_STR char *noted = hash ? cli_quote(hash) : NULL;
	LOOM_CLEANUP_STR char *path =
		seq && hash ? loom_asprintf("/v2/audit/verify?seq=%s&hash=%s", number, noted)
			    : loom_strdup("/v2/audit/verify");
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	int64_t rows = 0;
	if (!seq != !hash)
		return cli_fail(CLI_USAGE, "--seq and --hash belong together");
	bool more = true;
	while (more) {
		json_free(v);
		v = NULL;
		int code = cli_request_json(c, "GET", path, NULL, JSON_OBJECT, &v);
		if (code)
			return code;
		rows += json_get_int(v, "rows", 0);
		more = json_get_bool(v, "more", false) && json_get_bool(v, "intact", false);
		loom_free(path);
		path = loom_asprintf("/v2/audit/verify?from=true&seq=%" PRId64 "&hash=%s",
		                     json_get_int(v, "last", 0), cli_text(v, "hash"));
	}
	bool intact = json_get_bool(v, "intact", false);
	if (c->json)
		cli_print_json(v);
	else if (intact)
		printf("intact: %" PRId64 " rows, the last is %" PRId64 " %s\n", rows,
		       json_get_int(v, "last", 0), cli_text(v, "hash"));
	return intact ? CLI_OK
	              : cli_fail(CLI_FAILED, "broken at row %" PRId64 ": %s",
	                         json_get_int(v, "brokenAt", 0), cli_text(v, "reason"));
}
