/* SPDX-License-Identifier: Apache-2.0 */
/* validate_template - cluster templates and partial templates (REST spec 3.6, 3.7). */
#include "services/api/catalog/validate_check.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/callback/callback.h"
#include "common/net/http_client.h"
#include "services/api/catalog/validate.h"

#include <ctype.h>
#include <string.h>

/* Elements are names, or {"name":..,"config":..} whose config goes under defaults.config.<name>. */
static struct json *default_services(const struct json *in, struct json *config)
{
	const struct json *v = json_get(in, "services");
	struct json *list = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		const struct json *e = json_at(v, i);
		const char *name = json_is(e, JSON_OBJECT) ? json_get_str(e, "name") : json_str(e);
		if (name && !json_arr_has_str(list, name))
			json_push(list, json_new_str(name));
		if (name && json_get(e, "config"))
			json_set(config, name, json_copy(json_get(e, "config")));
	}
	return list;
}

static void defaults(struct check *c, const struct json *in, struct json *out)
{
	static const char *const names[] = { "provider", "hardwaretype", "imagetype", "dnsSuffix" };
	const struct json *d = json_get(in, "defaults"), *conf = check_member(d, "config");
	struct json *o = json_new_obj(), *config = conf ? json_copy(conf) : json_new_obj();
	json_set(o, "services", default_services(d, config));
	for (size_t i = 0; i < LOOM_COUNT(names); i++)
		json_set_str(o, names[i], json_get_str(d, names[i]));
	const char *dns = json_get_str(o, "dnsSuffix");
	if (!str_blank(dns) && !validate_dns_suffix(dns))
		check_refuse(c, "defaults.dnsSuffix '%.200s' is not a DNS suffix", dns);
	json_set(out, "defaults", json_set(o, "config", config));
}

static struct json *sets(const struct json *layout, const char *key)
{
	const struct json *v = json_get(layout, key);
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		struct json *set = json_new_arr();
		for (size_t k = 0; k < json_len(json_at(v, i)); k++)
			json_push(set, json_new_str(json_str(json_at(json_at(v, i), k))));
		json_push(out, set);
	}
	return out;
}

static struct json *min_max(struct check *c, const struct json *in, const char *path, int64_t min)
{
	int64_t lo = json_get_int(in, "min", min), hi = json_get_int(in, "max", UNLIMITED);
	if (hi < lo)
		check_refuse(c, "%smax (%lld) must not be less than %smin (%lld)", path,
		             (long long)hi, path, (long long)lo);
	return json_set_int(json_set_int(json_new_obj(), "min", lo), "max", hi);
}

static struct json *of_service(struct check *c, const char *name, const struct json *in)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("constraints.services.%s.quantities.", name);
	struct json *o =
		json_set(json_new_obj(), "hardwaretypes", check_names(in, "hardwaretypes"));
	json_set(o, "imagetypes", check_names(in, "imagetypes"));
	return json_set(o, "quantities", min_max(c, json_get(in, "quantities"), path, 0));
}

static void constraints(struct check *c, const struct json *in, struct json *out)
{
	const struct json *v = json_get(in, "constraints");
	const struct json *layout = json_get(v, "layout"), *services = json_get(v, "services");
	struct json *o = json_new_obj(), *l = json_new_obj(), *s = json_new_obj();
	json_set(l, "mustcoexist", sets(layout, "mustcoexist"));
	json_set(l, "cantcoexist", sets(layout, "cantcoexist"));
	for (size_t i = 0; i < json_len(services); i++) {
		const char *name = json_key_at(services, i);
		json_set(s, name, of_service(c, name, json_value_at(services, i)));
	}
	json_set(o, "layout", l);
	json_set(o, "services", s);
	json_set(o, "size", min_max(c, json_get(v, "size"), "constraints.size.", 1));
	json_set(out, "constraints", o);
}

static int64_t lease(const struct json *in, const char *key)
{
	int64_t ms;
	const char *s = json_get_str(in, key);
	return s && !clock_parse_ms(s, &ms) ? ms : 0;
}

static struct json *callback(struct check *c, const struct json *in, size_t at)
{
	const char *url = json_get_str(in, "url");
	LOOM_CLEANUP_STR char *path = loom_asprintf("administration.callbacks[%zu].", at);
	LOOM_CLEANUP_STR char *host = url ? http_url_host(url) : NULL;
	if (url && (!host || strlen(url) > CALLBACK_MAX_URL))
		check_refuse(c,
		             "%surl must be an http:// or https:// URL of at most %d characters, "
		             "without a user or password",
		             path, CALLBACK_MAX_URL);
	bool veto = json_get_bool(in, "veto", false);
	struct json *o = json_set_str(json_new_obj(), "url", url);
	struct json *events = check_names(in, "events");
	if (veto && !json_arr_has_str(events, callback_kind_name(CALLBACK_START)))
		check_refuse(c, "%sveto is for the event start, which is not among its events",
		             path);
	json_set(o, "events", events);
	json_set_str(o, "secretRef", json_get_str(in, "secretRef"));
	return json_set_bool(o, "veto", veto);
}

/* NULL when there are none. */
static struct json *callbacks(struct check *c, const struct json *a)
{
	const struct json *v = json_get(a, "callbacks");
	struct json *out = json_len(v) ? json_new_arr() : NULL;
	for (size_t i = 0; i < json_len(v); i++)
		json_push(out, callback(c, json_at(v, i), i));
	return out;
}

/* {"create": {"tries": n, "base": "1s", "cap": "1m"}, ...}: the retry policy of each action. */
static struct json *retries(const struct json *a)
{
	const struct json *v = json_get(a, "retries");
	struct json *out = json_len(v) ? json_new_obj() : NULL;
	for (size_t i = 0; i < json_len(v); i++) {
		LOOM_CLEANUP(json_free)
		struct json *one =
			json_set(json_new_obj(), "retry", json_copy(json_value_at(v, i)));
		json_set(out, json_key_at(v, i), check_retry(one));
	}
	return out;
}

static void administration(struct check *c, const struct json *in, struct json *out)
{
	const struct json *a = check_member(in, "administration");
	const struct json *l = check_member(a, "leaseduration");
	if (a && !l && !json_get(a, "callbacks") && !json_get(a, "retries") &&
	    !json_get(a, "replacements"))
		check_refuse(c, "administration.leaseduration is missing");
	int64_t initial = lease(l, "initial"), max = lease(l, "max");
	/* 0 means forever, for both. */
	if (max && (!initial || initial > max))
		check_refuse(c, "administration.leaseduration.initial must not be longer than max");
	struct json *d = json_set_int(json_new_obj(), "initial", initial);
	json_set_int(d, "max", max);
	json_set_int(d, "step", lease(l, "step"));
	struct json *o = json_set(json_new_obj(), "leaseduration", d);
	json_set(o, "callbacks", callbacks(c, a));
	json_set(o, "retries", retries(a));
	/* How many nodes per job may be replaced after they could not be created. */
	if (json_get(a, "replacements"))
		json_set_int(o, "replacements", json_get_int(a, "replacements", 0));
	json_set(out, "administration", o);
}

static void template(struct check *c, const struct json *in, struct json *out)
{
	static const char *const lists[] = { "hardwaretypes", "imagetypes", "services" };
	const struct json *compat = json_get(in, "compatibility");
	struct json *o = json_new_obj();
	defaults(c, in, out);
	for (size_t i = 0; i < LOOM_COUNT(lists); i++)
		json_set(o, lists[i], check_names(compat, lists[i]));
	json_set(out, "compatibility", o);
	constraints(c, in, out);
	administration(c, in, out);
	json_set(out, "links", check_links(in));
}

static struct json *named(const struct json *in)
{
	return json_set_str(json_new_obj(), "name", json_get_str(in, "name"));
}

void validate_cluster_template(struct check *c, const struct json *in, struct json *out)
{
	template(c, in, out);
	const struct json *parent = check_member(in, "extends"), *v = json_get(in, "includes");
	if (parent)
		json_set(out, "extends", named(parent));
	struct json *includes = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++)
		json_push(includes, named(json_at(v, i)));
	json_set(out, "includes", includes);
}

void validate_partial_template(struct check *c, const struct json *in, struct json *out)
{
	template(c, in, out);
	json_set_bool(out, "immutable", json_get_bool(in, "immutable", false));
}

bool validate_dns_suffix(const char *s)
{
	size_t label = 0, n = strlen(s);
	if (*s == '.')
		s++, n--;
	if (!n || n > 191)
		return false;
	for (size_t i = 0; i <= n; i++) {
		if (s[i] == '-' && !label)
			return false;
		if (s[i] == '.' || !s[i]) {
			if (!label || label > 63 || !isalnum((unsigned char)s[i - 1]))
				return false;
			label = 0;
		} else if (isalnum((unsigned char)s[i]) || s[i] == '-') {
			label++;
		} else {
			return false;
		}
	}
	return true;
}
