/* SPDX-License-Identifier: Apache-2.0 */
/* operation_requests - reads requests for operations on clusters, and checks their fields against
 * the table in common/operation. */
#include "services/api/resources.h"

#include "common/base/str.h"
#include "common/operation/operation.h"
#include "services/api/catalog/validate.h"
#include "services/api/cluster/operations.h"
#include "services/api/request/audit.h"
#include "services/api/request/legacy.h"
#include "services/api/request/request.h"

#include <string.h>

/* A path parameter, as in ".../services/{service}/start", becomes the only element of its field. */
static int read_parameters(struct http_req *req, struct json *body, struct loom_err *err)
{
	for (const struct operation_parameter *p = operation_parameters; p->name; p++) {
		const char *text = http_param(req, p->name);
		int64_t n = 0;
		if (!text)
			continue;
		if (p->number && str_to_int(text, &n))
			return err_set(err, 400, "'%.64s' is not the number of a %s, as 1000", text,
			               p->name);
		json_set(body, p->field,
		         json_push(json_new_arr(),
		                   p->number ? json_new_int(n) : json_new_str(text)));
	}
	return 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* "configure, add_services, ...": all operations; owned. */
static char *all_names(void)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		if (k->method)
			strs_add(&names, k->name);
	}
	return strs_join(&names, ", ");
}

static int kind_named(const struct json *body, const struct operation_kind **ret,
                      struct loom_err *err)
{
	*ret = operation_kind_find(json_get_str(body, "operation"));
	if (*ret && (*ret)->method)
		return 0;
	LOOM_CLEANUP_STR char *names = all_names();
	return err_set(err, 400, "operation is missing, or none of %s", names);
}

static int read_request(struct http_req *req, struct json *body, struct operation_request *o,
                        struct loom_err *err)
{
	int rc = read_parameters(req, body, err);
	o->token = loom_strdup(json_get_str(body, "token"));
	if (!rc)
		rc = job_params_read(o->kind, body, &o->params, err);
	return rc ? rc : validate_config(o->params.config, "config", err);
}

/* kind NULL: the body names the operation. */
static void begin(struct http_req *req, struct api *a, const struct operation_kind *kind,
                  bool plan_only)
{
	LOOM_CLEANUP(json_free) struct json *body = request_take_body(req);
	audit_change(req, NULL, body);
	struct operation_request asked = { .kind = kind, .plan_only = plan_only };
	struct loom_err err;
	int rc = kind ? 0 : kind_named(body, &asked.kind, &err);
	if (!rc)
		rc = read_request(req, body, &asked, &err);
	if (!rc)
		operation_start(req, a, &asked);
	else
		http_reply_text(req, 400, "%s", err.msg);
	operation_request_fini(&asked);
}

void operations_plan(struct http_req *req, void *ctx)
{
	begin(req, ctx, NULL, true);
}

/* The path after "/clusters/{id}/" names the operation. */
void operations_start(struct http_req *req, void *ctx)
{
	const char *path = legacy_below(http_path(req)) + strlen("/clusters/");
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

void operations_list(struct http_req *req, void *ctx LOOM_UNUSED)
{
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
