/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what placement and planning need from a service's definition.
 * Nothing else reads `dependencies` and `provisioner.actions`, in all forms they ever had.
 */
#include "services/scheduler/placement/service_doc.h"

#include <string.h>

struct map *service_doc_map(const struct json *docs)
{
	struct map *m = map_create(NULL);
	for (size_t i = 0; i < json_len(docs); i++) {
		const char *name = json_get_str(json_at(docs, i), "name");
		if (name)
			map_set(m, name, json_at(docs, i));
	}
	return m;
}

static void add_all(const struct json *list, struct strs *out)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const char *name = json_str(json_at(list, i));
		if (name && !strs_has(out, name))
			strs_add(out, name);
	}
}

void service_doc_add_needs(const struct json *doc, const char *phase, const char *kind,
                           struct strs *out)
{
	add_all(json_get(json_get(json_get(doc, "dependencies"), phase), kind), out);
	/* the first releases wrote runtime.requires this way */
	if (!strcmp(phase, "runtime") && !strcmp(kind, "requires"))
		add_all(json_get(doc, "dependson"), out);
}

void service_doc_add_provided(const struct json *doc, struct strs *out)
{
	add_all(json_path(doc, "dependencies/provides"), out);
}

void service_doc_add_automators(const struct json *doc, struct strs *out)
{
	const struct json *actions = json_path(doc, "provisioner/actions");
	for (size_t i = 0; i < json_len(actions); i++) {
		const char *type = json_get_str(json_value_at(actions, i), "type");
		if (type && !strs_has(out, type))
			strs_add(out, type);
	}
}

bool service_doc_has_action(const struct json *doc, const char *action)
{
	return json_is(json_get(json_path(doc, "provisioner/actions"), action), JSON_OBJECT);
}
