/* SPDX-License-Identifier: Apache-2.0 */
/* Checks shared by all kinds of documents; errors name the path. */
#include "services/api/catalog/validate_check.h"

#include "common/base/clock.h"
#include "common/base/str.h"

void check_refuse(struct check *c, const char *fmt, ...)
{
	if (c->refused)
		return;
	va_list ap;
	va_start(ap, fmt);
	LOOM_CLEANUP_STR char *msg = loom_vasprintf(fmt, ap);
	va_end(ap);
	c->refused = err_set(c->err, 400, "%s", msg);
}

const struct json *check_member(const struct json *in, const char *key)
{
	const struct json *v = json_get(in, key);
	return json_is(v, JSON_NULL) ? NULL : v;
}

struct json *check_names(const struct json *in, const char *key)
{
	const struct json *v = json_get(in, key);
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *s = json_str(json_at(v, i));
		if (s && !json_arr_has_str(out, s))
			json_push(out, json_new_str(s));
	}
	return out;
}

struct json *check_links(const struct json *in)
{
	const struct json *v = json_get(in, "links");
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		struct json *l = json_new_obj();
		json_set_str(l, "label", json_get_str(json_at(v, i), "label"));
		json_push(out, json_set_str(l, "url", json_get_str(json_at(v, i), "url")));
	}
	return out;
}

struct json *check_retry(const struct json *in)
{
	const struct json *v = check_member(in, "retry");
	if (!v)
		return NULL;
	struct json *out = json_set_int(json_new_obj(), "tries", json_get_int(v, "tries", 3));
	static const char *const waits[] = { "base", "cap" };
	for (size_t i = 0; i < LOOM_COUNT(waits); i++) {
		const char *s = json_get_str(v, waits[i]);
		int64_t ms;
		if (s && !clock_parse_ms(s, &ms))
			json_set_int(out, waits[i], ms);
	}
	return out;
}
