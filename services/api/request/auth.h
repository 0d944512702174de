/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth - authenticates callers. By a token, which is looked up and cached for a second, so that
 * revoking it takes effect within one; or, where auth_mode is headers, by the headers of the
 * original's clients, which are believed: for use behind a proxy that sets them.
 */
#ifndef LOOM_API_AUTH_H
#define LOOM_API_AUTH_H

#include "common/model/identity/token.h"
#include "services/api/api.h"
#include "services/api/request/route.h"

#define AUTH_SHOW_TOKEN "show a token: Authorization: Bearer loom_..."
#define AUTH_NOT_GOOD   "the token is not good, or not any more; " AUTH_SHOW_TOKEN

struct identity {
	char user[256], tenant_id[65];
	char home[65]; /* the user's own tenant: a superadmin may work in another */
	enum role role;
	/* The token's; "" without a token. */
	char token[TOKEN_ID], scopes[TOKEN_SCOPES_MAX + 1];
	/* Roles of the home tenant that narrow the caller (narrow.h): the user's, the token's; "":
	 * none. */
	char own[2][OWN_ROLE_NAME + 1];
	enum token_kind kind;
	int64_t expire; /* epoch ms, 0: never */
	bool foreign;   /* an OpenID provider's token */
	uint64_t stamp; /* of what the token is good for (common/model/identity/token.h) */
};

/* Checks auth_mode and the settings that depend on it: 0, or positive with err. */
LOOM_MUST_CHECK int auth_config_check(const struct api_config *cfg, struct loom_err *err);
bool auth_by_token(const struct api *a);

/* true with *who filled; false after answering 401 (no user or tenant, no valid token), 404
 * (unknown tenant) or 503. For the dispatcher (request.h), which checks permissions. Worker
 * threads. */
bool auth(struct api *a, struct http_req *req, struct identity *who);
/* The identity of an admitted provisioner, as far as the token cache knows it. Any thread. */
void auth_worker_identity(struct api *a, const struct http_req *req, struct identity *who);
/* May the caller see all clusters of the tenant, not only its own? */
bool auth_sees_all(const struct identity *who);
/* Does a role of the tenant narrow the caller? */
bool auth_narrowed(const struct identity *who);
/* Do these permissions, separated by blanks, include this one? Write covers every permission of its
 * noun: "clusters:write" covers "clusters:read" and "clusters:stop". "": all. */
bool auth_covers(const char *words, const char *permission);
/* Does the token permit it? */
bool auth_has_scope(const struct identity *who, const char *permission);

/* The part of authentication that needs only the request's head, for http_server_check(): 401
 * before the body is read when the caller is not named, 400 when the headers contradict each other.
 * Loop thread. */
int auth_head(const struct http_head *head, const struct http_route *route, void *ctx,
              struct loom_err *err);
/* The key by which http_server_share() divides the workers: the token, or where auth_mode is
 * headers the tenant. */
const char *auth_share(const struct http_req *req);

/* What a provisioner was admitted as. */
struct worker_pass {
	char tenant[65]; /* id of the only tenant that it may act for, "" for any */
	/* The provisioner's Loom token, "" for none: its id and its stamp. */
	char token[TOKEN_ID];
	uint64_t stamp;
};

#define AUTH_WAIT_MS 4000 /* for the database, over the whole request */

/* Admits a provisioner at the internal port, for the tenant that it names ("*": all, NULL: none).
 * 0; -EAGAIN if this would block on the database and wait_ms is 0; else an error has been answered.
 * Provisioners of the tenant superadmin work for all tenants, others for their own. */
LOOM_MUST_CHECK int auth_worker(struct api *a, struct http_req *req, int64_t wait_ms,
                                const char *tenant, struct worker_pass *ret);
/* Answers a caller whose token was valid at first and has been revoked since. */
void auth_refuse_revoked(struct http_req *req);

/* ---- auth_token.c ---------------------------------------------------------------------------- */

struct token_cache;
struct token_cache *token_cache_create(void);
void token_cache_destroy(struct token_cache *c); /* NULL ok */
void token_cache_clear(struct token_cache *c);   /* accounts or tokens were changed by this
                                                  * process */

/* The token of a request, "" for none; borrowed. */
const char *auth_token_shown(const struct http_req *req);

/* Finds the owner of the request's token: 0; a status with err, or a DB_E_ code; answers nothing. A
 * cached owner is returned without blocking; else it is read, for up to wait_ms; -EAGAIN where that
 * is 0. */
LOOM_MUST_CHECK int auth_token_owner(struct api *a, const struct http_req *req, int64_t wait_ms,
                                     struct token_owner *ret, struct loom_err *err);
/* The tenant that the request names; NULL: none. */
const char *auth_tenant_header(const struct http_req *req);

#endif
