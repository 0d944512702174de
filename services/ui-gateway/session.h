/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - who sends a request, and whether a page of ours made it.
 *
 * The one place that decides both: the proxy sends what session_of() says and nothing that the
 * browser claims.  Everybody is the configured user until there are sessions to look up.
 * Any thread; nothing is kept.
 */
#ifndef LOOM_GATEWAY_SESSION_H
#define LOOM_GATEWAY_SESSION_H

#include "common/net/http_server.h"

struct sessions {
	const char *default_user, *default_tenant; /* borrowed */
};

struct identity {
	const char *user, *tenant; /* borrowed from the sessions */
};

struct identity session_of(const struct sessions *s, const struct http_req *req);

/* May a request with this method change something, seen where it comes from?  Browsers say it in
 * Sec-Fetch-Site, older ones in Origin only; who sends neither is no browser.  Any but the method
 * may be NULL.  Pure. */
bool session_origin_ok(const char *method, const char *fetch_site, const char *origin,
                       const char *host);
bool session_may_change(const struct http_req *req);

#endif
