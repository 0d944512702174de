/* SPDX-License-Identifier: Apache-2.0 */
/* operation_requests - reads the bodies of operations on clusters (REST spec 5.7) and names them.
 */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "services/api/operations.h"

#include <string.h>

enum want { WANT_NOTHING, WANT_CONFIG, WANT_SERVICES, WANT_COUNT };

static const struct {
	const char *operation;
	enum want want;
} kinds[] = {
	{ "configure", WANT_CONFIG },
	{ "add_services", WANT_SERVICES },
	{ "remove_services", WANT_SERVICES },
	{ "start", WANT_NOTHING },
	{ "stop", WANT_NOTHING },
	{ "restart", WANT_NOTHING },
	{ "expand", WANT_COUNT },
	{ "shrink", WANT_COUNT },
	{ "sync", WANT_NOTHING },
	{ "retry", WANT_NOTHING },
	{ "rollback", WANT_NOTHING },
};

static const char *wrong_names(const struct json *arr)
{
	if (arr && !json_is(arr, JSON_ARRAY))
		return "services must be an array of names";
	for (size_t i = 0; i < json_len(arr); i++)
		if (!json_is(json_at(arr, i), JSON_STRING))
			return "services must be an array of names";
	return NULL;
}

static const char *wrong(enum want want, const struct json *p)
{
	int64_t n;
	const char *names = wrong_names(json_get(p, "services"));
	if (names)
		return names;
	if (json_get(p, "skip") && !json_is(json_get(p, "skip"), JSON_ARRAY))
		return "skip must be an array of task ids";
	if (json_get(p, "tasks") &&
	    (!json_is(json_get(p, "tasks"), JSON_ARRAY) || !json_len(json_get(p, "tasks"))))
		return "tasks must be an array of at least one task id";
	if (want == WANT_CONFIG && !json_is(json_get(p, "config"), JSON_OBJECT))
		return "config is missing: an object, the whole new configuration";
	if (want == WANT_SERVICES && !json_len(json_get(p, "services")))
		return "services is missing: an array of at least one name";
	if (want != WANT_COUNT)
		return NULL;
	if (json_is(json_get(p, "nodes"), JSON_ARRAY) && json_len(json_get(p, "nodes")))
		return NULL;
	if (!json_int(json_get(p, "count"), &n) || n < 1 || n > 1000000)
		return "count is missing: how many machines, from 1";
	return NULL;
}

static enum want want_of(const char *operation, bool *known)
{
	*known = false;
	for (size_t i = 0; i < LOOM_COUNT(kinds); i++)
		if (str_eq(kinds[i].operation, operation)) {
			*known = true;
			return kinds[i].want;
		}
	return WANT_NOTHING;
}

/* Only what is known gets through to the scheduler. */
static struct json *known_fields(const char *operation, const struct json *body)
{
	static const char *const fields[] = { "config", "restart", "services", "count", "nodes",
		                              "grow",   "skip",    "tasks",    "token" };
	struct json *p = json_set_str(json_new_obj(), "operation", operation);
	for (size_t i = 0; i < LOOM_COUNT(fields); i++)
		if (json_get(body, fields[i]))
			json_set(p, fields[i], json_copy(json_get(body, fields[i])));
	return p;
}

/* An empty body is an empty object. false when answered. */
static bool body_of(struct http_req *req, struct json **ret)
{
	size_t len;
	http_body(req, &len);
	struct loom_err err;
	*ret = NULL;
	if (!len)
		*ret = json_new_obj();
	else if (http_body_json(req, ret, &err))
		return false;
	if (json_is(*ret, JSON_OBJECT))
		return true;
	http_reply_text(req, 400, "the body must be a JSON object");
	json_free(*ret);
	return false;
}

static void begin(struct http_req *req, void *ctx, const char *operation, const char *service,
                  bool plan_only)
{
	LOOM_CLEANUP(json_free) struct json *body = NULL;
	struct identity who;
	if (!auth(ctx, req, ROLE_USER, &who) || !body_of(req, &body))
		return;
	if (!operation)
		operation = json_get_str(body, "operation");
	bool known;
	enum want want = want_of(operation, &known);
	struct json *params = known_fields(operation ? operation : "", body);
	if (service)
		json_set(params, "services", json_push(json_new_arr(), json_new_str(service)));
	const char *no =
		known ? wrong(want, params)
		      : "operation is missing, or none of configure, add_services, "
			"remove_services, start, stop, restart, expand, shrink, sync, retry, "
			"rollback";
	if (!no) {
		operation_start(req, ctx, &who, params, plan_only);
		return;
	}
	json_free(params);
	if (plan_only)
		http_reply_problem(req, 400, "%s", no);
	else
		http_reply_text(req, 400, "%s", no);
}

void clusters_change_plan(struct http_req *req, void *ctx)
{
	http_want_problem(req);
	begin(req, ctx, NULL, NULL, true);
}

void clusters_configure(struct http_req *req, void *ctx)
{
	begin(req, ctx, "configure", NULL, false);
}

void clusters_add_services(struct http_req *req, void *ctx)
{
	begin(req, ctx, "add_services", NULL, false);
}

void clusters_remove_service(struct http_req *req, void *ctx)
{
	begin(req, ctx, "remove_services", http_param(req, "service"), false);
}

/* ".../services/start", ".../services/{service}/start", ".../expand", ".../shrink", ".../retry",
 * ".../rollback". */
void clusters_named_operation(struct http_req *req, void *ctx)
{
	begin(req, ctx, strrchr(http_path(req), '/') + 1, http_param(req, "service"), false);
}

void clusters_sync_template(struct http_req *req, void *ctx)
{
	begin(req, ctx, "sync", NULL, false);
}
