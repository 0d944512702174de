/* SPDX-License-Identifier: Apache-2.0 */
/* http_curl - libcurl code of the blocking and the streaming client; for these two only. */
#ifndef LOOM_NET_HTTP_CURL_H
#define LOOM_NET_HTTP_CURL_H

#include "common/net/http_client.h"

#include <curl/curl.h>

void curl_setup_once(void); /* any thread */

/* Sets up h for the call; free *ret_headers with curl_slist_free_all() after it. Borrows the body
 * if borrow_body, else copies it. */
void curl_prepare(CURL *h, const struct http_call *call, bool borrow_body, char *error_buffer,
                  struct curl_slist **ret_headers);

/* For a call with `allow`: checks the addresses to connect to. */
struct curl_guard {
	bool (*allow)(const struct sockaddr *addr, void *arg);
	void *arg;
	bool refused; /* out: an address was refused */
};
/* After curl_prepare(); g, filled here, must live as long as the transfer. */
void curl_guard(CURL *h, const struct http_call *call, struct curl_guard *g);

/* -errno for a failed transfer. */
int curl_errno(CURL *h, CURLcode code);

/* "Retry-After: 3" gives 3000, a date what is left until then, more than a day a day; else -1. */
int64_t curl_retry_after_ms(const char *line, size_t len);

#endif
