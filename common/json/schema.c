/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a document beside its schema, and notes what does not fit and where. */
#include "common/json/schema.h"

#include "common/base/near.h"
#include "common/base/text.h"

#include <string.h>

/* Where we are: a chain on the stack, made words of only when something is wrong there. */
struct place {
	const struct place *up; /* NULL: the document itself is there */
	const char *key;        /* NULL: an element, */
	size_t index;           /* this one */
};

struct check {
	struct json *faults; /* NULL until there is one */
	struct strs *over;   /* where what is passed over is; NULL: nobody asks */
	const struct place *here;
};

#define PLACE_MAX 4096 /* bytes of it that are told */
#define KEY_SHOWN 64

/* ---- places ---------------------------------------------------------------------------------- */

static struct place enter(const struct check *c, const char *key, size_t index)
{
	return (struct place){ c->here, key, index };
}

void schema_pointer_add(struct buf *b, const char *key)
{
	buf_addc(b, '/');
	for (const char *s = key; *s; s++) {
		if (*s == '~')
			buf_adds(b, "~0");
		else if (*s == '/')
			buf_adds(b, "~1");
		else
			buf_addc(b, *s);
	}
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the document, which is bounded */
static void add_pointer(struct buf *b, const struct place *p)
{
	if (!p)
		return;
	add_pointer(b, p->up);
	if (p->key)
		schema_pointer_add(b, p->key);
	else
		buf_addf(b, "/%zu", p->index);
}

/* NOLINTNEXTLINE(misc-no-recursion): the same */
static void add_words(struct buf *b, const struct place *p)
{
	if (!p)
		return;
	add_words(b, p->up);
	if (p->key)
		buf_addf(b, "%s%.*s", b->len ? "." : "", KEY_SHOWN, p->key);
	else
		buf_addf(b, "[%zu]", p->index);
}

static void fault(struct check *c, const char *fmt, ...) LOOM_PRINTF(2, 3);
static void fault(struct check *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *detail = text_utf8(loom_vasprintf(fmt, ap));
	va_end(ap);
	if (!c->faults)
		c->faults = json_new_arr();
	if (json_len(c->faults) < SCHEMA_FAULTS_MAX) {
		LOOM_CLEANUP(buf_fini) struct buf pointer = BUF_INIT(PLACE_MAX);
		LOOM_CLEANUP(buf_fini) struct buf at = BUF_INIT(PLACE_MAX);
		add_pointer(&pointer, c->here);
		add_words(&at, c->here);
		struct json *f = json_set_str(json_new_obj(), "pointer", buf_str(&pointer));
		json_set_str(f, "at", buf_str(&at));
		json_push(c->faults, json_set_str(f, "detail", detail));
	}
	loom_free(detail);
}

/* ---- scalars --------------------------------------------------------------------------------- */

static const char *type_words(enum schema_type t)
{
	static const char *const words[] = {
		[SCHEMA_ANY] = "anything",           [SCHEMA_STRING] = "a string",
		[SCHEMA_INTEGER] = "a whole number", [SCHEMA_NUMBER] = "a number",
		[SCHEMA_BOOLEAN] = "true or false",  [SCHEMA_OBJECT] = "an object",
		[SCHEMA_MAP] = "an object",          [SCHEMA_ARRAY] = "an array",
	};
	return words[t];
}

static bool has_type(const struct schema *s, const struct json *v)
{
	int64_t n;
	bool yes;
	switch (s->type) {
	case SCHEMA_ANY:
		return true;
	case SCHEMA_STRING:
		return json_str(v);
	case SCHEMA_INTEGER:
		return json_int(v, &n);
	case SCHEMA_NUMBER:
		return json_is(v, JSON_NUMBER) || json_int(v, &n);
	case SCHEMA_BOOLEAN:
		return json_bool(v, &yes);
	case SCHEMA_OBJECT:
	case SCHEMA_MAP:
		return json_is(v, JSON_OBJECT);
	case SCHEMA_ARRAY:
		return json_is(v, JSON_ARRAY);
	}
	return false;
}

static void wrong_type(struct check *c, const struct schema *s, const struct json *v)
{
	const char *what = json_is(v, JSON_NULL) ? "null" : json_type_name(json_type(v));
	bool scalar = s->type != SCHEMA_OBJECT && s->type != SCHEMA_MAP && s->type != SCHEMA_ARRAY;
	/* "3.7" is of a type that may hold a whole number: what it says is wrong. */
	const char *must = s->must && s->type != SCHEMA_STRING ? s->must : type_words(s->type);
	if (scalar && s->type != SCHEMA_STRING && json_str(v))
		fault(c, "must be %s, not '%.32s'", must, json_str(v));
	else
		fault(c, "must be %s, not %s %s", must, strchr("aeiou", *what) ? "an" : "a", what);
}

static bool is_word(const struct schema *s, const char *text)
{
	for (const char *const *w = s->words; *w; w++) {
		if (str_eq(*w, text) || (s->any_case && str_ieq(*w, text)))
			return true;
	}
	return false;
}

/* "start, stop or restart"; owned. */
static char *words_of(const struct schema *s)
{
	struct buf b = BUF_INIT(4096);
	for (const char *const *w = s->words; *w; w++)
		buf_addf(&b, "%s%s", w == s->words ? "" : w[1] ? ", " : " or ", *w);
	char *out = loom_strdup(buf_str(&b));
	buf_fini(&b);
	return out;
}

static void check_string(struct check *c, const struct schema *s, const struct json *v)
{
	const char *text = json_str(v);
	int64_t n = (int64_t)json_str_len(v);
	if (s->words && !is_word(s, text)) {
		LOOM_CLEANUP_STR char *words = words_of(s);
		fault(c, "must be %s, not '%.32s'", words, text);
	} else if (s->max && n > s->max) {
		fault(c, "must have at most %lld bytes, not %lld", (long long)s->max, (long long)n);
	} else if (n < s->min) {
		fault(c, "must have at least %lld bytes", (long long)s->min);
	}
}

int64_t schema_max(const struct schema *s)
{
	return s->limit && *s->limit < s->max ? *s->limit : s->max;
}

static void check_integer(struct check *c, const struct schema *s, const struct json *v)
{
	int64_t n = 0;
	(void)json_int(v, &n);
	if (s->max && (n < s->min || n > schema_max(s)))
		fault(c, "must be from %lld to %lld, not %lld", (long long)s->min,
		      (long long)schema_max(s), (long long)n);
}

static void check_length(struct check *c, const struct schema *s, const struct json *v)
{
	int64_t n = (int64_t)json_len(v);
	if (s->max && n > s->max)
		fault(c, "must have at most %lld elements, not %lld", (long long)s->max,
		      (long long)n);
	else if (n < s->min)
		fault(c, "must have at least %lld element%s", (long long)s->min,
		      s->min == 1 ? "" : "s");
}

/* ---- structure ------------------------------------------------------------------------------- */

static void check_value(struct check *c, const struct schema *s, const struct json *v);

static const struct schema_field *field_of(const struct schema *s, const char *key)
{
	for (const struct schema_field *f = s->fields; f && f->name; f++) {
		if (str_eq(f->name, key))
			return f;
	}
	return NULL;
}

static const char *meant(const struct schema *s, const char *key)
{
	const char *names[64];
	size_t n = 0;
	for (const struct schema_field *f = s->fields; f && f->name && n < LOOM_COUNT(names); f++)
		names[n++] = f->name;
	return near_which(key, names, n);
}

static char *all_fields(const struct schema *s)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (const struct schema_field *f = s->fields; f && f->name; f++)
		strs_add(&names, f->name);
	return strs_join(&names, ", ");
}

static void check_unknown(struct check *c, const struct schema *s, const char *key)
{
	const char *near = s->others == SCHEMA_OPEN ? NULL : meant(s, key);
	LOOM_CLEANUP_STR char *all = NULL;
	if (near) {
		fault(c, "is not a field; did you mean %s?", near);
	} else if (s->others == SCHEMA_CLOSED) {
		all = all_fields(s);
		fault(c, "is not a field; there are %s", all);
	} else if (s->others == SCHEMA_NEAR && c->over && c->over->n < SCHEMA_OVER_MAX) {
		LOOM_CLEANUP(buf_fini) struct buf at = BUF_INIT(PLACE_MAX);
		add_words(&at, c->here);
		strs_add(c->over, buf_str(&at));
	}
}

static void check_missing(struct check *c, const struct schema_field *f)
{
	if (f->schema->must)
		fault(c, "is missing: it must be %s", f->schema->must);
	else
		fault(c, "is missing: %s", type_words(f->schema->type));
}

/* A text that must not be blank, and is: that is told as missing. */
static bool is_blank(const struct schema_field *f, const struct json *v)
{
	return (f->flags & SCHEMA_FILLED) && json_str(v) && str_blank(json_str(v));
}

static bool lacks(const struct schema_field *f, const struct json *v)
{
	return f->flags && (!v || json_is(v, JSON_NULL) || is_blank(f, v));
}

static void check_object(struct check *c, const struct schema *s, const struct json *v)
{
	for (size_t i = 0; i < json_len(v); i++) {
		const char *key = json_key_at(v, i);
		const struct schema_field *f = field_of(s, key);
		const struct json *m = json_value_at(v, i);
		if (f && (json_is(m, JSON_NULL) || is_blank(f, m))) /* absent */
			continue;
		const struct place here = enter(c, key, 0);
		c->here = &here;
		if (f)
			check_value(c, f->schema, m);
		else
			check_unknown(c, s, key);
		c->here = here.up;
	}
	for (const struct schema_field *f = s->fields; f && f->name; f++) {
		if (!lacks(f, json_get(v, f->name)))
			continue;
		const struct place here = enter(c, f->name, 0);
		c->here = &here;
		check_missing(c, f);
		c->here = here.up;
	}
}

static void check_map(struct check *c, const struct schema *s, const struct json *v)
{
	for (size_t i = 0; i < json_len(v); i++) {
		const char *key = json_key_at(v, i);
		const struct place here = enter(c, key, 0);
		c->here = &here;
		if (s->words && !is_word(s, key)) {
			LOOM_CLEANUP_STR char *words = words_of(s);
			fault(c, "is not one of %s", words);
		} else if (s->items) {
			check_value(c, s->items, json_value_at(v, i));
		}
		c->here = here.up;
	}
}

static void check_array(struct check *c, const struct schema *s, const struct json *v)
{
	for (size_t i = 0; s->items && i < json_len(v); i++) {
		const struct place here = enter(c, NULL, i);
		c->here = &here;
		check_value(c, s->items, json_at(v, i));
		c->here = here.up;
	}
}

static void check_kind(struct check *c, const struct schema *s, const struct json *v)
{
	switch (s->type) {
	case SCHEMA_STRING:
		check_string(c, s, v);
		break;
	case SCHEMA_INTEGER:
		check_integer(c, s, v);
		break;
	case SCHEMA_OBJECT:
		check_object(c, s, v);
		break;
	case SCHEMA_MAP:
		check_length(c, s, v);
		check_map(c, s, v);
		break;
	case SCHEMA_ARRAY:
		check_length(c, s, v);
		check_array(c, s, v);
		break;
	case SCHEMA_ANY:
	case SCHEMA_NUMBER:
	case SCHEMA_BOOLEAN:
		break;
	}
}

static void check_value(struct check *c, const struct schema *s, const struct json *v)
{
	size_t before = json_len(c->faults);
	if (!has_type(s, v)) {
		wrong_type(c, s, v);
		return;
	}
	check_kind(c, s, v);
	if (!s->ok || s->ok(v) || json_len(c->faults) != before)
		return;
	const char *text = json_str(v);
	if (text && !s->secret)
		fault(c, "must be %s, not '%.64s'", s->must ? s->must : "something else", text);
	else
		fault(c, "must be %s", s->must ? s->must : "something else");
}

struct json *schema_check(const struct schema *s, const struct json *v)
{
	return schema_check_over(s, v, NULL);
}

struct json *schema_check_over(const struct schema *s, const struct json *v, struct strs *over)
{
	struct check c = { .over = over };
	if (!v || json_is(v, JSON_NULL))
		fault(&c, "must be %s", s->must ? s->must : type_words(s->type));
	else
		check_value(&c, s, v);
	return c.faults;
}

char *schema_words(const struct json *faults)
{
	LOOM_CLEANUP(strs_fini) struct strs all = { 0 };
	for (size_t i = 0; i < json_len(faults); i++) {
		const struct json *f = json_at(faults, i);
		const char *at = json_get_str(f, "at");
		strs_addf(&all, "%s %s", *at ? at : "the body", json_get_str(f, "detail"));
	}
	return strs_join(&all, "; ");
}
