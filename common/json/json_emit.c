/* SPDX-License-Identifier: Apache-2.0 */
/* Writes large answers piece by piece, without a tree for the whole. */
#include "common/json/json_emit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void emit_key(struct buf *out, const char *key)
{
	if (out->len && out->data[out->len - 1] != '{')
		buf_addc(out, ',');
	json_write_str(key, strlen(key), out);
	buf_addc(out, ':');
}

void json_emit_str(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	emit_key(out, key);
	json_write_str(value, strlen(value), out);
}

void json_emit_int(struct buf *out, const char *key, int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRId64, value);
	emit_key(out, key);
	buf_add(out, text, (size_t)n);
}

void json_emit_value(struct buf *out, const char *key, const struct json *value)
{
	if (!value)
		return;
	emit_key(out, key);
	json_write(value, out);
}

void json_emit_text(struct buf *out, const char *key, const char *json)
{
	if (!json)
		return;
	emit_key(out, key);
	buf_adds(out, json);
}
