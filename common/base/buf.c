/* SPDX-License-Identifier: Apache-2.0 */
/* A growable byte buffer with a maximum, so that no input makes a process grow without limit. */
#include "common/base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BUF_MIN 64

void buf_fini(struct buf *b)
{
	loom_free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
	b->full = false;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->full = false;
	if (b->data)
		b->data[0] = '\0';
}

/* Makes room for n more bytes and a NUL; false (and full) if that exceeds the maximum. */
static bool buf_reserve(struct buf *b, size_t n)
{
	size_t need, cap;
	if (b->full)
		return false;
	if (n > b->max || b->len > b->max - n || b->max == SIZE_MAX) {
		b->full = true;
		return false;
	}
	need = b->len + n + 1;
	if (need <= b->cap)
		return true;
	cap = b->cap ? b->cap : BUF_MIN;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > b->max + 1)
		cap = b->max + 1;
	b->data = loom_realloc(b->data, cap);
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	if (!buf_reserve(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;
	if (b->full)
		return;
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	loom_assert(n >= 0);
	if (!buf_reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_drain(struct buf *b, size_t n)
{
	if (!b->data)
		return;
	if (n > b->len)
		n = b->len;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
	b->data[b->len] = '\0';
}

void buf_cut(struct buf *b, size_t n)
{
	b->full = false;
	if (n >= b->len)
		return;
	b->len = n;
	b->data[n] = '\0';
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *data = b->data ? b->data : loom_strdup("");
	b->data = NULL;
	b->len = b->cap = 0;
	b->full = false;
	return data;
}
