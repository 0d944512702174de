/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on an existing cluster: planned first, shown, and then applied exactly as shown. */
#include "common/operation/operation.h"
#include "services/cli/commands.h"
#include "services/cli/plan_diff.h"
#include "services/cli/table.h"
#include "services/cli/watch.h"

#include <stdio.h>
#include <string.h>

#define SHORT_MAX 10 /* lines of a kind in a plan that is about to be done */
#define PLAN_MAX  CLI_ANSWER_MAX

/* ---- what is asked for ----------------------------------------------------------------------- */

const struct operation_option operation_options[] = {
	{ "config", { "config", 0, "JSON|@FILE", "the whole new configuration (@-: stdin)" } },
	{ "config",
	  { "merge", 0, "JSON|@FILE", "change what this says, null removes; all else stays" } },
	{ "config",
	  { "set", 0, "PATH=TEXT", "one value, as web/port=81; PATH:=JSON for what is no text" } },
	{ "config", { "unset", 0, "PATH", "remove one value" } },
	{ "restart",
	  { "no-restart", 0, NULL, "configure only: leave running services as they are" } },
	{ "services", { "services", 0, "A,B", "which services" } },
	{ "count", { "count", 'n', "N", "how many nodes" } },
	{ "nodes", { "nodes", 0, "A,B", "which nodes, by their numbers, as 1002,1003" } },
	{ "grow", { "grow", 0, "A,B", "services of which there must be new instances" } },
	{ "skip",
	  { "skip", 0, "TASK,TASK", "ids of tasks to leave out, as in 'cluster show -o json'" } },
	{ "tasks",
	  { "only", 0, "TASK,TASK",
	    "ids of tasks to do, and what they need; the rest stays failed" } },
	{ 0 },
};

/* A field as given by an option or an argument. */
struct given {
	const struct args *a;
	const char *where, *text; /* "--nodes", "1002,1003"; text NULL: not given */
	const char *what;         /* "node" */
};

static int read_config(const struct given *g, struct json **ret, struct loom_err *err)
{
	return config_option(g->a, NULL, ret, err);
}

static int read_no(const struct given *g LOOM_UNUSED, struct json **ret,
                   struct loom_err *err LOOM_UNUSED)
{
	*ret = json_new_bool(false);
	return 0;
}

static int read_words(const struct given *g, struct json **ret, struct loom_err *err)
{
	struct json *words = split_names(g->text);
	if (!json_len(words)) {
		json_free(words);
		return err_set(err, CLI_USAGE, "%s '%s' names no %s", g->where, g->text, g->what);
	}
	*ret = words;
	return 0;
}

static int read_numbers(const struct given *g, struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *words = NULL;
	LOOM_CLEANUP(json_free) struct json *numbers = json_new_arr();
	int rc = read_words(g, &words, err);
	for (size_t i = 0; !rc && i < json_len(words); i++) {
		int64_t n;
		if (str_to_int(json_str(json_at(words, i)), &n))
			rc = err_set(err, CLI_USAGE, "%s takes numbers of nodes, not '%s'",
			             g->where, json_str(json_at(words, i)));
		else
			json_push(numbers, json_new_int(n));
	}
	if (!rc)
		*ret = loom_take(numbers);
	return rc;
}

static int read_count(const struct given *g, struct json **ret, struct loom_err *err)
{
	int64_t n;
	if (str_to_int(g->text, &n) != 0 || n < 1)
		return err_set(err, CLI_USAGE, "%s is a number from 1, not '%s'", g->where,
		               g->text);
	*ret = json_new_int(n);
	return 0;
}

static const struct {
	const char *field, *what;
	int (*read)(const struct given *g, struct json **ret, struct loom_err *err);
} readers[] = {
	{ "config", "configuration", read_config },
	{ "restart", "", read_no },
	{ "services", "service", read_words },
	{ "count", "", read_count },
	{ "nodes", "node", read_numbers },
	{ "grow", "service", read_words },
	{ "skip", "task", read_words },
	{ "tasks", "task", read_words },
};

/* The first of those that set the field; they stand together. */
static const struct operation_option *options_of(const char *field)
{
	const struct operation_option *o = operation_options;
	while (!str_eq(o->field, field))
		o++;
	return o;
}

/* The first field that the operation reads may be an argument; the others are options. */
static struct given find_given(const struct args *a, const struct operation_kind *k, size_t reader,
                               char *where, size_t size)
{
	const char *field = readers[reader].field;
	struct given g = { .a = a, .where = where, .what = readers[reader].what };
	if (strchr(k->arguments, ' ') && str_starts(k->takes, field)) {
		snprintf(where, size, "%s", a->command->words);
		g.text = a->n > 1 ? a->positional[1] : NULL;
	} else {
		snprintf(where, size, "--%s", options_of(field)->option.name);
		g.text = args_get(a, options_of(field)->option.name);
	}
	if (!g.text && str_eq(field, "config") && config_changes(a))
		g.text = "";
	return g;
}

/* Checks that exactly one of the fields that an operation needs is given. */
static int check_needs(const struct operation_kind *k, const struct json *body,
                       struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs options = { 0 };
	size_t given = 0;
	for (size_t i = 0; i < LOOM_COUNT(readers); i++) {
		const struct operation_option *o = options_of(readers[i].field);
		if (!operation_has_word(k->needs, "|", readers[i].field))
			continue;
		given += json_get(body, readers[i].field) != NULL;
		for (; str_eq(o->field, readers[i].field); o++)
			strs_addf(&options, "--%s %s", o->option.name,
			          o->option.arg ? o->option.arg : "");
	}
	LOOM_CLEANUP_STR char *all = strs_join(&options, " or ");
	if (!given && options.n)
		return err_set(err, CLI_USAGE, "%s is needed", all);
	return given > 1 ? err_set(err, CLI_USAGE, "give %s, not both", all) : 0;
}

/* Checks that a path that names one service or node gets only one. */
static int check_path(const struct operation_kind *k, const struct json *body, struct loom_err *err)
{
	const struct operation_parameter *p = operation_parameter_in(k->path);
	return p && json_len(json_get(body, p->field)) > 1
	               ? err_set(err, CLI_USAGE, "loom %s takes one %s at a time", k->command,
	                         p->name)
	               : 0;
}

int operation_body(const struct args *a, struct json **ret, struct loom_err *err)
{
	const struct operation_kind *k = a->command->data;
	LOOM_CLEANUP(json_free)
	struct json *body = json_set_str(json_new_obj(), "operation", k->name);
	char where[64];
	int rc = 0;
	for (size_t i = 0; !rc && i < LOOM_COUNT(readers); i++) {
		struct json *v = NULL;
		if (!operation_kind_takes(k, readers[i].field))
			continue;
		const struct given g = find_given(a, k, i, where, sizeof(where));
		if (g.text)
			rc = readers[i].read(&g, &v, err);
		json_set(body, readers[i].field, v);
	}
	if (!rc)
		rc = check_needs(k, body, err);
	if (!rc)
		rc = check_path(k, body, err);
	if (!rc)
		*ret = loom_take(body);
	return rc;
}

char *operation_path(const struct operation_kind *k, const char *id, const struct json *body)
{
	const struct operation_parameter *p = operation_parameter_in(k->path);
	if (!p)
		return loom_asprintf("/v2/clusters/%s/%s", id, k->path);
	const struct json *one = json_at(json_get(body, p->field), 0);
	LOOM_CLEANUP_STR char *text =
		p->number ? json_text(one) : loom_strdup(json_str(one) ? json_str(one) : "");
	LOOM_CLEANUP_STR char *quoted = cli_quote(text);
	return loom_asprintf("/v2/clusters/%s/%.*s%s%s", id, (int)strcspn(k->path, "{"), k->path,
	                     quoted, strchr(k->path, '}') + 1);
}

/* ---- showing --------------------------------------------------------------------------------- */

/* Adds what a rollback cannot restore, and what a retry does not do. */
static void add_notes(const struct json *plan, struct buf *b)
{
	const struct json *notes = json_get(plan, "notes");
	int64_t later = json_get_int(plan, "later", 0);
	if (later)
		buf_addf(b, "  note: %lld task%s left for another retry\n", (long long)later,
		         later == 1 ? " is" : "s are");
	for (size_t i = 0; i < json_len(notes); i++)
		buf_addf(b, "  note: %s\n",
		         json_str(json_at(notes, i)) ? json_str(json_at(notes, i)) : "?");
}

static void print_short(const struct json *plan, const struct json *cluster)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(PLAN_MAX);
	LOOM_CLEANUP_STR char *summary = plan_diff_summary(plan);
	buf_addf(&b, "%s %s (%s): %s\n", cli_text(plan, "operation"), json_get_str(cluster, "name"),
	         json_get_str(cluster, "id"), summary);
	struct table_fit fit = table_fit_stdout();
	plan_diff_write(plan, SHORT_MAX, &fit, &b);
	add_notes(plan, &b);
	fputs(buf_str(&b), stdout);
}

static void print_whole(const struct json *plan, const struct json *cluster)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(PLAN_MAX);
	LOOM_CLEANUP(json_free) struct json *nodes = plan_diff_nodes(plan, cluster);
	LOOM_CLEANUP_STR char *summary = plan_diff_summary(plan);
	LOOM_CLEANUP_STR char *started = cell_text(json_get(plan, "started"));
	buf_addf(&b, "%s %s (%s) would be: %s\n", cli_text(plan, "operation"),
	         json_get_str(cluster, "name"), json_get_str(cluster, "id"), summary);
	struct table_fit fit = table_fit_stdout();
	plan_diff_write(plan, PLAN_DIFF_ALL, &fit, &b);
	add_notes(plan, &b);
	fputs(buf_str(&b), stdout);
	if (json_len(json_get(plan, "started")))
		printf("\nServices started: %s\n", started);
	if (json_len(json_get(plan, "tasks")))
		plan_print_tasks(nodes, json_get(plan, "tasks"));
	printf("\nToken %s\n", json_get_str(plan, "token"));
}

/* ---- doing ----------------------------------------------------------------------------------- */

static int make_plan(struct cli *c, const char *id, const struct json *body, struct json **ret)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s/plan", id);
	const char *token; /* without one it would be done in whatever way it comes to then */
	int code = cli_request_json(c, "POST", path, body, JSON_OBJECT, ret);
	if (!code)
		return cli_need(c, *ret, "token", &token);
	if (c->status == 409)
		fprintf(stderr, "      loom cluster why %s says what goes on there.\n", id);
	return code;
}

/* Applies the plan of this body: the token ensures that exactly this plan is done. */
static int apply(struct cli *c, const struct args *a, const char *id, struct json *body,
                 const char *token)
{
	const struct operation_kind *k = a->command->data;
	LOOM_CLEANUP_STR char *path = operation_path(k, id, body);
	json_del(body, "operation");
	json_set_str(body, "token", token);
	int code = cli_request(c, k->method, path, body, NULL);
	if (code && c->status == 409)
		fputs("      Nothing was done, because that plan does not hold any more.\n"
		      "      --plan shows what would be done now.\n",
		      stderr);
	return code;
}

static int follow(struct cli *c, const struct args *a, const struct json *cluster)
{
	const struct operation_kind *k = a->command->data;
	fflush(stdout);
	c->json = false; /* the rest is for people */
	if (!args_has(a, "wait") || !k->makes_job)
		return CLI_OK;
	return watch_cluster(c, json_get_str(cluster, "id"), json_get_int(cluster, "lastEvent", 0),
	                     stderr);
}

/* Applies changes to the cluster's present configuration, and sends the result as a whole. */
static int change_config(struct cli *c, const struct args *a, const char *id, struct json *body)
{
	LOOM_CLEANUP(json_free) struct json *cluster = NULL;
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s", id);
	if (!config_changes(a) || args_has(a, "config"))
		return CLI_OK;
	int code = cli_request_exactly(c, "GET", path, NULL, &cluster);
	return code ? code : config_change(a, json_get(cluster, "config"), body);
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
	if (!code)
		code = change_config(c, a, id, body);
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
	/* An aborted job has failed, as intended. */
	code = cli_get_cluster(c, id, &after);
	return code || !str_eq(json_get_str(after, "status"), "pending") ? code : CLI_FAILED;
}

int provisioner_release(struct cli *c, const struct args *a)
{
	const char *id = a->positional[0];
	LOOM_CLEANUP_STR char *name = cli_quote(id);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/provisioners/%s/release", name);
	int code = cli_request(c, "POST", path, NULL, NULL);
	if (code)
		return code;
	if (c->json)
		printf("{\"id\":\"%s\"}\n", id);
	else
		printf("provisioner %s is trusted again\n", id);
	return CLI_OK;
}
