/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - a growable byte buffer with a mandatory maximum, always NUL-terminated.
 *
 * Exceeding the maximum sets `full`, drops the whole addition and makes every later addition a
 * no-op, so that a writer checks only once, at the end.  Not thread safe.
 */
#ifndef LOOM_BASE_BUF_H
#define LOOM_BASE_BUF_H

#include "common/base/mem.h"

#include <stdbool.h>

struct buf {
	char *data; /* never NULL after the first addition; use buf_str() for a C string */
	size_t len;
	size_t cap;
	size_t max;
	bool full;
};

#define BUF_INIT(max_bytes) ((struct buf){ .max = (max_bytes) })

void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* keeps the memory, clears `full` */
void buf_add(struct buf *b, const void *data, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) LOOM_PRINTF(2, 3);
void buf_drain(struct buf *b, size_t n);  /* drops the first n bytes */
void buf_cut(struct buf *b, size_t n);    /* keeps only the first n bytes, clears `full` */
const char *buf_str(const struct buf *b); /* "" when empty */
char *buf_take(struct buf *b);            /* returns owned, never NULL; b is empty afterwards */

static inline void buf_fini_p(struct buf *b)
{
	buf_fini(b);
}

#endif
