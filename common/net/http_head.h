/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_head - a request's head that the guard has let through, taken apart where it lies.
 *
 * It is looked at before the body is taken, so that whoever is refused costs nothing more.
 * Pure; all texts point into the head's own bytes.
 */
#ifndef LOOM_NET_HTTP_HEAD_H
#define LOOM_NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEADERS_MAX 100

struct http_head {
	const char *method;
	const char *target; /* path and query: of http://host/path what follows the host */
	const char *host;   /* of the target if it names one, else the Host header; NULL: none */
	const char *peer;   /* the address that it is from, filled in by the server */
	size_t n;
	struct {
		const char *name, *value;
	} headers[HTTP_HEADERS_MAX];
};

/* text: from the request line to the empty line, as the guard has checked it, ended by a NUL;
 * changed in place. */
void http_head_parse(struct http_head *h, char *text);
/* The first one, case-insensitive; NULL if none. */
const char *http_head_value(const struct http_head *h, const char *name);

/* Does a header Accept (NULL: none) name this media type, and not with q=0? */
bool http_accepts(const char *accept, const char *type);

/* Path and query of a target, and where its host is (ret_host may be NULL; *ret_len 0: none). */
const char *http_target_path(const char *target, const char **ret_host, size_t *ret_len);

/*
 * Is a host one that we go by? Always: an address, localhost, this machine's name; and the names of
 * a comma-separated list, "*" for any. A page of another site whose name was made to lead here is
 * found out by it (DNS rebinding). host may have a port.
 */
bool http_host_is_ours(const char *host, const char *names);

#endif
