/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_head - parses in place a request's head that the guard has let through.
 *
 * The head is judged before the body is read, so that a refused request costs nothing more. Pure;
 * all texts point into the head's own bytes.
 */
#ifndef LOOM_NET_HTTP_HEAD_H
#define LOOM_NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEADERS_MAX 100

struct http_head {
	const char *method;
	const char *target; /* path and query; of http://host/path, the part after the host */
	const char *host;   /* of the target if it names one, else the Host header; NULL: none */
	const char *peer;   /* the client's address, filled in by the server */
	size_t n;
	struct {
		const char *name, *value;
	} headers[HTTP_HEADERS_MAX];
};

/* text: from the request line to the empty line, as checked by the guard, NUL-terminated; changed
 * in place. */
void http_head_parse(struct http_head *h, char *text);
/* The first one, case-insensitive; NULL if none. */
const char *http_head_value(const struct http_head *h, const char *name);

/* Does an Accept header (NULL: none) name this media type, and not with q=0? */
bool http_accepts(const char *accept, const char *type);

/* Path and query of a target, and the position of its host (ret_host may be NULL; *ret_len 0:
 * none). */
const char *http_target_path(const char *target, const char **ret_host, size_t *ret_len);

/*
 * Is this host name ours? Always: an address, localhost, this machine's name; and the names in a
 * comma-separated list, "*" for any. This detects a page of another site whose name was made to
 * lead here (DNS rebinding). host may have a port.
 */
bool http_host_is_ours(const char *host, const char *names);

#endif
