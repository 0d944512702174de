/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules - which headers pass through the gateway, and where a request goes. Pure.
 *
 * Removed from requests: hop-by-hop headers, anything that claims an identity (in any spelling;
 * session.h adds it), cookies, and headers about the connection. Removed from answers: hop-by-hop
 * headers, cookies, and headers that the gateway sets itself.
 */
#ifndef LOOM_GATEWAY_RULES_H
#define LOOM_GATEWAY_RULES_H

#include "common/base/buf.h"
#include "common/base/str.h"

/* connection is the value of the message's Connection header, NULL if it has none. */
bool rules_pass_request(const char *name, const char *connection);
bool rules_pass_answer(const char *name, const char *connection);

/* base + "/" + rest (decoded, encoded again here) + the query of raw_uri. Returns owned. */
char *rules_url(const char *base, const char *rest, const char *raw_uri);

/* Adds s percent-encoded, except letters, digits and the characters of keep. */
void rules_encode(struct buf *b, const char *s, const char *keep);

/* Is it a path on this site, possibly with query and fragment, that no browser takes for another
 * site's address? At most RULES_PATH_MAX characters. */
#define RULES_PATH_MAX 1024
bool rules_is_local(const char *path);

/* Adds the header X-Forwarded-For: the addresses that the request itself lists (before; NULL:
 * none), then that of peer ("ip:port", "[ip]:port"). */
void rules_add_forwarded_for(struct strs *out, const char *before, const char *peer);

/* Splits "Name: value"; *ret_value borrows from line. Returns the name, owned; NULL if malformed.
 */
char *rules_split(const char *line, const char **ret_value);

#endif
