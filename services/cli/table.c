/* SPDX-License-Identifier: Apache-2.0 */
/* Aligns columns of text of any width. */
#include "services/cli/table.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

#define TABLE_MAX ((size_t)16 << 20)

void table_init(struct table *t, const char *heads)
{
	memset(t, 0, sizeof(*t));
	while (*heads) {
		size_t n = strcspn(heads, "|");
		strs_addf(&t->cells, "%.*s", (int)n, heads);
		t->columns++;
		heads += n + (heads[n] == '|');
	}
}

void table_fini(struct table *t)
{
	strs_fini(&t->cells);
}

void table_add(struct table *t, const char *cell)
{
	struct buf b = BUF_INIT(TABLE_MAX);
	for (const char *s = cell && *cell ? cell : "-"; *s; s++)
		buf_addc(&b, (char)(*s == '\n' || *s == '\t' ? ' ' : *s));
	LOOM_CLEANUP_STR char *shown = text_shown(buf_str(&b), b.len, TEXT_LINE);
	strs_add(&t->cells, shown);
	buf_fini(&b);
}

void table_addf(struct table *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	LOOM_CLEANUP_STR char *text = loom_vasprintf(fmt, ap);
	va_end(ap);
	table_add(t, text);
}

size_t table_rows(const struct table *t)
{
	return t->cells.n / t->columns - 1;
}

static size_t char_width(const char *s, size_t n)
{
	/* From Hangul on, most of what has three or four bytes is wide. */
	return n < 3 || (n == 3 && (unsigned char)s[0] == 0xe2) ? 1 : 2;
}

size_t text_width(const char *s)
{
	size_t width = 0, len = strlen(s);
	while (len) {
		size_t n = str_utf8_len(s, len);
		width += n ? char_width(s, n) : 1;
		n = n ? n : 1;
		s += n;
		len -= n;
	}
	return width;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t width = 0;
	for (size_t i = column; i < t->cells.n; i += t->columns) {
		size_t n = text_width(t->cells.v[i]);
		width = n > width ? n : width;
	}
	return width;
}

void table_write(const struct table *t, const char *indent, struct buf *out)
{
	loom_assert(t->columns);
	size_t *widths = loom_calloc(t->columns, sizeof(*widths));
	for (size_t i = 0; i < t->columns; i++)
		widths[i] = column_width(t, i);
	for (size_t i = 0; i < t->cells.n; i++) {
		size_t column = i % t->columns;
		const char *cell = t->cells.v[i];
		if (!column)
			buf_adds(out, indent);
		buf_adds(out, cell);
		if (column + 1 == t->columns) {
			buf_addc(out, '\n');
			continue;
		}
		for (size_t n = text_width(cell); n < widths[column] + 2; n++)
			buf_addc(out, ' ');
	}
	loom_free(widths);
}

void table_print(const struct table *t, const char *indent)
{
	struct buf b = BUF_INIT(TABLE_MAX);
	table_write(t, indent, &b);
	fputs(buf_str(&b), stdout);
	buf_fini(&b);
}
