/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row - the columns of a table, listed once: loading, saving and inserting a struct come from it.
 *
 * A module lists the columns as a macro, in the order in which they are read; each has the name of
 * the member that holds it:
 *
 *	#define PET_ROW(X, SEP)                 \
 *		X(id, row_int, ROW_KEY) SEP     \
 *		X(name, row_str, ROW_NEW) SEP   \
 *		X(age, row_int, ROW_NEW | ROW_SAVE)
 *
 * From it come the text of a SELECT, ROW_NAMES(PET_ROW), and the table:
 *
 *	#define PET_COLUMN(col, type, flags) ROW_COLUMN(struct pet, col, type, flags),
 *	static const struct row_column columns[] = { PET_ROW(PET_COLUMN, ) };
 *	const struct row_table pet_table = ROW_TABLE("pet", struct pet, columns);
 *
 * Inside db_tx() or db_read(). Functions return 0 or a DB_E_ code.
 */
#ifndef LOOM_MODEL_ROW_H
#define LOOM_MODEL_ROW_H

#include "common/db/db.h"
#include "common/json/json.h"

#include <stddef.h>

/* How a member is read from a column and written to it. */
struct row_type {
	char member; /* the letter that ROW_MEMBER() gives for members of this type */
	/* false: the text is not a value of this type. at: the member; size: of it. */
	bool (*read)(void *at, size_t size, const struct db_result *r, size_t row, unsigned col);
	/* The value; sets *text to memory that must be freed after use. */
	struct db_value (*write)(const void *at, char **text);
	void (*fini)(void *at);                   /* NULL: it owns nothing */
	void (*copy)(void *to, const void *from); /* deep; NULL: a plain copy */
};

extern const struct row_type row_int;    /* int64_t; NULL reads as 0 */
extern const struct row_type row_str;    /* char *, owned; NULL is NULL */
extern const struct row_type row_chars;  /* char[n], NULL reads as "" */
extern const struct row_type row_json;   /* struct json *, owned; NULL is NULL */
extern const struct row_type row_object; /* the same, but NULL is written as {} */

enum {
	ROW_KEY = 1,    /* identifies the row; written by an insert */
	ROW_NEW = 2,    /* has no default: written by an insert */
	ROW_SAVE = 4,   /* written by a save */
	ROW_OPTION = 8, /* written by an insert, though it has a default */
	ROW_KEEP = 16,  /* unchanged by updates: the server would change it if it were not named */
	ROW_GROUP = 32, /* first of a table's own groups of columns */
};

struct row_column {
	const char *name;
	const struct row_type *type;
	unsigned flags;
	char member;
	size_t offset, size;
};

/* Tables may share a list: one may read the first part of what another inserts. */
struct row_table {
	const char *name;
	const struct row_column *columns;
	size_t n, size; /* columns; bytes of the struct */
};

#define ROW_NAME_(col, ...) #col
#define ROW_NAMES(list)     list(ROW_NAME_, ", ")
/* The type letter of a member: a table whose column types do not fit its members fails its unit
 * test. */
#define ROW_MEMBER(of, col) \
	_Generic(&((of *)0)->col, int64_t *: 'i', char **: 's', struct json **: 'j', default: 'o')
#define ROW_COLUMN(of, col, kind, bits)                                                        \
	{                                                                                      \
		.name = #col, .type = &(kind), .flags = (bits), .member = ROW_MEMBER(of, col), \
		.offset = offsetof(of, col), .size = sizeof(((of *)0)->col)                    \
	}
#define ROW_TABLE(table, of, list)                            \
	{                                                     \
		(table), (list), LOOM_COUNT(list), sizeof(of) \
	}

/* Fills row from the columns of a SELECT ROW_NAMES(...); other members stay unchanged. DB_E_FATAL
 * when a text is not a value of its type; even then row owns what was read. */
LOOM_MUST_CHECK int row_read(const struct row_table *t, const struct db_result *r, size_t i,
                             void *row);
void row_fini(const struct row_table *t, void *row);                  /* frees and clears */
void row_copy(const struct row_table *t, void *to, const void *from); /* columns only, deep */

LOOM_MUST_CHECK int row_insert(struct db *db, const struct row_table *t, const void *row);
/* rows: an array of structs. */
LOOM_MUST_CHECK int rows_insert(struct db *db, const struct row_table *t, const void *rows,
                                size_t n);
/* Writes the columns with any of these flags (ROW_SAVE or a group) of rows that were read in this
 * transaction. A missing row is a defect: DB_E_FATAL, so that nothing is changed at all. */
LOOM_MUST_CHECK int row_save(struct db *db, const struct row_table *t, unsigned flags,
                             const void *row);
LOOM_MUST_CHECK int rows_save(struct db *db, const struct row_table *t, unsigned flags,
                              const void *const *rows, size_t n);

/* The statements themselves, owned; for tests. */
char *row_insert_text(const struct row_table *t);
char *row_save_text(const struct row_table *t, unsigned flags);   /* for several rows */
char *row_update_text(const struct row_table *t, unsigned flags); /* for one row */

/* Owned tree, NULL for NULL or text that is not JSON. */
struct json *row_json_at(const struct db_result *r, size_t row, unsigned col);

#endif
