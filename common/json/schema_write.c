/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas as JSON Schema 2020-12. */
#include "common/json/schema.h"

static const char *type_name(enum schema_type t)
{
	static const char *const names[] = {
		[SCHEMA_ANY] = NULL,          [SCHEMA_STRING] = "string",
		[SCHEMA_INTEGER] = "integer", [SCHEMA_NUMBER] = "number",
		[SCHEMA_BOOLEAN] = "boolean", [SCHEMA_OBJECT] = "object",
		[SCHEMA_MAP] = "object",      [SCHEMA_ARRAY] = "array",
	};
	return names[t];
}

static struct json *words(const struct schema *s)
{
	struct json *list = json_new_arr();
	for (const char *const *w = s->words; *w; w++)
		json_push(list, json_new_str(*w));
	return list;
}

static void write_bounds(const struct schema *s, struct json *o)
{
	static const struct {
		const char *min, *max;
	} names[] = {
		[SCHEMA_STRING] = { "minLength", "maxLength" },
		[SCHEMA_INTEGER] = { "minimum", "maximum" },
		[SCHEMA_MAP] = { "minProperties", "maxProperties" },
		[SCHEMA_ARRAY] = { "minItems", "maxItems" },
	};
	if (!names[s->type].min || (!s->max && !s->min))
		return;
	if (s->min || s->type == SCHEMA_INTEGER)
		json_set_int(o, names[s->type].min, s->min);
	if (s->max)
		json_set_int(o, names[s->type].max, schema_max(s));
}

static void write_fields(const struct schema *s, struct json *named, struct json *o)
{
	struct json *properties = json_new_obj(), *required = json_new_arr();
	for (const struct schema_field *f = s->fields; f && f->name; f++) {
		struct json *p = schema_write(f->schema, named);
		if (f->doc)
			json_set_str(p, "description", f->doc);
		json_set(properties, f->name, p);
		if (f->flags)
			json_push(required, json_new_str(f->name));
	}
	json_set(o, "properties", properties);
	if (json_len(required))
		json_set(o, "required", required);
	else
		json_free(required);
	if (s->others != SCHEMA_NEAR)
		json_set_bool(o, "additionalProperties", s->others == SCHEMA_OPEN);
}

static struct json *write_whole(const struct schema *s, struct json *named)
{
	struct json *o = json_set_str(json_new_obj(), "type", type_name(s->type));
	if (s->secret)
		json_set_bool(o, "writeOnly", true);
	json_set_str(o, "description", s->doc);
	json_set_str(o, "pattern", s->type == SCHEMA_STRING ? s->pattern : NULL);
	write_bounds(s, o);
	if (s->type == SCHEMA_OBJECT)
		write_fields(s, named, o);
	if (s->type == SCHEMA_MAP && s->items)
		json_set(o, "additionalProperties", schema_write(s->items, named));
	if (s->type == SCHEMA_MAP && s->words)
		json_set(o, "propertyNames", json_set(json_new_obj(), "enum", words(s)));
	if (s->type == SCHEMA_ARRAY)
		json_set(o, "items", s->items ? schema_write(s->items, named) : json_new_obj());
	if (s->type == SCHEMA_STRING && s->words)
		json_set(o, "enum", words(s));
	return o;
}

struct json *schema_write(const struct schema *s, struct json *named)
{
	if (!s->name)
		return write_whole(s, named);
	if (!json_get(named, s->name)) {
		json_set_bool(named, s->name, true); /* so that one that holds itself ends */
		json_set(named, s->name, write_whole(s, named));
	}
	LOOM_CLEANUP_STR char *ref = loom_asprintf("#/components/schemas/%s", s->name);
	return json_set_str(json_new_obj(), "$ref", ref);
}
