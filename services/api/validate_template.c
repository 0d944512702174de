/* SPDX-License-Identifier: Apache-2.0 */
/* validate_template - cluster templates and partial templates (REST spec 3.6, 3.7). */
#include "services/api/validate_check.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/callback.h"
#include "common/net/http_client.h"
#include "services/api/validate.h"

#include <ctype.h>
#include <string.h>

#define MAX_CALLBACKS 16

/* Elements are names, or {"name":..,"config":..} whose config goes under defaults.config.<name>. */
static void default_services(struct check *c, const struct json *in, struct json *out,
                             struct json *config)
{
	const struct json *v = check_member(c, in, "defaults.", "services", JSON_ARRAY);
	struct json *list = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		const struct json *e = json_at(v, i);
		const char *name = json_is(e, JSON_OBJECT) ? json_get_str(e, "name") : json_str(e);
		if (!name)
			check_refuse(
				c,
				"defaults.services[%zu] must be a name, or an object with a name",
				i);
		else if (!json_arr_has_str(list, name))
			json_push(list, json_new_str(name));
		if (name && json_get(e, "config"))
			json_set(config, name, json_copy(json_get(e, "config")));
	}
	json_set(out, "services", list);
}

static void defaults(struct check *c, const struct json *in, struct json *out)
{
	static const char *const known[] = { "services",     "config",    "provider",
		                             "hardwaretype", "imagetype", "dnsSuffix" };
	const struct json *d = check_member(c, in, "", "defaults", JSON_OBJECT);
	check_fields(c, d, "defaults.", known, LOOM_COUNT(known));
	const struct json *conf = check_member(c, d, "defaults.", "config", JSON_OBJECT);
	struct json *o = json_new_obj(), *config = conf ? json_copy(conf) : json_new_obj();
	default_services(c, d, o, config);
	static const char *const names_[] = { "provider", "hardwaretype", "imagetype",
		                              "dnsSuffix" };
	for (size_t i = 0; i < LOOM_COUNT(names_); i++)
		json_set_str(o, names_[i], check_text(c, d, "defaults.", names_[i], false));
	const char *dns = json_get_str(o, "dnsSuffix");
	if (!str_blank(dns) && !validate_dns_suffix(dns))
		check_refuse(c, "defaults.dnsSuffix '%.200s' is not a DNS suffix", dns);
	json_set(out, "defaults", json_set(o, "config", config));
}

static struct json *sets(struct check *c, const struct json *layout, const char *key)
{
	const struct json *v = check_member(c, layout, "constraints.layout.", key, JSON_ARRAY);
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		struct json *set = json_new_arr();
		if (!json_is(json_at(v, i), JSON_ARRAY) || !json_len(json_at(v, i)))
			check_refuse(
				c,
				"constraints.layout.%s[%zu] must be an array of at least one service",
				key, i);
		for (size_t k = 0; k < json_len(json_at(v, i)); k++) {
			const char *s = json_str(json_at(json_at(v, i), k));
			if (!s)
				check_refuse(c, "constraints.layout.%s[%zu][%zu] must be a string",
				             key, i, k);
			json_push(set, json_new_str(s ? s : ""));
		}
		json_push(out, set);
	}
	return out;
}

static struct json *min_max(struct check *c, const struct json *in, const char *path, int64_t min)
{
	int64_t lo = check_whole(c, in, path, "min", min, min),
		hi = check_whole(c, in, path, "max", UNLIMITED, 0);
	if (hi < lo)
		check_refuse(c, "%smax (%lld) must not be less than %smin (%lld)", path,
		             (long long)hi, path, (long long)lo);
	return json_set_int(json_set_int(json_new_obj(), "min", lo), "max", hi);
}

static void constraints(struct check *c, const struct json *in, struct json *out)
{
	static const char *const known[] = { "layout", "services", "size" };
	static const char *const sets_[] = { "mustcoexist", "cantcoexist" };
	static const char *const of_service[] = { "quantities", "hardwaretypes", "imagetypes" };
	const struct json *v = check_member(c, in, "", "constraints", JSON_OBJECT);
	check_fields(c, v, "constraints.", known, LOOM_COUNT(known));
	const struct json *layout = check_member(c, v, "constraints.", "layout", JSON_OBJECT);
	const struct json *services = check_member(c, v, "constraints.", "services", JSON_OBJECT);
	check_fields(c, layout, "constraints.layout.", sets_, LOOM_COUNT(sets_));
	struct json *o = json_new_obj(), *l = json_new_obj(), *s = json_new_obj();
	json_set(l, "mustcoexist", sets(c, layout, "mustcoexist"));
	json_set(l, "cantcoexist", sets(c, layout, "cantcoexist"));
	for (size_t i = 0; i < json_len(services); i++) {
		LOOM_CLEANUP_STR char *path =
			loom_asprintf("constraints.services.%s.", json_key_at(services, i));
		LOOM_CLEANUP_STR char *qpath = loom_asprintf("%squantities.", path);
		const struct json *from = json_value_at(services, i);
		check_fields(c, from, path, of_service, LOOM_COUNT(of_service));
		const struct json *q = check_member(c, from, path, "quantities", JSON_OBJECT);
		if (!q)
			check_refuse(c, "%squantities is missing: {\"min\":..,\"max\":..}", path);
		struct json *one = json_set(json_new_obj(), "hardwaretypes",
		                            check_names(c, from, path, "hardwaretypes", false));
		json_set(one, "imagetypes", check_names(c, from, path, "imagetypes", false));
		json_set(s, json_key_at(services, i),
		         json_set(one, "quantities", min_max(c, q, qpath, 0)));
	}
	json_set(o, "layout", l);
	json_set(o, "services", s);
	json_set(o, "size",
	         min_max(c, check_member(c, v, "constraints.", "size", JSON_OBJECT),
	                 "constraints.size.", 1));
	json_set(out, "constraints", o);
}

static int64_t lease(struct check *c, const struct json *in, const char *key)
{
	const char *s = json_str(json_get(in, key));
	int64_t ms = 0;
	if (!json_get(in, key))
		return 0;
	if (!s || clock_parse_ms(s, &ms) || ms < 0 || ms > VALIDATE_LEASE_MAX || str_ends(s, "ms"))
		check_refuse(
			c,
			"administration.leaseduration.%s must be milliseconds, or a number with s, m, h "
			"or d, as 7d",
			key);
	return ms;
}

static struct json *callback_events(struct check *c, const struct json *in, size_t at, bool *start)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("administration.callbacks[%zu].", at);
	struct json *events = check_names(c, in, path, "events", true);
	if (!json_len(events))
		check_refuse(c, "%sevents is empty", path);
	for (size_t i = 0; i < json_len(events); i++) {
		enum callback_kind k;
		if (!callback_kind_parse(json_str(json_at(events, i)), &k))
			check_refuse(
				c,
				"%sevents[%zu] must be start, success, failure, lease_warning or "
				"lease_expired",
				path, i);
		else
			*start = *start || k == CALLBACK_START;
	}
	return events;
}

static struct json *callback(struct check *c, const struct json *in, size_t at)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("administration.callbacks[%zu].", at);
	const char *url = check_text(c, in, path, "url", true);
	const char *ref = check_text(c, in, path, "secretRef", false);
	LOOM_CLEANUP_STR char *host = url ? http_url_host(url) : NULL;
	if (url && (!host || strlen(url) > CALLBACK_MAX_URL))
		check_refuse(c,
		             "%surl must be an http:// or https:// URL of at most %d characters, "
		             "without a user or password",
		             path, CALLBACK_MAX_URL);
	if (ref && (!str_is_name(ref) || *ref == '.'))
		check_refuse(c, "%ssecretRef must be the name of a secret", path);
	bool start = false, veto = json_get_bool(in, "veto", false);
	struct json *o = json_set_str(json_new_obj(), "url", url);
	json_set(o, "events", callback_events(c, in, at, &start));
	json_set_str(o, "secretRef", ref);
	if (veto && !start)
		check_refuse(c, "%sveto is for the event start, which is not among its events",
		             path);
	return json_set_bool(o, "veto", veto);
}

static struct json *callbacks(struct check *c, const struct json *a)
{
	const struct json *v = check_member(c, a, "administration.", "callbacks", JSON_ARRAY);
	struct json *out = json_new_arr();
	if (json_len(v) > MAX_CALLBACKS)
		check_refuse(c, "administration.callbacks must be at most %d", MAX_CALLBACKS);
	for (size_t i = 0; i < json_len(v); i++)
		json_push(out, callback(c, json_at(v, i), i));
	return out;
}

/* {"create": {"tries": n, "base": "1s", "cap": "1m"}, ...}: how often which step is tried. */
static struct json *retries(struct check *c, const struct json *a)
{
	static const char *const steps[] = { "create", "confirm",    "bootstrap", "install",
		                             "remove", "initialize", "configure", "start",
		                             "stop",   "delete" };
	const struct json *v = check_member(c, a, "administration.", "retries", JSON_OBJECT);
	struct json *out = json_new_obj();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *step = json_key_at(v, i);
		bool known = false;
		for (size_t k = 0; k < LOOM_COUNT(steps); k++)
			known = known || str_eq(steps[k], step);
		if (!known)
			check_refuse(c, "administration.retries.%s is not a step of a task", step);
		LOOM_CLEANUP_STR char *path = loom_asprintf("administration.retries.%s.", step);
		LOOM_CLEANUP(json_free)
		struct json *one =
			json_set(json_new_obj(), "retry", json_copy(json_value_at(v, i)));
		json_set(out, step, check_retry(c, one, path));
	}
	return out;
}

static void administration(struct check *c, const struct json *in, struct json *out)
{
	static const char *const known[] = { "leaseduration", "callbacks", "retries",
		                             "replacements" };
	const struct json *a = check_member(c, in, "", "administration", JSON_OBJECT);
	check_fields(c, a, "administration.", known, LOOM_COUNT(known));
	const struct json *l = check_member(c, a, "administration.", "leaseduration", JSON_OBJECT);
	if (a && !l && !json_get(a, "callbacks") && !json_get(a, "retries") &&
	    !json_get(a, "replacements"))
		check_refuse(c, "administration.leaseduration is missing");
	int64_t initial = lease(c, l, "initial"), max = lease(c, l, "max"),
		step = lease(c, l, "step");
	/* 0 is forever, on either side. */
	if (max && (!initial || initial > max))
		check_refuse(c, "administration.leaseduration.initial must not be longer than max");
	struct json *d = json_set_int(json_new_obj(), "initial", initial);
	json_set_int(d, "max", max);
	json_set_int(d, "step", step);
	struct json *o = json_set(json_new_obj(), "leaseduration", d), *calls = callbacks(c, a);
	if (json_len(calls))
		json_set(o, "callbacks", calls);
	else
		json_free(calls);
	struct json *again = retries(c, a);
	if (json_len(again))
		json_set(o, "retries", again);
	else
		json_free(again);
	/* How many machines of a job others may take the place of. */
	if (json_get(a, "replacements"))
		json_set_int(o, "replacements",
		             check_whole(c, a, "administration.", "replacements", 0, 0));
	json_set(out, "administration", o);
}

static void template(struct check *c, const struct json *in, struct json *out)
{
	defaults(c, in, out);
	const struct json *compat = check_member(c, in, "", "compatibility", JSON_OBJECT);
	struct json *o = json_new_obj();
	static const char *const lists[] = { "hardwaretypes", "imagetypes", "services" };
	check_fields(c, compat, "compatibility.", lists, LOOM_COUNT(lists));
	for (size_t i = 0; i < LOOM_COUNT(lists); i++)
		json_set(o, lists[i], check_names(c, compat, "compatibility.", lists[i], false));
	json_set(out, "compatibility", o);
	constraints(c, in, out);
	administration(c, in, out);
	json_set(out, "links", check_links(c, in));
}

void validate_cluster_template(struct check *c, const struct json *in, struct json *out)
{
	template(c, in, out);
	const struct json *parent = check_member(c, in, "", "extends", JSON_OBJECT);
	if (parent)
		json_set(out, "extends",
		         json_set_str(json_new_obj(), "name",
		                      check_text(c, parent, "extends.", "name", true)));
	const struct json *v = check_member(c, in, "", "includes", JSON_ARRAY);
	struct json *includes = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *name = json_get_str(json_at(v, i), "name");
		if (!name)
			check_refuse(c, "includes[%zu].name is missing", i);
		json_push(includes, json_set_str(json_new_obj(), "name", name));
	}
	json_set(out, "includes", includes);
}

void validate_partial_template(struct check *c, const struct json *in, struct json *out)
{
	template(c, in, out);
	bool immutable;
	if (!json_bool(json_get(in, "immutable"), &immutable))
		check_refuse(c, "immutable is missing: true or false");
	else
		json_set_bool(out, "immutable", immutable);
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
