/* SPDX-License-Identifier: Apache-2.0 */
/* Merges a template with what it extends and includes. */
#include "services/api/catalog/resolve.h"

#include "common/base/str.h"
#include "services/api/catalog/validate.h"

#define MAX_ANCESTORS 64
#define UNLIMITED     2147483647

struct merge {
	const struct resolve_source *src;
	struct loom_err *err;
	struct json *out;
	struct json *locked; /* key of defaults.config -> the immutable partial that set it */
};

static const char *name_of(const struct json *doc)
{
	const char *s = json_get_str(doc, "name");
	return s ? s : "?";
}

static struct json *blank(const struct json *leaf)
{
	static const char *const kept[] = { "name", "label", "description", "icon", "version" };
	static const char *const lists[] = { "hardwaretypes", "imagetypes", "services" };
	struct json *out = json_new_obj(), *compat = json_new_obj(), *layout = json_new_obj();
	for (size_t i = 0; i < LOOM_COUNT(kept); i++)
		json_set(out, kept[i], json_copy(json_get(leaf, kept[i])));
	struct json *defaults = json_set(json_new_obj(), "services", json_new_arr());
	json_set(out, "defaults", json_set(defaults, "config", json_new_obj()));
	for (size_t i = 0; i < LOOM_COUNT(lists); i++)
		json_set(compat, lists[i], json_new_arr());
	json_set(out, "compatibility", compat);
	json_set(layout, "mustcoexist", json_new_arr());
	json_set(layout, "cantcoexist", json_new_arr());
	struct json *constraints = json_set(json_new_obj(), "layout", layout);
	json_set(constraints, "services", json_new_obj());
	struct json *size = json_set_int(json_new_obj(), "min", 1);
	json_set(constraints, "size", json_set_int(size, "max", UNLIMITED));
	json_set(out, "constraints", constraints);
	struct json *lease = json_set_int(json_new_obj(), "initial", 0);
	json_set_int(json_set_int(lease, "max", 0), "step", 0);
	json_set(out, "administration", json_set(json_new_obj(), "leaseduration", lease));
	const struct json *links = json_get(leaf, "links"), *inc = json_get(leaf, "includes");
	json_set(out, "links", links ? json_copy(links) : json_new_arr());
	json_set(out, "extends", json_copy(json_get(leaf, "extends")));
	return json_set(out, "includes", inc ? json_copy(inc) : json_new_arr());
}

static void unite(struct json *to, const struct json *from)
{
	for (size_t i = 0; i < json_len(from); i++) {
		const char *s = json_str(json_at(from, i));
		if (s && !json_arr_has_str(to, s))
			json_push(to, json_new_str(s));
	}
}

static bool within(const struct json *a, const struct json *b)
{
	for (size_t i = 0; i < json_len(a); i++) {
		if (!json_arr_has_str(b, json_str(json_at(a, i))))
			return false;
	}
	return true;
}

/* Adds to a set of names; the order does not matter. */
static void unite_sets(struct json *to, const struct json *from)
{
	for (size_t i = 0; i < json_len(from); i++) {
		const struct json *set = json_at(from, i);
		bool there = false;
		for (size_t k = 0; k < json_len(to) && !there; k++)
			there = within(set, json_at(to, k)) && within(json_at(to, k), set);
		if (!there)
			json_push(to, json_copy(set));
	}
}

static int merge_config(struct merge *m, const struct json *from, enum entity_kind k,
                        const char *name, bool immutable)
{
	struct json *to = json_path(m->out, "defaults/config");
	for (size_t i = 0; i < json_len(from); i++) {
		const char *key = json_key_at(from, i), *owner = json_get_str(m->locked, key);
		/* A partial that is included twice sets its own keys again. */
		bool own = immutable && str_eq(owner, name);
		if (owner && !own)
			return err_set(
				m->err, 400,
				"defaults.config.%.200s is immutable: partial template %s sets it, "
				"and %s %s sets it again",
				key, owner, entity_label(k), name);
		if (immutable)
			json_set_str(m->locked, key, name);
		json_set(to, key, json_copy(json_value_at(from, i)));
	}
	return 0;
}

/* Members that both partials and templates have. */
static int merge_common(struct merge *m, const struct json *doc, enum entity_kind k)
{
	static const char *const words[] = { "provider", "hardwaretype", "imagetype", "dnsSuffix" };
	static const char *const lists[] = { "hardwaretypes", "imagetypes", "services" };
	const struct json *from = json_get(doc, "defaults");
	struct json *to = json_get(m->out, "defaults");
	unite(json_get(to, "services"), json_get(from, "services"));
	for (size_t i = 0; i < LOOM_COUNT(words); i++) {
		if (!str_blank(json_get_str(from, words[i])))
			json_set_str(to, words[i], json_get_str(from, words[i]));
	}
	for (size_t i = 0; i < LOOM_COUNT(lists); i++)
		unite(json_get(json_get(m->out, "compatibility"), lists[i]),
		      json_get(json_get(doc, "compatibility"), lists[i]));
	bool immutable = k == ENTITY_PARTIALTEMPLATE && json_get_bool(doc, "immutable", false);
	return merge_config(m, json_get(from, "config"), k, name_of(doc), immutable);
}

/* Limits sizes to those of one document: each name is searched among all present ones. */
static int check_sizes(const struct merge *m)
{
	static const char *const lists[] = { "defaults/services",
		                             "compatibility/services",
		                             "compatibility/hardwaretypes",
		                             "compatibility/imagetypes",
		                             "constraints/services",
		                             "constraints/layout/mustcoexist",
		                             "constraints/layout/cantcoexist" };
	for (size_t i = 0; i < LOOM_COUNT(lists); i++) {
		if (json_len(json_path(m->out, lists[i])) > SCHEMA_NAMES_MAX)
			return err_set(m->err, 400,
			               "template %s as resolved has more than %d elements in %s",
			               name_of(m->out), SCHEMA_NAMES_MAX, lists[i]);
	}
	return 0;
}

static bool constrains(const struct json *c)
{
	const struct json *size = json_get(c, "size"), *layout = json_get(c, "layout");
	return json_len(json_get(c, "services")) || json_len(json_get(layout, "mustcoexist")) ||
	       json_len(json_get(layout, "cantcoexist")) || json_get_int(size, "min", 1) != 1 ||
	       json_get_int(size, "max", UNLIMITED) != UNLIMITED;
}

/* Members that only templates have. */
static void merge_rules(struct merge *m, const struct json *doc)
{
	const struct json *from = json_get(doc, "constraints");
	struct json *to = json_get(m->out, "constraints");
	const struct json *services = json_get(from, "services"),
			  *layout = json_get(from, "layout");
	for (size_t i = 0; i < json_len(services); i++)
		json_set(json_get(to, "services"), json_key_at(services, i),
		         json_copy(json_value_at(services, i)));
	unite_sets(json_path(to, "layout/mustcoexist"), json_get(layout, "mustcoexist"));
	unite_sets(json_path(to, "layout/cantcoexist"), json_get(layout, "cantcoexist"));
	if (constrains(from) && json_get(from, "size"))
		json_set(to, "size", json_copy(json_get(from, "size")));
	const struct json *lease = json_path(doc, "administration/leaseduration");
	struct json *admin = json_get(m->out, "administration");
	if (json_get_int(lease, "initial", 0) || json_get_int(lease, "max", 0) ||
	    json_get_int(lease, "step", 0))
		json_set(admin, "leaseduration", json_copy(lease));
	static const char *const others[] = { "callbacks", "retries", "replacements" };
	for (size_t i = 0; i < LOOM_COUNT(others); i++)
		json_set(admin, others[i],
		         json_copy(json_get(json_get(doc, "administration"), others[i])));
}

static int load(const struct merge *m, enum entity_kind k, const char *name, const char *word,
                const struct json *by, struct json **ret)
{
	int rc = m->src->get(m->src->arg, k, name, ret);
	if (rc != ENTITY_E_NONE)
		return rc;
	return err_set(m->err, 404, "%s %.300s does not exist; template %s %s it", entity_label(k),
	               name, name_of(by), word);
}

static int merge_template(struct merge *m, const struct json *doc)
{
	const struct json *includes = json_get(doc, "includes");
	for (size_t i = 0; i < json_len(includes); i++) {
		LOOM_CLEANUP(json_free) struct json *partial = NULL;
		int rc = load(m, ENTITY_PARTIALTEMPLATE, name_of(json_at(includes, i)), "includes",
		              doc, &partial);
		if (!rc)
			rc = merge_common(m, partial, ENTITY_PARTIALTEMPLATE);
		if (!rc)
			rc = check_sizes(m);
		if (rc)
			return rc;
	}
	int rc = merge_common(m, doc, ENTITY_CLUSTERTEMPLATE);
	if (!rc)
		merge_rules(m, doc);
	return rc ? rc : check_sizes(m);
}

/* "a -> b -> a": names the circle in an error. */
static int circle(const struct merge *m, const struct strs *names, const char *again)
{
	LOOM_CLEANUP(strs_fini) struct strs ring = { 0 };
	for (size_t i = 0; i < names->n; i++) {
		if (ring.n || str_eq(names->v[i], again))
			strs_add(&ring, names->v[i]);
	}
	strs_add(&ring, again);
	LOOM_CLEANUP_STR char *text = strs_join(&ring, " -> ");
	return err_set(m->err, 400, "extends forms a circle: %.900s", text);
}

/* Pushes the ancestors of the leaf, the nearest first. */
static int load_ancestors(struct merge *m, const struct json *leaf, struct json *chain)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	const struct json *doc = leaf;
	strs_add(&names, name_of(leaf));
	for (const char *up; (up = json_get_str(json_get(doc, "extends"), "name"));) {
		if (strs_has(&names, up))
			return circle(m, &names, up);
		if (names.n > MAX_ANCESTORS)
			return err_set(m->err, 400, "template %s has more than %d ancestors",
			               name_of(leaf), MAX_ANCESTORS);
		struct json *parent = NULL;
		int rc = load(m, ENTITY_CLUSTERTEMPLATE, up, "extends", doc, &parent);
		if (rc)
			return rc;
		strs_add(&names, up);
		json_push(chain, parent);
		doc = parent;
	}
	return 0;
}

int resolve(const struct json *leaf, const struct resolve_source *src, struct json **ret,
            struct loom_err *err)
{
	if (!json_get(leaf, "extends") && !json_len(json_get(leaf, "includes"))) {
		*ret = json_copy(leaf);
		return 0;
	}
	LOOM_CLEANUP(json_free) struct json *chain = json_new_arr(), *out = blank(leaf);
	LOOM_CLEANUP(json_free) struct json *locked = json_new_obj();
	struct merge m = { .src = src, .err = err, .out = out, .locked = locked };
	int rc = load_ancestors(&m, leaf, chain);
	for (size_t i = json_len(chain); !rc && i; i--)
		rc = merge_template(&m, json_at(chain, i - 1));
	if (!rc)
		rc = merge_template(&m, leaf);
	if (!rc)
		*ret = loom_take(out);
	return rc;
}

int resolve_check(const struct json *resolved, struct loom_err *err)
{
	const struct json *d = json_get(resolved, "defaults");
	const char *dns = json_get_str(d, "dnsSuffix");
	if (!json_len(json_get(d, "services")))
		return err_set(err, 400, "defaults.services is empty in template %s as resolved",
		               name_of(resolved));
	if (str_blank(json_get_str(d, "provider")))
		return err_set(err, 400, "defaults.provider is missing in template %s as resolved",
		               name_of(resolved));
	if (!str_blank(dns) && !validate_dns_suffix(dns))
		return err_set(err, 400, "defaults.dnsSuffix '%.200s' is not a DNS suffix", dns);
	return 0;
}
