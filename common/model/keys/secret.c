/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in documents: what is one, how it is kept, and what is shown in its place. */
#include "common/model/keys/secret.h"

#define SEALED "$sealed"
#define KEY    "key"

/* The fields that one plugin type declares in a document, and the same of the stored document. */
struct holder {
	const struct secret_of *of;
	const char *name;  /* of the document */
	const char *place; /* within it: "" or the action */
	const struct json *type, *types;
	struct json *fields;
	const struct json *stored;
	bool changed;
	struct keyring_key with; /* the sealing key; requested when first needed */
	struct redact *redact;
	struct json *to;         /* receives collected secrets */
	const struct json *from; /* source of given secrets */
	struct loom_err *err;
};

static bool is_sealed(const struct json *v)
{
	return json_len(v) == 2 && json_get_str(v, SEALED) && json_get_str(v, KEY);
}

bool secret_is_sealed(const struct json *v, const char **ret_key, const char **ret_text)
{
	bool sealed = json_is(v, JSON_OBJECT) && is_sealed(v);
	*ret_key = sealed ? json_get_str(v, KEY) : NULL;
	*ret_text = sealed ? json_get_str(v, SEALED) : NULL;
	return sealed;
}

struct json *secret_sealed(const char *text, const char *key)
{
	return json_set_str(json_set_str(json_new_obj(), SEALED, text), KEY, key);
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

static int opened(const struct holder *h, const char *field, const struct json *v,
                  struct json **ret, struct loom_err *err)
{
	struct seal_key key;
	const char *id = json_get_str(v, KEY);
	int rc = keyring_find(h->of->ring, h->of->db, SECRET_USE, id, &key, err);
	if (rc)
		return rc;
	LOOM_CLEANUP_STR char *owner = owner_of(h, field);
	LOOM_CLEANUP_STR char *text = seal_open(&key, owner, json_get_str(v, SEALED));
	seal_key_fini(&key);
	if (text && !json_parse_str(text, ret, NULL))
		return 0;
	return err_set(err, 500, "it is sealed with key %.16s, but for something else, or changed",
	               id);
}

/* The same; an error names the place of the secret. */
static int open_here(const struct holder *h, const char *field, const struct json *v,
                     struct json **ret)
{
	struct loom_err why;
	int rc = opened(h, field, v, ret, &why);
	return rc == 500 ? err_set(h->err, 500, "%s of %s %.64s cannot be opened: %s", field,
	                           entity_label(h->of->kind), h->name, why.msg)
	                 : rc;
}

static int ask_key(struct holder *h)
{
	return h->with.key.known ? 0
	                         : keyring_current(h->of->ring, h->of->db, h->of->tenant,
	                                           SECRET_USE, &h->with, h->err);
}

/* Replaces the field's value. */
static int seal_value(struct holder *h, const char *field, const struct json *v)
{
	int rc = h->of->later ? 0 : ask_key(h);
	if (rc)
		return rc;
	struct json *kept = h->of->later ? json_copy(v) : NULL;
	if (!kept) {
		LOOM_CLEANUP_STR char *owner = owner_of(h, field), *text = json_text(v);
		LOOM_CLEANUP_STR char *sealed = seal_text(&h->with.key, owner, text);
		loom_assert(sealed);
		kept = secret_sealed(sealed, h->with.id);
	}
	json_set(h->fields, field, kept);
	h->changed = true;
	return 0;
}

/* ---- where they are -------------------------------------------------------------------------- */

typedef int (*holder_fn)(struct holder *h);

static int in_provider(struct holder *h, struct json *doc, const struct json *stored, holder_fn fn)
{
	const char *type = json_get_str(doc, "providertype");
	h->place = "";
	h->type = json_get(h->types, type ? type : "");
	h->fields = json_get(doc, "provisioner");
	/* Fields of another plugin type do not count. */
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

static int keep(struct holder *h, const char *field, const struct json *old)
{
	if (!is_sealed(old))
		return seal_value(h, field, old);
	json_set(h->fields, field, json_copy(old));
	h->changed = true;
	return 0;
}

/* An unchanged value keeps its sealed text, so that writing the same document twice gives the same
 * text. */
static int seal_given(struct holder *h, const char *field, const struct json *v,
                      const struct json *old)
{
	struct loom_err why;
	LOOM_CLEANUP(json_free) struct json *before = NULL, *given = json_copy(v);
	int rc = is_sealed(old) ? opened(h, field, old, &before, &why) : 0;
	if (rc && rc != 500)
		return rc;
	return before && json_equal(before, given) ? keep(h, field, old)
	                                           : seal_value(h, field, given);
}

static int check_sealed(struct holder *h, const char *field, const struct json *v)
{
	LOOM_CLEANUP(json_free) struct json *ours = NULL;
	int rc = open_here(h, field, v, &ours);
	return rc == 500 ? 400 : rc;
}

static int seal_field(struct holder *h, const char *field)
{
	const struct json *v = json_get(h->fields, field), *old = json_get(h->stored, field);
	if (json_is(old, JSON_NULL))
		old = NULL;
	if (is_sealed(v))
		return check_sealed(h, field, v);
	if (is_mask(v) && !old)
		return err_set(h->err, 400,
		               "%.64s is only the mask of a secret, and none is stored: give its "
		               "value, or leave it out",
		               field);
	if (!v || is_mask(v))
		return old ? keep(h, field, old) : 0;
	if (!json_is(v, JSON_NULL) && !str_eq(json_str(v), ""))
		return seal_given(h, field, v, old);
	json_del(h->fields, field);
	h->changed = true;
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
	/* A stored secret stays one. */
	for (size_t i = 0; !rc && i < json_len(h->stored); i++) {
		const char *field = json_key_at(h->stored, i);
		if (is_sealed(json_value_at(h->stored, i)) && is_mask(json_get(h->fields, field)))
			rc = keep(h, field, json_value_at(h->stored, i));
	}
	return rc;
}

int secrets_seal(const struct secret_of *of, struct json *doc, const struct json *stored,
                 const struct json *types, bool *changed, struct loom_err *err)
{
	struct holder h = { .of = of, .types = types, .err = err };
	int rc = each_holder(&h, doc, stored, seal_fields);
	seal_key_fini(&h.with.key);
	if (changed)
		*changed = h.changed;
	return rc;
}

static int renew_fields(struct holder *h)
{
	int rc = ask_key(h);
	for (size_t i = 0; !rc && i < json_len(h->fields); i++) {
		const struct json *v = json_value_at(h->fields, i);
		const char *field = json_key_at(h->fields, i);
		if (!is_sealed(v) || str_eq(json_get_str(v, KEY), h->with.id))
			continue;
		LOOM_CLEANUP(json_free) struct json *open = NULL;
		rc = open_here(h, field, v, &open);
		rc = rc ? rc : seal_value(h, field, open);
		rc = rc == 500 ? 0 : rc; /* it stays as it is */
	}
	return rc;
}

int secrets_renew(const struct secret_of *of, struct json *doc, bool *changed, struct loom_err *err)
{
	struct holder h = { .of = of, .err = err };
	int rc = each_holder(&h, doc, NULL, renew_fields);
	seal_key_fini(&h.with.key);
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
		struct json *open = NULL;
		int rc = open_here(h, field, v, &open);
		if (rc)
			return rc;
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
		LOOM_CLEANUP(json_free) struct json *open = NULL;
		int rc = open_here(h, field, v, &open);
		if (rc)
			return rc;
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

static int collect_fields(struct holder *h)
{
	for (size_t i = 0; i < json_len(h->fields); i++) {
		const struct json *v = json_value_at(h->fields, i);
		const char *field = json_key_at(h->fields, i);
		struct json *open = NULL;
		if (!is_sealed(v))
			continue;
		int rc = open_here(h, field, v, &open);
		if (rc)
			return rc;
		if (!json_get(h->to, h->place))
			json_set(h->to, h->place, json_new_obj());
		json_set(json_get(h->to, h->place), field, open);
	}
	return 0;
}

int secrets_collect(const struct secret_of *of, const struct json *doc, struct json *to,
                    struct loom_err *err)
{
	struct holder h = { .of = of, .to = to, .err = err };
	LOOM_CLEANUP(json_free) struct json *own = json_copy(doc);
	return each_holder(&h, own, NULL, collect_fields);
}

static int give_fields(struct holder *h)
{
	const struct json *from = json_get(h->from, h->place);
	for (size_t i = 0; i < json_len(h->fields); i++) {
		const char *field = json_key_at(h->fields, i);
		const struct json *v = json_get(from, field);
		if (v && is_mask(json_value_at(h->fields, i)))
			json_set(h->fields, field, json_copy(v));
	}
	return 0;
}

void secrets_give(enum entity_kind kind, struct json *doc, const struct json *from)
{
	const struct secret_of of = { .kind = kind };
	struct holder h = { .of = &of, .from = from };
	int rc = each_holder(&h, doc, NULL, give_fields);
	loom_assert(!rc);
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

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the document, which is bounded */
void secrets_keys(const struct json *v, void (*fn)(const char *key, void *arg), void *arg)
{
	if (json_is(v, JSON_OBJECT) && is_sealed(v)) {
		fn(json_get_str(v, KEY), arg);
		return;
	}
	for (size_t i = 0; i < json_len(v); i++)
		secrets_keys(json_is(v, JSON_ARRAY) ? json_at(v, i) : json_value_at(v, i), fn, arg);
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
