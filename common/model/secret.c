/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in documents: what is one, how it is kept, and what is shown in its place. */
#include "common/model/secret.h"

#define SEALED "$sealed"
#define KEY    "key"

/* An object of fields that one plugin type declares, and the same of the document before. */
struct holder {
	const struct secret_of *of;
	const char *name;  /* of the document */
	const char *place; /* in it: "" or the action */
	const struct json *type, *types;
	struct json *fields;
	const struct json *stored;
	bool changed;
	struct redact *redact;
	struct loom_err *err;
};

static bool is_sealed(const struct json *v)
{
	return json_len(v) == 2 && json_get_str(v, SEALED) && json_get_str(v, KEY);
}

static bool is_mask(const struct json *v)
{
	return json_is(v, JSON_STRING) && str_eq(json_str(v), SECRET_MASK);
}

static const struct json *schema_of(const struct json *type, const char *who, const char *field)
{
	const struct json *of = json_get(json_get(json_get(type, "parameters"), who), "fields");
	return field ? json_get(of, field) : of;
}

bool secret_is_declared(const struct json *type, const char *field)
{
	static const char *const who[] = { "admin", "user" };
	for (size_t i = 0; i < LOOM_COUNT(who); i++) {
		const struct json *s = schema_of(type, who[i], field);
		if (json_get_bool(s, "sensitive", false) ||
		    str_eq(json_get_str(s, "type"), "password"))
			return true;
	}
	return false;
}

bool secrets_declares_more(const struct json *type, const struct json *before)
{
	static const char *const who[] = { "admin", "user" };
	for (size_t w = 0; w < LOOM_COUNT(who); w++) {
		const struct json *known = schema_of(type, who[w], NULL);
		for (size_t i = 0; i < json_len(known); i++) {
			const char *field = json_key_at(known, i);
			if (secret_is_declared(type, field) && !secret_is_declared(before, field))
				return true;
		}
	}
	return false;
}

/* ---- one value ------------------------------------------------------------------------------- */

static char *owner_of(const struct holder *h, const char *field)
{
	return loom_asprintf("%s\n%s\n%s\n%s\n%s", entity_collection(h->of->kind), h->of->tenant,
	                     h->name, h->place, field);
}

static struct json *opened(const struct holder *h, const char *field, const struct json *v)
{
	LOOM_CLEANUP_STR char *owner = owner_of(h, field);
	LOOM_CLEANUP_STR char *text = seal_open(h->of->key, owner, json_get_str(v, SEALED));
	struct json *out = NULL;
	if (text && json_parse_str(text, &out, NULL))
		out = NULL;
	return out;
}

static struct json *sealed(const struct holder *h, const char *field, const struct json *v)
{
	char key[SEAL_KEY_NAME];
	if (h->of->later)
		return json_copy(v);
	LOOM_CLEANUP_STR char *owner = owner_of(h, field), *text = json_text(v);
	LOOM_CLEANUP_STR char *kept = seal_text(h->of->key, owner, text);
	loom_assert(kept);
	seal_key_name(h->of->key, key);
	struct json *o = json_set_str(json_new_obj(), SEALED, kept);
	return json_set_str(o, KEY, key);
}

static int cannot_open(const struct holder *h, const char *field, const struct json *v, int status)
{
	char key[SEAL_KEY_NAME];
	seal_key_name(h->of->key, key);
	return err_set(
		h->err, status,
		"%s of %s %.64s cannot be opened: it is sealed with key %.16s, this server has "
		"%s",
		field, entity_label(h->of->kind), h->name, json_get_str(v, KEY), key);
}

/* ---- where they are -------------------------------------------------------------------------- */

typedef int (*holder_fn)(struct holder *h);

static int in_provider(struct holder *h, struct json *doc, const struct json *stored, holder_fn fn)
{
	const char *type = json_get_str(doc, "providertype");
	h->place = "";
	h->type = json_get(h->types, type ? type : "");
	h->fields = json_get(doc, "provisioner");
	/* Those of another plugin are nothing to this one. */
	h->stored = str_eq(type, json_get_str(stored, "providertype"))
	                    ? json_get(stored, "provisioner")
	                    : NULL;
	return h->fields ? fn(h) : 0;
}

static int in_service(struct holder *h, struct json *doc, const struct json *stored, holder_fn fn)
{
	const struct json *actions = json_path(doc, "provisioner/actions");
	int rc = 0;
	for (size_t i = 0; !rc && i < json_len(actions); i++) {
		struct json *a = json_value_at(actions, i);
		const char *type = json_get_str(a, "type");
		h->place = json_key_at(actions, i);
		const struct json *before =
			json_get(json_path(stored, "provisioner/actions"), h->place);
		h->type = json_get(h->types, type ? type : "");
		h->fields = json_get(a, "fields");
		h->stored = str_eq(type, json_get_str(before, "type")) ? json_get(before, "fields")
		                                                       : NULL;
		rc = h->fields ? fn(h) : 0;
	}
	return rc;
}

static int each_holder(struct holder *h, struct json *doc, const struct json *stored, holder_fn fn)
{
	h->name = json_get_str(doc, "name");
	if (!h->name)
		return 0;
	if (h->of->kind == ENTITY_PROVIDER)
		return in_provider(h, doc, stored, fn);
	return h->of->kind == ENTITY_SERVICE ? in_service(h, doc, stored, fn) : 0;
}

/* ---- sealing --------------------------------------------------------------------------------- */

static void keep(struct holder *h, const char *field, const struct json *old)
{
	json_set(h->fields, field, is_sealed(old) ? json_copy(old) : sealed(h, field, old));
	h->changed = true;
}

/* The same value keeps its seal, so that the same document written twice is the same text. */
static void seal_given(struct holder *h, const char *field, const struct json *v,
                       const struct json *old)
{
	LOOM_CLEANUP(json_free)
	struct json *before = is_sealed(old) ? opened(h, field, old) : NULL;
	if (before && json_equal(before, v))
		json_set(h->fields, field, json_copy(old));
	else
		json_set(h->fields, field, sealed(h, field, v));
	h->changed = true;
}

static int seal_field(struct holder *h, const char *field)
{
	const struct json *v = json_get(h->fields, field), *old = json_get(h->stored, field);
	if (json_is(old, JSON_NULL))
		old = NULL;
	if (is_sealed(v)) {
		LOOM_CLEANUP(json_free) struct json *ours = opened(h, field, v);
		return ours ? 0 : cannot_open(h, field, v, 400);
	}
	if (is_mask(v) && !old)
		return err_set(h->err, 400,
		               "%.64s is only the mask of a secret, and none is stored: give its "
		               "value, or leave it out",
		               field);
	if (!v || is_mask(v)) {
		if (old)
			keep(h, field, old);
		return 0;
	}
	if (json_is(v, JSON_NULL) || str_eq(json_str(v), "")) {
		json_del(h->fields, field);
		h->changed = true;
	} else {
		seal_given(h, field, v, old);
	}
	return 0;
}

static int seal_fields(struct holder *h)
{
	static const char *const who[] = { "admin", "user" };
	int rc = 0;
	for (size_t w = 0; !rc && w < LOOM_COUNT(who); w++) {
		const struct json *known = schema_of(h->type, who[w], NULL);
		for (size_t i = 0; !rc && i < json_len(known); i++) {
			if (secret_is_declared(h->type, json_key_at(known, i)))
				rc = seal_field(h, json_key_at(known, i));
		}
	}
	/* What was one when it was stored stays one. */
	for (size_t i = 0; !rc && i < json_len(h->stored); i++) {
		const char *field = json_key_at(h->stored, i);
		if (is_sealed(json_value_at(h->stored, i)) && is_mask(json_get(h->fields, field)))
			keep(h, field, json_value_at(h->stored, i));
	}
	return rc;
}

int secrets_seal(const struct secret_of *of, struct json *doc, const struct json *stored,
                 const struct json *types, bool *changed, struct loom_err *err)
{
	struct holder h = { .of = of, .types = types, .err = err };
	int rc = each_holder(&h, doc, stored, seal_fields);
	if (changed)
		*changed = h.changed;
	return rc;
}

/* ---- opening, showing, forgetting ------------------------------------------------------------ */

static int open_fields(struct holder *h)
{
	for (size_t i = 0; i < json_len(h->fields); i++) {
		const struct json *v = json_value_at(h->fields, i);
		if (!is_sealed(v))
			continue;
		const char *field = json_key_at(h->fields, i);
		struct json *open = opened(h, field, v);
		if (!open)
			return cannot_open(h, field, v, 500);
		json_set(h->fields, field, open);
	}
	return 0;
}

int secrets_open(const struct secret_of *of, struct json *doc, struct loom_err *err)
{
	struct holder h = { .of = of, .err = err };
	return each_holder(&h, doc, NULL, open_fields);
}

static int redact_fields(struct holder *h)
{
	for (size_t i = 0; i < json_len(h->fields); i++) {
		const struct json *v = json_value_at(h->fields, i);
		if (!is_sealed(v))
			continue;
		const char *field = json_key_at(h->fields, i);
		LOOM_CLEANUP(json_free) struct json *open = opened(h, field, v);
		if (!open)
			return cannot_open(h, field, v, 500);
		redact_add_json(h->redact, open);
	}
	return 0;
}

int secrets_to_redact(const struct secret_of *of, const struct json *doc, struct redact *to,
                      struct loom_err *err)
{
	struct holder h = { .of = of, .redact = to, .err = err };
	LOOM_CLEANUP(json_free) struct json *own = json_copy(doc);
	return each_holder(&h, own, NULL, redact_fields);
}

void secrets_mask(struct json *v)
{
	for (size_t i = 0; i < json_len(v); i++) {
		struct json *one = json_is(v, JSON_ARRAY) ? json_at(v, i) : json_value_at(v, i);
		if (json_is(v, JSON_OBJECT) && is_sealed(one))
			json_set_str(v, json_key_at(v, i), SECRET_MASK);
		else
			secrets_mask(one);
	}
}

static int drop_fields(struct holder *h)
{
	for (size_t i = json_len(h->fields); i-- > 0;) {
		const char *field = json_key_at(h->fields, i);
		if (!is_sealed(json_value_at(h->fields, i)) && !secret_is_declared(h->type, field))
			continue;
		json_del(h->fields, field);
		h->changed = true;
	}
	return 0;
}

bool secrets_drop(enum entity_kind kind, struct json *doc, const struct json *types)
{
	const struct secret_of of = { .kind = kind };
	struct holder h = { .of = &of, .types = types };
	int rc = each_holder(&h, doc, NULL, drop_fields);
	return !rc && h.changed;
}
