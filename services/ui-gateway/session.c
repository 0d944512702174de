/* SPDX-License-Identifier: Apache-2.0 */
/* Who a request of the page is made as. */
#include "session.h"

#include "common/base/str.h"

#include <string.h>

struct identity session_of(const struct sessions *s, const struct http_req *req)
{
	(void)req; /* its cookie will say who it is */
	return (struct identity){ .user = s->default_user, .tenant = s->default_tenant };
}

static bool changes_nothing(const char *method)
{
	return str_eq(method, "GET") || str_eq(method, "HEAD") || str_eq(method, "OPTIONS");
}

/* "http://a:1" and "https://a:1" are both the origin of host "a:1": who ends TLS for us does not
 * change the Host header. */
static bool is_origin_of(const char *origin, const char *host)
{
	const char *sep = strstr(origin, "://");
	return sep && (str_starts(origin, "http://") || str_starts(origin, "https://")) && host &&
	       str_ieq(sep + 3, host);
}

bool session_origin_ok(const char *method, const char *fetch_site, const char *origin,
                       const char *host)
{
	if (changes_nothing(method))
		return true;
	if (fetch_site)
		return str_ieq(fetch_site, "same-origin") || str_ieq(fetch_site, "none");
	return !origin || is_origin_of(origin, host);
}

bool session_may_change(const struct http_req *req)
{
	return session_origin_ok(http_method(req), http_header(req, "Sec-Fetch-Site"),
	                         http_header(req, "Origin"), http_header(req, "Host"));
}
