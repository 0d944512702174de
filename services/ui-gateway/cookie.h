/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cookie - reads the header Cookie, and writes Set-Cookie.
 *
 * Values consist of base64url characters and dots; others are ignored. A browser keeps at most 4096
 * bytes per cookie, so a longer value is split into several. The first one has their number, so
 * that a piece left over from a longer value does no harm. Pure.
 */
#ifndef LOOM_GATEWAY_COOKIE_H
#define LOOM_GATEWAY_COOKIE_H

#include "common/base/str.h"

#define COOKIE_PIECE  3800 /* characters of a value per cookie */
#define COOKIE_PIECES 3
#define COOKIE_MOST   ((size_t)COOKIE_PIECE * COOKIE_PIECES)

/* The first cookie of that name with at most `most` characters; header NULL: absent. Returns owned;
 * NULL: none. */
char *cookie_get(const char *header, const char *name, size_t most);
/* Reads what cookie_put_long() wrote; NULL: none, or pieces are missing. */
char *cookie_get_long(const char *header, const char *name);

/* Adds the value of a Set-Cookie header. value NULL: deletes the cookie. */
void cookie_put(struct strs *out, const char *name, const char *value, const char *attributes);
/* Adds a header for every possible piece; false without any if the value is too long. */
LOOM_MUST_CHECK bool cookie_put_long(struct strs *out, const char *name, const char *value,
                                     const char *attributes);
void cookie_forget_long(struct strs *out, const char *name, const char *attributes);

#endif
