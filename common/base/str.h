/* SPDX-License-Identifier: Apache-2.0 */
/* str - small string helpers and strict number parsing.  Any thread. */
#ifndef LOOM_BASE_STR_H
#define LOOM_BASE_STR_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

bool str_eq(const char *a, const char *b);  /* NULL equals only NULL */
bool str_ieq(const char *a, const char *b); /* ASCII case-insensitive */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_blank(const char *s); /* NULL, empty or only white space */
/* Does it end in a space? The database pads with spaces to compare, and so finds the row of "a" by
 * "a " as well. Unique names must therefore not end in one. */
bool str_padded(const char *s);

/* Whole string must be the number; 0 or -EINVAL/-ERANGE; *ret untouched on failure. */
LOOM_MUST_CHECK int str_to_int(const char *s, int64_t *ret);
LOOM_MUST_CHECK int str_to_uint(const char *s, uint64_t *ret);

/* A name of an entity, cluster or tenant: 1-255 characters of [A-Za-z0-9_.-] (REST spec 1.6). */
bool str_is_name(const char *s);

bool str_is_address(const char *s); /* IPv4 or IPv6, as inet_pton() reads them */

/* Length of the UTF-8 sequence at the start of s (n bytes), 1 to 4; 0 if n is 0 or it is invalid
 * (overlong, surrogate, past U+10FFFF, cut off). */
size_t str_utf8_len(const char *s, size_t n);
bool str_is_utf8(const char *s);

/* A growing list of owned strings. */
struct strs {
	char **v;
	size_t n, cap;
};
void strs_add(struct strs *l, const char *s);
void strs_addf(struct strs *l, const char *fmt, ...) LOOM_PRINTF(2, 3);
bool strs_has(const struct strs *l, const char *s);
void strs_sort(struct strs *l); /* byte order */
void strs_fini(struct strs *l);
char *strs_join(const struct strs *l, const char *sep); /* returns owned */
static inline void strs_fini_p(struct strs *l)
{
	strs_fini(l);
}

#endif
