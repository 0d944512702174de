/* SPDX-License-Identifier: Apache-2.0 */
#include "services/api/validate.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/model/callback.h"
#include "common/net/http_client.h"

#include <ctype.h>
#include <string.h>

#define UNLIMITED     2147483647
#define MAX_CALLBACKS 16

/* Where we are in the document, for messages; the first refusal stays. */
struct check {
	struct loom_err *err;
	int refused;
};

static void refuse(struct check *c, const char *fmt, ...) LOOM_PRINTF(2, 3);
static void refuse(struct check *c, const char *fmt, ...)
{
	if (c->refused)
		return;
	va_list ap;
	va_start(ap, fmt);
	LOOM_CLEANUP_STR char *msg = loom_vasprintf(fmt, ap);
	va_end(ap);
	c->refused = err_set(c->err, 400, "%s", msg);
}

/* The member, when it is there and of the type; refused when it is there and is not. */
static const struct json *member(struct check *c, const struct json *in, const char *path,
                                 const char *key, enum json_type type)
{
	const struct json *v = json_get(in, key);
	if (!v || json_is(v, JSON_NULL))
		return NULL;
	if (json_is(v, type))
		return v;
	refuse(c, "%s%s must be an %s, not a %s", path, key, json_type_name(type),
	       json_type_name(json_type(v)));
	return NULL;
}

static const char *text(struct check *c, const struct json *in, const char *path, const char *key,
                        bool needed)
{
	const struct json *v = json_get(in, key);
	const char *s = json_str(v);
	if (v && !json_is(v, JSON_NULL) && !s)
		refuse(c, "%s%s must be a string, not a %s", path, key,
		       json_type_name(json_type(v)));
	if (needed && str_blank(s))
		refuse(c, "%s%s is missing", path, key);
	return s;
}

static struct json *names(struct check *c, const struct json *in, const char *path, const char *key,
                          bool needed)
{
	const struct json *v = member(c, in, path, key, JSON_ARRAY);
	struct json *out = json_new_arr();
	if (!v && needed)
		refuse(c, "%s%s is missing: an array of names, may be empty", path, key);
	for (size_t i = 0; i < json_len(v); i++) {
		const char *s = json_str(json_at(v, i));
		if (!s)
			refuse(c, "%s%s[%zu] must be a string", path, key, i);
		else if (!json_arr_has_str(out, s))
			json_push(out, json_new_str(s));
	}
	return out;
}

static int64_t whole(struct check *c, const struct json *in, const char *path, const char *key,
                     int64_t def, int64_t min)
{
	const struct json *v = json_get(in, key);
	int64_t n = def;
	if (v && !json_is(v, JSON_NULL) && !json_int(v, &n))
		refuse(c, "%s%s must be a whole number", path, key);
	else if (n < min || n > UNLIMITED)
		refuse(c, "%s%s must be from %lld to %d, not %lld", path, key, (long long)min,
		       UNLIMITED, (long long)n);
	return n;
}

static struct json *links(struct check *c, const struct json *in)
{
	const struct json *v = member(c, in, "", "links", JSON_ARRAY);
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *url = json_get_str(json_at(v, i), "url");
		if (!url)
			refuse(c, "links[%zu].url is missing", i);
		struct json *l = json_new_obj();
		json_set_str(l, "label", json_get_str(json_at(v, i), "label"));
		json_push(out, json_set_str(l, "url", url));
	}
	return out;
}

static struct json *base(struct check *c, const struct json *in)
{
	struct json *out = json_new_obj();
	const char *name = text(c, in, "", "name", true);
	if (name && !str_is_name(name))
		refuse(c, "name '%.64s' must be 1 to 255 characters of A-Z a-z 0-9 _ . -", name);
	json_set_str(out, "name", name);
	static const char *const optional[] = { "label", "description", "icon" };
	for (size_t i = 0; i < LOOM_COUNT(optional); i++)
		json_set_str(out, optional[i], text(c, in, "", optional[i], false));
	int64_t version;
	if (json_get(in, "version") && !json_int(json_get(in, "version"), &version))
		refuse(c, "version must be a whole number");
	return out;
}

static void provider(struct check *c, const struct json *in, struct json *out)
{
	json_set_str(out, "providertype", text(c, in, "", "providertype", true));
	const struct json *p = member(c, in, "", "provisioner", JSON_OBJECT);
	json_set(out, "provisioner", p ? json_copy(p) : json_new_obj());
}

/* As long as a machine's row holds them. */
static void check_length(struct check *c, const char *provider, const char *key, const char *v)
{
	size_t max = str_eq(key, "sshuser") ? 64 : 255;
	if (v && (str_eq(key, "flavor") || str_eq(key, "image") || max == 64) && strlen(v) > max)
		refuse(c, "providermap.%s.%s is longer than %zu characters", provider, key, max);
}

static void providermap(struct check *c, const struct json *in, struct json *out)
{
	const struct json *map = member(c, in, "", "providermap", JSON_OBJECT);
	if (!map)
		refuse(c,
		       "providermap is missing: an object from provider names to what they call it");
	struct json *m = json_new_obj();
	for (size_t i = 0; i < json_len(map); i++) {
		const char *name = json_key_at(map, i);
		const struct json *from = json_value_at(map, i);
		if (!json_is(from, JSON_OBJECT))
			refuse(c, "providermap.%s must be an object", name);
		struct json *to = json_new_obj();
		for (size_t k = 0; k < json_len(from); k++) {
			if (!json_str(json_value_at(from, k)))
				refuse(c, "providermap.%s.%s must be a string", name,
				       json_key_at(from, k));
			check_length(c, name, json_key_at(from, k),
			             json_str(json_value_at(from, k)));
			json_set_str(to, json_key_at(from, k), json_str(json_value_at(from, k)));
		}
		json_set(m, name, to);
	}
	json_set(out, "providermap", m);
}

static struct json *depends(struct check *c, const struct json *deps, const char *when)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("dependencies.%s.", when);
	const struct json *d = member(c, deps, "dependencies.", when, JSON_OBJECT);
	struct json *out =
		json_set(json_new_obj(), "requires", names(c, d, path, "requires", false));
	return json_set(out, "uses", names(c, d, path, "uses", false));
}

static struct json *action(struct check *c, const char *name, const struct json *in)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("provisioner.actions.%s.", name);
	struct json *out = json_set_str(json_new_obj(), "type", text(c, in, path, "type", true));
	const struct json *fields = member(c, in, path, "fields", JSON_OBJECT);
	struct json *f = json_new_obj();
	for (size_t i = 0; i < json_len(fields); i++) {
		const char *v = json_str(json_value_at(fields, i));
		if (!v)
			refuse(c, "%sfields.%s must be a string", path, json_key_at(fields, i));
		json_set_str(f, json_key_at(fields, i), v);
	}
	return json_set(out, "fields", f);
}

static void service(struct check *c, const struct json *in, struct json *out)
{
	static const char *const known[] = { "install",   "remove", "initialize",
		                             "configure", "start",  "stop" };
	const struct json *deps = member(c, in, "", "dependencies", JSON_OBJECT);
	struct json *d = json_new_obj();
	json_set(d, "provides", names(c, deps, "dependencies.", "provides", deps != NULL));
	json_set(d, "conflicts", names(c, deps, "dependencies.", "conflicts", deps != NULL));
	json_set(d, "install", depends(c, deps, "install"));
	json_set(d, "runtime", depends(c, deps, "runtime"));
	json_set(out, "dependencies", d);
	const struct json *p = member(c, in, "", "provisioner", JSON_OBJECT);
	const struct json *actions = member(c, p, "provisioner.", "actions", JSON_OBJECT);
	if (p && !actions)
		refuse(c, "provisioner.actions is missing");
	struct json *a = json_new_obj();
	for (size_t i = 0; i < json_len(actions); i++) {
		const char *name = json_key_at(actions, i);
		bool ok = false;
		for (size_t k = 0; k < LOOM_COUNT(known); k++)
			ok = ok || str_eq(known[k], name);
		if (!ok)
			refuse(c,
			       "provisioner.actions.%s is not an action: install, remove, initialize, "
			       "configure, start or stop",
			       name);
		json_set(a, name, action(c, name, json_value_at(actions, i)));
	}
	json_set(out, "provisioner", json_set(json_new_obj(), "actions", a));
	json_set(out, "links", links(c, in));
}

/* Elements are names, or {"name":..,"config":..} whose config goes under defaults.config.<name>. */
static void default_services(struct check *c, const struct json *in, struct json *out,
                             struct json *config)
{
	const struct json *v = member(c, in, "defaults.", "services", JSON_ARRAY);
	struct json *list = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		const struct json *e = json_at(v, i);
		const char *name = json_is(e, JSON_OBJECT) ? json_get_str(e, "name") : json_str(e);
		if (!name)
			refuse(c, "defaults.services[%zu] must be a name, or an object with a name",
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
	const struct json *d = member(c, in, "", "defaults", JSON_OBJECT);
	const struct json *conf = member(c, d, "defaults.", "config", JSON_OBJECT);
	struct json *o = json_new_obj(), *config = conf ? json_copy(conf) : json_new_obj();
	default_services(c, d, o, config);
	static const char *const names_[] = { "provider", "hardwaretype", "imagetype",
		                              "dnsSuffix" };
	for (size_t i = 0; i < LOOM_COUNT(names_); i++)
		json_set_str(o, names_[i], text(c, d, "defaults.", names_[i], false));
	const char *dns = json_get_str(o, "dnsSuffix");
	if (!str_blank(dns) && !validate_dns_suffix(dns))
		refuse(c, "defaults.dnsSuffix '%.200s' is not a DNS suffix", dns);
	json_set(out, "defaults", json_set(o, "config", config));
}

static struct json *sets(struct check *c, const struct json *layout, const char *key)
{
	const struct json *v = member(c, layout, "constraints.layout.", key, JSON_ARRAY);
	struct json *out = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		struct json *set = json_new_arr();
		if (!json_is(json_at(v, i), JSON_ARRAY) || !json_len(json_at(v, i)))
			refuse(c,
			       "constraints.layout.%s[%zu] must be an array of at least one service",
			       key, i);
		for (size_t k = 0; k < json_len(json_at(v, i)); k++) {
			const char *s = json_str(json_at(json_at(v, i), k));
			if (!s)
				refuse(c, "constraints.layout.%s[%zu][%zu] must be a string", key,
				       i, k);
			json_push(set, json_new_str(s ? s : ""));
		}
		json_push(out, set);
	}
	return out;
}

static struct json *min_max(struct check *c, const struct json *in, const char *path, int64_t min)
{
	int64_t lo = whole(c, in, path, "min", min, min),
		hi = whole(c, in, path, "max", UNLIMITED, 0);
	if (hi < lo)
		refuse(c, "%smax (%lld) must not be less than %smin (%lld)", path, (long long)hi,
		       path, (long long)lo);
	return json_set_int(json_set_int(json_new_obj(), "min", lo), "max", hi);
}

static void constraints(struct check *c, const struct json *in, struct json *out)
{
	const struct json *v = member(c, in, "", "constraints", JSON_OBJECT);
	const struct json *layout = member(c, v, "constraints.", "layout", JSON_OBJECT);
	const struct json *services = member(c, v, "constraints.", "services", JSON_OBJECT);
	struct json *o = json_new_obj(), *l = json_new_obj(), *s = json_new_obj();
	json_set(l, "mustcoexist", sets(c, layout, "mustcoexist"));
	json_set(l, "cantcoexist", sets(c, layout, "cantcoexist"));
	for (size_t i = 0; i < json_len(services); i++) {
		LOOM_CLEANUP_STR char *path =
			loom_asprintf("constraints.services.%s.", json_key_at(services, i));
		LOOM_CLEANUP_STR char *qpath = loom_asprintf("%squantities.", path);
		const struct json *from = json_value_at(services, i);
		const struct json *q = member(c, from, path, "quantities", JSON_OBJECT);
		if (!q)
			refuse(c, "%squantities is missing: {\"min\":..,\"max\":..}", path);
		struct json *one = json_set(json_new_obj(), "hardwaretypes",
		                            names(c, from, path, "hardwaretypes", false));
		json_set(one, "imagetypes", names(c, from, path, "imagetypes", false));
		json_set(s, json_key_at(services, i),
		         json_set(one, "quantities", min_max(c, q, qpath, 0)));
	}
	json_set(o, "layout", l);
	json_set(o, "services", s);
	json_set(o, "size",
	         min_max(c, member(c, v, "constraints.", "size", JSON_OBJECT), "constraints.size.",
	                 1));
	json_set(out, "constraints", o);
}

static int64_t lease(struct check *c, const struct json *in, const char *key)
{
	const char *s = json_str(json_get(in, key));
	int64_t ms = 0;
	if (!json_get(in, key))
		return 0;
	if (!s || clock_parse_ms(s, &ms) || ms < 0 || ms > VALIDATE_LEASE_MAX || str_ends(s, "ms"))
		refuse(c,
		       "administration.leaseduration.%s must be milliseconds, or a number with s, m, h "
		       "or d, as 7d",
		       key);
	return ms;
}

static struct json *callback_events(struct check *c, const struct json *in, size_t at, bool *start)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("administration.callbacks[%zu].", at);
	struct json *events = names(c, in, path, "events", true);
	if (!json_len(events))
		refuse(c, "%sevents is empty", path);
	for (size_t i = 0; i < json_len(events); i++) {
		enum callback_kind k;
		if (!callback_kind_parse(json_str(json_at(events, i)), &k))
			refuse(c,
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
	const char *url = text(c, in, path, "url", true);
	const char *ref = text(c, in, path, "secretRef", false);
	LOOM_CLEANUP_STR char *host = url ? http_url_host(url) : NULL;
	if (url && (!host || strlen(url) > CALLBACK_MAX_URL))
		refuse(c,
		       "%surl must be an http:// or https:// URL of at most %d characters, "
		       "without a user or password",
		       path, CALLBACK_MAX_URL);
	if (ref && (!str_is_name(ref) || *ref == '.'))
		refuse(c, "%ssecretRef must be the name of a secret", path);
	bool start = false, veto = json_get_bool(in, "veto", false);
	struct json *o = json_set_str(json_new_obj(), "url", url);
	json_set(o, "events", callback_events(c, in, at, &start));
	json_set_str(o, "secretRef", ref);
	if (veto && !start)
		refuse(c, "%sveto is for the event start, which is not among its events", path);
	return json_set_bool(o, "veto", veto);
}

static struct json *callbacks(struct check *c, const struct json *a)
{
	const struct json *v = member(c, a, "administration.", "callbacks", JSON_ARRAY);
	struct json *out = json_new_arr();
	if (json_len(v) > MAX_CALLBACKS)
		refuse(c, "administration.callbacks must be at most %d", MAX_CALLBACKS);
	for (size_t i = 0; i < json_len(v); i++)
		json_push(out, callback(c, json_at(v, i), i));
	return out;
}

static void administration(struct check *c, const struct json *in, struct json *out)
{
	const struct json *a = member(c, in, "", "administration", JSON_OBJECT);
	const struct json *l = member(c, a, "administration.", "leaseduration", JSON_OBJECT);
	if (a && !l && !json_get(a, "callbacks"))
		refuse(c, "administration.leaseduration is missing");
	int64_t initial = lease(c, l, "initial"), max = lease(c, l, "max"),
		step = lease(c, l, "step");
	/* 0 is forever, on either side. */
	if (max && (!initial || initial > max))
		refuse(c, "administration.leaseduration.initial must not be longer than max");
	struct json *d = json_set_int(json_new_obj(), "initial", initial);
	json_set_int(d, "max", max);
	json_set_int(d, "step", step);
	struct json *o = json_set(json_new_obj(), "leaseduration", d), *calls = callbacks(c, a);
	if (json_len(calls))
		json_set(o, "callbacks", calls);
	else
		json_free(calls);
	json_set(out, "administration", o);
}

static void template(struct check *c, const struct json *in, struct json *out)
{
	defaults(c, in, out);
	const struct json *compat = member(c, in, "", "compatibility", JSON_OBJECT);
	struct json *o = json_new_obj();
	static const char *const lists[] = { "hardwaretypes", "imagetypes", "services" };
	for (size_t i = 0; i < LOOM_COUNT(lists); i++)
		json_set(o, lists[i], names(c, compat, "compatibility.", lists[i], false));
	json_set(out, "compatibility", o);
	constraints(c, in, out);
	administration(c, in, out);
	json_set(out, "links", links(c, in));
}

static void cluster_template(struct check *c, const struct json *in, struct json *out)
{
	template(c, in, out);
	const struct json *parent = member(c, in, "", "extends", JSON_OBJECT);
	if (parent)
		json_set(out, "extends",
		         json_set_str(json_new_obj(), "name",
		                      text(c, parent, "extends.", "name", true)));
	const struct json *v = member(c, in, "", "includes", JSON_ARRAY);
	struct json *includes = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *name = json_get_str(json_at(v, i), "name");
		if (!name)
			refuse(c, "includes[%zu].name is missing", i);
		json_push(includes, json_set_str(json_new_obj(), "name", name));
	}
	json_set(out, "includes", includes);
}

static void partial_template(struct check *c, const struct json *in, struct json *out)
{
	template(c, in, out);
	bool immutable;
	if (!json_bool(json_get(in, "immutable"), &immutable))
		refuse(c, "immutable is missing: true or false");
	else
		json_set_bool(out, "immutable", immutable);
}

static void field_schema(struct check *c, const char *path, const struct json *in, struct json *out)
{
	json_set_str(out, "label", text(c, in, path, "label", true));
	json_set_str(out, "type", text(c, in, path, "type", true));
	const char *tip = text(c, in, path, "tip", false);
	json_set_str(out, "tip", tip ? tip : "");
	if (json_get(in, "default"))
		json_set(out, "default", json_copy(json_get(in, "default")));
	json_set_bool(out, "override", json_get_bool(in, "override", false));
	json_set_bool(out, "sensitive", json_get_bool(in, "sensitive", false));
	if (json_get(in, "options"))
		json_set(out, "options", names(c, in, path, "options", false));
}

static struct json *parameters_of(struct check *c, const struct json *params, const char *who)
{
	LOOM_CLEANUP_STR char *path = loom_asprintf("parameters.%s.", who);
	const struct json *p = member(c, params, "parameters.", who, JSON_OBJECT);
	const struct json *fields = member(c, p, path, "fields", JSON_OBJECT);
	const struct json *required = member(c, p, path, "required", JSON_ARRAY);
	struct json *f = json_new_obj(), *r = json_new_arr();
	for (size_t i = 0; i < json_len(fields); i++) {
		LOOM_CLEANUP_STR char *fpath =
			loom_asprintf("%sfields.%s.", path, json_key_at(fields, i));
		struct json *schema = json_new_obj();
		field_schema(c, fpath, json_value_at(fields, i), schema);
		json_set(f, json_key_at(fields, i), schema);
	}
	for (size_t i = 0; i < json_len(required); i++) {
		const struct json *set = json_at(required, i);
		if (!json_is(set, JSON_ARRAY))
			refuse(c, "%srequired[%zu] must be an array of field names", path, i);
		for (size_t k = 0; k < json_len(set); k++) {
			const char *name = json_str(json_at(set, k));
			if (!name || !json_get(f, name))
				refuse(c,
				       "%srequired[%zu] names '%s', which is not among its fields",
				       path, i, name ? name : "?");
		}
		json_push(r, json_copy(set));
	}
	return json_set(json_set(json_new_obj(), "fields", f), "required", r);
}

static void resource_types(struct check *c, const struct json *in, struct json *out)
{
	const struct json *v = member(c, in, "", "resourceTypes", JSON_OBJECT);
	struct json *o = json_new_obj();
	for (size_t i = 0; i < json_len(v); i++) {
		const char *name = json_key_at(v, i);
		const char *format = json_get_str(json_value_at(v, i), "format");
		const char *mode = json_get_str(json_value_at(v, i), "permissions");
		bool file = str_eq(format, "file");
		if (!file && !str_eq(format, "archive"))
			refuse(c, "resourceTypes.%s.format must be file or archive", name);
		size_t n = mode ? strspn(mode, "01234567") : 0;
		if (mode && (!file || mode[n] || n < 3 || n > 4))
			refuse(c,
			       "resourceTypes.%s.permissions must be 3 or 4 octal digits, of a file",
			       name);
		struct json *one = json_set_str(json_new_obj(), "format", format);
		json_set(o, name, json_set_str(one, "permissions", mode));
	}
	json_set(out, "resourceTypes", o);
}

static void plugin_type(struct check *c, const struct json *in, struct json *out)
{
	const struct json *p = member(c, in, "", "parameters", JSON_OBJECT);
	for (size_t i = 0; i < json_len(p); i++)
		if (!str_eq(json_key_at(p, i), "admin") && !str_eq(json_key_at(p, i), "user"))
			refuse(c, "parameters.%s is neither admin nor user", json_key_at(p, i));
	struct json *o = json_set(json_new_obj(), "admin", parameters_of(c, p, "admin"));
	json_set(out, "parameters", json_set(o, "user", parameters_of(c, p, "user")));
	resource_types(c, in, out);
}

static void (*const kinds[ENTITY_KINDS_])(struct check *c, const struct json *in,
                                          struct json *out) = {
	[ENTITY_PROVIDER] = provider,
	[ENTITY_HARDWARETYPE] = providermap,
	[ENTITY_IMAGETYPE] = providermap,
	[ENTITY_SERVICE] = service,
	[ENTITY_CLUSTERTEMPLATE] = cluster_template,
	[ENTITY_PARTIALTEMPLATE] = partial_template,
	[ENTITY_PROVIDERTYPE] = plugin_type,
	[ENTITY_AUTOMATORTYPE] = plugin_type,
};

int validate_entity(enum entity_kind k, const struct json *in, struct json **ret,
                    struct loom_err *err)
{
	struct check c = { .err = err };
	if (!json_is(in, JSON_OBJECT))
		return err_set(err, 400, "the body must be a JSON object: a %s", entity_label(k));
	LOOM_CLEANUP(json_free) struct json *out = base(&c, in);
	if (!c.refused)
		kinds[k](&c, in, out);
	if (c.refused)
		return c.refused;
	*ret = loom_take(out);
	return 0;
}

bool validate_dns_suffix(const char *s)
{
	size_t label = 0, n = strlen(s);
	if (*s == '.')
		s++, n--;
	if (!n || n > 191)
		return false;
	for (size_t i = 0; i <= n; i++) {
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
