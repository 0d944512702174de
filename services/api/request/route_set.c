/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the routes for the HTTP server, with those of the operations, and checks that rows are
 * complete. */
#include "services/api/request/route.h"

#include "common/operation/operation.h"
#include "services/api/request/legacy.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/resources.h"

#include <string.h>

/* ---- names ----------------------------------------------------------------------------------- */

const char *role_name(enum role r)
{
	switch (r) {
	case ROLE_USER:
		return "user";
	case ROLE_AUDITOR:
		return "auditor";
	case ROLE_ADMIN:
		return "admin";
	case ROLE_SUPERADMIN:
		return "superadmin";
	case ROLE_PROVISIONER:
		return "provisioner";
	case ROLE_ANYBODY:
		return "anybody";
	}
	return "";
}

const char *owner_name(enum owner o)
{
	static const char *const names[] = {
		"", "none", "all", "tenant", "cluster", "task", "claim"
	};
	return (size_t)o < LOOM_COUNT(names) ? names[o] : "";
}

const char *repeat_name(enum repeat r)
{
	static const char *const names[] = { "", "reads", "same", "key", "again" };
	return (size_t)r < LOOM_COUNT(names) ? names[r] : "";
}

const struct schema answer_empty = { .type = SCHEMA_ANY };
const struct schema answer_text = { .type = SCHEMA_STRING };
const struct schema answer_bytes = { .type = SCHEMA_STRING };
const struct schema answer_html = { .type = SCHEMA_STRING };
/* No schema: OpenAPI 3.1 cannot describe a single message of a stream. */
const struct schema answer_events = { .type = SCHEMA_ANY, .doc = "Server-sent events." };

/* ---- what a row must say --------------------------------------------------------------------- */

/* "noun:verb"; empty only where nobody is authenticated. */
static bool scope_ok(const struct route *r)
{
	const char *colon = r->scope ? strchr(r->scope, ':') : NULL;
	if (r->roles == ROLE_ANYBODY)
		return str_eq(r->scope, "");
	return colon && colon > r->scope && colon[1];
}

/* Each change of clusters needs an action, because roles may permit only some of them. */
static bool action_ok(const struct route *r)
{
	if (!str_eq(r->scope, "clusters:write"))
		return !r->action;
	return r->action && str_starts(r->action, "clusters:") && r->action[strlen("clusters:")];
}

static bool roles_ok(const struct route *r)
{
	unsigned known = ROLES_READ | ROLE_PROVISIONER | ROLE_ANYBODY;
	bool alone = r->roles & (ROLE_PROVISIONER | ROLE_ANYBODY);
	return r->roles && !(r->roles & ~known) && !(alone && (r->roles & (r->roles - 1)));
}

/* A thing in the path needs an owner, and a cluster or task is named by {id}. */
static bool owner_ok(const struct route *r)
{
	bool names = strchr(r->path, '{');
	if (r->owner == OWNER_UNSAID || !*owner_name(r->owner))
		return false;
	const char *below = legacy_below(r->path);
	if (r->owner == OWNER_CLUSTER)
		return str_starts(below, "/clusters/{id}");
	if (r->owner == OWNER_TASK)
		return str_starts(below, "/tasks/{id}");
	if (str_starts(below, "/clusters/{") ||
	    (str_starts(below, "/tasks/{") && r->owner != OWNER_CLAIM))
		return false;
	return r->owner == OWNER_CLAIM || names == (r->owner != OWNER_NONE);
}

bool route_reads(const struct route *r)
{
	return str_eq(r->method, "GET");
}

static bool repeat_ok(const struct route *r)
{
	if (r->repeat == REPEAT_UNSAID || !*repeat_name(r->repeat))
		return false;
	if (repeat_taken(r) ? r->repeat == REPEAT_AGAIN : r->repeat == REPEAT_KEY)
		return false;
	return !route_reads(r) || r->repeat == REPEAT_READS;
}

static bool body_ok(const struct route *r)
{
	if (r->takes < TAKES_NONE || r->takes > TAKES_OWN || !r->answer)
		return false;
	if (str_eq(r->method, "PATCH") != (r->takes == TAKES_PATCH))
		return false;
	return (r->body != NULL) == (r->takes != TAKES_NONE) && (!route_reads(r) || !r->body);
}

static bool errors_ok(const struct route *r)
{
	if (!r->errors)
		return false;
	for (const char *p = r->errors; *p;) {
		size_t n = strcspn(p, " ");
		if (n != 3 || !strchr("2345", *p) || strspn(p, "0123456789") != 3)
			return false;
		p += n + (p[n] == ' ');
	}
	return true;
}

/* Authentication reads the database, for which the loop must not wait; nor may the loop validate
 * large documents. */
static bool run_ok(const struct route *r)
{
	return (r->run & HTTP_ON_POOL) || !request_needed(r);
}

/* Versions are compared only for a thing that the path names. */
static bool tag_ok(const struct route *r)
{
	return r->tag == TAG_NONE ||
	       (r->tag <= TAG_ASKED && r->owner != OWNER_NONE && !(r->roles & ROLE_PROVISIONER));
}

static const struct {
	bool (*ok)(const struct route *r);
	const char *must;
} musts[] = {
	{ roles_ok, "roles: who may" },
	{ scope_ok, "scope: noun:verb, empty for anybody" },
	{ action_ok, "action: clusters:name, of what changes clusters" },
	{ owner_ok, "owner: whose is what its path names" },
	{ repeat_ok, "repeat: what a second call does" },
	{ body_ok, "body and answer: what is taken and given" },
	{ errors_ok, "errors: statuses, separated by a blank" },
	{ tag_ok, "tag: which version of what its path names" },
	{ run_ok, "run: on the pool, as there is something to ask or to check" },
};

int routes_check(const struct route *r, size_t n, struct loom_err *err)
{
	for (size_t i = 0; i < n; i++, r++) {
		if (str_blank(r->method) || str_blank(r->path) || !r->fn || str_blank(r->summary) ||
		    str_blank(r->since))
			return err_set(err, 500,
			               "route %zu lacks method, path, handler, summary "
			               "or version",
			               i);
		for (size_t k = 0; k < LOOM_COUNT(musts); k++) {
			if (!musts[k].ok(r))
				return err_set(err, 500, "route %s %s does not say its %s",
				               r->method, r->path, musts[k].must);
		}
	}
	return 0;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void add(struct route_set *s, const struct route *r)
{
	s->rules = loom_realloc(s->rules, (s->n + 1) * sizeof(*s->rules));
	s->rules[s->n++] = *r;
}

static void add_operation(struct api_routes *r, const char *prefix, const struct operation_kind *k,
                          const char *path)
{
	if (!path)
		return;
	strs_addf(&r->paths, "%s/clusters/{id}/%s", prefix, path);
	r->schemas = loom_realloc(r->schemas, r->paths.n * sizeof(*r->schemas));
	struct schema *body = r->schemas[r->paths.n - 1] = schema_of_operation(k, path);
	strs_addf(&r->actions, "clusters:%s", k->name);
	const struct route row = { .method = k->method,
		                   .path = r->paths.v[r->paths.n - 1],
		                   .run = HTTP_ON_POOL,
		                   .fn = operations_start,
		                   .roles = ROLES_USER,
		                   .scope = "clusters:write",
		                   .action = r->actions.v[r->actions.n - 1],
		                   .owner = OWNER_CLUSTER,
		                   .repeat = str_eq(k->method, "POST") ? REPEAT_KEY : REPEAT_AGAIN,
		                   .takes = TAKES_MAYBE,
		                   .body = body,
		                   .answer = &answer_empty,
		                   .errors = k->makes_job ? "409 429" : "409",
		                   .summary = k->help,
		                   .since = "0.1.0" };
	add(&r->external, &row);
}

static void add_legacy(struct api_routes *r)
{
	for (const struct route *row = legacy_routes; row->method; row++)
		add(&r->external, row);
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		if (!legacy_has_operation(k->name))
			continue;
		add_operation(r, LEGACY_PREFIX, k, k->path);
		add_operation(r, LEGACY_PREFIX, k, k->one_path);
	}
	for (const struct route *row = legacy_internal_routes; row->method; row++)
		add(&r->internal, row);
}

/* A route without checks goes straight to its handler. */
static int finish(struct route_set *s, struct loom_err *err)
{
	s->v = loom_calloc(s->n + 1, sizeof(*s->v));
	for (size_t i = 0; i < s->n; i++) {
		const struct route *r = &s->rules[i];
		s->v[i] = (struct http_route){ r->method, r->path, r->run,
			                       request_needed(r) ? request_dispatch : r->fn };
	}
	return routes_check(s->rules, s->n, err);
}

int api_routes_create(struct api_routes **ret, struct loom_err *err)
{
	struct api_routes *r = loom_calloc(1, sizeof(*r));
	for (const struct route *row = external_routes; row->method; row++)
		add(&r->external, row);
	for (const struct operation_kind *k = operation_kinds; k->name; k++) {
		add_operation(r, "/v2", k, k->path);
		add_operation(r, "/v2", k, k->one_path);
	}
	for (const struct route *row = internal_routes; row->method; row++)
		add(&r->internal, row);
	add_legacy(r);
	int rc = finish(&r->external, err);
	if (!rc)
		rc = finish(&r->internal, err);
	if (rc)
		api_routes_destroy(r);
	else
		*ret = r;
	return rc;
}

void api_routes_destroy(struct api_routes *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->paths.n; i++)
		schema_of_operation_free(r->schemas[i]);
	loom_free(r->schemas);
	strs_fini(&r->paths);
	strs_fini(&r->actions);
	loom_free(r->external.rules);
	loom_free(r->external.v);
	loom_free(r->internal.rules);
	loom_free(r->internal.v);
	loom_free(r);
}

const struct route *api_routes_rule(const struct api_routes *r, const struct http_route *row)
{
	const struct route_set *s = &r->external;
	if (row < s->v || row >= s->v + s->n)
		s = &r->internal;
	loom_assert(row >= s->v && row < s->v + s->n);
	return &s->rules[row - s->v];
}

bool route_takes(const struct route *r, const struct route_query *q)
{
	if (*q->path == '/')
		return route_reads(r) && str_eq(q->path, r->path);
	size_t n = strlen(r->method);
	return str_starts(q->path, r->method) && q->path[n] == ' ' &&
	       str_eq(q->path + n + 1, r->path);
}

/* ---- for words ------------------------------------------------------------------------------- */

static size_t n_rules(const struct api_routes *r)
{
	return r->external.n + r->internal.n;
}

static const struct route *rule_at(const struct api_routes *r, size_t i)
{
	return i < r->external.n ? &r->external.rules[i] : &r->internal.rules[i - r->external.n];
}

const char *route_permission(const struct route *r)
{
	return r->action ? r->action : r->scope;
}

bool routes_have_permission(const struct api_routes *r, const char *permission)
{
	for (size_t i = 0; i < n_rules(r); i++) {
		const struct route *one = rule_at(r, i);
		if (*permission &&
		    (str_eq(one->scope, permission) || str_eq(route_permission(one), permission)))
			return true;
	}
	return false;
}

static bool is_listed(const struct strs *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (str_eq(l->v[i], s))
			return true;
	}
	return false;
}

char *routes_permissions(const struct api_routes *r)
{
	LOOM_CLEANUP(strs_fini) struct strs found = { 0 };
	for (size_t i = 0; i < n_rules(r); i++) {
		const char *both[] = { rule_at(r, i)->scope, route_permission(rule_at(r, i)) };
		for (size_t k = 0; k < LOOM_COUNT(both); k++) {
			if (*both[k] && !is_listed(&found, both[k]))
				strs_add(&found, both[k]);
		}
	}
	return strs_join(&found, ", ");
}

char *route_roles(const struct route *r)
{
	LOOM_CLEANUP(strs_fini) struct strs found = { 0 };
	for (unsigned bit = 1; bit <= ROLE_ANYBODY; bit <<= 1) {
		if (r->roles & bit)
			strs_add(&found, role_name((enum role)bit));
	}
	return strs_join(&found, ", ");
}
