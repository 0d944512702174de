/* SPDX-License-Identifier: Apache-2.0 */
/* label - changes the labels of a cluster: KEY=VALUE sets a label, KEY- removes it. */
#include "services/cli/commands.h"

#include <stdio.h>
#include <string.h>

/* CLI_OK or CLI_USAGE. */
static int add_change(struct json *labels, const char *text)
{
	const char *eq = strchr(text, '=');
	size_t n = eq ? (size_t)(eq - text) : strlen(text) - (*text ? 1 : 0);
	if (!n || (!eq && text[n] != '-'))
		return cli_fail(CLI_USAGE,
		                "'%s' is no change: KEY=VALUE sets a label, KEY- removes it", text);
	LOOM_CLEANUP_STR char *key = loom_strndup(text, n);
	json_set(labels, key, eq ? json_new_str(eq + 1) : json_new_null());
	return CLI_OK;
}

static int changes(const struct args *a, struct json *labels)
{
	int code = CLI_OK;
	for (size_t i = 1; !code && i < a->n; i++) {
		LOOM_CLEANUP(json_free) struct json *list = split_names(a->positional[i]);
		for (size_t k = 0; !code && k < json_len(list); k++)
			code = add_change(labels, json_str(json_at(list, k)));
	}
	return code;
}

int cluster_label(struct cli *c, const struct args *a)
{
	LOOM_CLEANUP_STR char *id = NULL;
	LOOM_CLEANUP(json_free) struct json *answer = NULL;
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	json_set(body, "labels", json_new_obj());
	int code = changes(a, json_get(body, "labels"));
	if (!code)
		code = cli_find_cluster(c, a->positional[0], &id);
	if (code)
		return code;
	LOOM_CLEANUP_STR char *path = loom_asprintf("/v2/clusters/%s/labels", id);
	code = cli_request_json(c, "PUT", path, body, JSON_OBJECT, &answer);
	if (code)
		return code;
	if (c->json) {
		cli_print_json(answer);
		return CLI_OK;
	}
	const struct json *after = json_get(answer, "labels");
	for (size_t i = 0; i < json_len(after); i++)
		printf("%s=%s\n", json_key_at(after, i), json_str(json_value_at(after, i)));
	if (!json_len(after))
		puts("no labels");
	return CLI_OK;
}
