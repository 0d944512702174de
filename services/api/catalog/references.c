/* SPDX-License-Identifier: Apache-2.0 */
/* references - the table of which documents name which, and a walk along its paths. */
#include "services/api/catalog/references.h"

#include "common/base/near.h"
#include "common/base/str.h"

#include <string.h>

/* Paths: "*" is each element or member, "#" each member's key. */
static const struct {
	enum entity_kind from, to;
	const char *path;
} table[] = {
	{ ENTITY_PROVIDER, ENTITY_PROVIDERTYPE, "providertype" },
	{ ENTITY_HARDWARETYPE, ENTITY_PROVIDER, "providermap.#" },
	{ ENTITY_IMAGETYPE, ENTITY_PROVIDER, "providermap.#" },
	{ ENTITY_SERVICE, ENTITY_AUTOMATORTYPE, "provisioner.actions.*.type" },
	{ ENTITY_CLUSTERTEMPLATE, ENTITY_CLUSTERTEMPLATE, "extends.name" },
	{ ENTITY_CLUSTERTEMPLATE, ENTITY_PARTIALTEMPLATE, "includes.*.name" },
#define OF_TEMPLATES(from)                                                               \
	{ from, ENTITY_SERVICE, "defaults.services.*" },                                 \
		{ from, ENTITY_PROVIDER, "defaults.provider" },                          \
		{ from, ENTITY_HARDWARETYPE, "defaults.hardwaretype" },                  \
		{ from, ENTITY_IMAGETYPE, "defaults.imagetype" },                        \
		{ from, ENTITY_SERVICE, "compatibility.services.*" },                    \
		{ from, ENTITY_HARDWARETYPE, "compatibility.hardwaretypes.*" },          \
		{ from, ENTITY_IMAGETYPE, "compatibility.imagetypes.*" },                \
		{ from, ENTITY_SERVICE, "constraints.layout.mustcoexist.*.*" },          \
		{ from, ENTITY_SERVICE, "constraints.layout.cantcoexist.*.*" },          \
		{ from, ENTITY_SERVICE, "constraints.services.#" },                      \
		{ from, ENTITY_HARDWARETYPE, "constraints.services.*.hardwaretypes.*" }, \
	{                                                                                \
		from, ENTITY_IMAGETYPE, "constraints.services.*.imagetypes.*"            \
	}
	OF_TEMPLATES(ENTITY_CLUSTERTEMPLATE),
	OF_TEMPLATES(ENTITY_PARTIALTEMPLATE),
};

struct walk {
	enum entity_kind to;
	reference_fn each;
	void *arg;
};

static void found(const struct walk *w, const char *name, const char *path)
{
	if (!str_blank(name))
		w->each(w->to, name, path, w->arg);
}

/* rest: the part of the path still to walk; at: the part walked, with real names. */
static void walk(const struct walk *w, const struct json *v, const char *rest, const char *at)
{
	if (!v)
		return;
	if (!*rest) {
		found(w, json_str(v), at);
		return;
	}
	size_t n = strcspn(rest, ".");
	const char *next = rest[n] ? rest + n + 1 : rest + n;
	bool every = *rest == '*' || *rest == '#';
	if (!every && !json_is(v, JSON_OBJECT))
		return;
	for (size_t i = 0; i < json_len(v); i++) {
		const char *key = json_is(v, JSON_OBJECT) ? json_key_at(v, i) : NULL;
		if (!every && (!key || strlen(key) != n || strncmp(key, rest, n) != 0))
			continue;
		LOOM_CLEANUP_STR char *path =
			key ? loom_asprintf("%s%s%.255s", at, *at ? "." : "", key)
			    : loom_asprintf("%s[%zu]", at, i);
		if (*rest == '#')
			found(w, key, path);
		else
			walk(w, key ? json_value_at(v, i) : json_at(v, i), next, path);
	}
}

void references_each(enum entity_kind k, const struct json *doc, reference_fn each, void *arg)
{
	for (size_t i = 0; i < LOOM_COUNT(table); i++) {
		const struct walk w = { table[i].to, each, arg };
		if (table[i].from == k)
			walk(&w, doc, table[i].path, "");
	}
}

bool references_kind(enum entity_kind from, enum entity_kind to)
{
	bool any = false;
	for (size_t i = 0; i < LOOM_COUNT(table); i++)
		any = any || (table[i].from == from && table[i].to == to);
	return any;
}

/* The known field that a misspelt one means, NULL: none. Only administrators' fields belong into a
 * service's actions; users give theirs with the cluster. */
static const char *meant(const struct json *type, const char *field)
{
	const struct json *known =
		json_get(json_get(json_get(type, "parameters"), "admin"), "fields");
	const char *near_one = NULL;
	for (size_t i = 0; i < json_len(known); i++) {
		if (str_eq(json_key_at(known, i), field))
			return NULL;
		if (!near_one && near(json_key_at(known, i), field))
			near_one = json_key_at(known, i);
	}
	return near_one;
}

int references_check_fields(const struct json *service, const struct json *types,
                            struct loom_err *err)
{
	const struct json *actions = json_get(json_get(service, "provisioner"), "actions");
	for (size_t i = 0; i < json_len(actions); i++) {
		const struct json *a = json_value_at(actions, i), *given = json_get(a, "fields");
		const char *type = json_get_str(a, "type");
		for (size_t k = 0; k < json_len(given); k++) {
			const char *field = json_key_at(given, k);
			const char *other = meant(json_get(types, type), field);
			if (other)
				return err_set(err, 400,
				               "provisioner.actions.%s.fields.%.64s is not a field "
				               "of %s; did you mean %s?",
				               json_key_at(actions, i), field, type, other);
		}
	}
	return 0;
}
