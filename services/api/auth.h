/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth - who is asking. The one seam through which identity enters: today the headers that the
 * original's clients send, taken at their word. Worker threads.
 */
#ifndef LOOM_API_AUTH_H
#define LOOM_API_AUTH_H

#include "services/api/api.h"
#include "services/api/route.h"

struct identity {
	char user[256], tenant_id[65];
	enum role role;
};

/* true with *who filled; false after answering 401 (no user or tenant), 404 (unknown tenant) or
 * 503. For the dispatcher (request.h), which knows who may. */
bool auth(struct api *a, struct http_req *req, struct identity *who);
/* Does one see all clusters of the tenant, and not just one's own? */
bool auth_sees_all(const struct identity *who);

/* The same as far as a request's head says it, for http_server_check(): 401 before a body is taken
 * when it does not say who asks, 400 when it says it in two ways. */
int auth_head(const struct http_head *head, const struct http_route *route, void *ctx,
              struct loom_err *err);
/* Whose share of the workers it is, for http_server_share(): that of the tenant in its head. */
const char *auth_share(const struct http_req *req);

#endif
