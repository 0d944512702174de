/* SPDX-License-Identifier: Apache-2.0 */
/* Decides as whom a request of the page is made; signs in and out. */
#include "session.h"

#include "common/base/str.h"
#include "common/json/json.h"
#include "common/net/http_client.h"
#include "services/ui-gateway/cookie.h"
#include "services/ui-gateway/rules.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_MAX COOKIE_PIECE
#define BODY_MAX  8192
#define ANSWER_MS 10000
/* Characters of Loom's tokens and of JWTs. */
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

static bool is_token(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	return n && n <= TOKEN_MAX && strspn(s, LETTERS) == n;
}

char *session_cookie(const char *header)
{
	return cookie_get(header, SESSION_COOKIE, TOKEN_MAX);
}

/* The token that a program sends instead of a cookie; NULL: none. Ignored where the API believes
 * headers. */
static const char *shown(const struct sessions *s, const struct http_req *req)
{
	const char *v = http_header(req, "Authorization");
	return v && !*s->default_user && strncasecmp(v, "Bearer ", 7) == 0 ? v : NULL;
}

void session_headers(const struct sessions *s, const struct http_req *req,
                     const struct ticket_session *login, struct strs *out)
{
	const char *authorization = shown(s, req);
	LOOM_CLEANUP_STR char *token = session_cookie(http_header(req, "Cookie"));
	if (authorization) {
		strs_addf(out, "Authorization: %s", authorization);
	} else if (login || token) {
		strs_addf(out, "Authorization: Bearer %s", login ? login->token : token);
	} else if (*s->default_user) {
		strs_addf(out, "X-Loom-UserID: %s", s->default_user);
		strs_addf(out, "X-Loom-TenantID: %s", s->default_tenant);
	}
}

void session_forwarded(const struct http_req *req, struct strs *out)
{
	LOOM_CLEANUP(strs_fini) struct strs before = { 0 };
	const char *name, *value;
	for (size_t i = 0; http_header_at(req, i, &name, &value); i++) {
		if (str_ieq(name, "X-Forwarded-For") && *value)
			strs_add(&before, value);
	}
	LOOM_CLEANUP_STR char *all = before.n ? strs_join(&before, ", ") : NULL;
	rules_add_forwarded_for(out, all, http_peer(req));
}

/* ---- signing in and out ---------------------------------------------------------------------- */

bool session_is_secure(const struct http_req *req)
{
	const char *proto = http_header(req, "X-Forwarded-Proto");
	return http_by_tls(req) || (proto && str_ieq(proto, "https"));
}

/* SameSite and HttpOnly; Secure if the browser uses TLS. token NULL: deletes the cookie. */
static void set_cookie(struct http_req *req, const char *token)
{
	LOOM_CLEANUP(strs_fini) struct strs set = { 0 };
	LOOM_CLEANUP_STR char *how = loom_asprintf("Path=/; HttpOnly; SameSite=Strict%s",
	                                           session_is_secure(req) ? "; Secure" : "");
	cookie_put(&set, SESSION_COOKIE, token, how);
	http_reply_header(req, "Set-Cookie", set.v[0]);
}

void session_forget_token(struct http_req *req)
{
	set_cookie(req, NULL);
}

static bool may_be_ours(const struct sessions *s, struct http_req *req)
{
	const char *why = session_refusal(s, req);
	if (why)
		http_reply_problem(req, 403, "%s", why);
	return !why;
}

void session_ways(const struct sessions *s, struct http_req *req)
{
	LOOM_CLEANUP(json_free) struct json *o = json_new_obj();
	const char *name = login_name(s->login);
	json_set(o, "login", name ? json_new_str(name) : json_new_null());
	http_reply_json(req, 200, o);
}

static void pass_refusal(struct http_req *req, const struct http_call *call)
{
	char seconds[24];
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(call->retry_after_ms + 999) / 1000);
	if (call->retry_after_ms > 0)
		http_reply_header(req, "Retry-After", seconds);
	http_reply(req, call->status, "text/plain; charset=utf-8", buf_str(&call->answer),
	           call->answer.len);
}

/* Passes on the API's answer; the token goes into the cookie: the one shown, or the answer's. */
static void pass_answer(struct http_req *req, const struct http_call *call, const char *shown)
{
	LOOM_CLEANUP(json_free) struct json *v = NULL;
	const char *text = buf_str(&call->answer);
	bool ok = call->status == 200 && json_parse(text, call->answer.len, 0, &v, NULL) == 0;
	const char *token = shown ? shown : json_get_str(v, "token");
	if (ok && is_token(token)) {
		set_cookie(req, token);
		login_forget(req);
		json_del(v, "token");
		http_reply_json(req, 200, v);
	} else if (call->status == 200)
		http_reply_problem(req, 502, "loom-api does not answer as it should");
	else
		pass_refusal(req, call);
}

/* Signs in at the API with the body's password; or asks who owns the token in it. */
static void ask_api(const struct sessions *s, struct http_req *req, const char *body, size_t len,
                    const char *token)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *url =
		loom_asprintf("%s/v2/%s", s->api_uri, token ? "whoami" : "login");
	LOOM_CLEANUP(strs_fini) struct strs headers = { 0 };
	strs_addf(&headers, "X-Request-ID: %s", http_id(req));
	session_forwarded(req, &headers);
	if (token)
		strs_addf(&headers, "Authorization: Bearer %s", token);
	else
		strs_add(&headers, "Content-Type: application/json");
	struct http_call call = { .method = token ? "GET" : "POST",
		                  .url = url,
		                  .headers = &headers,
		                  .trust = s->trust,
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
	if (!may_be_ours(s, req))
		return;
	if (len > BODY_MAX) {
		http_reply_problem(req, 413, "at most %d bytes sign somebody in", BODY_MAX);
		return;
	}
	/* The API reports a body that is not JSON. */
	bool shown = !json_parse(body, len, 0, &v, NULL) && json_get(v, "token");
	const char *token = shown ? json_get_str(v, "token") : NULL;
	if (shown && !is_token(token))
		http_reply_text(req, 401,
		                "this is not a token: loom_ and 43 characters, or a JWT of at most "
		                "%d characters",
		                TOKEN_MAX);
	else
		ask_api(s, req, body, len, token);
}

/* The browser forgets the token in any case. */
void session_end(const struct sessions *s, struct http_req *req)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *token = session_cookie(http_header(req, "Cookie"));
	if (!may_be_ours(s, req))
		return;
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *login = login_session(s->login, req);
	if (login) {
		/* The page must open that address itself, as it redirects to the provider. */
		http_reply_text(req, 200, "logout");
		return;
	}
	set_cookie(req, NULL);
	if (!token) {
		http_reply_empty(req, 200);
		return;
	}
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s/v2/logout", s->api_uri);
	LOOM_CLEANUP(strs_fini) struct strs headers = { 0 };
	strs_addf(&headers, "Authorization: Bearer %s", token);
	session_forwarded(req, &headers);
	struct http_call call = { .method = "POST",
		                  .url = url,
		                  .headers = &headers,
		                  .trust = s->trust,
		                  .timeout_ms = ANSWER_MS };
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

/* "http://a:1" and "https://a:1" are both origins of host "a:1": a TLS proxy in front of us does
 * not change the Host header. */
static bool is_origin_of(const char *origin, const char *host)
{
	const char *sep = strstr(origin, "://");
	return sep && (str_starts(origin, "http://") || str_starts(origin, "https://")) && host &&
	       str_ieq(sep + 3, host);
}

bool session_origin_ok(const char *method, const char *fetch_site, const char *origin,
                       const char *host, bool by_cookie)
{
	if (changes_nothing(method))
		return true;
	if (fetch_site)
		return str_ieq(fetch_site, "same-origin") || str_ieq(fetch_site, "none");
	return origin ? is_origin_of(origin, host) : !by_cookie;
}

const char *session_refusal(const struct sessions *s, const struct http_req *req)
{
	const char *cookies = http_header(req, "Cookie"), *origin = http_header(req, "Origin");
	const char *site = http_header(req, "Sec-Fetch-Site");
	LOOM_CLEANUP_STR char *token = session_cookie(cookies);
	LOOM_CLEANUP_STR char *login = cookie_get(cookies, LOGIN_COOKIE, COOKIE_PIECE + 2);
	bool by_cookie = (token || login) && !shown(s, req);
	if (session_origin_ok(http_method(req), site, origin, http_header(req, "Host"), by_cookie))
		return NULL;
	return site || origin ? "a page of another site may not change anything here"
	                      : "who changes something by a cookie says from where, in the header "
	                        "Origin or Sec-Fetch-Site, as browsers do; a program shows its "
	                        "token: Authorization: Bearer ...";
}

bool session_may_navigate(const struct http_req *req)
{
	const char *site = http_header(req, "Sec-Fetch-Site");
	return !site || str_ieq(site, "same-origin") || str_ieq(site, "none");
}
