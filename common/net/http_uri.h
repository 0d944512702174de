/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_uri - parses a request target into decoded path segments and query pairs.
 *
 * Empty segments are dropped, so "/a//b/" is "/a/b".  Refuses bad percent-encoding, decoded control
 * characters, an encoded slash, "." and ".." as segments, and a space at a segment's end
 * (str_padded()).  Pure.
 */
#ifndef LOOM_NET_HTTP_URI_H
#define LOOM_NET_HTTP_URI_H

#include "common/base/str.h"

struct http_uri {
	char *path;           /* decoded, normalised: "/", "/a/b" */
	struct strs segments; /* decoded */
	struct strs names;    /* of the query, decoded; values has the same length */
	struct strs values;
};

/* 0, or -EINVAL with *ret_reason (a literal) set; fini either way. */
LOOM_MUST_CHECK int http_uri_parse(struct http_uri *u, const char *target, const char **ret_reason);
void http_uri_fini(struct http_uri *u);

/* Decodes n bytes of s; with plus, '+' is a space. NULL if malformed; else returns owned. */
char *http_uri_decode(const char *s, size_t n, bool plus);

#endif
