/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters that do not move, leases, and tasks by provisioner. */
#include "services/cli/commands.h"
#include "services/cli/hosts.h"
#include "services/cli/table.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- why ------------------------------------------------------------------------------------- */

int cluster_why(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *id = NULL;
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	int code = cli_find_cluster(c, a->positional[0], &id);
	if (code)
		return code;
	LOOM_CLEANUP_STR char *of_cluster = loom_asprintf("/v2/clusters/%s", id);
	LOOM_CLEANUP_STR char *path = loom_asprintf("%s/why", of_cluster);
	code = cli_get(c, path, JSON_OBJECT, &v);
	if (code || !v)
		return code;
	const struct json *tasks = json_get(v, "tasks");
	const char *status = json_get_str(v, "status"), *said = json_get_str(v, "reason");
	LOOM_CLEANUP(json_free) struct json *cluster = NULL;
	code = cli_request_json(c, "GET", of_cluster, NULL, JSON_OBJECT, &cluster);
	if (code)
		return code;
	LOOM_CLEANUP_STR char *reason =
		hosts_in_words(said ? said : "?", hosts_of_cluster, cluster);
	printf("%s: %s\n", status ? status : "?", reason);
	if (json_get_str(v, "note"))
		printf("Note: %s\n", json_get_str(v, "note"));
	struct table t;
	table_init(&t, "TASK|STATE|REASON");
	for (size_t i = 0; i < json_len(tasks); i++) {
		table_add(&t, json_get_str(json_at(tasks, i), "taskId"));
		table_add(&t, json_get_str(json_at(tasks, i), "state"));
		const char *why = json_get_str(json_at(tasks, i), "reason");
		LOOM_CLEANUP_STR char *words =
			hosts_in_words(why ? why : "-", hosts_of_cluster, cluster);
		table_add(&t, words);
	}
	if (table_rows(&t)) {
		putchar('\n');
		table_print(&t, "");
	}
	table_fini(&t);
	return CLI_OK;
}

/* ---- services -------------------------------------------------------------------------------- */

static void add_service(struct table *t, const struct json *nodes, const char *service)
{
	LOOM_CLEANUP(strs_fini) struct strs on = { 0 };
	for (size_t i = 0; i < json_len(nodes); i++) {
		const struct json *p = json_get(json_at(nodes, i), "properties");
		if (json_arr_has_str(json_get(p, "services"), service))
			strs_addf(&on, "%lld", (long long)json_get_int(p, "nodenum", 0));
	}
	LOOM_CLEANUP_STR char *list = on.n ? strs_join(&on, ",") : NULL;
	table_add(t, service);
	table_addf(t, "%zu", on.n);
	table_add(t, list);
}

int cluster_services(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	int code = cli_get_cluster(c, a->positional[0], &v);
	if (code)
		return code;
	const struct json *services = json_get(v, "services");
	if (c->json) {
		cli_print_json(services);
		return CLI_OK;
	}
	struct table t;
	table_init(&t, "SERVICE|MACHINES|NODES");
	for (size_t i = 0; i < json_len(services); i++) {
		if (json_str(json_at(services, i)))
			add_service(&t, json_get(v, "nodes"), json_str(json_at(services, i)));
	}
	table_print(&t, "");
	table_fini(&t);
	return CLI_OK;
}

/* ---- leases ---------------------------------------------------------------------------------- */

#define MS_LEAST 100000000000 /* in 1973 */

int time_parse(const char *s, int64_t *ret_ms)
{
	static const char *const formats[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
		                               "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d" };
	for (size_t i = 0; i < LOOM_COUNT(formats); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(s, formats[i], &tm);
		if (!end || (*end && !str_eq(end, "Z")))
			continue;
		int day = tm.tm_mday;
		*ret_ms = (int64_t)timegm(&tm) * 1000;
		return tm.tm_mday == day ? 0 : CLI_USAGE; /* a day that the month does not have */
	}
	return str_to_int(s, ret_ms) == 0 && *ret_ms >= MS_LEAST ? 0 : CLI_USAGE;
}

/* The new end: --until as given, --by counted from the present end. */
static int new_end(const struct args *a, int64_t present, int64_t *ret)
{
	const char *until = args_get(a, "until"), *by = args_get(a, "by");
	struct loom_err err;
	int64_t ms = 0;
	if (!until == !by)
		return cli_fail(CLI_USAGE, "give --until TIME or --by DURATION");
	if (until && time_parse(until, ret) != 0)
		return cli_fail(CLI_USAGE, "--until is a time such as 2030-01-31T18:00Z, not '%s'",
		                until);
	if (until)
		return CLI_OK;
	if (duration_option(a, "by", &ms, &err))
		return cli_fail(CLI_USAGE, "%s", err.msg);
	if (!ms || (present > 0 && ms > INT64_MAX - present))
		return cli_fail(CLI_USAGE, "--by is a time such as 2h or 7d, not '%s'", by);
	if (!present)
		return cli_fail(CLI_FAILED, "it never ends by itself; --until TIME makes it so");
	*ret = present + ms;
	return CLI_OK;
}

int cluster_extend(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL, *body = json_new_obj();
	int64_t end = 0;
	int code = cli_get_cluster(c, a->positional[0], &v);
	if (!code)
		code = new_end(a, json_get_int(v, "expireTime", 0), &end);
	if (code)
		return code;
	const char *id = json_get_str(v, "id");
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s", id);
	json_set_int(body, "expireTime", end);
	code = cli_request(c, "POST", path, body, NULL);
	if (code)
		return code;
	char text[32];
	clock_format(end, text);
	if (c->json)
		printf("{\"id\":\"%s\",\"expireTime\":%lld}\n", id, (long long)end);
	else
		printf("%s (%s) ends at %.19sZ\n", json_get_str(v, "name"), id, text);
	return CLI_OK;
}
