/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request - between the HTTP server and a handler: enforces the row of the route. A handler runs
 * only for a caller whom the row admits, for a thing that is the caller's. Worker threads.
 *
 * Order, with the answer where it ends: who asks (401, 404 for an unknown tenant), may he, by his
 * role and what his token is good for (403), is the id in the path one (400), is the thing his
 * (404), which version is meant (400, 428), is the body what the row says (413, 400 with all that
 * is wrong), was the same asked for before (409, 422, or the answer of then).
 */
#ifndef LOOM_API_REQUEST_H
#define LOOM_API_REQUEST_H

#include "common/model/precondition.h"
#include "services/api/auth.h"
#include "services/api/route.h"

/* Does the row ask for anything before its handler? */
bool request_needed(const struct route *r);
/* The handler of all such rows; ctx is the API. */
void request_dispatch(struct http_req *req, void *ctx);

/* For handlers, of a request that was let through; valid as long as it is. */
const struct route *request_route(const struct http_req *req);
const struct identity *request_who(const struct http_req *req);
int64_t request_cluster(const struct http_req *req); /* of OWNER_CLUSTER and OWNER_TASK */
const struct task_ref *request_task(const struct http_req *req); /* of OWNER_TASK */

/* Of a provisioner: the only tenant that it may act for, "" for any. */
const char *request_worker_tenant(const struct http_req *req);

/* Who it turned out to be, for the audit log: of a request that asks nobody who he is. */
void request_is(struct http_req *req, const struct identity *who);
/* What the audit log is told of it (audit.h). */
struct audit_note *request_note(const struct http_req *req);

bool request_has_body(const struct http_req *req); /* now: it is there while the handler runs */
/* The body, checked; an object. Borrowed, while the handler runs. */
const struct json *request_body(const struct http_req *req);
struct json *request_take_body(struct http_req *req); /* the same, owned by the caller */

/* Which version the change is to be made to: decided where the row is locked. */
const struct precondition *request_precondition(const struct http_req *req);
/* Of a GET that is about to be answered: shows the tag. true: answered already (304, 412). */
bool request_tagged(struct http_req *req, const char *tag);
void request_refuse_precondition(struct http_req *req); /* 412 */

/* Its key; NULL: it has none. */
struct repeatable *request_repeat(const struct http_req *req);

/* Frees data (once) when the request has been answered. */
void request_keep(struct http_req *req, void *data, void (*free_data)(void *));

/* For handlers that read it themselves: against the row's schema; false when answered. */
bool request_check(struct http_req *req, const struct schema *s, const struct json *body);

#endif
