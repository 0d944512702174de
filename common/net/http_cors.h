/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_cors - decides which pages of other origins may read answers (the Fetch standard's CORS
 * protocol). Pure; any thread.
 */
#ifndef LOOM_NET_HTTP_CORS_H
#define LOOM_NET_HTTP_CORS_H

#include <stdbool.h>

struct http_cors {
	const char *origins;        /* "https://a.example, http://localhost:3000"; "": none */
	bool credentials;           /* cookies and the like may be sent */
	const char *allow, *expose; /* headers that pages may send, and may read; comma-separated */
};

/* Are all words of a list exact origins, as browsers write them? *ret_bad owned: the first that is
 * not. */
bool http_cors_valid(const char *origins, char **ret_bad);

typedef void (*http_cors_add)(void *arg, const char *name, const char *value);

/* Adds the headers of an answer to a request from origin (may be NULL). */
void http_cors_headers(const struct http_cors *c, const char *origin, http_cors_add add, void *arg);
/* Adds those, and the headers that tell what may be sent to a path with these methods. */
void http_cors_preflight(const struct http_cors *c, const char *origin, const char *methods,
                         http_cors_add add, void *arg);

#endif
