/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route - one row for each call of both ports, which says all of it: who may make it, whose the
 * thing is that its path names, and what it answers. The dispatcher (request.h) enforces the row
 * before the handler runs; a row that leaves something open does not get past routes_check(), which
 * loom-api asks at start, and which a unit test asks at every build.
 */
#ifndef LOOM_API_ROUTE_H
#define LOOM_API_ROUTE_H

#include "common/base/str.h"
#include "common/net/http_server.h"
#include "common/operation/schemas.h"

/* Who asks. Rows name those who may, as bits. */
enum role {
	ROLE_USER = 1,
	ROLE_AUDITOR = 2, /* reads all of its tenant, changes nothing */
	ROLE_ADMIN = 4,   /* of its tenant */
	ROLE_SUPERADMIN = 8,
	ROLE_PROVISIONER = 16, /* the internal port */
	ROLE_ANYBODY = 32,     /* nobody is asked who he is */
};
#define ROLES_ADMIN (ROLE_ADMIN | ROLE_SUPERADMIN)
#define ROLES_USER  (ROLE_USER | ROLES_ADMIN)
#define ROLES_READ  (ROLES_USER | ROLE_AUDITOR)
#define ROLES_AUDIT (ROLES_ADMIN | ROLE_AUDITOR)

/* Whose is what the path names? What is not the caller's does not exist: 404. */
enum owner {
	OWNER_UNSAID,  /* refused by routes_check() */
	OWNER_NONE,    /* the path names nothing: a list or a new thing of the caller's own */
	OWNER_ALL,     /* everybody's who may make the call: types of plug-ins, provisioners */
	OWNER_TENANT,  /* a name or number that the model looks up among the caller's tenant's */
	OWNER_CLUSTER, /* {id}: a cluster, of the caller's tenant, and a user's own */
	OWNER_TASK,    /* {id}: a task, of such a cluster */
	OWNER_CLAIM,   /* a task that the provisioner holds: it shows so in the body */
};

/* What making the call twice does. */
enum repeat {
	REPEAT_UNSAID,
	REPEAT_READS, /* changes nothing */
	REPEAT_SAME,  /* the same as once */
	REPEAT_KEY,   /* the same as once with the header Idempotency-Key (repeat.h) */
	REPEAT_AGAIN, /* acts again */
};

/* Does the thing have versions that If-Match and If-None-Match name (common/model/precondition.h)?
 */
enum tag_rule {
	TAG_NONE,
	TAG_MATCH, /* GET shows it; a change is made to the version that it names */
	TAG_ASKED, /* the same; with require_if_match a change must name one */
};

#define MERGE_PATCH "application/merge-patch+json"

/* Does a request bring a document? */
enum body_rule {
	TAKES_UNSAID,
	TAKES_NONE,  /* a body is passed over */
	TAKES_WHOLE, /* checked before the handler runs */
	TAKES_MAYBE, /* the same; no body is an empty object */
	TAKES_PATCH, /* a merge patch (RFC 7396) of such a document: what it comes to is checked */
	TAKES_OWN,   /* the handler checks it, for it must not wait for a worker, or is a stream */
};

/* What is answered, but for JSON of some schema. */
extern const struct schema answer_empty, answer_text, answer_html, answer_events, answer_bytes;

struct route {
	const char *method, *path; /* path: as struct http_route */
	int run;                   /* enum http_run */
	http_handler fn;
	unsigned roles;    /* enum role, those who may */
	const char *scope; /* "clusters:write": what a token must be good for; "": nothing */
	enum owner owner;
	enum repeat repeat;
	enum body_rule takes;
	const struct schema *body;   /* what it brings; NULL: nothing */
	const struct schema *answer; /* what comes with 200 */
	const char *errors;  /* "404 409": beside those that follow from the rest of the row */
	const char *summary; /* one line */
	const char *since;   /* version of Loom */
	enum tag_rule tag;
};

/* Both end with a NULL method. Those of operations (common/operation) come beside. */
extern const struct route external_routes[], internal_routes[];
/* Those of version 0.9.7 (legacy.h), and which operations it had. */
extern const struct route legacy_routes[], legacy_internal_routes[];
bool legacy_has_operation(const char *name);

/* What may stand behind the '?'. */
struct route_query {
	const char *path, *name;     /* path: of a GET, or "POST /v2/import" */
	const struct schema *schema; /* of an array: it may be given more than once */
	const char *doc;
};
/* Is it one of this row's? */
bool route_takes(const struct route *r, const struct route_query *q);
extern const struct route_query route_queries[]; /* ends with a NULL path */

/* 0, or 500 with err: which row leaves what open. */
LOOM_MUST_CHECK int routes_check(const struct route *r, size_t n, struct loom_err *err);
const char *role_name(enum role r); /* "auditor" */
const char *owner_name(enum owner o);
const char *repeat_name(enum repeat r);

/* The rows of both ports as the HTTP server wants them. */
struct route_set {
	size_t n;
	struct route *rules;
	struct http_route *v; /* rules[i] is that of v[i] */
};
struct api_routes {
	struct route_set external, internal;
	struct strs paths;       /* of the operations */
	struct schema **schemas; /* of their bodies, as many as paths */
};

LOOM_MUST_CHECK int api_routes_create(struct api_routes **ret, struct loom_err *err);
void api_routes_destroy(struct api_routes *r); /* after the servers */
/* The rule of a row of either set. */
const struct route *api_routes_rule(const struct api_routes *r, const struct http_route *row);

/* Does some row ask for this scope? And all of them, by name, with commas; owned. */
bool routes_have_scope(const struct api_routes *r, const char *scope);
char *routes_scopes(const struct api_routes *r);
/* "user, admin or superadmin": those in a row's roles; owned. */
char *route_roles(const struct route *r);

#endif
