/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters: create, list, show, delete. */
#include "services/cli/cluster_fields.h"
#include "services/cli/commands.h"
#include "services/cli/hosts.h"
#include "services/cli/table.h"
#include "services/cli/watch.h"

#include "common/base/ids.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- create ---------------------------------------------------------------------------------- */

/* What it comes to with all that it extends and includes. What it leaves open otherwise may be in
 * the request. */
static int resolve_template(struct cli *c, const struct json *body, struct json **template)
{
	static const char *const open[] = { "services", "provider" };
	struct json *defaults = json_get(*template, "defaults"), *whole = NULL;
	if (!json_get(*template, "extends") && !json_len(json_get(*template, "includes")))
		return CLI_OK;
	for (size_t i = 0; json_is(defaults, JSON_OBJECT) && i < LOOM_COUNT(open); i++) {
		if (json_get(body, open[i]))
			json_set(defaults, open[i], json_copy(json_get(body, open[i])));
	}
	int code = cli_request_exactly(c, "POST", "/v2/resolve", *template, &whole);
	if (!code) {
		json_free(*template);
		*template = whole;
	}
	return code;
}

int create_config(struct cli *c, const struct args *a, struct json *body)
{
	LOOM_CLEANUP(json_free) struct json *template = NULL;
	if (!config_changes(a) || args_has(a, "config"))
		return CLI_OK;
	LOOM_CLEANUP_STR char *name = cli_quote(args_get(a, "template"));
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clustertemplates/%s", name);
	int code = cli_request_exactly(c, "GET", path, NULL, &template);
	if (!code)
		code = resolve_template(c, body, &template);
	if (code) {
		meant_options(c, a);
		return code;
	}
	return config_change(a, json_path(template, "defaults/config"), body);
}

int cluster_create(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = NULL;
	LOOM_CLEANUP(json_free) struct json *answer = NULL;
	struct loom_err err = { 0 };
	if (create_body(a, a->positional[0], &body, &err) != 0)
		return cli_fail(CLI_USAGE, "%s", err.msg);
	int code = create_config(c, a, body);
	if (code)
		return code;
	char key[33];
	id_random_hex(key, 16);
	c->key = key; /* a repeated request makes no second cluster */
	code = cli_request_json(c, "POST", "/v2/clusters", body, JSON_OBJECT, &answer);
	c->key = NULL;
	if (code) {
		meant_options(c, a);
		return code;
	}
	const char *id;
	code = cli_need(c, answer, "id", &id);
	if (code)
		return code;
	if (c->json)
		cli_print_json(answer);
	else
		puts(id);
	fflush(stdout);
	c->json = false; /* the rest is for people */
	return args_has(a, "wait") ? watch_cluster(c, id, 0, stderr) : CLI_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

static void add_cluster(struct table *t, const struct json *s)
{
	for (const struct cluster_field *f = cluster_columns; f->name; f++) {
		LOOM_CLEANUP_STR char *text = f->text(s, f->path);
		table_add(t, text ? text : "-");
	}
}

/* "ID|NAME|..."; owned. */
static char *column_heads(void)
{
	LOOM_CLEANUP(strs_fini) struct strs heads = { 0 };
	for (const struct cluster_field *f = cluster_columns; f->name; f++)
		strs_add(&heads, f->name);
	return strs_join(&heads, "|");
}

/* status may be NULL; owned. */
static char *list_path(const char *status, const struct json *labels)
{
	struct buf b = BUF_INIT(JSON_MAX_BYTES);
	LOOM_CLEANUP_STR char *quoted = cli_quote(status ? status : "");
	buf_addf(&b, "/v2/clusters%s%s", status ? "?status=" : "", quoted);
	for (size_t i = 0; i < json_len(labels); i++) {
		LOOM_CLEANUP_STR char *key = cli_quote(json_key_at(labels, i));
		LOOM_CLEANUP_STR char *value = cli_quote(json_str(json_value_at(labels, i)));
		buf_addf(&b, "%clabel=%s%%3D%s", status || i ? '&' : '?', key, value);
	}
	return buf_take(&b);
}

/* The server ignores an unknown status, and then shows all, as the original's clients expect. */
static int check_status(const char *status)
{
	static const char *const all[] = { "pending", "active", "incomplete", "inconsistent",
		                           "terminated" };
	LOOM_CLEANUP(json_free) struct json *names = split_names(status);
	for (size_t i = 0; i < json_len(names); i++) {
		const char *name = json_str(json_at(names, i));
		size_t k = 0;
		while (k < LOOM_COUNT(all) && !str_ieq(all[k], name))
			k++;
		if (k == LOOM_COUNT(all))
			return cli_fail(CLI_USAGE,
			                "--status is of pending active incomplete inconsistent "
			                "terminated, with commas, not '%s'",
			                name);
	}
	return CLI_OK;
}

int cluster_list(struct cli *c, const struct args *a)
{
	const char *status = args_get(a, "status");
	if (status && check_status(status))
		return CLI_USAGE;
	if (!status && !args_has(a, "all"))
		status = "pending,active,incomplete,inconsistent";
	LOOM_CLEANUP(json_free) struct json *labels = json_new_obj();
	struct loom_err err = { 0 };
	if (label_options(a, "label", labels, &err) != 0)
		return cli_fail(CLI_USAGE, "%s", err.msg);
	LOOM_CLEANUP_STR char *path = list_path(status, labels);
	LOOM_CLEANUP(json_free) struct json *list = NULL;
	int code = cli_get(c, path, JSON_ARRAY, &list);
	if (code || !list)
		return code;
	struct table t;
	LOOM_CLEANUP_STR char *heads = column_heads();
	table_init(&t, heads);
	for (size_t i = 0; i < json_len(list); i++)
		add_cluster(&t, json_at(list, i));
	if (table_rows(&t))
		table_print(&t, "");
	else
		puts("no clusters");
	table_fini(&t);
	return CLI_OK;
}

/* ---- show ------------------------------------------------------------------------------------ */

static char *names_of(const struct json *services)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (size_t i = 0; i < json_len(services); i++) {
		const struct json *s = json_at(services, i);
		const char *name = json_is(s, JSON_OBJECT) ? json_get_str(s, "name") : json_str(s);
		if (name)
			strs_add(&names, name);
	}
	return names.n ? strs_join(&names, ",") : loom_strdup("-");
}

static char *last_action(const struct json *node)
{
	const struct json *actions = json_get(node, "actions");
	const struct json *last = json_at(actions, json_len(actions) - 1);
	if (!json_len(actions))
		return loom_strdup("-");
	const char *status = json_get_str(last, "status");
	LOOM_CLEANUP_STR char *task =
		cell_task(json_get_str(last, "action"), json_get_str(last, "service"));
	return loom_asprintf("%s: %s", task, status ? status : "");
}

static void add_node(struct table *t, const struct json *node)
{
	const struct json *p = json_get(node, "properties");
	const struct json *addresses = json_get(p, "ipaddresses");
	const char *address = json_get_str(addresses, "access_v4");
	LOOM_CLEANUP_STR char *services = names_of(json_get(node, "services"));
	LOOM_CLEANUP_STR char *last = last_action(node);
	table_addf(t, "%lld", (long long)json_get_int(p, "nodenum", 0));
	table_add(t, json_get_str(p, "hostname"));
	table_add(t, address ? address : json_str(json_value_at(addresses, 0)));
	table_add(t, json_get_str(p, "hardwaretype"));
	table_add(t, json_get_str(p, "imagetype"));
	table_add(t, services);
	table_add(t, last);
}

static void print_details(const struct json *v)
{
	const struct json *p = json_get(v, "progress"), *links = json_get(v, "links");
	struct table_fit fit = table_fit_stdout();
	for (const struct cluster_field *f = cluster_lines; f->name; f++) {
		LOOM_CLEANUP_STR char *said = f->text(v, f->path);
		LOOM_CLEANUP_STR char *text =
			said ? hosts_in_words(said, hosts_of_cluster, v) : NULL;
		const char *color = text && fit.color ? table_color(text) : "";
		if (text)
			printf("%-10s %s%s%s\n", f->name, color, text, *color ? "\033[0m" : "");
	}
	if (json_get_str(p, "action"))
		printf("%-10s %s %s, %lld of %lld tasks\n", "last job", json_get_str(p, "action"),
		       json_get_str(p, "actionstatus") ? json_get_str(p, "actionstatus") : "",
		       (long long)json_get_int(p, "stepscompleted", 0),
		       (long long)json_get_int(p, "stepstotal", 0));
	for (size_t i = 0; i < json_len(links); i++)
		printf("%-10s %s  %s\n", "link", cli_text(json_at(links, i), "label"),
		       cli_text(json_at(links, i), "url"));
}

int cluster_show(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *id = NULL;
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	int code = cli_find_cluster(c, a->positional[0], &id);
	if (code)
		return code;
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s", id);
	code = cli_get(c, path, JSON_OBJECT, &v);
	if (code || !v)
		return code;
	print_details(v);
	struct table t;
	table_init(&t, "NODE|HOSTNAME|ADDRESS|HARDWARE|IMAGE|SERVICES|LAST TASK");
	for (size_t i = 0; i < json_len(json_get(v, "nodes")); i++)
		add_node(&t, json_at(json_get(v, "nodes"), i));
	if (table_rows(&t)) {
		putchar('\n');
		table_print(&t, "");
	}
	table_fini(&t);
	return CLI_OK;
}

/* ---- delete ---------------------------------------------------------------------------------- */

static bool agreed(const struct json *cluster)
{
	char line[16] = "";
	bool busy = str_eq(json_get_str(cluster, "status"), "pending");
	fprintf(stderr, "Delete %s (%s, %s) and its %zu nodes%s? [y/N] ",
	        json_get_str(cluster, "name"), json_get_str(cluster, "id"),
	        json_get_str(cluster, "status"), json_len(json_get(cluster, "nodes")),
	        busy ? ", ending what is under way there" : "");
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int delete_body(const struct args *a, struct json **ret)
{
	LOOM_CLEANUP(json_free) struct json *fields = NULL;
	struct loom_err err = { 0 };
	if (json_option(a, "provider-fields", &fields, &err) != 0)
		return cli_fail(CLI_USAGE, "%s", err.msg);
	if (fields)
		*ret = json_set(json_new_obj(), "providerFields", loom_take(fields));
	return CLI_OK;
}

int cluster_delete(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL, *body = NULL;
	bool ask = !args_has(a, "yes");
	if (ask && !isatty(STDIN_FILENO))
		return cli_fail(CLI_USAGE, "nobody to ask: add --yes to delete %s",
		                a->positional[0]);
	int code = delete_body(a, &body);
	if (!code)
		code = cli_get_cluster(c, a->positional[0], &v);
	if (code)
		return code;
	if (ask && !agreed(v))
		return cli_fail(CLI_FAILED, "not deleted");
	const char *id = json_get_str(v, "id");
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s", id);
	code = cli_request(c, "DELETE", path, body, NULL);
	if (code)
		return code;
	if (c->json)
		printf("{\"id\":\"%s\"}\n", id);
	else if (!args_has(a, "wait"))
		printf("%s (%s) is being deleted\n", json_get_str(v, "name"), id);
	fflush(stdout);
	c->json = false;
	return args_has(a, "wait") ? watch_cluster(c, id, json_get_int(v, "lastEvent", 0), stderr)
	                           : CLI_OK;
}
