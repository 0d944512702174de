/* SPDX-License-Identifier: Apache-2.0 */
/* message - knows for each kind of field how to write and read it, and how to describe it in
 * errors. */
#include "common/bus/message.h"

#include "common/json/json_emit.h"

#include <inttypes.h>
#include <limits.h>

#define VERSION "v" /* the key of the version */

static int read_fields(const struct message_shape *s, const struct json *doc, int version, char *to,
                       struct loom_err *err);
static void write_fields(const struct message_shape *s, int version, const char *from,
                         struct buf *out);

/* ---- the kinds of fields --------------------------------------------------------------------- */

static bool read_int(const struct message_field *f, const struct json *v, int version LOOM_UNUSED,
                     void *to)
{
	int64_t *n = to;
	return json_int(v, n) && *n >= f->min && *n <= f->max;
}

static bool read_bool(const struct message_field *f LOOM_UNUSED, const struct json *v,
                      int version LOOM_UNUSED, void *to)
{
	return json_bool(v, to);
}

static bool read_text(const struct message_field *f, const struct json *v, int version LOOM_UNUSED,
                      void *to)
{
	const char **text = to;
	*text = json_str(v);
	return *text && json_str_len(v) <= (size_t)f->max;
}

static bool read_tree(const struct message_field *f, const struct json *v, int version LOOM_UNUSED,
                      void *to)
{
	const struct json **tree = to;
	*tree = v;
	return json_is(v, f->kind == FIELD_OBJECT ? JSON_OBJECT : JSON_ARRAY) &&
	       json_len(v) <= (size_t)f->max;
}

static bool read_texts(const struct message_field *f, const struct json *v, int version, void *to)
{
	if (!read_tree(f, v, version, to))
		return false;
	for (size_t i = 0; i < json_len(v); i++) {
		if (!json_is(json_at(v, i), JSON_STRING))
			return false;
	}
	return true;
}

static bool read_list(const struct message_field *f, const struct json *v, int version, void *to)
{
	struct message_list *list = to;
	struct loom_err err;
	if (!json_is(v, JSON_ARRAY) || json_len(v) > (size_t)f->max)
		return false;
	*list = (struct message_list){ loom_calloc(json_len(v) + 1, f->items->size), json_len(v) };
	for (size_t i = 0; i < list->n; i++) {
		char *item = (char *)list->v + i * f->items->size;
		if (read_fields(f->items, json_at(v, i), version, item, &err))
			return false;
	}
	return true;
}

static void write_int(const struct message_field *f, int version LOOM_UNUSED, const void *from,
                      struct buf *out)
{
	json_emit_int(out, f->key, *(const int64_t *)from);
}

static void write_bool(const struct message_field *f, int version LOOM_UNUSED, const void *from,
                       struct buf *out)
{
	json_emit_text(out, f->key, *(const bool *)from ? "true" : "false");
}

static void write_text(const struct message_field *f, int version LOOM_UNUSED, const void *from,
                       struct buf *out)
{
	json_emit_str(out, f->key, *(const char *const *)from);
}

static void write_tree(const struct message_field *f, int version LOOM_UNUSED, const void *from,
                       struct buf *out)
{
	json_emit_value(out, f->key, *(const struct json *const *)from);
}

static void write_list(const struct message_field *f, int version, const void *from,
                       struct buf *out)
{
	const struct message_list *list = from;
	if (!list->n)
		return;
	json_emit_text(out, f->key, "[");
	for (size_t i = 0; i < list->n; i++) {
		buf_adds(out, i ? ",{" : "{");
		write_fields(f->items, version, (const char *)list->v + i * f->items->size, out);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static const struct {
	bool (*read)(const struct message_field *f, const struct json *v, int version, void *to);
	void (*write)(const struct message_field *f, int version, const void *from,
	              struct buf *out);
	const char *is, *unit; /* is: expected value; unit: of its bound */
} kinds[] = {
	[FIELD_INT] = { read_int, write_int, "a number", "" },
	[FIELD_BOOL] = { read_bool, write_bool, "true or false", NULL },
	[FIELD_TEXT] = { read_text, write_text, "a text", " bytes" },
	[FIELD_OBJECT] = { read_tree, write_tree, "an object", " members" },
	[FIELD_ARRAY] = { read_tree, write_tree, "a list", " elements" },
	[FIELD_TEXTS] = { read_texts, write_tree, "a list of texts", " elements" },
	[FIELD_LIST] = { read_list, write_list, "a list of objects", " elements" },
};

/* ---- messages -------------------------------------------------------------------------------- */

static int refuse(const struct message_field *f, const struct json *v, struct loom_err *err)
{
	if (!v)
		return err_set(err, 400, "%s is missing", f->key);
	const char *is = kinds[f->kind].is, *unit = kinds[f->kind].unit;
	if (f->kind == FIELD_INT)
		return err_set(err, 400, "%s is not %s from %" PRId64 " to %" PRId64, f->key, is,
		               f->min, f->max);
	if (!unit)
		return err_set(err, 400, "%s is not %s", f->key, is);
	return err_set(err, 400, "%s is not %s of at most %" PRId64 "%s", f->key, is, f->max, unit);
}

static void set_default(const struct message_field *f, void *to)
{
	if (f->kind == FIELD_INT)
		*(int64_t *)to = f->def;
	else if (f->kind == FIELD_BOOL)
		*(bool *)to = f->def;
}

static int read_fields(const struct message_shape *s, const struct json *doc, int version, char *to,
                       struct loom_err *err)
{
	if (!json_is(doc, JSON_OBJECT))
		return err_set(err, 400, "it is not an object");
	for (const struct message_field *f = s->fields; f->key; f++) {
		const struct json *v = json_get(doc, f->key);
		if (!json_is(v, JSON_NULL)) {
			if (!kinds[f->kind].read(f, v, version, to + f->offset))
				return refuse(f, v, err);
		} else if (f->required && version >= f->since) {
			return refuse(f, NULL, err);
		} else {
			set_default(f, to + f->offset);
		}
	}
	return 0;
}

static void write_fields(const struct message_shape *s, int version, const char *from,
                         struct buf *out)
{
	for (const struct message_field *f = s->fields; f->key; f++) {
		if (f->since <= version)
			kinds[f->kind].write(f, version, from + f->offset, out);
	}
}

static char *write_message(const struct message_shape *s, int version, const void *m)
{
	struct buf out = BUF_INIT(MESSAGE_MAX);
	buf_addc(&out, '{');
	if (version > 1)
		json_emit_int(&out, VERSION, version);
	write_fields(s, version, m, &out);
	buf_addc(&out, '}');
	if (!out.full)
		return buf_take(&out);
	buf_fini(&out);
	return NULL;
}

char *message_write(const struct message_type *t, const void *m)
{
	return write_message(&t->body, t->version, m);
}

char *message_write_answer(const struct message_type *t, int version, const void *m)
{
	return write_message(&t->answer, version < t->version ? version : t->version, m);
}

static void *read_message(const struct message_shape *s, struct json *doc, struct loom_err *err)
{
	int64_t version = json_get_int(doc, VERSION, 1);
	struct message *m = loom_calloc(1, s->size);
	*m = (struct message){ .shape = s,
		               .doc = doc ? doc : json_new_obj(),
		               .version = version < 1         ? 1
		                          : version > INT_MAX ? INT_MAX
		                                              : (int)version };
	if (!read_fields(s, m->doc, m->version, (char *)m, err))
		return m;
	message_free(m);
	return NULL;
}

void *message_read(const struct message_type *t, struct json *doc, struct loom_err *err)
{
	return read_message(&t->body, doc, err);
}

void *message_read_answer(const struct message_type *t, struct json *doc, struct loom_err *err)
{
	return read_message(&t->answer, doc, err);
}

static void free_lists(const struct message_shape *s, char *from)
{
	for (const struct message_field *f = s->fields; f->key; f++) {
		struct message_list *list = (void *)(from + f->offset);
		if (f->kind != FIELD_LIST)
			continue;
		for (size_t i = 0; i < list->n; i++)
			free_lists(f->items, (char *)list->v + i * f->items->size);
		loom_free(list->v);
	}
}

void message_free(void *message)
{
	struct message *m = message;
	if (!m)
		return;
	free_lists(m->shape, message);
	json_free(m->doc);
	loom_free(m);
}
