/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth - who is asking. By a token, which is looked up and remembered for a second, so that what is
 * revoked ends within one; or, where auth_mode is headers, by the headers that the original's
 * clients send, taken at their word, for use behind a proxy that sets them.
 */
#ifndef LOOM_API_AUTH_H
#define LOOM_API_AUTH_H

#include "common/model/token.h"
#include "services/api/api.h"
#include "services/api/route.h"

#define AUTH_SHOW_TOKEN "show a token: Authorization: Bearer loom_..."

struct identity {
	char user[256], tenant_id[65];
	char home[65]; /* the tenant that the user is of: a superadmin may work in another */
	enum role role;
	/* Of the token; "" where none was asked for. */
	char token[TOKEN_ID], scopes[TOKEN_SCOPES_MAX + 1];
	enum token_kind kind;
	int64_t expire; /* epoch ms, 0: never */
};

/* Checks auth_mode and what depends on it: 0, or positive with err. */
LOOM_MUST_CHECK int auth_config_check(const struct api_config *cfg, struct loom_err *err);
bool auth_by_token(const struct api *a);

/* true with *who filled; false after answering 401 (no user or tenant, no token that is good), 404
 * (unknown tenant) or 503. For the dispatcher (request.h), which knows who may. Worker threads. */
bool auth(struct api *a, struct http_req *req, struct identity *who);
/* Who a provisioner is that was let in, as far as a token that is remembered says. Any thread. */
void auth_worker_identity(struct api *a, const struct http_req *req, struct identity *who);
/* Does one see all clusters of the tenant, and not just one's own? */
bool auth_sees_all(const struct identity *who);
/* Is the token good for this scope, "clusters:write"? What may write may read. */
bool auth_has_scope(const struct identity *who, const char *scope);

/* The same as far as a request's head says it, for http_server_check(): 401 before a body is taken
 * when it does not say who asks, 400 when it says it in two ways. Loop thread. */
int auth_head(const struct http_head *head, const struct http_route *route, void *ctx,
              struct loom_err *err);
/* Whose share of the workers it is, for http_server_share(): that of the tenant in its head. */
const char *auth_share(const struct http_req *req);

/* A provisioner at the internal port, which speaks for a tenant ("*": all, NULL: none): 0; -EAGAIN,
 * when it would have to block on the database and must not; else an error has been answered. Those
 * of the tenant superadmin work for all tenants, others for their own. *ret_tenant (may be NULL):
 * the id of the only tenant that it may act for, "" for any. */
LOOM_MUST_CHECK int auth_worker(struct api *a, struct http_req *req, bool may_block,
                                const char *tenant, char ret_tenant[65]);

/* ---- auth_token.c ---------------------------------------------------------------------------- */

struct token_cache;
struct token_cache *token_cache_create(void);
void token_cache_destroy(struct token_cache *c); /* NULL ok */
void token_cache_clear(struct token_cache *c);   /* accounts or tokens were changed here */

/* The token in a request, "" for none; borrowed. */
const char *auth_token_shown(const struct http_req *req);

/* Whose token the request shows: 0; a status with err, or a DB_E_ code, nothing is answered. *ret
 * is filled without blocking when it is remembered; else blocking only if may_block, or -EAGAIN. */
LOOM_MUST_CHECK int auth_token_owner(struct api *a, const struct http_req *req, bool may_block,
                                     struct token_owner *ret, struct loom_err *err);
/* What a request says of the tenant that it works in; NULL: nothing. */
const char *auth_tenant_said(const struct http_req *req);

#endif
