/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking call. */
#include "common/net/http_curl.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_WARNINGS 8

enum { MAX_ANSWER = 16 << 20 };

struct http_conn {
	CURL *h;
};

/* One call under way. */
struct transfer {
	struct http_call *call;
	CURL *h;
	struct curl_guard guard;
	bool stopped;
};

struct http_conn *http_conn_create(void)
{
	curl_setup_once();
	struct http_conn *c = loom_calloc(1, sizeof(*c));
	c->h = curl_easy_init();
	loom_assert(c->h);
	return c;
}

void http_conn_destroy(struct http_conn *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->h);
	loom_free(c);
}

/* What is behind a quoted text (RFC 9110 5.6.4), or NULL when it does not end. */
static const char *unquote(const char *at, const char *end, struct buf *to)
{
	for (at++; at < end && *at != '"'; at++) {
		if (*at == '\\' && at + 1 < end)
			at++;
		buf_add(to, at, 1);
	}
	return at < end ? at + 1 : NULL;
}

static void skip(const char **at, const char *end, const char *these)
{
	while (*at < end && **at && strchr(these, **at))
		(*at)++;
}

/* Warning: 299 loom "text", 299 - "another" "its date" (RFC 7234 5.5). Other numbers are caches'.
 */
static void note_warnings(struct http_call *call, const char *line, size_t len)
{
	static const char name[] = "warning:", code[] = "299 ";
	const char *at = line + sizeof(name) - 1, *end = line + len;
	if (len < sizeof(name) || strncasecmp(line, name, sizeof(name) - 1) != 0)
		return;
	while (at && call->warnings.n < MAX_WARNINGS) {
		struct buf text = BUF_INIT(len + 1);
		skip(&at, end, " \t,");
		bool is_ours = end - at > 4 && memcmp(at, code, sizeof(code) - 1) == 0;
		const char *open = memchr(at, '"', (size_t)(end - at));
		at = open ? unquote(open, end, &text) : NULL;
		if (at && is_ours)
			strs_add(&call->warnings, buf_str(&text));
		buf_fini(&text);
		if (at)
			skip(&at, end, " \t");
		if (at && at < end && *at == '"') {
			struct buf date = BUF_INIT(len + 1);
			at = unquote(at, end, &date);
			buf_fini(&date);
		}
	}
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	int64_t ms = curl_retry_after_ms(line, size * n);
	if (ms >= 0)
		t->call->retry_after_ms = ms;
	note_warnings(t->call, line, size * n);
	return size * n;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct http_call *call = t->call;
	long status = 0;
	if (curl_easy_getinfo(t->h, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
		call->status = (int)status;
	if (call->on_data && call->status < 400) {
		t->stopped = call->on_data(data, size * n, call->arg) != 0;
		return t->stopped ? 0 : size * n;
	}
	buf_add(&call->answer, data, size * n);
	return call->answer.full ? 0 : size * n;
}

static int failed(struct transfer *t, CURLcode code, const char *detail, struct loom_err *err)
{
	struct http_call *call = t->call;
	int rc = curl_errno(t->h, code);
	if (t->guard.refused && code == CURLE_COULDNT_CONNECT) {
		rc = -EACCES;
		detail = "its address is refused";
	} else if (code == CURLE_WRITE_ERROR && t->stopped) {
		rc = -ECANCELED;
		detail = "ended by the caller";
	} else if (code == CURLE_WRITE_ERROR && call->answer.full) {
		rc = -EFBIG;
		detail = "the answer is too large";
	}
	err_set(err, 0, "%s %s: %s", call->method, call->url,
	        *detail ? detail : curl_easy_strerror(code));
	return rc;
}

static int perform(struct http_conn *c, struct http_call *call, struct loom_err *err)
{
	struct transfer t = { .call = call, .h = c->h };
	struct curl_slist *headers = NULL;
	char detail[CURL_ERROR_SIZE] = "";
	long status = 0;
	curl_easy_reset(c->h); /* keeps the connection */
	curl_prepare(c->h, call, true, detail, &headers);
	curl_easy_setopt(c->h, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->h, CURLOPT_HEADERDATA, &t);
	curl_easy_setopt(c->h, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->h, CURLOPT_WRITEDATA, &t);
	curl_guard(c->h, call, &t.guard);
	CURLcode code = curl_easy_perform(c->h);
	if (curl_easy_getinfo(c->h, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
		call->status = (int)status;
	int rc = code == CURLE_OK ? 0 : failed(&t, code, detail, err);
	curl_easy_setopt(c->h, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(c->h, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return rc;
}

int http_call(struct http_conn *c, struct http_call *call, struct loom_err *err)
{
	LOOM_CLEANUP(http_conn_destroy) struct http_conn *fresh = c ? NULL : http_conn_create();
	buf_fini(&call->answer);
	call->answer = BUF_INIT(call->max_answer ? call->max_answer : (size_t)MAX_ANSWER);
	strs_fini(&call->warnings);
	call->status = 0;
	call->retry_after_ms = -1;
	return perform(c ? c : fresh, call, err);
}

const struct http_trust http_trust_system = { 0 };

#define KEY(name, field, doc)                                                       \
	{                                                                           \
		name, CFG_STR, offsetof(struct http_trust, field), "", 0, 0, 0, doc \
	}

const struct config_key http_trust_keys[] = {
	KEY("ca_file", ca,
	    "file with the authorities of the server's certificate, where it is asked by https://, "
	    "PEM; empty: the system's"),
	KEY("client_certificate", certificate,
	    "file with a certificate to show the server, if it wants one"),
	KEY("client_key", key, "file with its private key"),
	{ 0 },
};

int http_trust_check(const struct http_trust *t, struct loom_err *err)
{
	const struct {
		const char *setting, *path;
	} files[] = { { "ca_file", t->ca },
		      { "client_certificate", t->certificate },
		      { "client_key", t->key } };
	for (size_t i = 0; i < LOOM_COUNT(files); i++) {
		if (!str_blank(files[i].path) && access(files[i].path, R_OK) != 0)
			return err_set(err, 400, "%s %s: %s", files[i].setting, files[i].path,
			               strerrordesc_np(errno));
	}
	if (str_blank(t->certificate) == str_blank(t->key))
		return 0;
	return err_set(err, 400, "client_certificate and client_key go together");
}

void http_call_fini(struct http_call *call)
{
	buf_fini(&call->answer);
	strs_fini(&call->warnings);
}

char *http_url_host(const char *url)
{
	char *host = NULL, *scheme = NULL, *user = NULL, *ret = NULL;
	CURLU *u = curl_url();
	loom_assert(u);
	if (!curl_url_set(u, CURLUPART_URL, url, 0) &&
	    !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) &&
	    !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
	    (str_eq(scheme, "http") || str_eq(scheme, "https")) &&
	    curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_NO_USER) {
		size_t n = strlen(host);
		bool bare = host[0] == '[' && n > 2;
		ret = bare ? loom_strndup(host + 1, n - 2) : loom_strdup(host);
		for (char *p = ret; *p; p++)
			*p = (char)tolower((unsigned char)*p);
	}
	curl_free(user);
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(u);
	return ret;
}

bool http_url_is_safe(const char *url)
{
	LOOM_CLEANUP_STR char *host = http_url_host(url);
	if (!host)
		return false;
	return str_starts(url, "https://") || str_eq(host, "localhost") ||
	       str_eq(host, "127.0.0.1") || str_eq(host, "::1");
}
