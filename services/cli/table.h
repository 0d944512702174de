/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table - rows of text in columns as wide as their content. Pure, but for table_print().
 *
 * If a width is given the widest columns are truncated, with an ellipsis, until a row fits; if that
 * is not enough each row becomes a block of "NAME: value" lines. A program that reads the output
 * gives no width, and gets everything.
 */
#ifndef LOOM_CLI_TABLE_H
#define LOOM_CLI_TABLE_H

#include "common/base/buf.h"
#include "common/base/str.h"

struct table {
	size_t columns;
	struct strs cells; /* row by row; the heads are the first row */
};

/* The properties of the output. */
struct table_fit {
	size_t width; /* columns of the terminal; 0: unlimited */
	bool color;   /* colour status words */
	bool utf8;    /* may the ellipsis be one character? */
};

/* Heads are separated by '|': "ID|NAME". fini frees what was added. */
void table_init(struct table *t, const char *heads);
void table_fini(struct table *t);
void table_add(struct table *t, const char *cell); /* NULL is "-"; control characters are dropped */
void table_addf(struct table *t, const char *fmt, ...) LOOM_PRINTF(2, 3);
size_t table_rows(const struct table *t); /* without the head */
void table_write(const struct table *t, const char *indent, const struct table_fit *fit,
                 struct buf *out);
void table_print(const struct table *t, const char *indent); /* to stdout, fitted to it */

/* For stdout: a width only on a terminal, colours only if wanted. */
struct table_fit table_fit_stdout(void);

/* The colour code of a status word ("active", "failed"), "" for other words. */
const char *table_color(const char *word);

/* Columns of text on a terminal: UTF-8 characters, wide ones count twice. */
size_t text_width(const char *s);

#endif
