/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route - one row for each call of both ports: who may make it, who owns the thing that its path
 * names, and what it answers. The dispatcher (request.h) enforces the row before the handler runs.
 * routes_check() refuses an incomplete row: loom-api calls it at start, and a unit test at every
 * build.
 */
#ifndef LOOM_API_ROUTE_H
#define LOOM_API_ROUTE_H

#include "common/base/str.h"
#include "common/net/http_server.h"
#include "common/operation/schemas.h"

/* The caller's role. A row lists the permitted roles as bits. */
enum role {
	ROLE_USER = 1,
	ROLE_AUDITOR = 2, /* reads everything of its tenant, changes nothing */
	ROLE_ADMIN = 4,   /* of its tenant */
	ROLE_SUPERADMIN = 8,
	ROLE_PROVISIONER = 16, /* the internal port */
	ROLE_ANYBODY = 32,     /* without authentication */
};
#define ROLES_ADMIN (ROLE_ADMIN | ROLE_SUPERADMIN)
#define ROLES_USER  (ROLE_USER | ROLES_ADMIN)
#define ROLES_READ  (ROLES_USER | ROLE_AUDITOR)
#define ROLES_AUDIT (ROLES_ADMIN | ROLE_AUDITOR)

/* Who owns the thing in the path? What the caller does not own does not exist: 404. */
enum owner {
	OWNER_UNSAID,  /* refused by routes_check() */
	OWNER_NONE,    /* the path names nothing: a list, or a new thing of the caller's */
	OWNER_ALL,     /* shared by all who may make the call: types of plug-ins, provisioners */
	OWNER_TENANT,  /* a name or number that the model looks up in the caller's tenant */
	OWNER_CLUSTER, /* {id}: a cluster of the caller's tenant; for a user, one of his own */
	OWNER_TASK,    /* {id}: a task, of such a cluster */
	OWNER_CLAIM,   /* a task that the provisioner holds, as the body proves */
};

/* What repeating the call does. */
enum repeat {
	REPEAT_UNSAID,
	REPEAT_READS, /* changes nothing */
	REPEAT_SAME,  /* the same as one call */
	REPEAT_KEY,   /* the same as one call, with the header Idempotency-Key (repeat.h) */
	REPEAT_AGAIN, /* acts again */
};

/* Does the thing have versions for If-Match and If-None-Match (common/model/precondition.h)? */
enum tag_rule {
	TAG_NONE,
	TAG_MATCH, /* GET shows the version; a change may demand one */
	TAG_ASKED, /* the same; with require_if_match a change must demand one */
};

#define MERGE_PATCH "application/merge-patch+json"

/* Does the request have a body? */
enum body_rule {
	TAKES_UNSAID,
	TAKES_NONE,  /* a body is ignored */
	TAKES_WHOLE, /* validated before the handler runs */
	TAKES_MAYBE, /* the same; no body counts as an empty object */
	TAKES_PATCH, /* a merge patch (RFC 7396); the patched document is validated */
	TAKES_OWN,   /* validated by the handler, which must not wait for a worker, or reads a
	              * stream */
};

/* Answers other than JSON with a schema. */
extern const struct schema answer_empty, answer_text, answer_html, answer_events, answer_bytes;

struct route {
	const char *method, *path; /* path: as struct http_route */
	int run;                   /* enum http_run */
	http_handler fn;
	unsigned roles;    /* enum role, the permitted ones */
	const char *scope; /* the scope that a token needs, "clusters:write"; "": none */
	enum owner owner;
	enum repeat repeat;
	enum body_rule takes;
	const struct schema *body;   /* schema of the body; NULL: none */
	const struct schema *answer; /* schema of the 200 answer */
	const char *errors;  /* "404 409": beside those that follow from the rest of the row */
	const char *summary; /* one line */
	const char *since;   /* Loom version that added it */
	enum tag_rule tag;
	const char *action; /* "clusters:stop": finer than the scope, which covers it; NULL: the
	                     * scope */
};

/* Both end with a NULL method. Routes of operations (common/operation) are added to them. */
extern const struct route external_routes[], internal_routes[];
/* Routes of version 0.9.7 (legacy.h), and the operations that it had. */
extern const struct route legacy_routes[], legacy_internal_routes[];
bool legacy_has_operation(const char *name);

/* A query parameter. */
struct route_query {
	const char *path, *name;     /* its route: the path of a GET, or "POST /v2/import" */
	const struct schema *schema; /* an array may be given more than once */
	const char *doc;
};
/* Schema of a flag that gives a successful answer a body; without such a flag it has none. */
extern const struct schema query_fills;
/* Does it change nothing? */
bool route_reads(const struct route *r);
/* Does the parameter belong to this route? */
bool route_takes(const struct route *r, const struct route_query *q);
extern const struct route_query route_queries[]; /* ends with a NULL path */

/* 0, or 500 with err, which names the incomplete row and its gap. */
LOOM_MUST_CHECK int routes_check(const struct route *r, size_t n, struct loom_err *err);
const char *role_name(enum role r); /* "auditor" */
const char *owner_name(enum owner o);
const char *repeat_name(enum repeat r);

/* The routes of both ports in the HTTP server's form. */
struct route_set {
	size_t n;
	struct route *rules;
	struct http_route *v; /* rules[i] belongs to v[i] */
};
struct api_routes {
	struct route_set external, internal;
	struct strs paths, actions; /* of the operations */
	struct schema **schemas;    /* schemas of their bodies, as many as paths */
};

LOOM_MUST_CHECK int api_routes_create(struct api_routes **ret, struct loom_err *err);
void api_routes_destroy(struct api_routes *r); /* after the servers are destroyed */
/* The rule of a row of either set. */
const struct route *api_routes_rule(const struct api_routes *r, const struct http_route *row);

/* The permission that the route demands: its action, or its scope. */
const char *route_permission(const struct route *r);
/* Does any route demand this permission? And all of them, separated by commas; owned. */
bool routes_have_permission(const struct api_routes *r, const char *permission);
char *routes_permissions(const struct api_routes *r);
/* "user, admin or superadmin": the roles of a row; owned. */
char *route_roles(const struct route *r);

#endif
