/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a user's fields to a provider's settings, and lists missing ones. */
#include "services/api/catalog/providerfields.h"

#include "common/base/str.h"
#include "common/json/schema.h"
#include "common/model/keys/secret.h"

/* The original's plain serialiser calls a schema's default `defaultValue` here. */
static struct json *plain_schema(const struct json *schema)
{
	struct json *o = json_new_obj();
	for (size_t i = 0; i < json_len(schema); i++) {
		const char *key = json_key_at(schema, i);
		json_set(o, str_eq(key, "default") ? "defaultValue" : key,
		         json_copy(json_value_at(schema, i)));
	}
	return o;
}

static bool is_given(const struct json *fields, const char *name)
{
	const struct json *v = json_get(fields, name);
	return !json_is(v, JSON_NULL) && !str_eq(json_str(v), SECRET_MASK);
}

static struct json *lacking(const struct json *set, const struct json *schemas,
                            const struct json *fields, const struct json *have)
{
	struct json *o = json_new_obj();
	for (size_t i = 0; i < json_len(set); i++) {
		const char *name = json_str(json_at(set, i));
		if (!is_given(fields, name) && json_is(json_get(have, name), JSON_NULL))
			json_set(o, name, plain_schema(json_get(schemas, name)));
	}
	return o;
}

static int check_required(const struct json *type, const struct json *fields,
                          const struct json *have, struct json **ret_missing)
{
	const struct json *user = json_path(type, "parameters/user");
	const struct json *required = json_get(user, "required");
	LOOM_CLEANUP(json_free) struct json *list = json_new_arr();
	for (size_t i = 0; i < json_len(required); i++) {
		struct json *l =
			lacking(json_at(required, i), json_get(user, "fields"), fields, have);
		json_push(list, l);
		if (!json_len(l))
			return 0;
	}
	if (!json_len(list))
		return 0;
	*ret_missing = json_set(json_new_obj(), "missingFields", loom_take(list));
	return 400;
}

static const struct json *accepted(const struct json *type, const char *name)
{
	const struct json *s = json_get(json_path(type, "parameters/user/fields"), name);
	if (s)
		return s;
	s = json_get(json_path(type, "parameters/admin/fields"), name);
	return json_get_bool(s, "override", false) ? s : NULL;
}

int providerfields_apply(const struct json *type, const struct json *fields, struct json *provider,
                         struct json **ret_missing)
{
	struct json *have = json_get(provider, "provisioner");
	int rc = check_required(type, fields, have, ret_missing);
	for (size_t i = 0; !rc && i < json_len(fields); i++) {
		const char *name = json_key_at(fields, i);
		const struct json *v = json_value_at(fields, i);
		bool mask = secret_is_declared(type, name) && str_eq(json_str(v), SECRET_MASK);
		if (accepted(type, name) && !json_is(v, JSON_NULL) && !mask)
			json_set(have, name, json_copy(v));
	}
	return rc;
}

void providerfields_over(const struct json *type, const struct json *fields, struct strs *ret)
{
	for (size_t i = 0; i < json_len(fields) && ret->n < SCHEMA_OVER_MAX; i++) {
		LOOM_CLEANUP_STR char *at =
			loom_asprintf("providerFields.%.255s", json_key_at(fields, i));
		if (!accepted(type, json_key_at(fields, i)))
			strs_add(ret, at);
	}
}
