/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generates statements and fills struct members from one list of columns. Texts are short and
 * generated for each statement; this costs far less than the server's answer.
 */
#include "common/model/row.h"

#include "common/base/log.h"
#include "common/base/str.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX (1u << 16)

/* ---- types ----------------------------------------------------------------------------------- */

static bool int_read(void *at, size_t size LOOM_UNUSED, const struct db_result *r, size_t row,
                     unsigned col)
{
	*(int64_t *)at = db_int(r, row, col);
	return true;
}

static struct db_value int_write(const void *at, char **text LOOM_UNUSED)
{
	return db_i(*(const int64_t *)at);
}

static bool str_read(void *at, size_t size LOOM_UNUSED, const struct db_result *r, size_t row,
                     unsigned col)
{
	*(char **)at = loom_strdup(db_str(r, row, col));
	return true;
}

static struct db_value str_write(const void *at, char **text LOOM_UNUSED)
{
	return db_s(*(char *const *)at);
}

static void str_fini(void *at)
{
	loom_free(*(char **)at);
}

static void str_copy(void *to, const void *from)
{
	*(char **)to = loom_strdup(*(char *const *)from);
}

static bool chars_read(void *at, size_t size, const struct db_result *r, size_t row, unsigned col)
{
	const char *text = db_str(r, row, col);
	snprintf(at, size, "%s", text ? text : "");
	return true;
}

static struct db_value chars_write(const void *at, char **text LOOM_UNUSED)
{
	return db_s(at);
}

struct json *row_json_at(const struct db_result *r, size_t row, unsigned col)
{
	struct json *v = NULL;
	if (db_is_null(r, row, col) ||
	    json_parse(db_str(r, row, col), db_len(r, row, col), 0, &v, NULL))
		return NULL;
	return v;
}

static bool json_read(void *at, size_t size LOOM_UNUSED, const struct db_result *r, size_t row,
                      unsigned col)
{
	*(struct json **)at = row_json_at(r, row, col);
	return true;
}

static struct db_value json_write_text(const void *at, char **text)
{
	const struct json *v = *(struct json *const *)at;
	*text = v ? json_text(v) : NULL;
	return db_s(*text);
}

static struct db_value object_write(const void *at, char **text)
{
	return *(struct json *const *)at ? json_write_text(at, text) : db_s("{}");
}

static void json_fini(void *at)
{
	json_free(*(struct json **)at);
}

static void json_copy_to(void *to, const void *from)
{
	*(struct json **)to = json_copy(*(struct json *const *)from);
}

const struct row_type row_int = { 'i', int_read, int_write, NULL, NULL };
const struct row_type row_str = { 's', str_read, str_write, str_fini, str_copy };
const struct row_type row_chars = { 'o', chars_read, chars_write, NULL, NULL };
const struct row_type row_json = { 'j', json_read, json_write_text, json_fini, json_copy_to };
const struct row_type row_object = { 'j', json_read, object_write, json_fini, json_copy_to };

/* ---- a struct -------------------------------------------------------------------------------- */

static void *member(const struct row_column *c, void *row)
{
	return (char *)row + c->offset;
}

static const void *const_member(const struct row_column *c, const void *row)
{
	return (const char *)row + c->offset;
}

int row_read(const struct row_table *t, const struct db_result *r, size_t i, void *row)
{
	int rc = 0;
	for (unsigned k = 0; k < t->n; k++) {
		const struct row_column *c = &t->columns[k];
		if (c->type->read(member(c, row), c->size, r, i, k))
			continue;
		log_error("a column has a value unknown to this version", LOG_S("table", t->name),
		          LOG_S("column", c->name), LOG_S("value", db_str(r, i, k)));
		rc = DB_E_FATAL;
	}
	return rc;
}

void row_fini(const struct row_table *t, void *row)
{
	for (size_t k = 0; k < t->n; k++) {
		const struct row_column *c = &t->columns[k];
		if (c->type->fini) {
			c->type->fini(member(c, row));
			memset(member(c, row), 0, c->size);
		}
	}
}

void row_copy(const struct row_table *t, void *to, const void *from)
{
	for (size_t k = 0; k < t->n; k++) {
		const struct row_column *c = &t->columns[k];
		if (c->type->copy)
			c->type->copy(member(c, to), const_member(c, from));
		else
			memcpy(member(c, to), const_member(c, from), c->size);
	}
}

/* ---- statements ------------------------------------------------------------------------------ */

#define INSERTED (ROW_KEY | ROW_NEW | ROW_OPTION)

/* A statement over the columns that have any of the flags in `given`. A save also names columns
 * with ROW_NEW, as the server accepts no row without them; their values are never stored. */
struct text {
	struct buf head, row, tail;
	unsigned given, named;
	size_t values;
};

static void text_begin(struct text *x, const struct row_table *t, unsigned given, unsigned named)
{
	*x = (struct text){ .head = BUF_INIT(TEXT_MAX),
		            .row = BUF_INIT(TEXT_MAX),
		            .tail = BUF_INIT(TEXT_MAX),
		            .given = given,
		            .named = named };
	buf_addf(&x->head, "INSERT INTO %s (", t->name);
	buf_addc(&x->row, '(');
	for (size_t k = 0, n = 0; k < t->n; k++) {
		const struct row_column *c = &t->columns[k];
		if (!(c->flags & (given | named)))
			continue;
		if (n++) {
			buf_addc(&x->head, ',');
			buf_addc(&x->row, ',');
		}
		buf_adds(&x->head, c->name);
		/* '' fits only text columns, 0 fits numbers and text. */
		buf_addc(&x->row, c->flags & given ? '?' : '0');
		x->values += (c->flags & given) != 0;
	}
	buf_adds(&x->head, ") VALUES ");
	buf_addc(&x->row, ')');
}

static void text_update(struct text *x, const struct row_table *t, unsigned flags)
{
	const char *sep = " ON DUPLICATE KEY UPDATE ";
	for (size_t k = 0; k < t->n; k++) {
		if (t->columns[k].flags & flags) {
			buf_addf(&x->tail, "%s%s=VALUES(%s)", sep, t->columns[k].name,
			         t->columns[k].name);
			sep = ",";
		} else if (t->columns[k].flags & ROW_KEEP) {
			buf_addf(&x->tail, "%s%s=%s", sep, t->columns[k].name, t->columns[k].name);
			sep = ",";
		}
	}
}

static void text_save(struct text *x, const struct row_table *t, unsigned flags)
{
	text_begin(x, t, ROW_KEY | flags, ROW_NEW);
	text_update(x, t, flags);
}

static char *text_end(struct text *x)
{
	loom_assert(!x->head.full && !x->row.full && !x->tail.full);
	char *whole =
		loom_asprintf("%s%s%s", buf_str(&x->head), buf_str(&x->row), buf_str(&x->tail));
	buf_fini(&x->head);
	buf_fini(&x->row);
	buf_fini(&x->tail);
	return whole;
}

char *row_insert_text(const struct row_table *t)
{
	struct text x;
	text_begin(&x, t, INSERTED, 0);
	return text_end(&x);
}

char *row_save_text(const struct row_table *t, unsigned flags)
{
	struct text x;
	text_save(&x, t, flags);
	return text_end(&x);
}

char *row_update_text(const struct row_table *t, unsigned flags)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	const char *sep = " SET ";
	buf_addf(&b, "UPDATE %s", t->name);
	for (unsigned part = flags; part; part = part == flags ? ROW_KEY : 0) {
		for (size_t k = 0; k < t->n; k++) {
			const struct row_column *c = &t->columns[k];
			bool kept = part == flags && c->flags & ROW_KEEP && !(c->flags & part);
			if (!kept && !(c->flags & part))
				continue;
			buf_addf(&b, kept ? "%s%s=%s" : "%s%s=?", sep, c->name, c->name);
			sep = part == flags ? "," : " AND ";
		}
		sep = " WHERE ";
	}
	loom_assert(!b.full);
	return buf_take(&b);
}

struct values {
	struct db_value *v;
	char **texts;
	size_t n;
};

static void add_values(struct values *to, const struct row_table *t, unsigned given,
                       const void *row)
{
	for (size_t k = 0; k < t->n; k++) {
		const struct row_column *c = &t->columns[k];
		if (!(c->flags & given))
			continue;
		to->v[to->n] = c->type->write(const_member(c, row), &to->texts[to->n]);
		to->n++;
	}
}

static void values_init(struct values *to, size_t n)
{
	*to = (struct values){ .v = loom_calloc(n + 1, sizeof(struct db_value)),
		               .texts = loom_calloc(n + 1, sizeof(char *)) };
}

static void values_fini(struct values *of)
{
	for (size_t i = 0; i < of->n; i++)
		loom_free(of->texts[i]);
	loom_free(of->texts);
	loom_free(of->v);
}

typedef int (*exec_many)(struct db *db, const struct db_many *m, const struct db_value *v,
                         size_t n);

static int exec_rows(struct db *db, const struct row_table *t, struct text *x, exec_many exec,
                     const void *const *rows, size_t n)
{
	struct values values;
	values_init(&values, n * x->values);
	const struct db_many many = { buf_str(&x->head), buf_str(&x->row), ",", buf_str(&x->tail),
		                      x->values };
	for (size_t i = 0; i < n; i++)
		add_values(&values, t, x->given, rows[i]);
	int rc = exec(db, &many, values.v, n);
	values_fini(&values);
	return rc;
}

int rows_insert(struct db *db, const struct row_table *t, const void *rows, size_t n)
{
	const void **each = loom_calloc(n + 1, sizeof(*each));
	struct text x;
	for (size_t i = 0; i < n; i++)
		each[i] = (const char *)rows + i * t->size;
	text_begin(&x, t, INSERTED, 0);
	int rc = exec_rows(db, t, &x, db_exec_many, each, n);
	loom_free(text_end(&x));
	loom_free(each);
	return rc;
}

int row_insert(struct db *db, const struct row_table *t, const void *row)
{
	return rows_insert(db, t, row, 1);
}

static int row_missing(const struct row_table *t, int64_t n)
{
	log_error("a row to be written does not exist", LOG_S("table", t->name), LOG_I("rows", n));
	return DB_E_FATAL;
}

int rows_save(struct db *db, const struct row_table *t, unsigned flags, const void *const *rows,
              size_t n)
{
	struct text x;
	if (n < 2)
		return n ? row_save(db, t, flags, rows[0]) : 0;
	text_save(&x, t, flags);
	int rc = exec_rows(db, t, &x, db_upsert_many, rows, n);
	loom_free(text_end(&x));
	return rc || db_inserted(db) <= 0 ? rc : row_missing(t, db_inserted(db));
}

int row_save(struct db *db, const struct row_table *t, unsigned flags, const void *row)
{
	LOOM_CLEANUP_STR char *sql = row_update_text(t, flags);
	struct values values;
	values_init(&values, t->n);
	add_values(&values, t, flags, row);
	add_values(&values, t, ROW_KEY, row);
	int rc = db_exec_values(db, sql, values.v, values.n);
	values_fini(&values);
	return rc || db_affected(db) ? rc : row_missing(t, 1);
}
