/* SPDX-License-Identifier: Apache-2.0 */
/* http_curl - what the blocking and the streaming client share of libcurl; for these two only. */
#ifndef LOOM_NET_HTTP_CURL_H
#define LOOM_NET_HTTP_CURL_H

#include "common/net/http_client.h"

#include <curl/curl.h>

void curl_setup_once(void); /* any thread */

/* Sets up h for the call; *ret_headers is to be freed with curl_slist_free_all() after it. The
 * body is borrowed when borrow_body, else copied. */
void curl_prepare(CURL *h, const struct http_call *call, bool borrow_body, char *error_buffer,
                  struct curl_slist **ret_headers);

/* Of a call with `allow`: which addresses are connected to. */
struct curl_guard {
	bool (*allow)(const struct sockaddr *addr, void *arg);
	void *arg;
	bool refused; /* out: one was not */
};
/* After curl_prepare(); g, filled here, must live as long as the transfer. */
void curl_guard(CURL *h, const struct http_call *call, struct curl_guard *g);

/* -errno for a failed transfer. */
int curl_errno(CURL *h, CURLcode code);

/* "Retry-After: 3" gives 3000; anything else -1. */
int64_t curl_retry_after_ms(const char *line, size_t len);

#endif
