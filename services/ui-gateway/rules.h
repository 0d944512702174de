/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules - which headers pass through the gateway, and where a request goes.  Pure.
 *
 * Left out of requests: hop-by-hop headers, whatever claims an identity (in any spelling), cookies,
 * and what belongs to the connection.  Left out of answers: hop-by-hop headers, cookies, and what
 * the gateway says itself.
 */
#ifndef LOOM_GATEWAY_RULES_H
#define LOOM_GATEWAY_RULES_H

#include "common/base/str.h"

/* connection is the value of the message's Connection header, NULL if it has none. */
bool rules_pass_request(const char *name, const char *connection);
bool rules_pass_answer(const char *name, const char *connection);

/* base + "/" + rest (decoded, encoded again here) + the query of raw_uri. Returns owned. */
char *rules_url(const char *base, const char *rest, const char *raw_uri);

/* Splits "Name: value"; *ret_value borrows from line. Returns the name, owned; NULL if malformed.
 */
char *rules_split(const char *line, const char **ret_value);

#endif
