/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request: lines into names and values, absolute targets into paths, whose host. */
#include "common/net/http_head.h"

#include "common/base/str.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *http_target_path(const char *target, const char **ret_host, size_t *ret_len)
{
	const char *host = NULL;
	size_t n = 0;
	if (*target != '/' && !str_eq(target, "*")) {
		host = strstr(target, "://");
		host = host ? host + 3 : target;
		n = strcspn(host, "/?");
		target = host + n;
	}
	if (ret_host) {
		*ret_host = host;
		*ret_len = n;
	}
	return *target ? target : "/";
}

/* Ends the text at the next `end` and returns what follows. */
static char *cut(char *text, const char *end)
{
	char *at = strstr(text, end);
	if (!at)
		return text + strlen(text);
	*at = '\0';
	return at + strlen(end);
}

static char *trim(char *value)
{
	value += strspn(value, " \t");
	size_t n = strlen(value);
	while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		n--;
	value[n] = '\0';
	return value;
}

void http_head_parse(struct http_head *h, char *text)
{
	const char *host;
	size_t n;
	char *lines = cut(text, "\r\n");
	h->method = text;
	char *target = cut(text, " ");
	(void)cut(target, " ");
	h->target = http_target_path(target, &host, &n);
	for (h->n = 0; *lines && *lines != '\r' && h->n < HTTP_HEADERS_MAX; h->n++) {
		char *line = lines;
		lines = cut(line, "\r\n");
		h->headers[h->n].value = trim(cut(line, ":"));
		h->headers[h->n].name = line;
	}
	h->host = http_head_value(h, "Host");
	if (n) { /* where the scheme was there is room for it, and for its end */
		memmove(target, host, n);
		target[n] = '\0';
		h->host = target;
	}
}

const char *http_head_value(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++) {
		if (str_ieq(h->headers[i].name, name))
			return h->headers[i].value;
	}
	return NULL;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_address(const char *host)
{
	unsigned char scrap[sizeof(struct in6_addr)];
	size_t n = strlen(host);
	if (inet_pton(AF_INET, host, scrap) == 1)
		return true;
	if (n < 3 || host[0] != '[' || host[n - 1] != ']')
		return false;
	LOOM_CLEANUP_STR char *inner = loom_strndup(host + 1, n - 2);
	inner[strcspn(inner, "%")] = '\0'; /* a zone */
	return inet_pton(AF_INET6, inner, scrap) == 1;
}

static bool is_own_name(const char *host)
{
	char name[256] = "";
	if (str_ieq(host, "localhost"))
		return true;
	if (gethostname(name, sizeof(name) - 1) != 0 || !*name)
		return false;
	if (str_ieq(host, name))
		return true;
	name[strcspn(name, ".")] = '\0';
	return str_ieq(host, name);
}

static bool is_listed(const char *host, const char *names)
{
	size_t len = strlen(host);
	for (const char *at = names; at && *at;) {
		at += strspn(at, ", \t");
		size_t n = strcspn(at, ", \t");
		if ((n == len && strncasecmp(at, host, n) == 0) || (n == 1 && *at == '*'))
			return true;
		at += n;
	}
	return false;
}

bool http_host_is_ours(const char *host, const char *names)
{
	size_t n = strlen(host);
	const char *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');
	if (colon && (!bracket || colon > bracket))
		n = (size_t)(colon - host);
	if (n && host[n - 1] == '.') /* the root, said aloud */
		n--;
	LOOM_CLEANUP_STR char *name = loom_strndup(host, n);
	return is_address(name) || is_own_name(name) || is_listed(name, names);
}

/* ";q=0", ";q=0.000" */
static bool is_refused(const char *params, size_t n)
{
	for (size_t i = 0; i + 3 < n; i++) {
		if (params[i] != 'q' && params[i] != 'Q')
			continue;
		if (params[i + 1] == '=' && params[i + 2] == '0')
			return strspn(params + i + 2, "0.") >= strcspn(params + i + 2, ", ;\t");
	}
	return false;
}

bool http_accepts(const char *accept, const char *type)
{
	size_t want = strlen(type);
	for (const char *p = accept; p && *p;) {
		p += strspn(p, " \t,");
		size_t all = strcspn(p, ","), n = strcspn(p, ",; \t");
		if (n == want && strncasecmp(p, type, n) == 0)
			return !is_refused(p + n, all - n + 1);
		p += all;
	}
	return false;
}
