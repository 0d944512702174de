/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages of other origins may read answers. */
#include "common/net/http_cors.h"

#include "common/base/netlist.h"
#include "common/base/str.h"

#include <string.h>

#define KEPT_S "600" /* so long a browser does not ask again */

static bool is_port(const char *s)
{
	size_t n = *s == ':' ? strspn(s + 1, "0123456789") : 0;
	return !*s || (n && n <= 5 && !s[1 + n]);
}

/* A scheme, a host and a port, in small letters; no path, and not the '*' that means all. */
static bool is_origin(const char *word)
{
	const char *host = str_starts(word, "https://")  ? word + strlen("https://")
	                   : str_starts(word, "http://") ? word + strlen("http://")
	                                                 : "";
	bool v6 = *host == '[';
	size_t n =
		v6 ? strcspn(host, "]") : strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_");
	if (v6)
		return host[n] == ']' && n > 2 && strspn(host + 1, "0123456789abcdef:.") == n - 1 &&
		       is_port(host + n + 1);
	return n && is_port(host + n);
}

static bool keep_bad(const char *word, const void *arg)
{
	char **const *ret = arg;
	if (is_origin(word))
		return false;
	**ret = loom_strdup(word);
	return true;
}

bool http_cors_valid(const char *origins, char **ret_bad)
{
	*ret_bad = NULL;
	return !net_words(origins, keep_bad, &ret_bad);
}

static bool is_same(const char *word, const void *arg)
{
	return str_eq(word, arg);
}

static bool allowed(const struct http_cors *c, const char *origin)
{
	return origin && net_words(c->origins, is_same, origin);
}

void http_cors_headers(const struct http_cors *c, const char *origin, http_cors_add add, void *arg)
{
	if (str_blank(c->origins))
		return;
	/* Caches must not give one origin the answer to another. */
	add(arg, "Vary", "Origin");
	if (!allowed(c, origin))
		return;
	add(arg, "Access-Control-Allow-Origin", origin);
	add(arg, "Access-Control-Expose-Headers", c->expose);
	if (c->credentials)
		add(arg, "Access-Control-Allow-Credentials", "true");
}

void http_cors_preflight(const struct http_cors *c, const char *origin, const char *methods,
                         http_cors_add add, void *arg)
{
	if (!allowed(c, origin))
		return;
	add(arg, "Access-Control-Allow-Methods", methods);
	add(arg, "Access-Control-Allow-Headers", c->allow);
	add(arg, "Access-Control-Max-Age", KEPT_S);
}
