/* SPDX-License-Identifier: Apache-2.0 */
/* table - rows of text in columns that are as wide as they need to be.  Pure. */
#ifndef LOOM_CLI_TABLE_H
#define LOOM_CLI_TABLE_H

#include "common/base/buf.h"
#include "common/base/str.h"

struct table {
	size_t columns;
	struct strs cells; /* row by row, the head first */
};

/* Heads are separated by '|': "ID|NAME". fini frees what was added. */
void table_init(struct table *t, const char *heads);
void table_fini(struct table *t);
void table_add(struct table *t, const char *cell); /* NULL is "-"; control characters are dropped */
void table_addf(struct table *t, const char *fmt, ...) LOOM_PRINTF(2, 3);
size_t table_rows(const struct table *t); /* without the head */
void table_write(const struct table *t, const char *indent, struct buf *out);
void table_print(const struct table *t, const char *indent); /* to stdout */

/* Columns that text takes on a terminal: characters of UTF-8, wide ones count twice. */
size_t text_width(const char *s);

#endif
