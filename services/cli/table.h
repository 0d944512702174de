/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table - rows of text in columns that are as wide as they need to be.  Pure, but for
 * table_print().
 *
 * Where a width is given the widest columns are cut, with an ellipsis, until a row fits; where even
 * that is not enough each row becomes a block of "NAME: value" lines. A program that reads the
 * output gives no width, and gets all of it.
 */
#ifndef LOOM_CLI_TABLE_H
#define LOOM_CLI_TABLE_H

#include "common/base/buf.h"
#include "common/base/str.h"

struct table {
	size_t columns;
	struct strs cells; /* row by row, the head first */
};

/* What tables are written on. */
struct table_fit {
	size_t width; /* columns of the terminal; 0: no end */
	bool color;   /* words of status in their colours */
	bool utf8;    /* may an ellipsis be one character? */
};

/* Heads are separated by '|': "ID|NAME". fini frees what was added. */
void table_init(struct table *t, const char *heads);
void table_fini(struct table *t);
void table_add(struct table *t, const char *cell); /* NULL is "-"; control characters are dropped */
void table_addf(struct table *t, const char *fmt, ...) LOOM_PRINTF(2, 3);
size_t table_rows(const struct table *t); /* without the head */
void table_write(const struct table *t, const char *indent, const struct table_fit *fit,
                 struct buf *out);
void table_print(const struct table *t, const char *indent); /* to stdout, as it fits there */

/* Of stdout: a width on a terminal only, colours only where they are wanted. */
struct table_fit table_fit_stdout(void);

/* The code that colours a word of status ("active", "failed"), "" for any other word. */
const char *table_color(const char *word);

/* Columns that text takes on a terminal: characters of UTF-8, wide ones count twice. */
size_t text_width(const char *s);

#endif
