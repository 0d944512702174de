/* SPDX-License-Identifier: Apache-2.0 */
/* Merge patches of documents. */
#include "common/json/merge_patch.h"

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the patch, which is bounded */
struct json *json_merge_patch(const struct json *doc, const struct json *patch)
{
	if (!json_is(patch, JSON_OBJECT))
		return json_copy(patch);
	struct json *out = json_is(doc, JSON_OBJECT) ? json_copy(doc) : json_new_obj();
	for (size_t i = 0; i < json_len(patch); i++) {
		const char *key = json_key_at(patch, i);
		const struct json *v = json_value_at(patch, i);
		if (json_is(v, JSON_NULL))
			json_del(out, key);
		else
			json_set(out, key, json_merge_patch(json_get(out, key), v));
	}
	return out;
}
