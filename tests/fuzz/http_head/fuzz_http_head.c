/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request that the guard has let through: what is read of it is of these bytes, and
 * nothing of a line's end is left in it. */
#include "tests/fuzz/fuzz.h"

#include "common/base/str.h"
#include "common/net/http_guard.h"
#include "common/net/http_head.h"
#include "common/net/http_uri.h"

#include <string.h>

static void check_text(const char *text)
{
	loom_assert(!strpbrk(text, "\r\n"));
}

static void check_host(const char *host)
{
	check_text(host);
	loom_assert(*host && http_host_is_ours(host, "a.example, *"));
	(void)http_host_is_ours(host, "a.example,b.example");
}

static void check_target(const char *target)
{
	struct http_uri uri = { 0 };
	const char *reason = NULL;
	loom_assert(*target == '/' || *target == '?' || str_eq(target, "*"));
	loom_assert(http_uri_parse(&uri, target, &reason) == 0 || reason);
	http_uri_fini(&uri);
}

static void check_head(struct http_head *h)
{
	loom_assert(*h->method && !strchr(h->method, ' ') && h->n <= HTTP_HEADERS_MAX);
	check_target(h->target);
	for (size_t i = 0; i < h->n; i++) {
		loom_assert(*h->headers[i].name && !strpbrk(h->headers[i].name, ": \t"));
		loom_assert(!str_padded(h->headers[i].value));
		check_text(h->headers[i].value);
		loom_assert(http_head_value(h, h->headers[i].name));
	}
	if (h->host && *h->host)
		check_host(h->host);
	const char *accept = http_head_value(h, "Accept");
	(void)(http_accepts(accept, "application/json") || http_accepts(accept, "*/*"));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const struct http_guard_limits limits = { .max_head = size + 1,
		                                  .max_headers = HTTP_HEADERS_MAX,
		                                  .max_body = 64 };
	struct http_guard guard;
	struct http_head head = { 0 };
	enum http_guard_stop stop;
	http_guard_init(&guard, &limits);
	size_t n = http_guard_next(&guard, data, size, &stop);
	if (stop != HTTP_GUARD_HEAD || guard.status)
		return 0;
	LOOM_CLEANUP_STR char *text = loom_strndup((const char *)data, n);
	loom_assert(strlen(text) == n);
	http_head_parse(&head, text);
	check_head(&head);
	return 0;
}
