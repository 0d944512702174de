/* SPDX-License-Identifier: Apache-2.0 */
/* The collections of the administration: templates, providers, services, hardware, images. */
#include "services/cli/commands.h"
#include "services/cli/table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

char *cell_text(const struct json *v)
{
	if (!json_is(v, JSON_ARRAY))
		return loom_strdup(json_str(v) ? json_str(v) : "-");
	LOOM_CLEANUP(strs_fini) struct strs parts = { 0 };
	for (size_t i = 0; i < json_len(v); i++) {
		if (json_str(json_at(v, i)))
			strs_add(&parts, json_str(json_at(v, i)));
	}
	return parts.n ? strs_join(&parts, ",") : loom_strdup("-");
}

char *cell_task(const char *action, const char *service)
{
	char *text = loom_asprintf("%s%s%s", action ? action : "?", service && *service ? " " : "",
	                           service ? service : "");
	for (char *p = text; *p && *p != ' '; p++)
		*p = (char)tolower((unsigned char)*p);
	return text;
}

void cells_add(struct table *t, const struct json *v, const char *paths)
{
	while (*paths) {
		size_t n = strcspn(paths, "|");
		LOOM_CLEANUP_STR char *path = loom_strndup(paths, n);
		LOOM_CLEANUP_STR char *cell = cell_text(json_path(v, path));
		table_add(t, cell);
		paths += n + (paths[n] == '|');
	}
}

static int by_name(const struct json *list, size_t a, size_t b)
{
	const char *x = json_get_str(json_at(list, a), "name");
	const char *y = json_get_str(json_at(list, b), "name");
	return strcmp(x ? x : "", y ? y : "");
}

/* Indices of a list, sorted by name: a simple sort is enough for a few dozen. */
static size_t *ordered(const struct json *list)
{
	size_t n = json_len(list);
	size_t *order = loom_calloc(n + 1, sizeof(*order));
	for (size_t i = 0; i < n; i++) {
		size_t k = i;
		for (; k && by_name(list, order[k - 1], i) > 0; k--)
			order[k] = order[k - 1];
		order[k] = i;
	}
	return order;
}

int collection_list(struct cli *c, const struct args *a)
{
	const struct collection *what = a->command->data;
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/%s", what->path);
	LOOM_CLEANUP(json_free) struct json *list = NULL;
	int code = cli_get(c, path, JSON_ARRAY, &list);
	if (code || !list)
		return code;
	struct table t;
	table_init(&t, what->heads);
	size_t *order = ordered(list);
	for (size_t i = 0; i < json_len(list); i++)
		cells_add(&t, json_at(list, order[i]), what->columns);
	loom_free(order);
	table_print(&t, "");
	table_fini(&t);
	return CLI_OK;
}

/* Prints a tree of "key: value" lines; scripts use JSON (-o json). */
static void print_tree(const struct json *v, int depth)
{
	for (size_t i = 0; i < json_len(v); i++) {
		const struct json *item =
			json_is(v, JSON_OBJECT) ? json_value_at(v, i) : json_at(v, i);
		bool branch = json_len(item) &&
		              (json_is(item, JSON_OBJECT) || json_len(json_at(item, 0)) != 0);
		LOOM_CLEANUP_STR char *text = branch ? loom_strdup("") : cell_text(item);
		if (json_is(v, JSON_OBJECT))
			printf("%*s%s:%s%s\n", depth * 2, "", json_key_at(v, i), *text ? " " : "",
			       text);
		else
			printf("%*s- %s\n", depth * 2, "", text);
		if (branch)
			print_tree(item, depth + 1);
	}
}

int collection_show(struct cli *c, const struct args *a)
{
	const struct collection *what = a->command->data;
	LOOM_CLEANUP_STR char *name = cli_quote(a->positional[0]);
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/%s/%s", what->path, name);
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	int code = cli_get(c, path, JSON_OBJECT, &v);
	if (v)
		print_tree(v, 0);
	else if (code && c->status == 404)
		meant_name(c, what->path, what->word, a->positional[0]);
	return code;
}
