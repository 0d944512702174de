/* SPDX-License-Identifier: Apache-2.0 */
/* Converts the forms of version 0.9.7: requests to today's form, answers to its own. */
#include "services/api/request/legacy.h"

#include "common/base/str.h"
#include "common/model/keys/secret.h"
#include "services/api/request/request.h"

#include <ctype.h>
#include <string.h>

bool legacy_path(const char *path)
{
	return str_starts(path, LEGACY_PREFIX "/");
}

bool legacy_is(const struct http_req *req)
{
	return legacy_path(http_path(req));
}

const char *legacy_below(const char *path)
{
	if (legacy_path(path))
		return path + strlen(LEGACY_PREFIX);
	return str_starts(path, "/v2/") ? path + strlen("/v2") : path;
}

/* ---- documents ------------------------------------------------------------------------------- */

/* The member, created if it is missing; NULL if it has another type. */
static struct json *need(struct json *o, const char *key, enum json_type t)
{
	if (!json_get(o, key))
		json_set(o, key, t == JSON_ARRAY ? json_new_arr() : json_new_obj());
	return json_is(json_get(o, key), t) ? json_get(o, key) : NULL;
}

/* In 0.9.7 a provider's settings were an object of their own. */
static void provider(struct json *doc)
{
	struct json *settings = json_get(doc, "provisioner"), *auth = json_get(settings, "auth");
	if (!json_is(settings, JSON_OBJECT) || !json_is(auth, JSON_OBJECT))
		return;
	LOOM_CLEANUP(json_free) struct json *inner = json_copy(auth);
	json_del(settings, "auth");
	for (size_t i = 0; i < json_len(inner); i++) {
		if (!json_get(settings, json_key_at(inner, i)))
			json_set(settings, json_key_at(inner, i),
			         json_copy(json_value_at(inner, i)));
	}
}

/* In 0.9.7 "script" and "data" stood beside the fields. */
static void action(struct json *a)
{
	static const char *const beside[] = { "script", "data" };
	for (size_t i = 0; json_is(a, JSON_OBJECT) && i < LOOM_COUNT(beside); i++) {
		const struct json *v = json_get(a, beside[i]);
		struct json *fields = v ? need(a, "fields", JSON_OBJECT) : NULL;
		if (fields)
			json_set(fields, beside[i], json_copy(v));
		json_del(a, beside[i]);
	}
}

/* In 0.9.7 runtime requirements were a list of their own; it counts unless the new form is
 * given. */
static void service(struct json *doc)
{
	LOOM_CLEANUP(json_free) struct json *old = json_copy(json_get(doc, "dependson"));
	struct json *actions = json_path(doc, "provisioner/actions"), *deps, *runtime;
	json_del(doc, "dependson");
	for (size_t i = 0; json_is(actions, JSON_OBJECT) && i < json_len(actions); i++)
		action(json_value_at(actions, i));
	if (!json_len(old) && !json_get(doc, "dependencies"))
		return;
	deps = need(doc, "dependencies", JSON_OBJECT);
	if (!deps)
		return;
	(void)need(deps, "provides", JSON_ARRAY);
	(void)need(deps, "conflicts", JSON_ARRAY);
	runtime = json_len(old) ? need(deps, "runtime", JSON_OBJECT) : NULL;
	if (runtime && !json_len(json_get(runtime, "requires")))
		json_set(runtime, "requires", loom_take(old));
}

struct json *legacy_document(enum entity_kind k, const struct json *in)
{
	struct json *doc = json_copy(in);
	if (!json_is(doc, JSON_OBJECT))
		return doc;
	if (k == ENTITY_PROVIDER)
		provider(doc);
	if (k == ENTITY_SERVICE)
		service(doc);
	return doc;
}

struct json *legacy_catalog(const struct json *in)
{
	struct json *out = json_copy(in);
	for (int k = 0; json_is(out, JSON_OBJECT) && k < ENTITY_TENANT_KINDS; k++) {
		const char *collection = entity_collection((enum entity_kind)k);
		const struct json *from = json_get(out, collection);
		if (!json_is(from, JSON_ARRAY))
			continue;
		struct json *to = json_new_arr();
		for (size_t i = 0; i < json_len(from); i++)
			json_push(to, legacy_document((enum entity_kind)k, json_at(from, i)));
		json_set(out, collection, to);
	}
	return out;
}

/* ---- clusters -------------------------------------------------------------------------------- */

static void upper(struct json *o, const char *key)
{
	LOOM_CLEANUP_STR char *s = loom_strdup(json_get_str(o, key));
	for (char *at = s; at && *at; at++)
		*at = (char)toupper((unsigned char)*at);
	json_set_str(o, key, s);
}

static struct json *only(struct json *o, const char *const *keys)
{
	struct json *some = json_new_obj();
	for (; *keys; keys++)
		json_set(some, *keys, json_copy(json_get(o, *keys)));
	json_free(o);
	return some;
}

struct json *legacy_summary(struct json *summary)
{
	static const char *const keys[] = { "id",       "name",   "createTime", "expireTime",
		                            "numNodes", "status", "ownerId",    NULL };
	LOOM_CLEANUP_STR char *template =
		loom_strdup(json_get_str(json_get(summary, "clusterTemplate"), "name"));
	struct json *o = only(summary, keys);
	upper(o, "status");
	return json_set_str(o, "clusterTemplate", template ? template : "...");
}

struct json *legacy_status(struct json *status)
{
	upper(status, "status");
	upper(status, "action");
	upper(status, "actionstatus");
	return status;
}

static const char *address(const struct json *properties)
{
	const struct json *all = json_get(properties, "ipaddresses");
	const char *s = json_get_str(all, "access_v4");
	if (!s)
		s = json_get_str(all, "bind_v4");
	return s ? s : json_str(json_value_at(all, 0));
}

/* The only properties that a 0.9.7 task showed of other nodes of its cluster. */
static const char *const shown[] = { "hostname", "automators", "hardwaretype", "imagetype",
	                             "services", "flavor",     "image",        NULL };

static struct json *properties_shown(const struct json *properties)
{
	struct json *o = only(json_copy(properties), shown);
	json_set_str(o, "ipaddress", address(properties));
	return json_set_str(o, "nodenum", json_get_str(properties, "nodenum"));
}

struct json *legacy_properties(const struct json *properties, const struct json *results)
{
	struct json *o = properties_shown(properties);
	for (size_t i = 0; i < json_len(results); i++)
		json_set(o, json_key_at(results, i), json_copy(json_value_at(results, i)));
	secrets_mask(o);
	return o;
}

static void node(struct json *n)
{
	json_set(n, "properties",
	         legacy_properties(json_get(n, "properties"), json_get(n, "provisionerResults")));
	json_del(n, "provisionerResults");
	json_del(n, "links");
}

struct json *legacy_details(struct json *details)
{
	static const char *const added_since[] = { "links", "progress", "account" };
	struct json *nodes = json_get(details, "nodes");
	for (size_t i = 0; i < json_len(nodes); i++)
		node(json_at(nodes, i));
	LOOM_CLEANUP_STR char *owner =
		loom_strdup(json_get_str(json_get(details, "account"), "userId"));
	for (size_t i = 0; i < LOOM_COUNT(added_since); i++)
		json_del(details, added_since[i]);
	return json_set_str(details, "ownerId", owner);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

struct json *legacy_task(const struct json *task)
{
	struct json *o = json_copy(task), *config = json_get(o, "config");
	struct json *nodes = json_get(config, "nodes");
	const char *ip = address(config);
	if (ip && !json_get(config, "ipaddress"))
		json_set_str(config, "ipaddress", ip);
	json_del(config, "ipaddresses");
	json_del(config, "sshuser");
	LOOM_CLEANUP_STR char *num = loom_strdup(json_get_str(config, "nodenum"));
	json_set(config, "nodenum", json_new_str(num));
	for (size_t i = 0; i < json_len(nodes); i++)
		json_set(nodes, json_key_at(nodes, i), properties_shown(json_value_at(nodes, i)));
	return o;
}

struct json *legacy_finish(const struct json *finish)
{
	struct json *o = json_copy(finish);
	const char *ip = json_get_str(json_get(o, "result"), "ipaddress");
	const char *host = json_get_str(json_get(o, "result"), "hostname");
	if (!str_blank(ip)) {
		struct json *all = json_set_str(json_new_obj(), "access_v4", ip);
		json_set(o, "ipaddresses", json_set_str(all, "bind_v4", ip));
	}
	if (!str_blank(host))
		json_set_str(o, "hostname", host);
	return o;
}
