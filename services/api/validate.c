/* SPDX-License-Identifier: Apache-2.0 */
/* Checks documents of tenants field by field, and fills in defaults. */
#include "services/api/validate.h"

#include "common/base/str.h"
#include "common/model/limit.h"
#include "services/api/validate_check.h"

#include <string.h>

/* The fields of each kind of document, for what is misspelt. */
#define COMMON   "name", "label", "description", "icon", "version"
#define TEMPLATE COMMON, "defaults", "compatibility", "constraints", "administration", "links"

static const char *const top_fields[ENTITY_KINDS_][16] = {
	[ENTITY_PROVIDER] = { COMMON, "providertype", "provisioner", "limits" },
	[ENTITY_HARDWARETYPE] = { COMMON, "providermap" },
	[ENTITY_IMAGETYPE] = { COMMON, "providermap" },
	[ENTITY_SERVICE] = { COMMON, "dependencies", "provisioner", "links" },
	[ENTITY_CLUSTERTEMPLATE] = { TEMPLATE, "extends", "includes" },
	[ENTITY_PARTIALTEMPLATE] = { TEMPLATE, "immutable" },
	[ENTITY_PROVIDERTYPE] = { COMMON, "parameters", "resourceTypes" },
	[ENTITY_AUTOMATORTYPE] = { COMMON, "parameters", "resourceTypes" },
};

static void check_top(struct check *c, const struct json *in, enum entity_kind k)
{
	size_t n = 0;
	while (n < LOOM_COUNT(top_fields[k]) && top_fields[k][n])
		n++;
	check_fields(c, in, "", top_fields[k], n);
}

static struct json *base(struct check *c, const struct json *in)
{
	struct json *out = json_new_obj();
	const char *name = check_text(c, in, "", "name", true);
	if (name && !str_is_name(name))
		check_refuse(c, "name '%.64s' must be 1 to 255 characters of A-Z a-z 0-9 _ . -",
		             name);
	json_set_str(out, "name", name);
	static const char *const optional[] = { "label", "description", "icon" };
	for (size_t i = 0; i < LOOM_COUNT(optional); i++)
		json_set_str(out, optional[i], check_text(c, in, "", optional[i], false));
	int64_t version;
	if (json_get(in, "version") && !json_int(json_get(in, "version"), &version))
		check_refuse(c, "version must be a whole number");
	return out;
}

/* What may be asked of the provider at once; kept as given. */
static void limits(struct check *c, const struct json *in, struct json *out)
{
	const struct json *l = check_member(c, in, "", "limits", JSON_OBJECT);
	int64_t creates, calls, window;
	for (size_t i = 0; i < json_len(l); i++) {
		if (!str_eq(json_key_at(l, i), "concurrentCreates") &&
		    !str_eq(json_key_at(l, i), "callsPerSecond"))
			check_refuse(
				c, "limits.%s is not a limit: concurrentCreates or callsPerSecond",
				json_key_at(l, i));
	}
	check_whole(c, l, "limits.", "concurrentCreates", 1, 1);
	if (l && !limit_parse(l, &creates, &calls, &window))
		check_refuse(c,
		             "limits.callsPerSecond must be a whole number from 1 to %d, or a"
		             " fraction from 0.001 below 1",
		             LIMIT_MAX_CALLS);
	if (json_len(l))
		json_set(out, "limits", json_copy(l));
}

static void provider(struct check *c, const struct json *in, struct json *out)
{
	json_set_str(out, "providertype", check_text(c, in, "", "providertype", true));
	const struct json *p = check_member(c, in, "", "provisioner", JSON_OBJECT);
	json_set(out, "provisioner", p ? json_copy(p) : json_new_obj());
	limits(c, in, out);
}

/* As long as a machine's row holds them. */
static void check_length(struct check *c, const char *provider, const char *key, const char *v)
{
	size_t max = str_eq(key, "sshuser") ? 64 : 255;
	if (v && (str_eq(key, "flavor") || str_eq(key, "image") || max == 64) && strlen(v) > max)
		check_refuse(c, "providermap.%s.%s is longer than %zu characters", provider, key,
		             max);
}

static void providermap(struct check *c, const struct json *in, struct json *out)
{
	const struct json *map = check_member(c, in, "", "providermap", JSON_OBJECT);
	if (!map)
		check_refuse(
			c,
			"providermap is missing: an object from provider names to what they call it");
	struct json *m = json_new_obj();
	for (size_t i = 0; i < json_len(map); i++) {
		const char *name = json_key_at(map, i);
		const struct json *from = json_value_at(map, i);
		if (!json_is(from, JSON_OBJECT))
			check_refuse(c, "providermap.%s must be an object", name);
		struct json *to = json_new_obj();
		for (size_t k = 0; k < json_len(from); k++) {
			if (!json_str(json_value_at(from, k)))
				check_refuse(c, "providermap.%s.%s must be a string", name,
				             json_key_at(from, k));
			check_length(c, name, json_key_at(from, k),
			             json_str(json_value_at(from, k)));
			json_set_str(to, json_key_at(from, k), json_str(json_value_at(from, k)));
		}
		json_set(m, name, to);
	}
	json_set(out, "providermap", m);
}

static struct json *depends(struct check *c, const struct json *deps, const char *when)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("dependencies.%s.", when);
	static const char *const known[] = { "requires", "uses" };
	const struct json *d = check_member(c, deps, "dependencies.", when, JSON_OBJECT);
	check_fields(c, d, path, known, LOOM_COUNT(known));
	struct json *out =
		json_set(json_new_obj(), "requires", check_names(c, d, path, "requires", false));
	return json_set(out, "uses", check_names(c, d, path, "uses", false));
}

static struct json *action(struct check *c, const char *name, const struct json *in)
{
	static const char *const known[] = { "type", "fields", "retry" };
	LOOM_CLEANUP_STR char *path = loom_asprintf("provisioner.actions.%s.", name);
	check_fields(c, in, path, known, LOOM_COUNT(known));
	struct json *out =
		json_set_str(json_new_obj(), "type", check_text(c, in, path, "type", true));
	const struct json *fields = check_member(c, in, path, "fields", JSON_OBJECT);
	struct json *f = json_new_obj();
	for (size_t i = 0; i < json_len(fields); i++) {
		const char *v = json_str(json_value_at(fields, i));
		if (!v)
			check_refuse(c, "%sfields.%s must be a string", path,
			             json_key_at(fields, i));
		json_set_str(f, json_key_at(fields, i), v);
	}
	json_set(out, "fields", f);
	struct json *retry = check_retry(c, in, path);
	return retry ? json_set(out, "retry", retry) : out;
}

static void service(struct check *c, const struct json *in, struct json *out)
{
	static const char *const known[] = { "install",   "remove", "initialize",
		                             "configure", "start",  "stop" };
	static const char *const parts[] = { "provides", "conflicts", "install", "runtime" };
	static const char *const provisioner[] = { "actions" };
	const struct json *deps = check_member(c, in, "", "dependencies", JSON_OBJECT);
	check_fields(c, deps, "dependencies.", parts, LOOM_COUNT(parts));
	struct json *d = json_new_obj();
	json_set(d, "provides", check_names(c, deps, "dependencies.", "provides", deps != NULL));
	json_set(d, "conflicts", check_names(c, deps, "dependencies.", "conflicts", deps != NULL));
	json_set(d, "install", depends(c, deps, "install"));
	json_set(d, "runtime", depends(c, deps, "runtime"));
	json_set(out, "dependencies", d);
	const struct json *p = check_member(c, in, "", "provisioner", JSON_OBJECT);
	check_fields(c, p, "provisioner.", provisioner, LOOM_COUNT(provisioner));
	const struct json *actions = check_member(c, p, "provisioner.", "actions", JSON_OBJECT);
	if (p && !actions)
		check_refuse(c, "provisioner.actions is missing");
	struct json *a = json_new_obj();
	for (size_t i = 0; i < json_len(actions); i++) {
		const char *name = json_key_at(actions, i);
		bool ok = false;
		for (size_t k = 0; k < LOOM_COUNT(known); k++)
			ok = ok || str_eq(known[k], name);
		if (!ok)
			check_refuse(
				c,
				"provisioner.actions.%s is not an action: install, remove, initialize, "
				"configure, start or stop",
				name);
		json_set(a, name, action(c, name, json_value_at(actions, i)));
	}
	json_set(out, "provisioner", json_set(json_new_obj(), "actions", a));
	json_set(out, "links", check_links(c, in));
}

static void field_schema(struct check *c, const char *path, const struct json *in, struct json *out)
{
	json_set_str(out, "label", check_text(c, in, path, "label", true));
	json_set_str(out, "type", check_text(c, in, path, "type", true));
	const char *tip = check_text(c, in, path, "tip", false);
	json_set_str(out, "tip", tip ? tip : "");
	if (json_get(in, "default"))
		json_set(out, "default", json_copy(json_get(in, "default")));
	json_set_bool(out, "override", json_get_bool(in, "override", false));
	json_set_bool(out, "sensitive", json_get_bool(in, "sensitive", false));
	if (json_get_bool(in, "host", false))
		json_set_bool(out, "host", true);
	if (json_get(in, "options"))
		json_set(out, "options", check_names(c, in, path, "options", false));
}

static struct json *parameters_of(struct check *c, const struct json *params, const char *who)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("parameters.%s.", who);
	const struct json *p = check_member(c, params, "parameters.", who, JSON_OBJECT);
	const struct json *fields = check_member(c, p, path, "fields", JSON_OBJECT);
	const struct json *required = check_member(c, p, path, "required", JSON_ARRAY);
	struct json *f = json_new_obj(), *r = json_new_arr();
	for (size_t i = 0; i < json_len(fields); i++) {
		LOOM_CLEANUP_STR char *fpath =
			loom_asprintf("%sfields.%s.", path, json_key_at(fields, i));
		struct json *schema = json_new_obj();
		field_schema(c, fpath, json_value_at(fields, i), schema);
		json_set(f, json_key_at(fields, i), schema);
	}
	for (size_t i = 0; i < json_len(required); i++) {
		const struct json *set = json_at(required, i);
		if (!json_is(set, JSON_ARRAY))
			check_refuse(c, "%srequired[%zu] must be an array of field names", path, i);
		for (size_t k = 0; k < json_len(set); k++) {
			const char *name = json_str(json_at(set, k));
			if (!name || !json_get(f, name))
				check_refuse(
					c,
					"%srequired[%zu] names '%s', which is not among its fields",
					path, i, name ? name : "?");
		}
		json_push(r, json_copy(set));
	}
	return json_set(json_set(json_new_obj(), "fields", f), "required", r);
}

static void resource_types(struct check *c, const struct json *in, struct json *out)
{
	const struct json *v = check_member(c, in, "", "resourceTypes", JSON_OBJECT);
	struct json *o = json_new_obj();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *name = json_key_at(v, i);
		const char *format = json_get_str(json_value_at(v, i), "format");
		const char *mode = json_get_str(json_value_at(v, i), "permissions");
		bool file = str_eq(format, "file");
		if (!file && !str_eq(format, "archive"))
			check_refuse(c, "resourceTypes.%s.format must be file or archive", name);
		size_t n = mode ? strspn(mode, "01234567") : 0;
		if (mode && (!file || mode[n] || n < 3 || n > 4))
			check_refuse(
				c,
				"resourceTypes.%s.permissions must be 3 or 4 octal digits, of a file",
				name);
		struct json *one = json_set_str(json_new_obj(), "format", format);
		json_set(o, name, json_set_str(one, "permissions", mode));
	}
	json_set(out, "resourceTypes", o);
}

static void plugin_type(struct check *c, const struct json *in, struct json *out)
{
	const struct json *p = check_member(c, in, "", "parameters", JSON_OBJECT);
	for (size_t i = 0; i < json_len(p); i++) {
		if (!str_eq(json_key_at(p, i), "admin") && !str_eq(json_key_at(p, i), "user"))
			check_refuse(c, "parameters.%s is neither admin nor user",
			             json_key_at(p, i));
	}
	struct json *o = json_set(json_new_obj(), "admin", parameters_of(c, p, "admin"));
	json_set(out, "parameters", json_set(o, "user", parameters_of(c, p, "user")));
	resource_types(c, in, out);
}

static void (*const kinds[ENTITY_KINDS_])(struct check *c, const struct json *in,
                                          struct json *out) = {
	[ENTITY_PROVIDER] = provider,
	[ENTITY_HARDWARETYPE] = providermap,
	[ENTITY_IMAGETYPE] = providermap,
	[ENTITY_SERVICE] = service,
	[ENTITY_CLUSTERTEMPLATE] = validate_cluster_template,
	[ENTITY_PARTIALTEMPLATE] = validate_partial_template,
	[ENTITY_PROVIDERTYPE] = plugin_type,
	[ENTITY_AUTOMATORTYPE] = plugin_type,
};

static size_t size_of(const struct json *v)
{
	LOOM_CLEANUP_STR char *text = json_text(v);
	return strlen(text);
}

int validate_config_size(const struct json *config, const char *where, struct loom_err *err)
{
	size_t n = config ? size_of(config) : 0;
	return n <= VALIDATE_CONFIG_MAX
	               ? 0
	               : err_set(err, 400, "%s has %zu bytes as JSON; at most %u are allowed",
	                         where, n, VALIDATE_CONFIG_MAX);
}

static int document_size(enum entity_kind k, const struct json *doc, struct loom_err *err)
{
	size_t n = size_of(doc);
	int rc = validate_config_size(json_path(doc, "defaults/config"), "defaults.config", err);
	if (rc || n <= VALIDATE_DOCUMENT_MAX)
		return rc;
	return err_set(err, 400, "the %s has %zu bytes as JSON; at most %u are allowed",
	               entity_label(k), n, VALIDATE_DOCUMENT_MAX);
}

int validate_entity(enum entity_kind k, const struct json *in, struct json **ret,
                    struct loom_err *err)
{
	struct check c = { .err = err };
	if (!json_is(in, JSON_OBJECT))
		return err_set(err, 400, "the body must be a JSON object: a %s", entity_label(k));
	check_top(&c, in, k);
	LOOM_CLEANUP(json_free) struct json *out = base(&c, in);
	if (!c.refused)
		kinds[k](&c, in, out);
	int rc = c.refused ? c.refused : document_size(k, out, err);
	if (!rc)
		*ret = loom_take(out);
	return rc;
}
