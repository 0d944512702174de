/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements for many rows.
 * Their texts depend on the number of rows, so only numbers from a short list are used: writes are
 * split, and reads repeat their last row. Worker threads, blocking.
 */
#include "common/base/buf.h"
#include "common/db/db_private.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT (1u << 20)
#define MAX_PAD  7 /* rows written twice to save another statement */

static const size_t lengths[] = { 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
	                          13, 14, 15, 16, 20, 24, 28, 32, 40, 48, 56, DB_MANY };

static size_t at_most(size_t n)
{
	size_t best = 1;
	for (size_t i = 0; i < LOOM_COUNT(lengths) && lengths[i] <= n; i++)
		best = lengths[i];
	return best;
}

static size_t at_least(size_t n)
{
	size_t i = 0;
	while (i + 1 < LOOM_COUNT(lengths) && lengths[i] < n)
		i++;
	return lengths[i];
}

static char *text_of(const struct db_many *m, size_t rows)
{
	struct buf b = BUF_INIT(MAX_TEXT);
	buf_adds(&b, m->head);
	for (size_t i = 0; i < rows; i++) {
		if (i)
			buf_adds(&b, m->sep);
		buf_adds(&b, m->row);
	}
	buf_adds(&b, m->tail);
	loom_assert(!b.full);
	return buf_take(&b);
}

/* The values of these rows, padded to n rows with those of the last one; owned. */
static struct db_value *padded(const struct db_many *m, const struct db_value *values, size_t rows,
                               size_t n)
{
	size_t size = m->per_row * sizeof(*values);
	struct db_value *all = loom_malloc(n * size);
	memcpy(all, values, rows * size);
	for (size_t i = rows; i < n; i++)
		memcpy(all + i * m->per_row, values + (rows - 1) * m->per_row, size);
	return all;
}

static int exec_some(struct db *db, const struct db_many *m, const struct db_value *values,
                     size_t rows, size_t n)
{
	struct db_value *all = n > rows ? padded(m, values, rows, n) : NULL;
	LOOM_CLEANUP_STR char *sql = text_of(m, n);
	int rc = db_exec_values(db, sql, all ? all : values, n * m->per_row);
	loom_free(all);
	return rc;
}

/* The number of rows of the last statement that were new, from the server's info text; -1:
 * unknown. */
static int64_t inserted(struct db *db)
{
	static const char first[] = "Records: ", second[] = "Duplicates: ";
	const char *info = mysql_info(db->mysql);
	const char *records = info ? strstr(info, first) : NULL;
	const char *duplicates = info ? strstr(info, second) : NULL;
	return records && duplicates ? strtoll(records + sizeof(first) - 1, NULL, 10) -
	                                       strtoll(duplicates + sizeof(second) - 1, NULL, 10)
	                             : -1;
}

/* pad: most rows written twice to save a statement; least: rows of the shortest statement. */
static int exec_all(struct db *db, const struct db_many *m, const struct db_value *values,
                    size_t rows, size_t pad, size_t least)
{
	int64_t affected = 0, fresh = 0;
	for (size_t done = 0; done < rows;) {
		size_t left = rows - done, n = at_least(left < least ? least : left);
		if (n < left || n - left > pad)
			n = at_most(left);
		int rc = exec_some(db, m, values + done * m->per_row, left < n ? left : n, n);
		if (rc)
			return rc;
		int64_t some = inserted(db);
		fresh = some < 0 || fresh < 0 ? -1 : fresh + some;
		affected += db->affected;
		done += n;
	}
	db->affected = affected;
	db->inserted = fresh;
	return 0;
}

int db_exec_many(struct db *db, const struct db_many *m, const struct db_value *values, size_t rows)
{
	return exec_all(db, m, values, rows, 0, 1);
}

int db_upsert_many(struct db *db, const struct db_many *m, const struct db_value *values,
                   size_t rows)
{
	/* For a statement with a single row the server gives no info text. */
	return exec_all(db, m, values, rows, MAX_PAD, 2);
}

int64_t db_inserted(const struct db *db)
{
	return db->inserted;
}

/* Adds the rows found for `rows` values, repeating the last value as padding. */
static int select_some(struct db *db, struct db_result *result, const struct db_many *m,
                       const struct db_value *values, size_t rows)
{
	size_t n = at_least(rows);
	struct db_value *all = padded(m, values, rows, n);
	LOOM_CLEANUP_STR char *sql = text_of(m, n);
	int rc = db_select_values(db, result, sql, all, n * m->per_row);
	loom_free(all);
	return rc;
}

int db_select_many(struct db *db, struct db_result **ret, const struct db_many *m,
                   const struct db_value *values, size_t rows)
{
	LOOM_CLEANUP(db_result_free) struct db_result *result = db_result_new();

	for (size_t done = 0; done < rows; done += DB_MANY) {
		size_t n = rows - done < DB_MANY ? rows - done : DB_MANY;
		int rc = select_some(db, result, m, values + done * m->per_row, n);
		if (rc)
			return rc;
	}
	*ret = loom_take(result);
	return 0;
}
