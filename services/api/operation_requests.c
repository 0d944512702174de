/* SPDX-License-Identifier: Apache-2.0 */
/* operation_requests - reads requests for operations on clusters, and checks their fields, by the
 * rows of common/operation. */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/operation/operation.h"
#include "services/api/operations.h"
#include "services/api/validate.h"

#include <string.h>

#define MAX_COUNT 1000000

/* ---- fields ---------------------------------------------------------------------------------- */

static bool is_config(const struct json *v)
{
	return json_is(v, JSON_OBJECT);
}

static bool is_flag(const struct json *v)
{
	bool yes;
	return json_bool(v, &yes);
}

static bool are_names(const struct json *v)
{
	bool ok = json_is(v, JSON_ARRAY);
	for (size_t i = 0; ok && i < json_len(v); i++)
		ok = json_is(json_at(v, i), JSON_STRING);
	return ok;
}

static bool is_count(const struct json *v)
{
	int64_t n;
	return json_int(v, &n) && n >= 1 && n <= MAX_COUNT;
}

static bool are_numbers(const struct json *v)
{
	int64_t n;
	bool ok = json_is(v, JSON_ARRAY);
	for (size_t i = 0; ok && i < json_len(v); i++)
		ok = json_int(json_at(v, i), &n);
	return ok;
}

static bool are_ids(const struct json *v)
{
	return json_is(v, JSON_ARRAY);
}

static bool is_some(const struct json *v)
{
	return json_is(v, JSON_ARRAY) && json_len(v);
}

static const struct {
	const char *name;
	bool (*ok)(const struct json *v);
	const char *must; /* what it is */
} fields[] = {
	{ "config", is_config, "config must be an object, the whole new configuration" },
	{ "restart", is_flag, "restart must be true or false" },
	{ "services", are_names, "services must be an array of names" },
	{ "count", is_count, "count must be a number of nodes, 1 to 1000000" },
	{ "nodes", are_numbers, "nodes must be an array of numbers of nodes" },
	{ "grow", are_names, "grow must be an array of names of services" },
	{ "skip", are_ids, "skip must be an array of task ids" },
	{ "tasks", is_some, "tasks must be an array of at least one task id" },
};

static const char *wrong_field(const struct json *params)
{
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		const struct json *v = json_get(params, fields[i].name);
		if (v && !fields[i].ok(v))
			return fields[i].must;
	}
	return NULL;
}

static bool is_given(const struct json *v)
{
	return v && (!json_is(v, JSON_ARRAY) || json_len(v));
}

/* What is wrong with the fields of an operation, owned; NULL: nothing. */
static char *wrong(const struct operation_kind *kind, const struct json *params)
{
	const char *must = wrong_field(params);
	struct loom_err err;
	if (must)
		return loom_strdup(must);
	if (validate_config_size(json_get(params, "config"), "config", &err))
		return loom_strdup(err.msg);
	bool given = !*kind->needs;
	LOOM_CLEANUP(strs_fini) struct strs musts = { 0 };
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		if (!operation_has_word(kind->needs, "|", fields[i].name))
			continue;
		given = given || is_given(json_get(params, fields[i].name));
		strs_add(&musts, fields[i].must);
	}
	LOOM_CLEANUP_STR char *all = strs_join(&musts, ", or ");
	return given ? NULL : loom_asprintf("%s is missing: %s", kind->needs, all);
}

/* Only what the operation reads gets through to the scheduler. */
static struct json *read_fields(const struct operation_kind *kind, const struct json *body)
{
	struct json *p = json_set_str(json_new_obj(), "operation", kind->name);
	for (size_t i = 0; i < LOOM_COUNT(fields); i++) {
		const struct json *v = json_get(body, fields[i].name);
		if (v && !json_is(v, JSON_NULL) && operation_kind_takes(kind, fields[i].name))
			json_set(p, fields[i].name, json_copy(v));
	}
	if (json_get(body, "token"))
		json_set(p, "token", json_copy(json_get(body, "token")));
	return p;
}

/* What the path names, as ".../services/{service}/start", is the only element of its field. */
static void read_parameters(struct http_req *req, struct json *params)
{
	for (const struct operation_parameter *p = operation_parameters; p->name; p++) {
		const char *text = http_param(req, p->name);
		int64_t n;
		if (!text)
			continue;
		bool number = p->number && !str_to_int(text, &n);
		json_set(params, p->field,
		         json_push(json_new_arr(), number ? json_new_int(n) : json_new_str(text)));
	}
}

/* ---- requests -------------------------------------------------------------------------------- */

/* An empty body is an empty object. false when answered. */
static bool body_of(struct http_req *req, struct json **ret)
{
	size_t len;
	http_body(req, &len);
	*ret = NULL;
	if (!len)
		*ret = json_new_obj();
	else if (api_body_json(req, ret))
		return false;
	if (json_is(*ret, JSON_OBJECT))
		return true;
	http_reply_text(req, 400, "the body must be a JSON object");
	json_free(*ret);
	return false;
}

/* "configure, add_services, ...": all that can be asked of a cluster; owned. */
static char *all_names(void)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		if (k->method)
			strs_add(&names, k->name);
	}
	return strs_join(&names, ", ");
}

static const struct operation_kind *kind_named(const struct json *body, char **ret_why)
{
	const struct operation_kind *kind = operation_kind_find(json_get_str(body, "operation"));
	if (kind && kind->method)
		return kind;
	LOOM_CLEANUP_STR char *names = all_names();
	*ret_why = loom_asprintf("operation is missing, or none of %s", names);
	return NULL;
}

/* kind NULL: the body names it. */
static void begin(struct http_req *req, struct api *a, const struct operation_kind *kind,
                  bool plan_only)
{
	LOOM_CLEANUP(json_free) struct json *body = NULL, *params = NULL;
	LOOM_CLEANUP_STR char *why = NULL;
	struct identity who;
	if (!auth(a, req, ROLE_USER, &who) || !body_of(req, &body))
		return;
	if (!kind)
		kind = kind_named(body, &why);
	if (kind) {
		params = read_fields(kind, body);
		read_parameters(req, params);
		why = wrong(kind, params);
	}
	if (!why)
		operation_start(req, a, &who, loom_take(params), plan_only);
	else if (plan_only)
		http_reply_problem(req, 400, "%s", why);
	else
		http_reply_text(req, 400, "%s", why);
}

void operations_plan(struct http_req *req, void *ctx)
{
	http_want_problem(req);
	begin(req, ctx, NULL, true);
}

/* The path behind "/v2/clusters/{id}/" says which one it is. */
void operations_start(struct http_req *req, void *ctx)
{
	const char *path = http_path(req) + strlen("/v2/clusters/");
	const struct operation_kind *kind =
		operation_kind_at(http_method(req), strchr(path, '/') + 1);
	loom_assert(kind);
	begin(req, ctx, kind, false);
}

/* ---- what there is --------------------------------------------------------------------------- */

static struct json *words_of(const char *list, const char *separators)
{
	struct json *out = json_new_arr();
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, separators);
		LOOM_CLEANUP_STR char *word = loom_strndup(p, n);
		json_push(out, json_new_str(word));
		p += n + (p[n] != '\0');
	}
	return out;
}

static struct json *kind_json(const struct operation_kind *k)
{
	struct json *o = json_set_str(json_new_obj(), "name", k->name);
	struct json *actions = words_of(k->action, " ");
	if (k->plain_action)
		json_push(actions, json_new_str(k->plain_action));
	json_set(o, "actions", actions);
	json_set(o, "from", words_of(k->from, " "));
	json_set(o, "needs", words_of(k->needs, "|"));
	json_set(o, "fields", words_of(k->takes, " "));
	if (k->method) {
		json_set_str(o, "method", k->method);
		json_set_str(o, "path", k->path);
		json_set_str(o, "help", k->help);
	}
	json_set_str(o, "title", k->title);
	json_set_str(o, "doing", k->doing);
	return json_set_str(o, "done", k->done);
}

void operations_list(struct http_req *req, void *ctx)
{
	struct identity who;
	if (!auth(ctx, req, ROLE_USER, &who))
		return;
	LOOM_CLEANUP(json_free) struct json *list = json_new_arr();
	for (const struct operation_kind *k = operation_kinds; k->name; k++)
		json_push(list, kind_json(k));
	http_reply_json(req, 200, list);
}

struct json *operations_possible(const char *status)
{
	struct json *out = json_new_arr();
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		if (operation_kind_allowed(k, status))
			json_push(out, json_new_str(k->name));
	}
	return out;
}
