/* SPDX-License-Identifier: Apache-2.0 */
/* The checks that documents of all kinds share, with the path to what is wrong. */
#include "services/api/validate_check.h"

#include "common/base/clock.h"
#include "common/base/near.h"
#include "common/base/str.h"

#include <string.h>
#include <strings.h>

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

void check_fields(struct check *c, const struct json *in, const char *path,
                  const char *const *fields, size_t n)
{
	for (size_t i = 0; json_is(in, JSON_OBJECT) && i < json_len(in); i++) {
		const char *meant = near_which(json_key_at(in, i), fields, n);
		if (meant)
			check_refuse(c, "%s%.64s is not a field; did you mean %s?", path,
			             json_key_at(in, i), meant);
	}
}

/* The member, when it is there and of the type; refused when it is there and is not. */
const struct json *check_member(struct check *c, const struct json *in, const char *path,
                                const char *key, enum json_type type)
{
	const struct json *v = json_get(in, key);
	if (!v || json_is(v, JSON_NULL))
		return NULL;
	if (json_is(v, type))
		return v;
	check_refuse(c, "%s%s must be an %s, not a %s", path, key, json_type_name(type),
	             json_type_name(json_type(v)));
	return NULL;
}

const char *check_text(struct check *c, const struct json *in, const char *path, const char *key,
                       bool needed)
{
	const struct json *v = json_get(in, key);
	const char *s = json_str(v);
	if (v && !json_is(v, JSON_NULL) && !s)
		check_refuse(c, "%s%s must be a string, not a %s", path, key,
		             json_type_name(json_type(v)));
	if (needed && str_blank(s))
		check_refuse(c, "%s%s is missing", path, key);
	return s;
}

struct json *check_names(struct check *c, const struct json *in, const char *path, const char *key,
                         bool needed)
{
	const struct json *v = check_member(c, in, path, key, JSON_ARRAY);
	struct json *out = json_new_arr();
	if (!v && needed)
		check_refuse(c, "%s%s is missing: an array of names, may be empty", path, key);
	for (size_t i = 0; i < json_len(v); i++) {
		const char *s = json_str(json_at(v, i));
		if (!s)
			check_refuse(c, "%s%s[%zu] must be a string", path, key, i);
		else if (!json_arr_has_str(out, s))
			json_push(out, json_new_str(s));
	}
	return out;
}

int64_t check_whole(struct check *c, const struct json *in, const char *path, const char *key,
                    int64_t def, int64_t min)
{
	const struct json *v = json_get(in, key);
	int64_t n = def;
	if (v && !json_is(v, JSON_NULL) && !json_int(v, &n))
		check_refuse(c, "%s%s must be a whole number", path, key);
	else if (n < min || n > UNLIMITED)
		check_refuse(c, "%s%s must be from %lld to %d, not %lld", path, key, (long long)min,
		             UNLIMITED, (long long)n);
	return n;
}

/* No other scheme ("javascript:"), however a browser would find it; none at all is fine. */
static bool is_web_link(const char *url)
{
	while (*url && (unsigned char)*url <= ' ')
		url++;
	size_t n = strcspn(url, ":/?#%");
	return url[n] != ':' || (n == 4 && strncasecmp(url, "http", n) == 0) ||
	       (n == 5 && strncasecmp(url, "https", n) == 0);
}

struct json *check_links(struct check *c, const struct json *in)
{
	const struct json *v = check_member(c, in, "", "links", JSON_ARRAY);
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *url = json_get_str(json_at(v, i), "url");
		if (!url)
			check_refuse(c, "links[%zu].url is missing", i);
		else if (!is_web_link(url))
			check_refuse(c, "links[%zu].url may be of http or https only", i);
		struct json *l = json_new_obj();
		json_set_str(l, "label", json_get_str(json_at(v, i), "label"));
		json_push(out, json_set_str(l, "url", url));
	}
	return out;
}

struct json *check_retry(struct check *c, const struct json *in, const char *path)
{
	const struct json *v = check_member(c, in, path, "retry", JSON_OBJECT);
	if (!v)
		return NULL;
	LOOM_CLEANUP_STR char *at = loom_asprintf("%sretry.", path);
	struct json *out =
		json_set_int(json_new_obj(), "tries", check_whole(c, v, at, "tries", 3, 1));
	static const char *const waits[] = { "base", "cap" };
	for (size_t i = 0; i < LOOM_COUNT(waits); i++) {
		const char *s = json_get_str(v, waits[i]);
		int64_t ms;
		if (s && (clock_parse_ms(s, &ms) || ms < 0))
			check_refuse(c, "%s%s must be a duration, as 500ms or 30s", at, waits[i]);
		else if (s)
			json_set_int(out, waits[i], ms);
	}
	return out;
}
