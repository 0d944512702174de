/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on a cluster that exists: planned first, shown, and done exactly as shown. */
#include "services/cli/commands.h"
#include "services/cli/plan_diff.h"
#include "services/cli/watch.h"

#include <stdio.h>
#include <string.h>

#define SHORT_MAX 10 /* lines of a kind in a plan that is about to be done */
#define PLAN_MAX  ((size_t)16 << 20)

/* ---- what is asked for ----------------------------------------------------------------------- */

static int read_config(const struct args *a, struct json *body, struct loom_err *err)
{
	struct json *config = NULL;
	if (!args_has(a, "config"))
		return err_set(err, CLI_USAGE,
		               "--config JSON|@FILE is needed: the whole new configuration");
	int r = json_option(a, "config", &config, err);
	json_set(body, "config", config);
	if (args_has(a, "no-restart"))
		json_set_bool(body, "restart", false);
	return r;
}

static int read_services(const struct args *a, struct json *body, struct loom_err *err)
{
	struct json *names = a->n > 1 ? split_names(a->positional[1]) : NULL;
	if (names && !json_len(names)) {
		json_free(names);
		return err_set(err, CLI_USAGE, "'%s' names no service", a->positional[1]);
	}
	const struct operation *op = a->command->data;
	if (str_eq(op->method, "DELETE") && json_len(names) > 1) {
		json_free(names);
		return err_set(err, CLI_USAGE, "loom %s takes one service at a time",
		               a->command->words);
	}
	json_set(body, "services", names);
	return 0;
}

static int read_nodes(const char *list, struct json *body, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *words = split_names(list);
	struct json *nodes = json_new_arr();
	json_set(body, "nodes", nodes);
	for (size_t i = 0; i < json_len(words); i++) {
		int64_t n;
		if (!json_int(json_at(words, i), &n))
			return err_set(err, CLI_USAGE,
			               "--nodes takes numbers of machines, not '%s'",
			               json_str(json_at(words, i)));
		json_push(nodes, json_new_int(n));
	}
	return json_len(nodes) ? 0 : err_set(err, CLI_USAGE, "--nodes names no machine");
}

static int read_count(const struct args *a, struct json *body, struct loom_err *err)
{
	int64_t n;
	const char *count = args_get(a, "count"), *nodes = args_get(a, "nodes");
	const struct operation *op = a->command->data;
	if (count && nodes)
		return err_set(err, CLI_USAGE, "give --count or --nodes, not both");
	if (nodes)
		return read_nodes(nodes, body, err);
	if (!count)
		return err_set(err, CLI_USAGE,
		               str_eq(op->name, "shrink") ? "--count N or --nodes A,B is needed"
		                                          : "--count N is needed");
	if (str_to_int(count, &n) != 0 || n < 1)
		return err_set(err, CLI_USAGE, "--count is a number from 1, not '%s'", count);
	json_set_int(body, "count", n);
	return 0;
}

static int read_some_tasks(const struct args *a, const char *option, const char *name,
                           struct json *body, struct loom_err *err)
{
	struct json *tasks = args_has(a, option) ? split_names(args_get(a, option)) : NULL;
	if (tasks && !json_len(tasks)) {
		json_free(tasks);
		return err_set(err, CLI_USAGE, "--%s names no task", option);
	}
	json_set(body, name, tasks);
	return 0;
}

static int read_tasks(const struct args *a, struct json *body, struct loom_err *err)
{
	int r = read_some_tasks(a, "skip", "skip", body, err);
	return r ? r : read_some_tasks(a, "only", "tasks", body, err);
}

int operation_body(const struct args *a, struct json **ret, struct loom_err *err)
{
	const struct operation *op = a->command->data;
	LOOM_CLEANUP(json_free)
	struct json *body = json_set_str(json_new_obj(), "operation", op->name);
	int r = 0;
	if (op->wants == OPERATION_CONFIG)
		r = read_config(a, body, err);
	else if (op->wants == OPERATION_SERVICES)
		r = read_services(a, body, err);
	else if (op->wants == OPERATION_COUNT)
		r = read_count(a, body, err);
	else if (op->wants == OPERATION_TASKS)
		r = read_tasks(a, body, err);
	if (!r)
		*ret = loom_take(body);
	return r;
}

char *operation_path(const struct operation *op, const char *id, const struct args *a)
{
	if (!str_eq(op->method, "DELETE"))
		return loom_asprintf("/v2/clusters/%s/%s", id, op->path);
	LOOM_CLEANUP_STR char *service = cli_quote(a->positional[1]);
	return loom_asprintf("/v2/clusters/%s/%s/%s", id, op->path, service);
}

/* ---- showing --------------------------------------------------------------------------------- */

/* What a roll back cannot bring back, and what a retry does not do. */
static void add_notes(const struct json *plan, struct buf *b)
{
	const struct json *notes = json_get(plan, "notes");
	int64_t later = json_get_int(plan, "later", 0);
	if (later)
		buf_addf(b, "  note: %lld task%s left for another retry\n", (long long)later,
		         later == 1 ? " is" : "s are");
	for (size_t i = 0; i < json_len(notes); i++)
		buf_addf(b, "  note: %s\n", json_str(json_at(notes, i)));
}

static void print_short(const struct json *plan, const struct json *cluster)
{
	__attribute__((cleanup(buf_fini_p))) struct buf b = BUF_INIT(PLAN_MAX);
	LOOM_CLEANUP_STR char *summary = plan_diff_summary(plan);
	buf_addf(&b, "%s %s (%s): %s\n", json_get_str(plan, "operation"),
	         json_get_str(cluster, "name"), json_get_str(cluster, "id"), summary);
	plan_diff_write(plan, SHORT_MAX, &b);
	add_notes(plan, &b);
	fputs(buf_str(&b), stdout);
}

static void print_whole(const struct json *plan, const struct json *cluster)
{
	__attribute__((cleanup(buf_fini_p))) struct buf b = BUF_INIT(PLAN_MAX);
	LOOM_CLEANUP(json_free) struct json *nodes = plan_diff_nodes(plan, cluster);
	LOOM_CLEANUP_STR char *summary = plan_diff_summary(plan);
	LOOM_CLEANUP_STR char *started = cell_text(json_get(plan, "started"));
	buf_addf(&b, "%s %s (%s) would be: %s\n", json_get_str(plan, "operation"),
	         json_get_str(cluster, "name"), json_get_str(cluster, "id"), summary);
	plan_diff_write(plan, PLAN_DIFF_ALL, &b);
	add_notes(plan, &b);
	fputs(buf_str(&b), stdout);
	if (json_len(json_get(plan, "started")))
		printf("\nServices started: %s\n", started);
	if (json_len(json_get(plan, "tasks")))
		plan_print_steps(nodes, json_get(plan, "tasks"));
	printf("\nToken %s\n", json_get_str(plan, "token"));
}

/* ---- doing ----------------------------------------------------------------------------------- */

static int make_plan(struct cli *c, const char *id, const struct json *body, struct json **ret)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s/plan", id);
	int code = cli_request_json(c, "POST", path, body, ret);
	if (code && c->status == 409)
		fprintf(stderr, "      loom cluster why %s says what goes on there.\n", id);
	return code;
}

/* body is what was planned; with the token, that and nothing else is done. */
static int apply(struct cli *c, const struct args *a, const char *id, struct json *body,
                 const char *token)
{
	const struct operation *op = a->command->data;
	LOOM_CLEANUP_STR char *path = operation_path(op, id, a);
	json_del(body, "operation");
	json_set_str(body, "token", token);
	int code = cli_request(c, op->method, path, body, NULL);
	if (code && c->status == 409)
		fputs("      Nothing was done, because that plan does not hold any more.\n"
		      "      --plan shows what would be done now.\n",
		      stderr);
	return code;
}

static int follow(struct cli *c, const struct args *a, const struct json *cluster)
{
	const struct operation *op = a->command->data;
	fflush(stdout);
	c->json = false; /* what follows is for people */
	if (!args_has(a, "wait") || !op->makes_job)
		return CLI_OK;
	return watch_cluster(c, json_get_str(cluster, "id"), json_get_int(cluster, "lastEvent", 0),
	                     stderr);
}

int cluster_operation(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = NULL, *cluster = NULL, *plan = NULL;
	struct loom_err err = { 0 };
	const char *token = args_get(a, "token");
	if (operation_body(a, &body, &err) != 0)
		return cli_fail(CLI_USAGE, "%s", err.msg);
	int code = cli_get_cluster(c, a->positional[0], &cluster);
	const char *id = json_get_str(cluster, "id");
	if (!code && (!token || args_has(a, "plan")))
		code = make_plan(c, id, body, &plan);
	if (code)
		return code;
	if (plan)
		json_set_str(plan, "id", id);
	if (args_has(a, "plan")) {
		if (c->json)
			cli_print_json(plan);
		else
			print_whole(plan, cluster);
		return CLI_OK;
	}
	if (plan && !c->json)
		print_short(plan, cluster);
	fflush(stdout);
	code = apply(c, a, id, body, plan ? json_get_str(plan, "token") : token);
	if (code)
		return code;
	if (c->json && plan)
		cli_print_json(plan);
	else if (c->json)
		printf("{\"id\":\"%s\"}\n", id);
	return follow(c, a, cluster);
}

/* ---- pause, resume, abort -------------------------------------------------------------------- */

int cluster_control(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *cluster = NULL, *after = NULL;
	const char *verb = a->command->data;
	int code = cli_get_cluster(c, a->positional[0], &cluster);
	if (code)
		return code;
	const char *id = json_get_str(cluster, "id"), *name = json_get_str(cluster, "name");
	if (!str_eq(json_get_str(cluster, "status"), "pending"))
		return cli_fail(CLI_FAILED, "there is nothing to %s: %s (%s) is %s", verb, name, id,
		                json_get_str(cluster, "status"));
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s/%s", id, verb);
	code = cli_request(c, "POST", path, NULL, NULL);
	if (code)
		return code;
	if (c->json)
		printf("{\"id\":\"%s\"}\n", id);
	else
		printf("%s %s (%s): asked for\n", verb, name, id);
	fflush(stdout);
	c->json = false;
	if (!args_has(a, "wait"))
		return CLI_OK;
	code = watch_cluster(c, id, json_get_int(cluster, "lastEvent", 0), stderr);
	if (code != CLI_FAILED || !str_eq(verb, "abort"))
		return code;
	/* An aborted job has failed: that is what was asked for. */
	code = cli_get_cluster(c, id, &after);
	return code || !str_eq(json_get_str(after, "status"), "pending") ? code : CLI_FAILED;
}

int provisioner_release(struct cli *c, const struct args *a)
{
	const char *id = a->positional[0];
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/provisioners/%s/release", id);
	int code = cli_request(c, "POST", path, NULL, NULL);
	if (code)
		return code;
	if (c->json)
		printf("{\"id\":\"%s\"}\n", id);
	else
		printf("provisioner %s is trusted again\n", id);
	return CLI_OK;
}
