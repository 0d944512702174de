/* SPDX-License-Identifier: Apache-2.0 */
/* Formats the table of routes as OpenAPI 3.1. */
#include "services/api/routes/openapi.h"

#include "common/base/str.h"
#include "common/base/version.h"
#include "common/net/http_server.h"
#include "services/api/request/legacy.h"
#include "services/api/request/repeat.h"

#include <ctype.h>
#include <string.h>

/* ---- statuses -------------------------------------------------------------------------------- */

static void add_status(int *v, size_t *n, size_t max, int status)
{
	size_t at = 0;
	while (at < *n && v[at] < status)
		at++;
	if ((at < *n && v[at] == status) || *n == max)
		return;
	memmove(v + at + 1, v + at, (*n - at) * sizeof(*v));
	v[at] = status;
	(*n)++;
}

size_t openapi_statuses(const struct route *r, int *ret, size_t max)
{
	bool asked = r->roles != ROLE_ANYBODY && r->roles != ROLE_PROVISIONER;
	const struct {
		bool when;
		int status;
	} follow[] = {
		{ true, 200 },
		{ asked, 401 },
		{ asked, 404 },
		{ asked, 403 },
		{ true, 400 },
		{ r->tag, 412 },
		{ r->tag && r->repeat == REPEAT_READS, 304 },
		{ r->tag == TAG_ASKED && r->repeat != REPEAT_READS, 428 },
		{ r->body, 413 },
		{ repeat_taken(r), 400 },
		{ repeat_taken(r), 409 },
		{ repeat_taken(r), 422 },
		{ r->takes == TAKES_PATCH, 415 },
		{ (r->run & HTTP_SMALL) != 0, 411 },
		{ r->roles != ROLE_ANYBODY, 429 },
		{ r->roles != ROLE_ANYBODY, 503 },
	};
	size_t n = 0;
	for (size_t i = 0; i < LOOM_COUNT(follow); i++) {
		if (follow[i].when)
			add_status(ret, &n, max, follow[i].status);
	}
	/* Three digits each: routes_check() has checked that. */
	for (const char *p = r->errors; *p; p += 3 + (p[3] == ' '))
		add_status(ret, &n, max, (p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0');
	return n;
}

/* ---- parts of an operation ------------------------------------------------------------------- */

/* "get_clusters_id_status" */
static char *operation_id(const struct route *r)
{
	struct buf b = BUF_INIT(256);
	for (const char *s = r->method; *s; s++)
		buf_addc(&b, (char)tolower((unsigned char)*s));
	const char *p = str_starts(r->path, "/v2/") ? r->path + strlen("/v2") : r->path;
	for (; *p; p++) {
		if (*p == '/')
			buf_addc(&b, '_');
		else if (isalnum((unsigned char)*p))
			buf_addc(&b, *p);
	}
	return buf_take(&b);
}

/* The first part of the path below /v2. */
static char *tag_of(const struct route *r)
{
	if (legacy_path(r->path))
		return loom_strdup("v1");
	if (!str_starts(r->path, "/v2/"))
		return loom_strdup("service");
	const char *p = r->path + strlen("/v2/");
	return loom_strndup(p, strcspn(p, "/"));
}

static struct json *parameter(const char *name, const char *in, bool required, const char *doc,
                              struct json *schema)
{
	struct json *o = json_set_str(json_new_obj(), "name", name);
	json_set_str(o, "in", in);
	json_set_bool(o, "required", required);
	json_set_str(o, "description", doc);
	return json_set(o, "schema", schema);
}

static struct json *path_schema(const struct route *r, const char *name)
{
	struct json *s = json_new_obj();
	if (str_eq(name, "version"))
		return json_set_int(json_set_str(s, "type", "integer"), "minimum", 1);
	json_set_str(s, "type", "string");
	if (str_eq(name, "id") && r->owner == OWNER_CLUSTER)
		json_set_str(s, "pattern", "^[0-9]{1,18}$");
	return s;
}

static void add_header(struct json *list, const char *name, const char *doc)
{
	json_push(list, parameter(name, "header", false, doc,
	                          json_set_str(json_new_obj(), "type", "string")));
}

static struct json *parameters(const struct route *r)
{
	struct json *list = json_new_arr();
	for (const char *p = strchr(r->path, '{'); p; p = strchr(p + 1, '{')) {
		LOOM_CLEANUP_STR char *name = loom_strndup(p + 1, strcspn(p, "}") - 1);
		json_push(list, parameter(name, "path", true, NULL, path_schema(r, name)));
	}
	for (const struct route_query *q = route_queries; q->path; q++) {
		if (route_takes(r, q))
			json_push(list, parameter(q->name, "query", false, q->doc,
			                          schema_write(q->schema, NULL)));
	}
	if (repeat_taken(r))
		add_header(list, "Idempotency-Key",
		           "A name of the request: sent again with it, it gets the first one's "
		           "answer.");
	if (r->tag != TAG_NONE)
		add_header(list, "If-Match", "Only for a version with one of these tags; *: any.");
	if (r->tag != TAG_NONE)
		add_header(
			list, "If-None-Match",
			r->repeat == REPEAT_READS
				? "Tags of what the caller has: 304 when it is one of them."
				: "Only for a version with none of these tags; *: there is none.");
	return list;
}

static struct json *content(const char *type, struct json *schema)
{
	return json_set(json_new_obj(), type, json_set(json_new_obj(), "schema", schema));
}

/* Says with which parameters the answer has content; NULL: always, or never. Owned. */
static char *fillers(const struct route *r)
{
	LOOM_CLEANUP(strs_fini) struct strs names = { 0 };
	for (const struct route_query *q = route_queries; q->path; q++) {
		if (q->schema == &query_fills && route_takes(r, q))
			strs_add(&names, q->name);
	}
	LOOM_CLEANUP_STR char *all = strs_join(&names, " or ");
	return names.n ? loom_asprintf("With %s: the answer. Without: done, and no content.", all)
	               : NULL;
}

static struct json *ok_response(const struct route *r, struct json *named)
{
	static const struct {
		const struct schema *answer;
		const char *type;
	} types[] = {
		{ &answer_text, "text/plain" },
		{ &answer_html, "text/html" },
		{ &answer_events, "text/event-stream" },
		{ &answer_bytes, "application/octet-stream" },
	};
	LOOM_CLEANUP_STR char *filled = fillers(r);
	struct json *o = json_set_str(json_new_obj(), "description",
	                              filled                       ? filled
	                              : r->answer == &answer_empty ? "Done."
	                                                           : "The answer.");
	if (r->tag != TAG_NONE && r->repeat == REPEAT_READS)
		json_set(o, "headers",
		         json_set(json_new_obj(), "ETag",
		                  json_set(json_new_obj(), "schema",
		                           json_set_str(json_new_obj(), "type", "string"))));
	const char *type = r->answer == &answer_empty ? NULL : "application/json";
	for (size_t i = 0; i < LOOM_COUNT(types); i++) {
		if (r->answer == types[i].answer)
			type = types[i].type;
	}
	if (!type)
		return o;
	struct json *all = content(type, schema_write(r->answer, named));
	/* OpenAPI has no other way to express that the content may be empty. */
	struct json *none = json_set_str(json_new_obj(), "type", "string");
	if (filled)
		json_set(all, "text/plain",
		         json_set(json_new_obj(), "schema", json_set_int(none, "maxLength", 0)));
	else
		json_free(none);
	return json_set(o, "content", all);
}

static struct json *responses(const struct route *r, struct json *named)
{
	int statuses[32];
	size_t n = openapi_statuses(r, statuses, LOOM_COUNT(statuses));
	struct json *all = json_new_obj();
	for (size_t i = 0; i < n; i++) {
		char key[12];
		snprintf(key, sizeof(key), "%d", statuses[i]);
		if (statuses[i] == 200)
			json_set(all, key, ok_response(r, named));
		else if (statuses[i] < 400)
			json_set(all, key,
			         json_set_str(json_new_obj(), "description",
			                      http_reason(statuses[i])));
		else
			json_set(all, key,
			         json_set_str(json_new_obj(), "$ref",
			                      "#/components/responses/Refusal"));
	}
	return all;
}

static struct json *security(const struct route *r)
{
	struct json *list = json_new_arr();
	/* A provisioner needs a token only where auth_mode says so. */
	if (r->roles == ROLE_ANYBODY || r->roles == ROLE_PROVISIONER)
		return list;
	struct json *headers = json_set(json_new_obj(), "user", json_new_arr());
	json_push(list, json_set(headers, "tenant", json_new_arr()));
	return json_push(list, json_set(json_new_obj(), "token", json_new_arr()));
}

static struct json *permission(const struct route *r)
{
	struct json *roles = json_new_arr();
	for (unsigned bit = 1; bit <= ROLE_ANYBODY; bit <<= 1) {
		if (r->roles & bit)
			json_push(roles, json_new_str(role_name((enum role)bit)));
	}
	struct json *o = json_set(json_new_obj(), "roles", roles);
	json_set_str(o, "scope", r->scope);
	json_set_str(o, "action", r->action);
	return json_set_str(o, "owner", owner_name(r->owner));
}

static struct json *request_body_of(const struct route *r, struct json *named)
{
	struct json *o = json_set_bool(json_new_obj(), "required", r->takes != TAKES_MAYBE);
	const char *type =
		r->body == &answer_bytes ? "application/octet-stream" : "application/json";
	if (r->takes != TAKES_PATCH)
		return json_set(o, "content", content(type, schema_write(r->body, named)));
	json_set_str(o, "description",
	             "What differs: members with a value are set, those with null are removed.");
	return json_set(o, "content",
	                content(MERGE_PATCH, json_set_str(json_new_obj(), "type", "object")));
}

static struct json *operation(const struct route *r, struct json *named)
{
	LOOM_CLEANUP_STR char *id = operation_id(r), *tag = tag_of(r);
	struct json *o = json_set_str(json_new_obj(), "operationId", id);
	json_set_str(o, "summary", r->summary);
	json_set(o, "tags", json_push(json_new_arr(), json_new_str(tag)));
	json_set(o, "parameters", parameters(r));
	if (r->body)
		json_set(o, "requestBody", request_body_of(r, named));
	json_set(o, "responses", responses(r, named));
	json_set(o, "security", security(r));
	json_set(o, "x-loom-permission", permission(r));
	json_set_str(o, "x-loom-repeat", repeat_name(r->repeat));
	return json_set_str(o, "x-loom-since", r->since);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct json *server(const char *url, const char *about)
{
	struct json *o = json_set_str(json_new_obj(), "url", url);
	return json_push(json_new_arr(), json_set_str(o, "description", about));
}

/* servers: NULL, or the base addresses of these paths if they differ from the document's; borrowed.
 * Existing paths stay. */
static void add_paths(struct json *paths, const struct route_set *s, struct json *named,
                      const struct json *servers)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct route *r = &s->rules[i];
		char method[16] = "";
		for (size_t k = 0; r->method[k] && k + 1 < sizeof(method); k++)
			method[k] = (char)tolower((unsigned char)r->method[k]);
		if (!json_get(paths, r->path))
			json_set(paths, r->path, json_new_obj());
		struct json *path = json_get(paths, r->path);
		if (json_get(path, method))
			continue;
		json_set(path, method, operation(r, named));
		json_set(json_get(path, method), "servers", json_copy(servers));
	}
}

/* A refusal is a sentence or, depending on Accept, a problem document. */
static struct json *refusal(struct json *named)
{
	struct json *o = json_set_str(json_new_obj(), "description",
	                              "What is wrong, in one sentence; a problem document (RFC "
	                              "9457) when Accept asks for application/problem+json.");
	struct json *c = content("text/plain", schema_write(&answer_text, named));
	json_set(c, "application/problem+json",
	         json_set(json_new_obj(), "schema", schema_write(&schema_problem, named)));
	return json_set(json_new_obj(), "Refusal", json_set(o, "content", c));
}

static struct json *header_scheme(const char *name, const char *about)
{
	struct json *o = json_set_str(json_new_obj(), "type", "apiKey");
	json_set_str(json_set_str(o, "in", "header"), "name", name);
	return json_set_str(o, "description", about);
}

static struct json *bearer_scheme(void)
{
	struct json *s = json_set_str(json_new_obj(), "type", "http");
	json_set_str(s, "scheme", "bearer");
	return json_set_str(s, "description", "where the server's auth_mode is token");
}

struct json *openapi_make(const struct api_routes *r, const char *internal)
{
	struct json *doc = json_set_str(json_new_obj(), "openapi", "3.1.0");
	struct json *info = json_set_str(json_new_obj(), "title", "Loom");
	json_set_str(info, "version", loom_version);
	json_set(doc, "info",
	         json_set_str(info, "description",
	                      "Clusters of machines from templates. Made from the server's own "
	                      "table of routes, which it enforces."));
	json_set(doc, "servers", server("/", "users and administrators"));
	struct json *named = json_new_obj(), *paths = json_new_obj();
	LOOM_CLEANUP_STR char *url = loom_asprintf("http://%s", internal);
	LOOM_CLEANUP(json_free) struct json *inside = server(url, "provisioners");
	add_paths(paths, &r->external, named, NULL);
	add_paths(paths, &r->internal, named, inside);
	json_set(doc, "paths", paths);
	struct json *schemes =
		json_set(json_new_obj(), "user", header_scheme("X-Loom-UserID", "who you are"));
	json_set(schemes, "tenant", header_scheme("X-Loom-TenantID", "the tenant you work in"));
	json_set(schemes, "token", bearer_scheme());
	struct json *parts = json_set(json_new_obj(), "responses", refusal(named));
	json_set(parts, "securitySchemes", schemes);
	return json_set(doc, "components", json_set(parts, "schemas", named));
}
