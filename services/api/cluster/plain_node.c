/* SPDX-License-Identifier: Apache-2.0 */
/* Shows nodes in the form of the original's classes. */
#include "services/api/cluster/plain_node.h"

#include "common/base/str.h"
#include "common/model/catalog/entity.h"

#include <ctype.h>

static struct json *or_empty(const struct json *v, enum json_type t)
{
	if (json_is(v, t))
		return json_copy(v);
	return t == JSON_ARRAY ? json_new_arr() : json_new_obj();
}

static char *upper(const char *s)
{
	char *out = loom_strdup(s);
	for (char *at = out; at && *at; at++)
		*at = (char)toupper((unsigned char)*at);
	return out;
}

/* The union of two sets of names. */
static struct json *united(const struct json *a, const struct json *b)
{
	struct json *all = or_empty(a, JSON_ARRAY);
	for (size_t i = 0; i < json_len(b); i++) {
		if (json_str(json_at(b, i)) && !json_arr_has_str(all, json_str(json_at(b, i))))
			json_push(all, json_copy(json_at(b, i)));
	}
	return all;
}

static struct json *stage(const struct json *of)
{
	const struct json *requires = json_get(of, "requires"), *uses = json_get(of, "uses");
	struct json *o = json_set(json_new_obj(), "requires", or_empty(requires, JSON_ARRAY));
	json_set(o, "uses", or_empty(uses, JSON_ARRAY));
	return json_set(o, "dependencies", united(requires, uses));
}

static struct json *dependencies(const struct json *of)
{
	const struct json *install = json_get(of, "install"), *runtime = json_get(of, "runtime");
	struct json *o = json_new_obj();
	json_set(o, "provides", or_empty(json_get(of, "provides"), JSON_ARRAY));
	json_set(o, "conflicts", or_empty(json_get(of, "conflicts"), JSON_ARRAY));
	json_set(o, "install", stage(install));
	json_set(o, "runtime", stage(runtime));
	return json_set(o, "requiredServices",
	                united(json_get(install, "requires"), json_get(runtime, "requires")));
}

static struct json *service_actions(const struct json *of)
{
	struct json *o = json_new_obj();
	for (size_t i = 0; i < json_len(of); i++) {
		LOOM_CLEANUP_STR char *name = upper(json_key_at(of, i));
		json_set(o, name, json_copy(json_value_at(of, i)));
	}
	return o;
}

static struct json *service(const struct json *of)
{
	struct json *o = entity_brief(of);
	if (json_get(of, "dependencies"))
		json_set(o, "dependencies", dependencies(json_get(of, "dependencies")));
	return json_set(o, "provisionerActions",
	                service_actions(json_path(of, "provisioner/actions")));
}

static struct json *properties(const struct json *of)
{
	struct json *o = or_empty(of, JSON_OBJECT);
	static const char *const lists[] = { "services", "automators" };
	json_set(o, "ipaddresses", or_empty(json_get(of, "ipaddresses"), JSON_OBJECT));
	if (!json_get(o, "nodenum"))
		json_set_int(o, "nodenum", 0);
	if (!json_get(o, "sshuser"))
		json_set_str(o, "sshuser", "root");
	for (size_t i = 0; i < LOOM_COUNT(lists); i++)
		json_set(o, lists[i], or_empty(json_get(of, lists[i]), JSON_ARRAY));
	return o;
}

static struct json *node_action(const struct json *of)
{
	struct json *o = json_copy(of);
	LOOM_CLEANUP_STR char *status = upper(json_get_str(of, "status"));
	return json_is(o, JSON_OBJECT) ? json_set_str(o, "status", status) : o;
}

struct json *plain_node(const struct json *node)
{
	const struct json *services = json_get(node, "services"), *done = json_get(node, "actions");
	struct json *o = json_set_str(json_new_obj(), "id", json_get_str(node, "id"));
	struct json *list = json_new_arr(), *actions = json_new_arr();
	json_set_str(o, "clusterId", json_get_str(node, "clusterId"));
	for (size_t i = 0; i < json_len(services); i++)
		json_push(list, service(json_at(services, i)));
	json_set(o, "services", list);
	json_set(o, "properties", properties(json_get(node, "properties")));
	for (size_t i = 0; i < json_len(done); i++)
		json_push(actions, node_action(json_at(done, i)));
	json_set(o, "actions", actions);
	return json_set(o, "provisionerResults",
	                or_empty(json_get(node, "provisionerResults"), JSON_OBJECT));
}
