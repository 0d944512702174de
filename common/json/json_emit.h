/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_emit - members of an object, written straight into a buffer: for what is made too often to
 * build a tree of it first. The object is open, that is, its '{' is there; commas come by
 * themselves. NULL values are left out. Not thread safe, as the buffer.
 */
#ifndef LOOM_JSON_JSON_EMIT_H
#define LOOM_JSON_JSON_EMIT_H

#include "common/json/json.h"

void json_emit_str(struct buf *out, const char *key, const char *value);
void json_emit_int(struct buf *out, const char *key, int64_t value);
void json_emit_value(struct buf *out, const char *key, const struct json *value);
void json_emit_text(struct buf *out, const char *key, const char *json); /* as it is */

#endif
