/* SPDX-License-Identifier: Apache-2.0 */
/* Merge patches of documents. */
#include "common/json/merge_patch.h"

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the patch, which is bounded */
struct json *json_merge_patch(const struct json *doc, const struct json *patch)
{
	if (!json_is(patch, JSON_OBJECT))
		return json_copy(patch);
	struct json *out = json_new_obj();
	/* Made anew: to replace a member in place, it has to be searched for. */
	for (size_t i = 0; i < (json_is(doc, JSON_OBJECT) ? json_len(doc) : 0); i++) {
		const char *key = json_key_at(doc, i);
		const struct json *v = json_get(patch, key), *old = json_value_at(doc, i);
		if (!v)
			json_set(out, key, json_copy(old));
		else if (!json_is(v, JSON_NULL))
			json_set(out, key, json_merge_patch(old, v));
	}
	for (size_t i = 0; i < json_len(patch); i++) {
		const char *key = json_key_at(patch, i);
		const struct json *v = json_value_at(patch, i);
		if (!json_is(v, JSON_NULL) && !json_get(doc, key))
			json_set(out, key, json_merge_patch(NULL, v));
	}
	return out;
}
