/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request - between the HTTP server and a handler: enforces the row of the route. A handler runs
 * only for a caller whom the row admits, and a thing that belongs to the caller. Worker threads.
 *
 * The checks in order, with their refusals: who the caller is (401, 404 for an unknown tenant);
 * whether his role and token permit the call (403); the id's form in the path (400); whether the
 * thing is his (404); whether he may change clusters of this template and provider (403); which
 * version he means (400, 428); the spelling of the query (400); the body against its schema (413,
 * 400 with all that is wrong); whether the request was sent before (409, 422, or the earlier
 * answer).
 */
#ifndef LOOM_API_REQUEST_H
#define LOOM_API_REQUEST_H

#include "common/model/precondition.h"
#include "services/api/request/auth.h"
#include "services/api/request/route.h"

/* Does the row demand any check before its handler? */
bool request_needed(const struct route *r);
/* The handler of all such rows; ctx is the API. */
void request_dispatch(struct http_req *req, void *ctx);

/* For handlers; valid while the request is. */
const struct route *request_route(const struct http_req *req);
const struct identity *request_who(const struct http_req *req);
int64_t request_cluster(const struct http_req *req); /* for OWNER_CLUSTER and OWNER_TASK */
const struct task_ref *request_task(const struct http_req *req); /* for OWNER_TASK */

/* May the caller change, or make, a cluster of this template and provider? For handlers of routes
 * whose path names no cluster; false after answering 403. */
bool request_permits_cluster(struct http_req *req, const char *template, const char *provider);

/* The only tenant that a provisioner may act for, "" for any. */
const char *request_worker_tenant(const struct http_req *req);

/* Names the caller for the audit log, where the route itself does not authenticate. */
void request_is(struct http_req *req, const struct identity *who);
/* The request's notes for the audit log (audit.h). */
struct audit_note *request_note(const struct http_req *req);

bool request_has_body(const struct http_req *req); /* now: the body exists only while the handler
                                                    * runs */
/* The validated body, an object. Borrowed, while the handler runs. */
const struct json *request_body(const struct http_req *req);
struct json *request_take_body(struct http_req *req); /* the same, owned by the caller */

/* The version that the change is meant for; compare it where the row is locked. */
const struct precondition *request_precondition(const struct http_req *req);
/* Call before answering a GET: sends the tag. true: answered already (304, 412). */
bool request_tagged(struct http_req *req, const char *tag);
/* The tag of what is shown with the time of its last change. */
void request_tag_of(const struct json *shown, char tag[TAG_MAX]);
/* As api_reply_one(), with that tag. */
void request_reply_one(struct http_req *req, int rc, const struct json *list, const char *name,
                       const char *what);
void request_refuse_precondition(struct http_req *req); /* answers 412 */

/* Its idempotency key; NULL: none. */
struct repeatable *request_repeat(const struct http_req *req);

/* Frees data (once) when the request has been answered. */
void request_keep(struct http_req *req, void *data, void (*free_data)(void *));

/* For handlers that read the body themselves: validates it against the row's schema; false when
 * answered. */
#define REQUEST_PASSED_OVER "no such field, passed over"
/* Adds a warning to the answer: a likely mistake that is not an error. */
void request_warn(struct http_req *req, const char *what, const struct strs *names);
bool request_check(struct http_req *req, const struct schema *s, const struct json *body);

#endif
