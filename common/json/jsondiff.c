/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two documents, path by path, for people to read. */
#include "common/json/jsondiff.h"

static void compare(const char *path, const struct json *from, const struct json *to,
                    struct json *out);

static void member(const char *path, const char *key, const struct json *from,
                   const struct json *to, struct json *out)
{
	LOOM_CLEANUP_STR char *below = loom_asprintf("%s/%s", path, key);
	compare(below, from, to, out);
}

/* Depth is bounded by the parser's. */
static void compare(const char *path, const struct json *from, const struct json *to,
                    struct json *out)
{
	if (json_is(from, JSON_OBJECT) && json_is(to, JSON_OBJECT)) {
		for (size_t i = 0; i < json_len(from); i++)
			member(path, json_key_at(from, i), json_value_at(from, i),
			       json_get(to, json_key_at(from, i)), out);
		for (size_t i = 0; i < json_len(to); i++) {
			if (!json_get(from, json_key_at(to, i)))
				member(path, json_key_at(to, i), NULL, json_value_at(to, i), out);
		}
		return;
	}
	if ((from && to) ? json_equal(from, to) : from == to)
		return;
	struct json *o = json_set_str(json_new_obj(), "path", path);
	json_set(o, "from", json_copy(from));
	json_push(out, json_set(o, "to", json_copy(to)));
}

struct json *json_diff(const struct json *from, const struct json *to)
{
	struct json *out = json_new_arr();
	compare("", from, to, out);
	return out;
}
