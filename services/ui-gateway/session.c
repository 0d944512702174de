/* SPDX-License-Identifier: Apache-2.0 */
/* Who a request of the page is made as, and how one signs in and out. */
#include "session.h"

#include "common/base/str.h"
#include "common/json/json.h"
#include "common/net/http_client.h"

#include <sodium.h>
#include <string.h>

#define TOKEN_MAX 256
#define BODY_MAX  8192
#define ANSWER_MS 10000
#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

char *session_cookie(const char *header)
{
	static const char name[] = SESSION_COOKIE "=";
	for (const char *at = header; at && *at; at = strchr(at, ';')) {
		at += strspn(at, "; ");
		if (!str_starts(at, name))
			continue;
		const char *value = at + strlen(name);
		size_t n = strspn(value, BASE64URL);
		bool ends = !value[n] || value[n] == ';';
		return n && n <= TOKEN_MAX && ends ? loom_strndup(value, n) : NULL;
	}
	return NULL;
}

void session_headers(const struct sessions *s, const struct http_req *req, struct strs *out)
{
	LOOM_CLEANUP_STR char *token = session_cookie(http_header(req, "Cookie"));
	if (token) {
		strs_addf(out, "Authorization: Bearer %s", token);
		return;
	}
	if (!*s->default_user)
		return;
	strs_addf(out, "X-Loom-UserID: %s", s->default_user);
	strs_addf(out, "X-Loom-TenantID: %s", s->default_tenant);
}

/* ---- signing in and out ---------------------------------------------------------------------- */

/* Not for other sites, not for scripts; over TLS only, where the browser came by it. */
static void set_cookie(struct http_req *req, const char *token)
{
	const char *proto = http_header(req, "X-Forwarded-Proto");
	LOOM_CLEANUP_STR char *cookie = loom_asprintf(
		SESSION_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict%s%s", token ? token : "",
		token ? "" : "; Max-Age=0", proto && str_ieq(proto, "https") ? "; Secure" : "");
	http_reply_header(req, "Set-Cookie", cookie);
	http_reply_header(req, "Cache-Control", "no-store");
}

static bool may_be_ours(struct http_req *req)
{
	if (session_may_change(req))
		return true;
	http_reply_problem(req, 403, "only Loom's own page may sign in or out");
	return false;
}

static bool is_token(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	return n && n <= TOKEN_MAX && strspn(s, BASE64URL) == n;
}

/* The API's answer; the token goes into the cookie: that which was shown, or the answer's. */
static void pass_answer(struct http_req *req, const struct http_call *call, const char *shown)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	const char *text = buf_str(&call->answer);
	bool ok = call->status == 200 && json_parse(text, call->answer.len, 0, &v, NULL) == 0;
	const char *token = shown ? shown : json_get_str(v, "token");
	if (ok && is_token(token)) {
		set_cookie(req, token);
		json_del(v, "token");
		http_reply_json(req, 200, v);
	} else if (call->status == 200)
		http_reply_problem(req, 502, "loom-api does not answer as it should");
	else
		http_reply(req, call->status, "text/plain; charset=utf-8", text, call->answer.len);
}

/* Asks the API with the body as it came, which has a password; or whose the token in it is. */
static void ask_api(const struct sessions *s, struct http_req *req, const char *body, size_t len,
                    const char *token)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *url =
		loom_asprintf("%s/v2/%s", s->api_uri, token ? "whoami" : "login");
	__attribute__((cleanup(strs_fini_p))) struct strs headers = { 0 };
	strs_addf(&headers, "X-Request-ID: %s", http_id(req));
	if (token)
		strs_addf(&headers, "Authorization: Bearer %s", token);
	else
		strs_add(&headers, "Content-Type: application/json");
	struct http_call call = { .method = token ? "GET" : "POST",
		                  .url = url,
		                  .headers = &headers,
		                  .body = token ? NULL : body,
		                  .body_len = token ? 0 : len,
		                  .timeout_ms = ANSWER_MS };
	if (http_call(NULL, &call, &err))
		http_reply_problem(req, 502, "loom-api: %s", err.msg);
	else
		pass_answer(req, &call, token);
	http_call_fini(&call);
}

void session_begin(const struct sessions *s, struct http_req *req)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	size_t len;
	const char *body = http_body(req, &len);
	if (!may_be_ours(req))
		return;
	if (len > BODY_MAX) {
		http_reply_problem(req, 413, "at most %d bytes sign somebody in", BODY_MAX);
		return;
	}
	/* What is no JSON, the API says. */
	bool shown = !json_parse(body, len, 0, &v, NULL) && json_get(v, "token");
	const char *token = shown ? json_get_str(v, "token") : NULL;
	if (shown && !is_token(token))
		http_reply_text(req, 401, "this is no token: loom_ and 43 characters");
	else
		ask_api(s, req, body, len, token);
}

/* The browser forgets the token in any case. */
void session_end(const struct sessions *s, struct http_req *req)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *token = session_cookie(http_header(req, "Cookie"));
	if (!may_be_ours(req))
		return;
	set_cookie(req, NULL);
	if (!token) {
		http_reply_empty(req, 200);
		return;
	}
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s/v2/logout", s->api_uri);
	__attribute__((cleanup(strs_fini_p))) struct strs headers = { 0 };
	strs_addf(&headers, "Authorization: Bearer %s", token);
	struct http_call call = {
		.method = "POST", .url = url, .headers = &headers, .timeout_ms = ANSWER_MS
	};
	int rc = http_call(NULL, &call, &err);
	if (rc || (call.status != 200 && call.status != 401))
		http_reply_problem(req, 502,
		                   "signed out here, but the token is good until it ends: %s",
		                   rc ? err.msg : "loom-api refused to end it");
	else
		http_reply_empty(req, 200);
	http_call_fini(&call);
}

/* ---- where a request comes from -------------------------------------------------------------- */

static bool changes_nothing(const char *method)
{
	return str_eq(method, "GET") || str_eq(method, "HEAD") || str_eq(method, "OPTIONS");
}

/* "http://a:1" and "https://a:1" are both the origin of host "a:1": who ends TLS for us does not
 * change the Host header. */
static bool is_origin_of(const char *origin, const char *host)
{
	const char *sep = strstr(origin, "://");
	return sep && (str_starts(origin, "http://") || str_starts(origin, "https://")) && host &&
	       str_ieq(sep + 3, host);
}

bool session_origin_ok(const char *method, const char *fetch_site, const char *origin,
                       const char *host)
{
	if (changes_nothing(method))
		return true;
	if (fetch_site)
		return str_ieq(fetch_site, "same-origin") || str_ieq(fetch_site, "none");
	return !origin || is_origin_of(origin, host);
}

bool session_may_change(const struct http_req *req)
{
	return session_origin_ok(http_method(req), http_header(req, "Sec-Fetch-Site"),
	                         http_header(req, "Origin"), http_header(req, "Host"));
}
