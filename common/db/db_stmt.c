/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements: binds parameters from varargs, and reads whole results into their own memory. Worker
 * threads, blocking.
 */
#include "common/db/db.h"

#include "common/db/db_private.h"

#include <inttypes.h>
#include <mysqld_error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- parameters and execution ---------------------------------------------------------------- */

struct params {
	MYSQL_BIND bind[DB_PARAM_MAX];
	int64_t ints[DB_PARAM_MAX];
	unsigned long lens[DB_PARAM_MAX];
};

/* Casts const away: the library only reads parameters. */
static void *as_buffer(const void *data)
{
	union {
		const void *in;
		void *out;
	} view = { .in = data };

	return view.out;
}

static void bind_bytes(struct params *p, size_t i, enum enum_field_types type, const void *data,
                       size_t len)
{
	p->lens[i] = len;
	p->bind[i].buffer_type = data ? type : MYSQL_TYPE_NULL;
	p->bind[i].buffer = as_buffer(data);
	p->bind[i].buffer_length = len;
	p->bind[i].length = &p->lens[i];
}

static size_t bind_all(struct params *p, const char *types, va_list ap)
{
	size_t n = types ? strlen(types) : 0;
	loom_assert(n <= DB_PARAM_MAX);
	memset(p->bind, 0, sizeof(p->bind[0]) * n);
	for (size_t i = 0; i < n; i++) {
		const void *data;
		switch (types[i]) {
		case 'i':
			p->ints[i] = va_arg(ap, int64_t);
			p->bind[i].buffer_type = MYSQL_TYPE_LONGLONG;
			p->bind[i].buffer = &p->ints[i];
			break;
		case 's':
			data = va_arg(ap, const char *);
			bind_bytes(p, i, MYSQL_TYPE_STRING, data, data ? strlen(data) : 0);
			break;
		case 'b':
			data = va_arg(ap, const void *);
			bind_bytes(p, i, MYSQL_TYPE_BLOB, data, va_arg(ap, size_t));
			break;
		case 'n':
			p->bind[i].buffer_type = MYSQL_TYPE_NULL;
			break;
		default:
			loom_assert(!"a parameter's type is one of i s b n");
		}
	}
	return n;
}

static int execute_bound(struct db *db, MYSQL_STMT **ret, const char *sql, MYSQL_BIND *bind,
                         size_t n)
{
	int rc;
	struct db_stmt *s = db_stmt_prepare(db, sql, &rc);
	if (!s)
		return rc;
	loom_assert(mysql_stmt_param_count(s->stmt) == n);
	if (n && mysql_stmt_bind_param(s->stmt, bind))
		return db_stmt_fail(db, s->stmt, sql);
	if (mysql_stmt_execute(s->stmt)) {
		rc = db_stmt_fail(db, s->stmt, sql);
		if (db->code == ER_NEED_REPREPARE || db->code == ER_UNKNOWN_STMT_HANDLER)
			db_unprepare(db, sql);
		return rc;
	}
	db->answered++;
	metric_add(&db_metrics[DB_M_STATEMENTS], 1);
	*ret = s->stmt;
	return 0;
}

static int execute(struct db *db, MYSQL_STMT **ret, const char *sql, const char *types, va_list ap)
{
	struct params params;
	size_t n = bind_all(&params, types, ap);
	return execute_bound(db, ret, sql, params.bind, n);
}

static int execute_values(struct db *db, MYSQL_STMT **ret, const char *sql,
                          const struct db_value *v, size_t n)
{
	MYSQL_BIND *bind = loom_calloc(n + 1, sizeof(*bind));
	for (size_t i = 0; i < n; i++) {
		bool text = v[i].type == 's' && v[i].s;
		bind[i].buffer_type = v[i].type == 'i' ? MYSQL_TYPE_LONGLONG
		                      : text           ? MYSQL_TYPE_STRING
		                                       : MYSQL_TYPE_NULL;
		bind[i].buffer = text ? as_buffer(v[i].s) : as_buffer(&v[i].i);
		bind[i].buffer_length = text ? strlen(v[i].s) : 0;
	}
	int rc = execute_bound(db, ret, sql, bind, n);
	loom_free(bind);
	return rc;
}

static void note_affected(struct db *db, MYSQL_STMT *stmt)
{
	db->affected = (int64_t)mysql_stmt_affected_rows(stmt);
	if (mysql_stmt_field_count(stmt))
		(void)mysql_stmt_free_result(stmt);
}

int db_exec(struct db *db, const char *sql, const char *types, ...)
{
	MYSQL_STMT *stmt = NULL;
	va_list ap;
	va_start(ap, types);
	int rc = execute(db, &stmt, sql, types, ap);
	va_end(ap);
	if (!rc)
		note_affected(db, stmt);
	return rc;
}

int db_exec_values(struct db *db, const char *sql, const struct db_value *v, size_t n)
{
	MYSQL_STMT *stmt = NULL;
	int rc = execute_values(db, &stmt, sql, v, n);
	if (!rc)
		note_affected(db, stmt);
	return rc;
}

/* ---- results --------------------------------------------------------------------------------- */

struct cell {
	const char *text; /* NULL for NULL; ends with a NUL that len does not count */
	size_t len;
};

struct chunk {
	struct chunk *next;
	size_t used, size;
	char data[];
};

struct db_result {
	size_t rows, cap;
	unsigned cols;
	struct cell *cells;
	struct chunk *chunks; /* where the texts live */
};

enum { CHUNK = 16384, SHORT_TEXT = 64 };

static char *room(struct db_result *r, size_t n)
{
	struct chunk *c = r->chunks;
	if (!c || c->size - c->used < n) {
		size_t size = n > CHUNK ? n : CHUNK;
		c = loom_malloc(sizeof(*c) + size);
		c->used = 0;
		c->size = size;
		c->next = r->chunks;
		r->chunks = c;
	}
	c->used += n;
	return c->data + c->used - n;
}

void db_result_free(struct db_result *r)
{
	if (!r)
		return;
	while (r->chunks) {
		struct chunk *c = r->chunks;
		r->chunks = c->next;
		loom_free(c);
	}
	loom_free(r->cells);
	loom_free(r);
}

/* A column during fetch: integers go into num, everything else is text of any size. */
struct column {
	bool integer, is_unsigned;
	int64_t num;
	unsigned long len;
	my_bool null, cut;
	char text[SHORT_TEXT];
};

static bool type_is_integer(enum enum_field_types t)
{
	return t == MYSQL_TYPE_TINY || t == MYSQL_TYPE_SHORT || t == MYSQL_TYPE_INT24 ||
	       t == MYSQL_TYPE_LONG || t == MYSQL_TYPE_LONGLONG || t == MYSQL_TYPE_YEAR;
}

static void bind_columns(MYSQL_BIND *bind, struct column *cols, const MYSQL_FIELD *fields,
                         unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		cols[i].integer = type_is_integer(fields[i].type);
		cols[i].is_unsigned = fields[i].flags & UNSIGNED_FLAG;
		bind[i].is_null = &cols[i].null;
		bind[i].length = &cols[i].len;
		bind[i].error = &cols[i].cut;
		if (cols[i].integer) {
			bind[i].buffer_type = MYSQL_TYPE_LONGLONG;
			bind[i].buffer = &cols[i].num;
			bind[i].is_unsigned = cols[i].is_unsigned ? 1 : 0;
		} else {
			bind[i].buffer_type = MYSQL_TYPE_STRING;
			bind[i].buffer = cols[i].text;
			bind[i].buffer_length = SHORT_TEXT;
		}
	}
}

/* Takes the fetched value of one column; fetches longer texts again, directly into their place. */
static int take_cell(struct db_result *r, MYSQL_STMT *stmt, struct column *c, unsigned i,
                     struct cell *cell)
{
	char digits[24];
	const char *from = c->text;
	if (c->null) {
		*cell = (struct cell){ 0 };
		return 0;
	}
	cell->len = c->len;
	if (c->integer) {
		cell->len = (size_t)snprintf(digits, sizeof(digits),
		                             c->is_unsigned ? "%" PRIu64 : "%" PRId64, c->num);
		from = digits;
	}
	char *to = room(r, cell->len + 1);
	if (cell->len <= SHORT_TEXT) {
		memcpy(to, from, cell->len);
	} else {
		unsigned long len = 0;
		MYSQL_BIND whole = { .buffer_type = MYSQL_TYPE_STRING,
			             .buffer = to,
			             .buffer_length = cell->len,
			             .length = &len };

		if (mysql_stmt_fetch_column(stmt, &whole, i, 0))
			return -1;
	}
	to[cell->len] = '\0';
	cell->text = to;
	return 0;
}

static int read_rows(struct db_result *r, MYSQL_STMT *stmt, struct column *cols)
{
	int f;
	while ((f = mysql_stmt_fetch(stmt)) == 0 || f == MYSQL_DATA_TRUNCATED) {
		if (r->rows == r->cap) {
			r->cap = r->cap ? r->cap * 2 : 8;
			r->cells = loom_realloc(r->cells, r->cap * r->cols * sizeof(*r->cells));
		}
		for (unsigned i = 0; i < r->cols; i++) {
			if (take_cell(r, stmt, &cols[i], i, &r->cells[r->rows * r->cols + i]))
				return -1;
		}
		r->rows++;
	}
	return f == MYSQL_NO_DATA ? 0 : -1;
}

static int read_result(struct db_result *r, MYSQL_STMT *stmt)
{
	MYSQL_RES *meta;
	int rc = -1;
	if (mysql_stmt_store_result(stmt))
		return -1;
	meta = mysql_stmt_result_metadata(stmt);
	if (!meta)
		return -1;
	r->cols = mysql_num_fields(meta);
	MYSQL_BIND *bind = loom_calloc(r->cols, sizeof(*bind));
	struct column *cols = loom_calloc(r->cols, sizeof(*cols));
	bind_columns(bind, cols, mysql_fetch_fields(meta), r->cols);
	if (!mysql_stmt_bind_result(stmt, bind))
		rc = read_rows(r, stmt, cols);
	mysql_free_result(meta);
	loom_free(bind);
	loom_free(cols);
	return rc;
}

static int select_va(struct db *db, struct db_result **ret, const char *sql, const char *types,
                     va_list ap)
{
	LOOM_CLEANUP(db_result_free) struct db_result *result = NULL;
	MYSQL_STMT *stmt = NULL;
	int rc = execute(db, &stmt, sql, types, ap);

	if (rc)
		return rc;
	result = loom_calloc(1, sizeof(*result));
	if (read_result(result, stmt))
		rc = db_stmt_fail(db, stmt, sql);
	(void)mysql_stmt_free_result(stmt);
	if (rc)
		return rc;
	*ret = loom_take(result);
	return 0;
}

int db_select(struct db *db, struct db_result **ret, const char *sql, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	int rc = select_va(db, ret, sql, types, ap);
	va_end(ap);
	return rc;
}

struct db_result *db_result_new(void)
{
	return loom_calloc(1, sizeof(struct db_result));
}

int db_select_values(struct db *db, struct db_result *result, const char *sql,
                     const struct db_value *v, size_t n)
{
	MYSQL_STMT *stmt = NULL;
	int rc = execute_values(db, &stmt, sql, v, n);
	if (!rc && read_result(result, stmt))
		rc = db_stmt_fail(db, stmt, sql);
	if (stmt)
		(void)mysql_stmt_free_result(stmt);
	return rc;
}

static const struct cell *cell_at(const struct db_result *r, size_t row, unsigned col)
{
	loom_assert(row < r->rows && col < r->cols);
	return &r->cells[row * r->cols + col];
}

size_t db_rows(const struct db_result *r)
{
	return r->rows;
}

bool db_is_null(const struct db_result *r, size_t row, unsigned col)
{
	return !cell_at(r, row, col)->text;
}

const char *db_str(const struct db_result *r, size_t row, unsigned col)
{
	return cell_at(r, row, col)->text;
}

size_t db_len(const struct db_result *r, size_t row, unsigned col)
{
	return cell_at(r, row, col)->len;
}

int64_t db_int(const struct db_result *r, size_t row, unsigned col)
{
	const char *text = cell_at(r, row, col)->text;
	return text ? strtoll(text, NULL, 10) : 0;
}

int db_select_int(struct db *db, int64_t *ret, bool *found, const char *sql, const char *types, ...)
{
	LOOM_CLEANUP(db_result_free) struct db_result *result = NULL;
	va_list ap;

	va_start(ap, types);
	int rc = select_va(db, &result, sql, types, ap);
	va_end(ap);
	if (rc)
		return rc;
	if (found)
		*found = db_rows(result) > 0;
	if (db_rows(result) > 0)
		*ret = db_int(result, 0, 0);
	return 0;
}

int db_now(struct db *db, int64_t *ret_ms)
{
	return db_select_int(db, ret_ms, NULL,
	                     "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)", "");
}
