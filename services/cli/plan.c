/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what a create would make: the layout, the nodes, and each node's tasks. */
#include "services/cli/commands.h"
#include "services/cli/table.h"

#include <stdio.h>
#include <string.h>

static void print_rows(const char *title, const struct json *rows, const char *heads,
                       const char *paths)
{
	struct table t;
	table_init(&t, heads);
	for (size_t i = 0; i < json_len(rows); i++)
		cells_add(&t, json_at(rows, i), paths);
	puts(title);
	table_print(&t, "  ");
	table_fini(&t);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static char *task_name(const struct json *task)
{
	return cell_task(json_get_str(task, "taskName"), json_get_str(task, "service"));
}

static const struct json *task_with(const struct json *tasks, int64_t id)
{
	/* Usually the id is the position. */
	const struct json *t = id >= 0 ? json_at(tasks, (size_t)id) : NULL;
	if (t && json_get_int(t, "id", -1) == id)
		return t;
	for (size_t i = 0; i < json_len(tasks); i++) {
		if (json_get_int(json_at(tasks, i), "id", -1) == id)
			return json_at(tasks, i);
	}
	return NULL;
}

static const char *host_of(const struct json *nodes, int64_t num)
{
	for (size_t i = 0; i < json_len(nodes); i++) {
		if (json_get_int(json_at(nodes, i), "nodenum", -1) == num)
			return json_get_str(json_at(nodes, i), "hostname");
	}
	return NULL;
}

/* " (after start db on shop3-1000)": the tasks of other nodes that this one waits for. */
static void add_foreign(struct buf *b, const struct json *nodes, const struct json *tasks,
                        const struct json *task)
{
	const struct json *after = json_get(task, "after");
	int64_t own = json_get_int(task, "nodenum", 0), id;
	bool first = true;
	for (size_t i = 0; i < json_len(after); i++) {
		const struct json *t =
			json_int(json_at(after, i), &id) ? task_with(tasks, id) : NULL;
		if (!t || json_get_int(t, "nodenum", 0) == own)
			continue;
		LOOM_CLEANUP_STR char *name = task_name(t);
		int64_t num = json_get_int(t, "nodenum", 0);
		const char *host = host_of(nodes, num);
		buf_addf(b, "%s%s on ", first ? "  (after " : ", ", name);
		if (host)
			buf_add(b, host, strcspn(host, "."));
		else
			buf_addf(b, "node %lld", (long long)num);
		first = false;
	}
	if (!first)
		buf_addc(b, ')');
}

void plan_print_tasks(const struct json *nodes, const struct json *tasks)
{
	struct buf b = BUF_INIT(CLI_ANSWER_MAX);
	buf_addf(&b, "\nTasks (%zu)\n", json_len(tasks));
	for (size_t i = 0; i < json_len(nodes); i++) {
		int64_t num = json_get_int(json_at(nodes, i), "nodenum", 0);
		const char *host = json_get_str(json_at(nodes, i), "hostname");
		buf_addf(&b, "  %lld %s\n", (long long)num, host ? host : "");
		for (size_t k = 0; k < json_len(tasks); k++) {
			const struct json *t = json_at(tasks, k);
			if (json_get_int(t, "nodenum", 0) != num)
				continue;
			LOOM_CLEANUP_STR char *name = task_name(t);
			buf_addf(&b, "    %s", name);
			add_foreign(&b, nodes, tasks, t);
			buf_addc(&b, '\n');
		}
	}
	fputs(buf_str(&b), stdout);
	buf_fini(&b);
}

int cluster_plan(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP(json_free) struct json *body = NULL, *plan = NULL;
	struct loom_err err = { 0 };
	if (create_body(a, a->n ? a->positional[0] : "plan", &body, &err) != 0)
		return cli_fail(CLI_USAGE, "%s", err.msg);
	int code = create_config(c, a, body);
	if (code)
		return code;
	code = cli_request_json(c, "POST", "/v2/clusters/plan", body, JSON_OBJECT, &plan);
	if (code) {
		meant_options(c, a);
		return code;
	}
	if (c->json) {
		cli_print_json(plan);
		return CLI_OK;
	}
	print_rows("Layout", json_get(plan, "layout"), "COUNT|HARDWARE|IMAGE|SERVICES",
	           "count|hardwaretype|imagetype|services");
	print_rows("\nNodes", json_get(plan, "nodes"), "NODE|HOSTNAME|HARDWARE|IMAGE|SERVICES",
	           "nodenum|hostname|hardwaretype|imagetype|services");
	plan_print_tasks(json_get(plan, "nodes"), json_get(plan, "tasks"));
	return CLI_OK;
}
