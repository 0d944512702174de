/* SPDX-License-Identifier: Apache-2.0 */
/* Aligns columns of text of any width, and truncates them to the terminal's width. */
#include "services/cli/table.h"

#include "services/cli/screen.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TABLE_MAX  ((size_t)1 << 30)
#define GAP        2  /* between columns */
#define MIN_COLUMN 12 /* a truncated column keeps at least this width, */
#define MIN_WORD   6  /* or this, before rows become blocks on a terminal */
#define NARROW     60 /* of at least this width */

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
	/* From Hangul on, most characters of three or four bytes are wide. */
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

/* ---- colours --------------------------------------------------------------------------------- */

const char *table_color(const char *word)
{
	static const struct {
		const char *word, *code;
	} colors[] = {
		{ "active", "\033[32m" },       { "complete", "\033[32m" },
		{ "done", "\033[32m" },         { "ready", "\033[32m" },
		{ "pending", "\033[36m" },      { "running", "\033[36m" },
		{ "in_progress", "\033[36m" },  { "incomplete", "\033[31m" },
		{ "failed", "\033[31m" },       { "dead", "\033[31m" },
		{ "inconsistent", "\033[33m" }, { "retry", "\033[33m" },
		{ "paused", "\033[33m" },       { "terminated", "\033[2m" },
	};
	for (size_t i = 0; i < LOOM_COUNT(colors); i++) {
		if (str_eq(word, colors[i].word))
			return colors[i].code;
	}
	return "";
}

static void put(struct buf *out, const char *text, size_t n, const char *color)
{
	buf_adds(out, color);
	buf_add(out, text, n);
	if (*color)
		buf_adds(out, "\033[0m");
}

/* ---- fitting --------------------------------------------------------------------------------- */

/* Bytes of the longest start of text that fits into width columns. */
static size_t bytes_within(const char *text, size_t width)
{
	size_t at = 0, used = 0, len = strlen(text);
	while (at < len) {
		size_t n = str_utf8_len(text + at, len - at);
		n = n ? n : 1;
		size_t wide = char_width(text + at, n);
		if (used + wide > width)
			break;
		used += wide;
		at += n;
	}
	return at;
}

/* Writes a cell, at most width columns wide; returns the columns used. */
static size_t put_cell(const struct table_fit *fit, const char *cell, size_t width, bool head,
                       struct buf *out)
{
	const char *color = fit->color && !head ? table_color(cell) : "";
	size_t full = text_width(cell), dots = fit->utf8 ? 1 : 2;
	if (full <= width) {
		put(out, cell, strlen(cell), color);
		return full;
	}
	size_t n = bytes_within(cell, width - dots);
	LOOM_CLEANUP_STR char *cut = loom_strndup(cell, n);
	put(out, cut, n, color);
	buf_adds(out, fit->utf8 ? "…" : "..");
	return text_width(cut) + dots;
}

static size_t total(const size_t *widths, size_t n)
{
	size_t sum = (n - 1) * GAP;
	for (size_t i = 0; i < n; i++)
		sum += widths[i];
	return sum;
}

/* Narrows the widest column, as often as needed. False when no column can be narrowed. */
static bool shrink(size_t *widths, size_t n, size_t room, size_t least)
{
	for (size_t sum = total(widths, n); sum > room;) {
		size_t widest = 0, next = least;
		for (size_t i = 1; i < n; i++)
			widest = widths[i] > widths[widest] ? i : widest;
		if (widths[widest] <= least)
			return false;
		for (size_t i = 0; i < n; i++)
			next = i != widest && widths[i] > next ? widths[i] : next;
		size_t by = widths[widest] - next;
		by = by > sum - room ? sum - room : by;
		widths[widest] -= by ? by : 1;
		sum = total(widths, n);
	}
	return true;
}

static void write_rows(const struct table *t, const char *indent, const struct table_fit *fit,
                       const size_t *widths, struct buf *out)
{
	for (size_t i = 0; i < t->cells.n; i++) {
		size_t column = i % t->columns;
		if (!column)
			buf_adds(out, indent);
		size_t used = put_cell(fit, t->cells.v[i], widths[column], i < t->columns, out);
		if (column + 1 == t->columns) {
			buf_addc(out, '\n');
			continue;
		}
		for (; used < widths[column] + GAP; used++)
			buf_addc(out, ' ');
	}
}

/* Writes each row as a block of lines "NAME: value", without cells that are "-". */
static void write_blocks(const struct table *t, const char *indent, const struct table_fit *fit,
                         struct buf *out)
{
	for (size_t i = t->columns; i < t->cells.n; i++) {
		const char *head = t->cells.v[i % t->columns], *cell = t->cells.v[i];
		if (i % t->columns == 0 && i > t->columns)
			buf_addc(out, '\n');
		if (!str_eq(cell, "-")) {
			buf_addf(out, "%s%s: ", indent, head);
			put(out, cell, strlen(cell), fit->color ? table_color(cell) : "");
			buf_addc(out, '\n');
		}
	}
}

void table_write(const struct table *t, const char *indent, const struct table_fit *fit,
                 struct buf *out)
{
	static const struct table_fit whole = { .utf8 = true };
	loom_assert(t->columns);
	fit = fit ? fit : &whole;
	size_t *widths = loom_calloc(t->columns, sizeof(*widths)), used = strlen(indent);
	for (size_t i = 0; i < t->columns; i++)
		widths[i] = column_width(t, i);
	size_t room = fit->width > used ? fit->width - used : 1;
	if (!fit->width || shrink(widths, t->columns, room, MIN_COLUMN) ||
	    (fit->width >= NARROW && shrink(widths, t->columns, room, MIN_WORD)))
		write_rows(t, indent, fit, widths, out);
	else
		write_blocks(t, indent, fit, out);
	loom_free(widths);
}

struct table_fit table_fit_stdout(void)
{
	struct table_fit fit = { .utf8 = screen_utf8() };
	if (isatty(STDOUT_FILENO)) {
		int width, height;
		screen_size_of(STDOUT_FILENO, &width, &height);
		fit.width = (size_t)width;
		fit.color = screen_color();
	}
	return fit;
}

void table_print(const struct table *t, const char *indent)
{
	struct buf b = BUF_INIT(TABLE_MAX);
	struct table_fit fit = table_fit_stdout();
	table_write(t, indent, &fit, &b);
	fputs(buf_str(&b), stdout);
	buf_fini(&b);
}
