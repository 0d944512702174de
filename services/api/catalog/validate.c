/* SPDX-License-Identifier: Apache-2.0 */
/* Turns documents that have passed their schema into the stored form: known fields only, with
 * defaults; and checks what a schema cannot express. */
#include "services/api/catalog/validate.h"

#include "common/base/str.h"
#include "common/model/cluster/macro.h"
#include "common/model/worker/limit.h"
#include "services/api/catalog/validate_check.h"

#include <string.h>

const struct schema *validate_schema(enum entity_kind k)
{
	static const struct schema *const schemas[ENTITY_KINDS_] = {
		[ENTITY_PROVIDER] = &schema_provider,
		[ENTITY_HARDWARETYPE] = &schema_hardwaretype,
		[ENTITY_IMAGETYPE] = &schema_imagetype,
		[ENTITY_SERVICE] = &schema_service,
		[ENTITY_CLUSTERTEMPLATE] = &schema_clustertemplate,
		[ENTITY_PARTIALTEMPLATE] = &schema_partialtemplate,
		[ENTITY_PROVIDERTYPE] = &schema_providertype,
		[ENTITY_AUTOMATORTYPE] = &schema_automatortype,
	};
	return schemas[k];
}

static struct json *base(const struct json *in)
{
	struct json *out = json_new_obj();
	static const char *const texts[] = { "name", "label", "description", "icon" };
	for (size_t i = 0; i < LOOM_COUNT(texts); i++)
		json_set_str(out, texts[i], json_get_str(in, texts[i]));
	return out;
}

/* The provider's limits of concurrent calls; stored as given. */
static void limits(struct check *c, const struct json *in, struct json *out)
{
	const struct json *l = check_member(in, "limits");
	int64_t creates, calls, window;
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
	json_set_str(out, "providertype", json_get_str(in, "providertype"));
	const struct json *p = check_member(in, "provisioner");
	json_set(out, "provisioner", p ? json_copy(p) : json_new_obj());
	limits(c, in, out);
}

/* Limits the length to that of the node's column. */
static void check_length(struct check *c, const char *provider, const char *key, const char *v)
{
	size_t max = str_eq(key, "sshuser") ? 64 : 255;
	if (v && (str_eq(key, "flavor") || str_eq(key, "image") || max == 64) && strlen(v) > max)
		check_refuse(c, "providermap.%s.%s is longer than %zu characters", provider, key,
		             max);
}

static void providermap(struct check *c, const struct json *in, struct json *out)
{
	const struct json *map = json_get(in, "providermap");
	struct json *m = json_new_obj();
	for (size_t i = 0; i < json_len(map); i++) {
		const char *name = json_key_at(map, i);
		const struct json *from = json_value_at(map, i);
		struct json *to = json_new_obj();
		for (size_t k = 0; k < json_len(from); k++) {
			check_length(c, name, json_key_at(from, k),
			             json_str(json_value_at(from, k)));
			json_set_str(to, json_key_at(from, k), json_str(json_value_at(from, k)));
		}
		json_set(m, name, to);
	}
	json_set(out, "providermap", m);
}

static struct json *depends(const struct json *deps, const char *when)
{
	const struct json *d = json_get(deps, when);
	struct json *out = json_set(json_new_obj(), "requires", check_names(d, "requires"));
	return json_set(out, "uses", check_names(d, "uses"));
}

static struct json *action(const struct json *in)
{
	struct json *out = json_set_str(json_new_obj(), "type", json_get_str(in, "type"));
	const struct json *fields = json_get(in, "fields");
	struct json *f = json_new_obj();
	for (size_t i = 0; i < json_len(fields); i++)
		json_set_str(f, json_key_at(fields, i), json_str(json_value_at(fields, i)));
	json_set(out, "fields", f);
	return json_set(out, "retry", check_retry(in));
}

static void service(struct check *c LOOM_UNUSED, const struct json *in, struct json *out)
{
	const struct json *deps = json_get(in, "dependencies");
	const struct json *actions = json_path(in, "provisioner/actions");
	struct json *d = json_new_obj(), *a = json_new_obj();
	json_set(d, "provides", check_names(deps, "provides"));
	json_set(d, "conflicts", check_names(deps, "conflicts"));
	json_set(d, "install", depends(deps, "install"));
	json_set(d, "runtime", depends(deps, "runtime"));
	json_set(out, "dependencies", d);
	for (size_t i = 0; i < json_len(actions); i++)
		json_set(a, json_key_at(actions, i), action(json_value_at(actions, i)));
	json_set(out, "provisioner", json_set(json_new_obj(), "actions", a));
	json_set(out, "links", check_links(in));
}

static struct json *field_schema(const struct json *in)
{
	struct json *out = json_set_str(json_new_obj(), "label", json_get_str(in, "label"));
	json_set_str(out, "type", json_get_str(in, "type"));
	const char *tip = json_get_str(in, "tip");
	json_set_str(out, "tip", tip ? tip : "");
	if (json_get(in, "default"))
		json_set(out, "default", json_copy(json_get(in, "default")));
	json_set_bool(out, "override", json_get_bool(in, "override", false));
	json_set_bool(out, "sensitive", json_get_bool(in, "sensitive", false));
	if (json_get_bool(in, "host", false))
		json_set_bool(out, "host", true);
	if (json_get(in, "options"))
		json_set(out, "options", check_names(in, "options"));
	return out;
}

static struct json *parameters_of(struct check *c, const struct json *params, const char *who)
{
	const struct json *p = json_get(params, who);
	const struct json *fields = json_get(p, "fields"), *required = json_get(p, "required");
	struct json *f = json_new_obj(), *r = json_new_arr();
	for (size_t i = 0; i < json_len(fields); i++)
		json_set(f, json_key_at(fields, i), field_schema(json_value_at(fields, i)));
	for (size_t i = 0; i < json_len(required); i++) {
		const struct json *set = json_at(required, i);
		for (size_t k = 0; k < json_len(set); k++) {
			const char *name = json_str(json_at(set, k));
			if (!json_get(f, name))
				check_refuse(c,
				             "parameters.%s.required[%zu] names '%s', which is not "
				             "among its fields",
				             who, i, name);
		}
		json_push(r, json_copy(set));
	}
	return json_set(json_set(json_new_obj(), "fields", f), "required", r);
}

static void resource_types(struct check *c, const struct json *in, struct json *out)
{
	const struct json *v = json_get(in, "resourceTypes");
	struct json *o = json_new_obj();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *name = json_key_at(v, i);
		const char *format = json_get_str(json_value_at(v, i), "format");
		const char *mode = json_get_str(json_value_at(v, i), "permissions");
		if (mode && !str_eq(format, "file"))
			check_refuse(c, "resourceTypes.%s.permissions are those of a file", name);
		struct json *one = json_set_str(json_new_obj(), "format", format);
		json_set(o, name, json_set_str(one, "permissions", mode));
	}
	json_set(out, "resourceTypes", o);
}

static void plugin_type(struct check *c, const struct json *in, struct json *out)
{
	const struct json *p = json_get(in, "parameters");
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

static int config_size(const struct json *config, const char *where, struct loom_err *err)
{
	size_t n = config ? size_of(config) : 0;
	return n <= VALIDATE_CONFIG_MAX
	               ? 0
	               : err_set(err, 400, "%s has %zu bytes as JSON; at most %u are allowed",
	                         where, n, VALIDATE_CONFIG_MAX);
}

/* Without nodes, macros with no value stay as they are; so an error here is a syntax error. */
int validate_config(const struct json *config, const char *where, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *expanded = NULL;
	struct loom_err why = { 0 };
	int rc = config_size(config, where, err);
	if (rc || !config)
		return rc;
	LOOM_CLEANUP(macro_destroy) struct macro *m = macro_create(NULL, 0, "");
	if (macro_expand(m, MACRO_NO_SELF, config, &expanded, &why) == MACRO_E_SYNTAX)
		return err_set(err, 400, "%s: %s", where, why.msg);
	return 0;
}

static int document_size(enum entity_kind k, const struct json *doc, struct loom_err *err)
{
	size_t n = size_of(doc);
	int rc = config_size(json_path(doc, "defaults/config"), "defaults.config", err);
	if (rc || n <= VALIDATE_DOCUMENT_MAX)
		return rc;
	return err_set(err, 400, "the %s has %zu bytes as JSON; at most %u are allowed",
	               entity_label(k), n, VALIDATE_DOCUMENT_MAX);
}

int validate_entity(enum entity_kind k, const struct json *in, struct json **ret,
                    struct loom_err *err)
{
	struct check c = { .err = err };
	LOOM_CLEANUP(json_free) struct json *out = base(in);
	kinds[k](&c, in, out);
	int rc = c.refused ? c.refused : document_size(k, out, err);
	if (!rc)
		*ret = loom_take(out);
	return rc;
}
