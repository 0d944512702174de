/* SPDX-License-Identifier: Apache-2.0 */
/* Shows the effect of a change before it is made, and asks. */
#include "services/cli/plan_diff.h"

#include "services/cli/commands.h"
#include "services/cli/table.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX ((size_t)64 << 10)

/* ---- lines ----------------------------------------------------------------------------------- */

static void add_node(struct table *t, const char *what, const struct json *node)
{
	LOOM_CLEANUP_STR char *services = cell_text(json_get(node, "services"));
	table_add(t, what);
	table_addf(t, "%lld %s", (long long)json_get_int(node, "nodenum", 0),
	           json_get_str(node, "hostname") ? json_get_str(node, "hostname") : "");
	table_add(t, json_get(node, "services") ? services : "");
}

static void add_signed(struct buf *b, const struct json *names, char sign)
{
	for (size_t i = 0; i < json_len(names); i++)
		buf_addf(b, "%s%c%s", b->len ? " " : "", sign, json_str(json_at(names, i)));
}

static void add_changed(struct table *t, const char *what, const struct json *node)
{
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(TEXT_MAX);
	add_signed(&b, json_get(node, "servicesAdded"), '+');
	add_signed(&b, json_get(node, "servicesRemoved"), '-');
	table_add(t, what);
	table_addf(t, "%lld %s", (long long)json_get_int(node, "nodenum", 0),
	           json_get_str(node, "hostname") ? json_get_str(node, "hostname") : "");
	table_add(t, buf_str(&b));
}

static void add_difference(struct table *t, const char *what, const struct json *d)
{
	const struct json *from = json_get(d, "from"), *to = json_get(d, "to");
	LOOM_CLEANUP_STR char *old = from ? json_text(from) : loom_strdup("(none)");
	LOOM_CLEANUP_STR char *new = to ? json_text(to) : loom_strdup("(none)");
	table_add(t, what);
	table_add(t, json_get_str(d, "path"));
	table_addf(t, "%s -> %s", old, new);
}

void plan_diff_write(const struct json *plan, size_t max, const struct table_fit *fit,
                     struct buf *out)
{
	static const struct {
		const char *path, *word;
		void (*add)(struct table *t, const char *what, const struct json *v);
	} kinds[] = {
		{ "nodes/added", "add", add_node },         { "nodes/removed", "remove", add_node },
		{ "nodes/changed", "change", add_changed }, { "config", "config", add_difference },
		{ "template", "template", add_difference },
	};
	struct table t;
	table_init(&t, "CHANGE|WHERE|WHAT");
	for (size_t i = 0; i < LOOM_COUNT(kinds); i++) {
		const struct json *list = json_path(plan, kinds[i].path);
		size_t n = json_len(list);
		for (size_t k = 0; k < n && k < max; k++)
			kinds[i].add(&t, kinds[i].word, json_at(list, k));
		if (n > max) {
			table_add(&t, kinds[i].word);
			table_addf(&t, "and %zu more", n - max);
			table_add(&t, "");
		}
	}
	if (table_rows(&t))
		table_write(&t, "  ", fit, out);
	table_fini(&t);
}

/* ---- nodes -------------------------------------------------------------------------------- */

static const char *host_of(const struct json *plan, const struct json *cluster, int64_t num)
{
	const struct json *nodes = json_get(cluster, "nodes"),
			  *added = json_path(plan, "nodes/added");
	for (size_t i = 0; i < json_len(nodes); i++) {
		const struct json *p = json_get(json_at(nodes, i), "properties");
		if (json_get_int(p, "nodenum", -1) == num)
			return json_get_str(p, "hostname");
	}
	for (size_t i = 0; i < json_len(added); i++) {
		if (json_get_int(json_at(added, i), "nodenum", -1) == num)
			return json_get_str(json_at(added, i), "hostname");
	}
	return NULL;
}

/* The smallest number of a node with tasks above `after`, or -1. */
static int64_t next_num(const struct json *tasks, int64_t after)
{
	int64_t best = -1;
	for (size_t i = 0; i < json_len(tasks); i++) {
		int64_t num = json_get_int(json_at(tasks, i), "nodenum", -1);
		if (num > after && (best < 0 || num < best))
			best = num;
	}
	return best;
}

struct json *plan_diff_nodes(const struct json *plan, const struct json *cluster)
{
	const struct json *tasks = json_get(plan, "tasks");
	struct json *out = json_new_arr();
	for (int64_t num = next_num(tasks, -1); num >= 0; num = next_num(tasks, num)) {
		struct json *o = json_set_int(json_new_obj(), "nodenum", num);
		json_push(out, json_set_str(o, "hostname", host_of(plan, cluster, num)));
	}
	return out;
}

/* ---- summary --------------------------------------------------------------------------------- */

char *plan_diff_summary(const struct json *plan)
{
	static const struct {
		const char *path, *one, *many;
	} counts[] = {
		{ "nodes/added", "node added", "nodes added" },
		{ "nodes/removed", "node removed", "nodes removed" },
		{ "nodes/changed", "node changed", "nodes changed" },
		{ "config", "setting changed", "settings changed" },
		{ "template", "difference in the template", "differences in the template" },
	};
	LOOM_CLEANUP(buf_fini) struct buf b = BUF_INIT(TEXT_MAX);
	for (size_t i = 0; i < LOOM_COUNT(counts); i++) {
		size_t n = json_len(json_path(plan, counts[i].path));
		if (n)
			buf_addf(&b, "%zu %s, ", n, n == 1 ? counts[i].one : counts[i].many);
	}
	size_t tasks = json_len(json_get(plan, "tasks"));
	if (tasks)
		buf_addf(&b, "%zu %s", tasks, tasks == 1 ? "task" : "tasks");
	else
		buf_adds(&b, "no tasks");
	return buf_take(&b);
}
