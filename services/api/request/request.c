/* SPDX-License-Identifier: Apache-2.0 */
/* Enforces what a route demands, in order, and then runs its handler. */
#include "services/api/request/request.h"

#include "common/base/ids.h"
#include "common/base/str.h"
#include "common/model/cluster/cluster.h"
#include "services/api/request/audit.h"
#include "services/api/request/list_query.h"
#include "services/api/request/narrow.h"
#include "services/api/request/pace.h"
#include "services/api/request/repeat.h"
#include "services/api/request/visible.h"

#include <string.h>
#include <strings.h>

struct request {
	const struct route *route;
	struct identity who;
	struct narrow narrow;
	struct cluster_owner owner;
	int64_t cluster;
	struct task_ref task;
	char worker_tenant[65];
	struct precondition precondition;
	struct repeatable *repeat;
	struct json *body;
	struct audit_note note;
	void *kept;
	void (*free_kept)(void *);
};

static void request_free(void *arg)
{
	struct request *r = arg;
	repeat_end(r->repeat);
	json_free(r->body);
	narrow_fini(&r->narrow);
	cluster_owner_fini(&r->owner);
	audit_note_fini(&r->note);
	if (r->free_kept)
		r->free_kept(r->kept);
	loom_free(r);
}

static bool is_asked(const struct route *r)
{
	return r->roles != ROLE_ANYBODY && r->roles != ROLE_PROVISIONER;
}

static bool is_checked(const struct route *r)
{
	return r->takes >= TAKES_WHOLE && r->takes <= TAKES_PATCH;
}

/* Routes on the loop authenticate in their handler, which must not wait for the database. */
static bool is_worker(const struct route *r)
{
	return r->roles == ROLE_PROVISIONER && (r->run & HTTP_ON_POOL);
}

bool request_needed(const struct route *r)
{
	return is_asked(r) || is_worker(r) || is_checked(r);
}

/* ---- may the caller? ------------------------------------------------------------------------- */

/* In header mode name the user ("admin"); otherwise the roles of the table. */
static void refuse_role(const struct api *a, struct http_req *req, const struct request *r)
{
	if (!auth_by_token(a) && !(r->route->roles & ROLE_USER)) {
		http_reply_text(
			req, 403, "%s",
			r->route->roles & ROLE_ADMIN
				? "only an administrator (user admin) may do this"
				: "only the superadmin (user admin of tenant superadmin) may do this");
		return;
	}
	LOOM_CLEANUP_STR char *roles = route_roles(r->route);
	http_reply_text(req, 403, "this is for the roles %s; yours is %s", roles,
	                role_name(r->who.role));
}

static bool is_permitted(const struct api *a, struct http_req *req, const struct request *r)
{
	if (!(r->who.role & r->route->roles)) {
		refuse_role(a, req, r);
		return false;
	}
	const char *needed = route_permission(r->route);
	if (auth_has_scope(&r->who, needed))
		return narrow_permits(&r->narrow, req, r->route);
	http_reply_text(req, 403, "the token is not good for %s, only for %s", needed,
	                r->who.scopes);
	return false;
}

/* ---- is it the caller's? --------------------------------------------------------------------- */

static bool read_id(struct http_req *req, struct request *r)
{
	const char *id = http_param(req, "id");
	switch (r->route->owner) {
	case OWNER_CLUSTER:
		if (!id_parse_cluster(id, &r->cluster))
			return true;
		http_reply_text(req, 400, "cluster id '%.32s' is not a number, as 00000012", id);
		return false;
	case OWNER_TASK:
		if (!id_parse_task(id, &r->task)) {
			r->cluster = r->task.cluster;
			return true;
		}
		http_reply_problem(req, 400, "'%.64s' is not the id of a task", id);
		return false;
	case OWNER_UNSAID:
	case OWNER_NONE:
	case OWNER_ALL:
	case OWNER_TENANT:
	case OWNER_CLAIM:
		return true;
	}
	return false;
}

/* A cluster never changes hands, so this check still holds when the handler runs. */
static int owner_read(struct db *db, void *arg)
{
	struct request *r = arg;
	cluster_owner_fini(&r->owner);
	int rc = cluster_owner(db, r->cluster, &r->owner);
	if (rc)
		return rc;
	return visible_to(&r->who, r->owner.tenant, r->owner.user) ? 0 : CLUSTER_E_NONE;
}

static bool is_owned(struct api *a, struct http_req *req, struct request *r)
{
	if (!read_id(req, r))
		return false;
	bool of_cluster = r->route->owner == OWNER_CLUSTER || r->route->owner == OWNER_TASK;
	int rc = of_cluster ? db_read(a->db, owner_read, r) : 0;
	if (rc)
		visible_refuse(req, rc, r->cluster);
	return !rc && (!of_cluster || narrow_permits_cluster(&r->narrow, req, r->route,
	                                                     r->owner.template, r->owner.provider));
}

/* ---- which version? -------------------------------------------------------------------------- */

static bool read_tags(struct http_req *req, const char *name, const char **ret)
{
	*ret = http_header(req, name);
	if (!*ret || precondition_well_formed(*ret))
		return true;
	http_reply_text(req, 400, "%s '%.100s' must be * or tags in quotes, as ETag shows them",
	                name, *ret);
	return false;
}

static bool is_conditional(const struct api *a, struct http_req *req, struct request *r)
{
	struct precondition *p = &r->precondition;
	if (r->route->tag == TAG_NONE)
		return true;
	if (!read_tags(req, "If-Match", &p->match) ||
	    !read_tags(req, "If-None-Match", &p->none_match))
		return false;
	bool needed = r->route->tag == TAG_ASKED && r->route->repeat != REPEAT_READS &&
	              a->cfg.require_if_match;
	if (!needed || p->match || p->none_match)
		return true;
	http_reply_text(req, 428,
	                "say which version is to be changed: If-Match with the ETag of a GET, or "
	                "If-None-Match: * for a new one");
	return false;
}

/* ---- is the body right? ---------------------------------------------------------------------- */

/* A Warning header (RFC 7234 5.5), which older clients ignore. The names are foreign text, which
 * must be encoded for a header. */
void request_warn(struct http_req *req, const char *what, const struct strs *names)
{
	LOOM_CLEANUP_STR char *all = strs_join(names, ", ");
	for (char *at = all; *at; at++) {
		if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\')
			*at = '?';
	}
	LOOM_CLEANUP_STR char *text = loom_asprintf("299 loom \"%s: %s\"", what, all);
	if (names->n)
		http_reply_header(req, "Warning", text);
}

bool request_check(struct http_req *req, const struct schema *s, const struct json *body)
{
	LOOM_CLEANUP(strs_fini) struct strs over = { 0 };
	LOOM_CLEANUP(json_free) struct json *faults = schema_check_over(s, body, &over);
	request_warn(req, REQUEST_PASSED_OVER, &over);
	LOOM_CLEANUP_STR char *words = faults ? schema_words(faults) : NULL;
	if (faults)
		http_reply_faults(req, 400, faults, words);
	return !faults;
}

/* A patch may hold any member, and null as a value: the patched document is validated instead. */
static const struct schema any_object = { .type = SCHEMA_OBJECT, .others = SCHEMA_OPEN };

/* The Content-Type of most bodies is ignored, but a patch may be of another format. */
static bool is_typed(struct http_req *req, const struct request *r)
{
	const char *type = http_header(req, "Content-Type");
	size_t n = type ? strcspn(type, "; \t") : 0;
	if (r->route->takes != TAKES_PATCH ||
	    (n == strlen(MERGE_PATCH) && strncasecmp(type, MERGE_PATCH, n) == 0))
		return true;
	http_reply_header(req, "Accept-Patch", MERGE_PATCH);
	http_reply_text(req, 415, "a PATCH is taken as Content-Type: " MERGE_PATCH " (RFC 7396)");
	return false;
}

static bool is_right(struct http_req *req, struct request *r)
{
	size_t len;
	if (!is_typed(req, r))
		return false;
	(void)http_body(req, &len);
	bool maybe = r->route->takes == TAKES_MAYBE;
	if ((len || !maybe) && api_body_json(req, &r->body))
		return false;
	if (maybe && json_is(r->body, JSON_NULL)) {
		json_free(r->body);
		r->body = json_new_obj();
	}
	bool patch = r->route->takes == TAKES_PATCH;
	return request_check(req, patch ? &any_object : r->route->body, r->body);
}

/* ---- the way in ------------------------------------------------------------------------------ */

/* A worker retries by itself. Its heartbeat must be answered before it gives up (3 s), else it does
 * not learn that its leases are held. */
#define WORKER_WAIT_MS 2000

static bool changes_clusters(const struct route *r)
{
	return str_eq(r->scope, "clusters:write");
}

/* Authenticates, authorizes, checks ownership and rates. */
static bool is_known(struct api *a, struct http_req *req, struct request *r)
{
	if (is_worker(r->route)) {
		struct worker_pass pass;
		bool in = !auth_worker(a, req, WORKER_WAIT_MS, NULL, &pass);
		snprintf(r->worker_tenant, sizeof(r->worker_tenant), "%s", pass.tenant);
		auth_worker_identity(a, req, &r->who);
		return in;
	}
	return !is_asked(r->route) ||
	       (auth(a, req, &r->who) && pace_ask(a, req, r->who.tenant_id, r->who.token) &&
	        narrow_read(a, req, &r->who, &r->narrow) && is_permitted(a, req, r) &&
	        is_owned(a, req, r) &&
	        (!changes_clusters(r->route) || pace_change(a, req, r->who.tenant_id)));
}

void request_dispatch(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct request *r = loom_calloc(1, sizeof(*r));
	r->route = api_routes_rule(a->routes, http_matched(req));
	http_set_data(req, r, request_free);
	if (is_known(a, req, r) && is_conditional(a, req, r) && list_query_spelt(req) &&
	    (!is_checked(r->route) || is_right(req, r)) &&
	    repeat_begin(req, r->route, &r->who, &r->repeat))
		r->route->fn(req, ctx);
	/* Free it here, on the worker: the request ends on the loop, and the body may be large. */
	json_free(r->body);
	r->body = NULL;
}

/* ---- for handlers ---------------------------------------------------------------------------- */

static struct request *of(const struct http_req *req)
{
	struct request *r = http_data(req);
	loom_assert(r);
	return r;
}

const struct route *request_route(const struct http_req *req)
{
	return of(req)->route;
}

const struct identity *request_who(const struct http_req *req)
{
	return &of(req)->who;
}

void request_is(struct http_req *req, const struct identity *who)
{
	of(req)->who = *who;
}

struct audit_note *request_note(const struct http_req *req)
{
	return &of(req)->note;
}

bool request_has_body(const struct http_req *req)
{
	return of(req)->body;
}

int64_t request_cluster(const struct http_req *req)
{
	loom_assert(of(req)->route->owner == OWNER_CLUSTER || of(req)->route->owner == OWNER_TASK);
	return of(req)->cluster;
}

const struct task_ref *request_task(const struct http_req *req)
{
	loom_assert(of(req)->route->owner == OWNER_TASK);
	return &of(req)->task;
}

const struct json *request_body(const struct http_req *req)
{
	loom_assert(of(req)->body);
	return of(req)->body;
}

struct json *request_take_body(struct http_req *req)
{
	struct request *r = of(req);
	loom_assert(r->body);
	return loom_take(r->body);
}

const struct precondition *request_precondition(const struct http_req *req)
{
	loom_assert(of(req)->route->tag != TAG_NONE);
	return &of(req)->precondition;
}

void request_refuse_precondition(struct http_req *req)
{
	http_reply_text(req, 412,
	                "it is not the version that %s names: read it again, and decide anew",
	                of(req)->precondition.match ? "If-Match" : "If-None-Match");
}

bool request_tagged(struct http_req *req, const char *tag)
{
	const struct precondition *p = request_precondition(req);
	const struct precondition match = { .match = p->match };
	http_reply_header(req, "ETag", tag);
	if (!precondition_met(&match, tag))
		request_refuse_precondition(req);
	else if (precondition_has(p, tag))
		http_reply_empty(req, 304);
	else
		return false;
	return true;
}

void request_tag_of(const struct json *shown, char tag[TAG_MAX])
{
	LOOM_CLEANUP_STR char *text = json_text(shown);
	precondition_tag(tag, text, NULL);
}

void request_reply_one(struct http_req *req, int rc, const struct json *list, const char *name,
                       const char *what)
{
	char tag[TAG_MAX];
	bool one = !rc && json_len(list);
	if (one)
		request_tag_of(json_at(list, 0), tag);
	if (!one || !request_tagged(req, tag))
		api_reply_one(req, rc, list, name, what);
}

struct repeatable *request_repeat(const struct http_req *req)
{
	return of(req)->repeat;
}

void request_keep(struct http_req *req, void *data, void (*free_data)(void *))
{
	struct request *r = of(req);
	loom_assert(!r->free_kept);
	r->kept = data;
	r->free_kept = free_data;
}

bool request_permits_cluster(struct http_req *req, const char *template, const char *provider)
{
	const struct request *r = of(req);
	return narrow_permits_cluster(&r->narrow, req, r->route, template, provider);
}

const char *request_worker_tenant(const struct http_req *req)
{
	return of(req)->worker_tenant;
}
