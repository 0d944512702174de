/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - who sends a request, and whether a page of ours made it.
 *
 * The one place that decides both: the proxy sends what session_headers() says and nothing that the
 * browser claims. A session is a token of loom-api in a cookie that scripts cannot read; the
 * gateway keeps nothing of it, so any copy takes it. Who has none is the configured user, if any,
 * for an API that believes headers; one that wants tokens answers 401, and the page asks.
 */
#ifndef LOOM_GATEWAY_SESSION_H
#define LOOM_GATEWAY_SESSION_H

#include "common/net/http_server.h"

#define SESSION_COOKIE "loom_session"

struct sessions {
	const char *default_user; /* "": nobody; all borrowed */
	const char *default_tenant, *api_uri;
};

/* Adds the headers that say to the API who asks. Any thread. */
void session_headers(const struct sessions *s, const struct http_req *req, struct strs *out);

/* The cookie of that name in a header; NULL: none that could be a token. Pure; returns owned. */
char *session_cookie(const char *header);

/* Signs in ({"tenant","user","password"} or {"token"}) or out; answers. On a worker. */
void session_begin(const struct sessions *s, struct http_req *req);
void session_end(const struct sessions *s, struct http_req *req);

/* May a request with this method change something, seen where it comes from?  Browsers say it in
 * Sec-Fetch-Site, older ones in Origin only; who sends neither is no browser.  Any but the method
 * may be NULL.  Pure. */
bool session_origin_ok(const char *method, const char *fetch_site, const char *origin,
                       const char *host);
bool session_may_change(const struct http_req *req);

#endif
