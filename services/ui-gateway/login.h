/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login - the browser's login at an OpenID provider: authorization code with PKCE.
 *
 *	GET /login?to=PATH     to the provider; state, nonce and verifier go into a sealed cookie
 *	GET /login/callback    back from it; the code becomes tokens, loom-api says who it is, and
 *	                       the session goes into sealed cookies
 *	GET /logout            ends the session, here and at the provider
 *
 * Nothing is stored here, so that any copy of the gateway can continue what another began. For
 * worker threads, unless said otherwise.
 */
#ifndef LOOM_GATEWAY_LOGIN_H
#define LOOM_GATEWAY_LOGIN_H

#include "services/ui-gateway/provider.h"
#include "services/ui-gateway/ticket.h"

#include "common/net/http_client.h"
#include "common/net/http_server.h"

#define LOGIN_COOKIE  "loom_login"
#define LOGIN_ATTEMPT "loom_login_state"

struct login;

/* Borrows cfg and api_uri. 0; *ret is NULL when no provider is configured. Positive with err when a
 * setting is wrong. */
LOOM_MUST_CHECK int login_create(const struct provider_config *cfg, const char *api_uri,
                                 const struct http_trust *trust, struct login **ret,
                                 struct loom_err *err);
void login_destroy(struct login *l); /* NULL ok */

void login_begin(struct login *l, struct http_req *req);
void login_back(struct login *l, struct http_req *req);
/* Calls ended(id, arg) on the loop, with the id of the session that has ended. */
void login_end(struct login *l, struct http_req *req, void (*ended)(const char *id, void *arg),
               void *arg);

/* The provider's name for the page; NULL: none is configured. l NULL ok; any thread. */
const char *login_name(const struct login *l);
/* The browser's session; NULL: no valid one. Returns owned; l NULL ok; any thread. */
struct ticket_session *login_session(const struct login *l, const struct http_req *req);
/* Stores the session in the browser with the next answer; false: it is too long. Any thread. */
LOOM_MUST_CHECK bool login_keep(const struct login *l, struct http_req *req,
                                const struct ticket_session *s);
void login_forget(struct http_req *req); /* any thread */

/* Renews a session, for the same user: 0 with *ret owned; else rc and err are as from
 * provider_renew(). */
LOOM_MUST_CHECK int login_renew(struct login *l, const struct ticket_session *old,
                                struct ticket_session **ret, struct loom_err *err);

#endif
