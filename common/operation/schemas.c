/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas that others are built from. */
#include "common/operation/schemas.h"

#include "common/base/str.h"

bool schema_is_name(const struct json *v)
{
	return str_is_name(json_str(v));
}

const struct schema schema_any = { .type = SCHEMA_ANY };
const struct schema schema_text = { .type = SCHEMA_STRING };
const struct schema schema_secret = { .type = SCHEMA_STRING, .secret = true };
const struct schema schema_flag = { .type = SCHEMA_BOOLEAN };
const struct schema schema_whole = { .type = SCHEMA_INTEGER, .max = SCHEMA_WHOLE_MAX };
const struct schema schema_number = { .type = SCHEMA_INTEGER };
const struct schema schema_map = { .type = SCHEMA_MAP };
const struct schema schema_strings = { .type = SCHEMA_MAP, .items = &schema_text };
const struct schema schema_names = { .type = SCHEMA_ARRAY,
	                             .items = &schema_text,
	                             .max = SCHEMA_NAMES_MAX };
const struct schema schema_document = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN };
const struct schema schema_id = { .type = SCHEMA_STRING };
const struct schema schema_time = { .type = SCHEMA_INTEGER,
	                            .doc = "Milliseconds since 1970; 0 is never." };
const struct schema schema_name = { .type = SCHEMA_STRING,
	                            .must = "1 to 255 characters of A-Z a-z 0-9 _ . -",
	                            .ok = schema_is_name,
	                            .pattern = "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,255}$" };
