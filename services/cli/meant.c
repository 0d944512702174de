/* SPDX-License-Identifier: Apache-2.0 */
/* After a refusal checks whether the given names exist, and suggests near ones. */
#include "services/cli/commands.h"
#include "services/cli/hint.h"

#include <stdio.h>

#define ASK_MS 5000

struct json *meant_ask(struct cli *c, const char *below_v2)
{
	struct json *list = NULL;
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s/v2/%s", c->url, below_v2);
	struct http_call call = {
		.method = "GET",
		.url = url,
		.headers = &c->headers,
		.trust = &c->trust,
		.timeout_ms = ASK_MS,
	};
	struct loom_err err = { 0 };
	if (http_call(c->conn, &call, &err) == 0 && call.status == 200 &&
	    json_parse(buf_str(&call.answer), call.answer.len, 0, &list, NULL) == 0)
		cli_show_safely(&list);
	http_call_fini(&call);
	return list;
}

static bool has_name(const struct json *list, const char *name)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (str_eq(json_get_str(json_at(list, i), "name"), name))
			return true;
	}
	return false;
}

void meant_name(struct cli *c, const char *collection, const char *word, const char *name)
{
	LOOM_CLEANUP(json_free) struct json *list = meant_ask(c, collection);
	if (!list || has_name(list, name))
		return;
	const char *meant = hint_name(list, name);
	if (meant)
		fprintf(stderr, "      Did you mean the %s %s? 'loom %s list' shows all.\n", word,
		        meant, word);
	else
		fprintf(stderr, "      'loom %s list' shows which there are.\n", word);
}

void meant_options(struct cli *c, const struct args *a)
{
	static const struct {
		const char *option, *collection, *word;
	} named[] = {
		{ "template", "clustertemplates", "template" },
		{ "provider", "providers", "provider" },
		{ "hardware", "hardwaretypes", "hardware" },
		{ "image", "imagetypes", "image" },
		{ "services", "services", "service" },
	};
	if (c->status != 400 && c->status != 404)
		return;
	for (size_t i = 0; i < LOOM_COUNT(named); i++) {
		LOOM_CLEANUP(json_free)
		struct json *names = split_names(args_get(a, named[i].option));
		for (size_t k = 0; k < json_len(names); k++)
			meant_name(c, named[i].collection, named[i].word,
			           json_str(json_at(names, k)));
	}
}
