/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - the identity of a request, and whether one of our pages sent it.
 *
 * This module alone decides both: the proxy sends the headers of session_headers(), and nothing
 * that the browser claims, except a token that a program shows. A session is a token of loom-api in
 * a cookie that scripts cannot read, or what a login at an OpenID provider has left there
 * (login.h); the gateway stores nothing, so any copy accepts it. Without a session the caller is
 * the configured user, if any, for an API that believes headers; an API that wants tokens answers
 * 401, and the page asks for a login.
 */
#ifndef LOOM_GATEWAY_SESSION_H
#define LOOM_GATEWAY_SESSION_H

#include "services/ui-gateway/login.h"

#include "common/net/http_client.h"
#include "common/net/http_server.h"

#define SESSION_COOKIE "loom_session"

struct sessions {
	const char *default_user; /* "": nobody; all borrowed */
	const char *default_tenant, *api_uri;
	const struct http_trust *trust; /* of the API */
	const struct login *login;      /* NULL: no provider is configured */
};

/* Adds the headers that tell the API who the caller is; login: the browser's (renew.h), or NULL. A
 * token sent with the request takes precedence over cookies. Any thread. */
void session_headers(const struct sessions *s, const struct http_req *req,
                     const struct ticket_session *login, struct strs *out);

/* Adds the header that tells the API where a request comes from: joins all its X-Forwarded-For
 * headers, as proxies may add one each. Any thread. */
void session_forwarded(const struct http_req *req, struct strs *out);

/* The session's token from a Cookie header; NULL: none of the right form. Pure; returns owned. */
char *session_cookie(const char *header);

/* The ways to log in, for the page: {"login": the provider's name, or null}. */
void session_ways(const struct sessions *s, struct http_req *req);
/* Signs in ({"tenant","user","password"} or {"token"}) or out; answers. On a worker. */
void session_begin(const struct sessions *s, struct http_req *req);
void session_end(const struct sessions *s, struct http_req *req);
void session_forget_token(struct http_req *req); /* any thread */

/* Does the browser use TLS? */
bool session_is_secure(const struct http_req *req);

/* May a request with this method change something, given where it comes from? Browsers say it in
 * Sec-Fetch-Site, older ones only in Origin; a client that sends neither is not a browser, and then
 * a cookie is not enough. All but the method may be NULL. Pure. */
bool session_origin_ok(const char *method, const char *fetch_site, const char *origin,
                       const char *host, bool by_cookie);
/* Why the request is refused; NULL: it is not. */
const char *session_refusal(const struct sessions *s, const struct http_req *req);
/* Was this address opened by a person or one of our pages, not by another site's? */
bool session_may_navigate(const struct http_req *req);

#endif
