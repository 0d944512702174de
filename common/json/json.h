/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - an owned value tree over yajl's streaming parser, and a writer.
 *
 * Parsing is strict about structure (depth, size, duplicate keys, UTF-8, trailing data) and reports
 * line and column. Reading is lenient about scalars, as the original's clients need: numbers may
 * arrive as digit strings, strings as numbers (REST spec 1.3). Numbers keep their spelling. Object
 * member order is kept; member names contain no NUL. Not thread safe; a tree has one owner.
 */
#ifndef LOOM_JSON_JSON_H
#define LOOM_JSON_JSON_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_MAX_DEPTH  64
#define JSON_MAX_BYTES  (16u << 20)
#define JSON_MAX_VALUES 100000 /* in untrusted text: a value takes up to 50 times its bytes */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json;

/* 0, or 400 with err "line 3, column 7: ..."; err may be NULL. max_bytes 0 means JSON_MAX_BYTES. */
LOOM_MUST_CHECK int json_parse(const char *text, size_t len, size_t max_bytes, struct json **ret,
                               struct loom_err *err);
/* For untrusted text: also refuses more than JSON_MAX_VALUES values. */
LOOM_MUST_CHECK int json_parse_few(const char *text, size_t len, size_t max_bytes,
                                   struct json **ret, struct loom_err *err);
LOOM_MUST_CHECK int json_parse_str(const char *text, struct json **ret, struct loom_err *err);
void json_free(struct json *v);
struct json *json_copy(const struct json *v);                /* NULL gives NULL */
bool json_equal(const struct json *a, const struct json *b); /* member order ignored */

enum json_type json_type(const struct json *v); /* NULL pointer reads as JSON_NULL */
bool json_is(const struct json *v, enum json_type t);
const char *json_type_name(enum json_type t);

/* Reading. A NULL pointer is an absent value everywhere; an explicit null also reads as absent. */
const char *json_str(
	const struct json *v); /* text of a string or number, "true"/"false"; else NULL */
size_t json_str_len(const struct json *v);         /* may contain NULs: then longer than strlen() */
bool json_int(const struct json *v, int64_t *ret); /* whole number ("5.0" too) or digit string */
bool json_bool(const struct json *v, bool *ret);   /* true/false or "true"/"false" */
size_t json_size(const struct json *v);            /* approximate bytes of memory */
size_t json_len(const struct json *v);             /* array elements or object members, else 0 */
/* Does it nest non-empty arrays or objects deeper than this many levels? */
bool json_deeper(const struct json *v, int levels);
struct json *json_at(const struct json *arr, size_t i);
struct json *json_get(const struct json *obj, const char *key);
const char *json_get_str(const struct json *obj, const char *key); /* NULL if absent */
int64_t json_get_int(const struct json *obj, const char *key, int64_t def);
bool json_get_bool(const struct json *obj, const char *key, bool def);
struct json *json_path(const struct json *v, const char *path); /* "config/web/port", "a/0/b" */
const char *json_key_at(const struct json *obj, size_t i);
struct json *json_value_at(const struct json *obj, size_t i);
bool json_arr_has_str(const struct json *arr, const char *s);
void json_read_strs(const struct json *arr,
                    struct strs *ret); /* adds the strings among arr's values */

/* Building: takes every given value. Setting a NULL value does nothing (absent is omitted). */
struct json *json_new_null(void);
struct json *json_new_bool(bool b);
struct json *json_new_int(int64_t n);
struct json *json_new_number(const char *text); /* must be a JSON number */
struct json *json_new_str(const char *s);       /* NULL gives NULL */
struct json *json_new_strn(const char *s, size_t n);
struct json *json_new_arr(void);
struct json *json_new_strs(const struct strs *l); /* an array */
struct json *json_new_obj(void);
struct json *json_push(struct json *arr, struct json *v); /* returns arr */
struct json *json_set(struct json *obj, const char *key,
                      struct json *v); /* replaces; returns obj */
struct json *json_set_str(struct json *obj, const char *key, const char *s);
struct json *json_set_int(struct json *obj, const char *key, int64_t n);
struct json *json_set_bool(struct json *obj, const char *key, bool b);
void json_del(struct json *obj, const char *key);

/* Writing: compact, UTF-8 checked (invalid bytes become U+FFFD), control characters escaped. */
void json_write(const struct json *v, struct buf *out);
void json_write_str(const char *s, size_t n, struct buf *out); /* one quoted string */
char *json_text(const struct json *v);                         /* returns owned */

LOOM_DEFINE_CLEANUP(struct json *, json_free)

#endif
