/* SPDX-License-Identifier: Apache-2.0 */
/* What the two HTTP clients share: a curl handle prepared, and its failures in words. */
#include "common/net/http_curl.h"

#include "common/base/clock.h"
#include "common/base/version.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { CONNECT_MS = 2000, TIMEOUT_MS = 10000, KEEPALIVE_S = 30, RETRY_AFTER_MAX_S = 86400 };
enum { AGAIN_S = 2, CA_KEPT_S = 10 };

static char user_agent[32]; /* written once, before the first handle */

static void global_init(void)
{
	snprintf(user_agent, sizeof(user_agent), "loom/%s", loom_version);
	CURLcode r = curl_global_init(CURL_GLOBAL_ALL);
	loom_assert(r == CURLE_OK);
}

void curl_setup_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, global_init);
}

static void must(CURLcode r)
{
	loom_assert(r == CURLE_OK);
}

static struct curl_slist *add_line(struct curl_slist *l, const char *line)
{
	struct curl_slist *longer = curl_slist_append(l, line);
	loom_assert(longer);
	return longer;
}

static bool names(const char *line, const char *name)
{
	size_t n = strlen(name);
	return strncasecmp(line, name, n) == 0 && line[n] == ':';
}

static struct curl_slist *make_headers(const struct http_call *call)
{
	struct curl_slist *l = NULL;
	bool type = false;
	for (size_t i = 0; call->headers && i < call->headers->n; i++) {
		const char *line = call->headers->v[i];
		if (strpbrk(line, "\r\n"))
			continue; /* would end the header */
		type |= names(line, "Content-Type");
		l = add_line(l, line);
	}
	l = add_line(l, "Expect:"); /* never wait for "100 Continue" */
	if (!type)                  /* without a body: none, where curl would name one */
		l = add_line(l, call->body ? "Content-Type: application/json" : "Content-Type:");
	return l;
}

static void set_body(CURL *h, const struct http_call *call, bool borrow)
{
	const char *method = call->method;
	if (call->body) {
		must(curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len));
		must(curl_easy_setopt(h, borrow ? CURLOPT_POSTFIELDS : CURLOPT_COPYPOSTFIELDS,
		                      call->body));
	} else if (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
	           strcmp(method, "PATCH") == 0) {
		must(curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0));
		must(curl_easy_setopt(h, CURLOPT_POSTFIELDS, ""));
	} else if (strcmp(method, "HEAD") == 0) {
		must(curl_easy_setopt(h, CURLOPT_NOBODY, 1L));
	}
	must(curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method));
}

/* curl takes NULL for what is not there. */
static const char *file(const char *name)
{
	return str_blank(name) ? NULL : name;
}

static void set_trust(CURL *h, const struct http_trust *t)
{
	must(curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, t ? "http,https" : "http"));
	if (!t)
		return;
	must(curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2));
	must(curl_easy_setopt(h, CURLOPT_SSLCERT, file(t->certificate)));
	must(curl_easy_setopt(h, CURLOPT_SSLKEY, file(t->key)));
	if (!file(t->ca))
		return;
	must(curl_easy_setopt(h, CURLOPT_CAINFO, t->ca));
	must(curl_easy_setopt(h, CURLOPT_CAPATH, NULL)); /* or the system's would do, too */
	must(curl_easy_setopt(h, CURLOPT_CA_CACHE_TIMEOUT, (long)CA_KEPT_S));
	must(curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, t->pinned ? 0L : 2L));
}

void curl_prepare(CURL *h, const struct http_call *call, bool borrow_body, char *error_buffer,
                  struct curl_slist **ret_headers)
{
	int64_t connect = call->connect_ms ? call->connect_ms : CONNECT_MS;
	int64_t timeout = call->timeout_ms ? call->timeout_ms : TIMEOUT_MS;
	must(curl_easy_setopt(h, CURLOPT_URL, call->url));
	must(curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L)); /* a/.. is for the server to judge */
	set_trust(h, call->trust);
	must(curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1));
	must(curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L));
	must(curl_easy_setopt(h, CURLOPT_PROXY, ""));
	must(curl_easy_setopt(h, CURLOPT_NOPROXY, "*"));
	must(curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L));
	/* Or the end of a call waits for a name server that does not answer. */
	must(curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L));
	must(curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, call->once ? 1L : 0L));
	must(curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)connect));
	must(curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, timeout < 0 ? 0L : (long)timeout));
	must(curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L));
	must(curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S));
	must(curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S));
	must(curl_easy_setopt(h, CURLOPT_USERAGENT, user_agent));
	must(curl_easy_setopt(h, CURLOPT_ERRORBUFFER, error_buffer));
	set_body(h, call, borrow_body);
	*ret_headers = make_headers(call);
	must(curl_easy_setopt(h, CURLOPT_HTTPHEADER, *ret_headers));
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose LOOM_UNUSED,
                                 struct curl_sockaddr *a)
{
	struct curl_guard *g = arg;
	if (g->allow(&a->addr, g->arg))
		return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	g->refused = true;
	return CURL_SOCKET_BAD;
}

void curl_guard(CURL *h, const struct http_call *call, struct curl_guard *g)
{
	*g = (struct curl_guard){ .allow = call->allow, .arg = call->allow_arg };
	if (!g->allow)
		return;
	must(curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https"));
	must(curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, open_socket));
	must(curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, g));
	must(curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, call->again ? 0L : 1L));
	must(curl_easy_setopt(h, CURLOPT_FORBID_REUSE, call->again ? 0L : 1L));
	must(curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, (long)AGAIN_S));
}

int curl_errno(CURL *h, CURLcode code)
{
	long os = 0;
	if (curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &os) != CURLE_OK)
		os = 0;
	switch ((int)code) {
	case CURLE_OK:
		return 0;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return os > 0 ? -(int)os : -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return -ECONNRESET;
	default:
		return -EPROTO;
	}
}

/* Of seconds or a date (RFC 9110, 10.2.3). */
static int64_t retry_ms(const char *text)
{
	int64_t most = (int64_t)RETRY_AFTER_MAX_S * 1000, ms;
	if (strspn(text, "0123456789") == strlen(text))
		return str_to_int(text, &ms) || ms > RETRY_AFTER_MAX_S ? most : ms * 1000;
	time_t at = isalpha((unsigned char)*text) ? curl_getdate(text, NULL) : -1;
	if (at < 0)
		return -1;
	ms = (int64_t)at * 1000 - clock_wall_ms();
	return ms < 0 ? 0 : ms < most ? ms : most;
}

int64_t curl_retry_after_ms(const char *line, size_t len)
{
	static const char name[] = "Retry-After:";
	char text[64];
	size_t n = sizeof(name) - 1;
	if (len < n || strncasecmp(line, name, n) != 0)
		return -1;
	line += n;
	len -= n;
	while (len && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	while (len && strchr(" \t\r\n", line[len - 1]))
		len--;
	if (!len || len >= sizeof(text))
		return -1;
	memcpy(text, line, len);
	text[len] = '\0';
	return retry_ms(text);
}

int64_t http_retry_after_ms(const struct strs *headers)
{
	int64_t ms = -1;
	for (size_t i = 0; i < headers->n && ms < 0; i++)
		ms = curl_retry_after_ms(headers->v[i], strlen(headers->v[i]));
	return ms;
}
