/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_router - finds the route for a method and a path.  Pure.
 *
 * The first match wins, so specific rows come before general ones.
 */
#ifndef LOOM_NET_HTTP_ROUTER_H
#define LOOM_NET_HTTP_ROUTER_H

#include "common/net/http_server.h"

#include "common/base/str.h"

struct http_match {
	const struct http_route *route; /* NULL: none */
	struct strs names, values;      /* path parameters */
	struct strs allow;              /* no route, but these methods have one: 405 */
};

void http_router_match(const struct http_route *routes, const char *method,
                       const struct strs *segments, struct http_match *ret);
void http_match_fini(struct http_match *m);

#endif
