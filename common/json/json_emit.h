/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_emit - writes members of an object straight into a buffer, where building a tree first would
 * be too slow. The caller has written '{'; commas are added automatically. NULL values are left
 * out. Not thread safe, like the buffer.
 */
#ifndef LOOM_JSON_JSON_EMIT_H
#define LOOM_JSON_JSON_EMIT_H

#include "common/json/json.h"

void json_emit_str(struct buf *out, const char *key, const char *value);
void json_emit_int(struct buf *out, const char *key, int64_t value);
void json_emit_value(struct buf *out, const char *key, const struct json *value);
void json_emit_text(struct buf *out, const char *key, const char *json); /* unchanged */

#endif
