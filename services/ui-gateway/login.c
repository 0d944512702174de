/* SPDX-License-Identifier: Apache-2.0 */
/* Logs people in and out at the OpenID provider. */
#include "services/ui-gateway/login.h"

#include "services/ui-gateway/cookie.h"
#include "services/ui-gateway/idtoken.h"
#include "services/ui-gateway/login_page.h"
#include "services/ui-gateway/rules.h"
#include "services/ui-gateway/session.h"
#include "services/ui-gateway/session_keys.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/json/json.h"
#include "common/net/http_client.h"

#include <string.h>

#define ATTEMPT_MS   INT64_C(600000)
#define ATTEMPT_MOST COOKIE_PIECE
#define CODE_MOST    4096
#define ANSWER_MS    10000
#define REASON_MOST  300 /* bytes in the log, of a text that anybody may have sent */
#define CALLBACK     "/login/callback"

struct login {
	const struct provider_config *cfg;
	const char *api_uri;
	const struct http_trust *trust; /* of the API */
	char *name;
	struct provider *provider;
	struct session_keys *keys;
};

enum { M_LOGINS, M_REFUSED, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_LOGINS] = { "loom_gateway_logins_total", "Successful logins at the OpenID provider",
	               METRIC_COUNTER },
	[M_REFUSED] = { "loom_gateway_logins_refused_total",
	                "Logins that came back from the OpenID provider and failed",
	                METRIC_COUNTER },
};

int login_create(const struct provider_config *cfg, const char *api_uri,
                 const struct http_trust *trust, struct login **ret, struct loom_err *err)
{
	*ret = NULL;
	if (str_blank(cfg->oidc_issuer))
		return 0;
	LOOM_CLEANUP(provider_destroy) struct provider *provider = NULL;
	struct session_keys *keys = NULL;
	int rc = provider_create(cfg, &provider, err);
	if (!rc)
		rc = session_keys_create(cfg->session_key_file, cfg->cluster_key_file, &keys, err);
	if (rc)
		return rc;
	struct login *l = *ret = loom_calloc(1, sizeof(*l));
	l->cfg = cfg;
	l->api_uri = api_uri;
	l->trust = trust;
	l->provider = loom_take(provider);
	l->keys = keys;
	l->name = *cfg->oidc_name ? loom_strdup(cfg->oidc_name) : http_url_host(cfg->oidc_issuer);
	metrics_register(metrics, M_COUNT);
	return 0;
}

void login_destroy(struct login *l)
{
	if (!l)
		return;
	provider_destroy(l->provider);
	session_keys_destroy(l->keys);
	loom_free(l->name);
	loom_free(l);
}

const char *login_name(const struct login *l)
{
	return l ? l->name : NULL;
}

/* ---- cookies --------------------------------------------------------------------------------- */

/* HttpOnly, as scripts need no access. Lax, as the browser comes back from another site. */
static char *attributes(const struct http_req *req, const char *path)
{
	return loom_asprintf("Path=%s; HttpOnly; SameSite=Lax%s", path,
	                     session_is_secure(req) ? "; Secure" : "");
}

static void send_cookies(struct http_req *req, const struct strs *set)
{
	for (size_t i = 0; i < set->n; i++)
		http_reply_header(req, "Set-Cookie", set->v[i]);
}

static struct ticket_session *open_session(const struct login *l, const char *sealed)
{
	struct session_key_list keys;
	struct ticket_session *s = NULL;
	session_keys_now(l->keys, &keys);
	for (size_t i = 0; !s && i < keys.n; i++)
		s = ticket_session_open(&keys.v[i], sealed);
	session_key_list_fini(&keys);
	return s;
}

static char *seal_session(const struct login *l, const struct ticket_session *s)
{
	struct session_key_list keys;
	session_keys_now(l->keys, &keys);
	char *sealed = ticket_session_seal(&keys.v[0], s);
	session_key_list_fini(&keys);
	return sealed;
}

static struct ticket_attempt *open_attempt(const struct login *l, const char *sealed)
{
	struct session_key_list keys;
	struct ticket_attempt *a = NULL;
	session_keys_now(l->keys, &keys);
	for (size_t i = 0; !a && i < keys.n; i++)
		a = ticket_attempt_open(&keys.v[i], sealed);
	session_key_list_fini(&keys);
	return a;
}

static char *seal_attempt(const struct login *l, const struct ticket_attempt *a)
{
	struct session_key_list keys;
	session_keys_now(l->keys, &keys);
	char *sealed = ticket_attempt_seal(&keys.v[0], a);
	session_key_list_fini(&keys);
	return sealed;
}

struct ticket_session *login_session(const struct login *l, const struct http_req *req)
{
	LOOM_CLEANUP_STR char *sealed =
		l ? cookie_get_long(http_header(req, "Cookie"), LOGIN_COOKIE) : NULL;
	struct ticket_session *s = sealed ? open_session(l, sealed) : NULL;
	if (!s)
		return NULL;
	s->over = s->began + l->cfg->oidc_session;
	if (clock_wall_ms() < s->over)
		return s;
	ticket_session_free(s);
	return NULL;
}

bool login_keep(const struct login *l, struct http_req *req, const struct ticket_session *s)
{
	LOOM_CLEANUP(strs_fini) struct strs set = { 0 };
	LOOM_CLEANUP_STR char *sealed = seal_session(l, s);
	LOOM_CLEANUP_STR char *how = attributes(req, "/");
	if (!cookie_put_long(&set, LOGIN_COOKIE, sealed, how))
		return false;
	send_cookies(req, &set);
	return true;
}

void login_forget(struct http_req *req)
{
	LOOM_CLEANUP(strs_fini) struct strs set = { 0 };
	LOOM_CLEANUP_STR char *how = attributes(req, "/");
	cookie_forget_long(&set, LOGIN_COOKIE, how);
	send_cookies(req, &set);
}

/* sealed NULL: deletes the cookie. */
static void set_attempt(struct http_req *req, const char *sealed)
{
	LOOM_CLEANUP(strs_fini) struct strs set = { 0 };
	LOOM_CLEANUP_STR char *path = attributes(req, CALLBACK);
	LOOM_CLEANUP_STR char *how = loom_asprintf("%s%s", sealed ? "Max-Age=600; " : "", path);
	cookie_put(&set, LOGIN_ATTEMPT, sealed, how);
	send_cookies(req, &set);
}

static void send_to(struct http_req *req, const char *where)
{
	http_reply_header(req, "Location", where);
	http_reply_empty(req, 303);
}

/* ---- to the provider ------------------------------------------------------------------------- */

/* This site's address as the browser sees it. The Host is one of host_names, and the provider
 * redirects only to registered addresses. */
static char *own_url(const struct login *l, const struct http_req *req, const char *path)
{
	const char *host = http_header(req, "Host"); /* HTTP/1.0 may send none */
	size_t n = strlen(l->cfg->oidc_redirect);
	if (n)
		return loom_asprintf("%.*s%s", (int)(n - strlen(CALLBACK)), l->cfg->oidc_redirect,
		                     path);
	return loom_asprintf("%s://%s%s", session_is_secure(req) ? "https" : "http",
	                     host ? host : "localhost", path);
}

void login_begin(struct login *l, struct http_req *req)
{
	const char *to = http_query(req, "to");
	struct loom_err err = { 0 };
	LOOM_CLEANUP_STR char *url = NULL;
	if (to && !rules_is_local(to)) {
		http_reply_text(req, 400, "to: it is not a path of this site, such as /#/");
		return;
	}
	LOOM_CLEANUP_STR char *back = own_url(l, req, CALLBACK);
	LOOM_CLEANUP(ticket_attempt_free)
	struct ticket_attempt *a =
		ticket_attempt_new(back, to ? to : "/", clock_wall_ms() + ATTEMPT_MS);
	LOOM_CLEANUP_STR char *sealed = seal_attempt(l, a);
	if (strlen(sealed) > ATTEMPT_MOST) {
		http_reply_text(req, 400, "to: it is too long");
		return;
	}
	if (provider_login_url(l->provider, a, &url, &err)) {
		log_warn("nobody can log in", LOG_S("reason", err.msg), LOG_S("req", http_id(req)));
		login_page(req, 502, "The login service does not answer as it should.",
		           "Try again in a moment. If it stays so, tell who runs Loom.");
		return;
	}
	set_attempt(req, sealed);
	send_to(req, url);
}

/* ---- and back -------------------------------------------------------------------------------- */

/* Why a login failed: a text for the person, and one with more detail for the log. */
struct failure {
	int status;
	const char *what, *todo;
};

static const char again[] = "Log in again.";
static const char tell[] = "Try again in a moment. If it stays so, tell who runs Loom.";

static void refuse(struct http_req *req, const struct failure *f, const char *reason)
{
	LOOM_CLEANUP_STR char *some = loom_strndup(reason, strnlen(reason, REASON_MOST));
	metric_add(&metrics[M_REFUSED], 1);
	log_info("a login was not good", LOG_S("what", f->what), LOG_S("reason", some),
	         LOG_S("peer", http_peer(req)), LOG_S("req", http_id(req)));
	login_page(req, f->status, f->what, f->todo);
}

/* The login that the browser is returning from; NULL when answered. */
static struct ticket_attempt *attempt_of(const struct login *l, struct http_req *req)
{
	static const struct failure unknown = {
		400, "This login was not begun in this browser, or too long ago.", again
	};
	static const struct failure late = { 400, "This login took longer than 10 minutes.",
		                             again };
	static const struct failure foreign = {
		400, "This is not the login that was begun last in this browser.",
		"If you did not begin to log in, somebody else may have sent you here: close this page. "
		"Else log in again."
	};
	LOOM_CLEANUP_STR char *sealed =
		cookie_get(http_header(req, "Cookie"), LOGIN_ATTEMPT, ATTEMPT_MOST);
	LOOM_CLEANUP(ticket_attempt_free)
	struct ticket_attempt *a = sealed ? open_attempt(l, sealed) : NULL;
	const char *issuer = http_query(req, "iss"); /* RFC 9207 */
	const struct failure *f = NULL;
	if (!a)
		f = &unknown;
	else if (clock_wall_ms() >= a->ends)
		f = &late;
	else if (!ticket_attempt_is(a, http_query(req, "state")) ||
	         (issuer && !str_eq(issuer, l->cfg->oidc_issuer)))
		f = &foreign;
	if (!f)
		return loom_take(a);
	refuse(req, f, "state");
	return NULL;
}

/* Reports the provider's error (RFC 6749, 4.1.2.1; Core, 3.1.2.6). */
static void refuse_error(struct http_req *req, const char *error)
{
	static const struct {
		const char *error;
		struct failure failure;
	} known[] = {
		{ "access_denied",
		  { 403, "The login service was told not to let you in, or you said so yourself.",
		    again } },
		{ "temporarily_unavailable",
		  { 503, "The login service has too much to do.", "Try again in a moment." } },
		{ "login_required",
		  { 403, "The login service wants you to log in there.", again } },
	};
	static const struct failure other = { 502, "The login service refused.", tell };
	const struct failure *f = &other;
	for (size_t i = 0; i < LOOM_COUNT(known); i++) {
		if (str_eq(known[i].error, error))
			f = &known[i].failure;
	}
	refuse(req, f, error);
}

/* Does loom-api accept the token? It checks the signature, and needs a role for one of the
 * groups. */
static int ask_api(const struct login *l, const struct http_req *req, const char *token,
                   struct loom_err *err)
{
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s/v2/whoami", l->api_uri);
	LOOM_CLEANUP(strs_fini) struct strs headers = { 0 };
	strs_addf(&headers, "X-Request-ID: %s", http_id(req));
	strs_addf(&headers, "Authorization: Bearer %s", token);
	session_forwarded(req, &headers);
	struct http_call call = { .method = "GET",
		                  .url = url,
		                  .headers = &headers,
		                  .trust = l->trust,
		                  .timeout_ms = ANSWER_MS };
	int rc = http_call(NULL, &call, err) ? 502 : 0;
	if (!rc && call.status != 200)
		rc = err_set(err, call.status, "%s", buf_str(&call.answer));
	http_call_fini(&call);
	return rc;
}

static void refuse_by_api(struct http_req *req, int rc, const struct loom_err *err)
{
	/* The API's text says which claim or setting is wrong. */
	const struct failure no = { 403, err->msg,
		                    "The login service knows you, Loom does not let you in: tell "
		                    "who runs Loom." };
	static const struct failure away = { 502, "Loom's API does not answer as it should.",
		                             tell };
	refuse(req, rc == 401 || rc == 403 ? &no : &away, err->msg);
}

/* Gives the browser its session and redirects it to the page it asked for. */
static void let_in(struct login *l, struct http_req *req, const struct ticket_attempt *a,
                   const struct provider_tokens *t, const struct idtoken *id)
{
	static const struct failure large = {
		502, "What the login service says of you is longer than a browser keeps.",
		"Who runs Loom may have it name fewer groups (oidc_scope)."
	};
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *s = ticket_session_new(t->id, t->renewal);
	struct loom_err err = { 0 };
	int rc = ask_api(l, req, t->id, &err);
	if (rc) {
		refuse_by_api(req, rc, &err);
		return;
	}
	s->began = s->issued = clock_wall_ms();
	s->ends = id->ends;
	if (!login_keep(l, req, s)) {
		refuse(req, &large, "the session is too long");
		return;
	}
	metric_add(&metrics[M_LOGINS], 1);
	session_forget_token(req);
	send_to(req, a->to);
}

static void redeem(struct login *l, struct http_req *req, const struct ticket_attempt *a,
                   const char *code)
{
	static const struct failure used = { 400,
		                             "The login service does not know this login any more.",
		                             again };
	static const struct failure broken = { 502,
		                               "The login service does not answer as it should.",
		                               tell };
	const struct idtoken_rules rules = { .issuer = l->cfg->oidc_issuer,
		                             .client = l->cfg->oidc_client_id,
		                             .nonce = a->nonce,
		                             .now = clock_wall_ms() };
	struct provider_tokens t = { 0 };
	struct idtoken id = { 0 };
	struct loom_err err = { 0 };
	int rc = provider_redeem(l->provider, a, code, &t, &err);
	if (rc) {
		refuse(req, rc == 400 ? &used : &broken, err.msg);
		return;
	}
	if (idtoken_read(t.id, &rules, &id, &err))
		refuse(req, &broken, err.msg);
	else
		let_in(l, req, a, &t, &id);
	provider_tokens_fini(&t);
}

void login_back(struct login *l, struct http_req *req)
{
	const char *code = http_query(req, "code"), *error = http_query(req, "error");
	LOOM_CLEANUP(ticket_attempt_free) struct ticket_attempt *a = attempt_of(l, req);
	if (!a)
		return;
	set_attempt(req, NULL); /* an attempt is valid once */
	if (error || !code || strlen(code) > CODE_MOST)
		refuse_error(req, error ? error : "no code");
	else
		redeem(l, req, a, code);
}

/* ---- another token --------------------------------------------------------------------------- */

int login_renew(struct login *l, const struct ticket_session *old, struct ticket_session **ret,
                struct loom_err *err)
{
	struct provider_tokens t = { 0 };
	struct idtoken id = { 0 };
	char subject[IDTOKEN_SUBJECT];
	int rc = provider_renew(l->provider, old->renewal, &t, err);
	if (rc)
		return rc;
	const struct idtoken_rules rules = { .issuer = l->cfg->oidc_issuer,
		                             .client = l->cfg->oidc_client_id,
		                             .subject = subject,
		                             .now = clock_wall_ms() };
	/* Without a new ID token loom-api keeps seeing the old one, and there is no further
	 * renewal. */
	LOOM_CLEANUP(ticket_session_free)
	struct ticket_session *s =
		ticket_session_new(t.id ? t.id : old->token, t.id ? t.renewal : NULL);
	memcpy(s->id, old->id, sizeof(s->id));
	s->began = old->began;
	s->over = old->over;
	s->issued = t.id ? rules.now : old->issued;
	idtoken_subject(old->token, subject);
	if (t.id)
		rc = idtoken_read(t.id, &rules, &id, err);
	s->ends = t.id ? id.ends : old->ends;
	provider_tokens_fini(&t);
	if (!rc)
		*ret = loom_take(s);
	return rc;
}

/* ---- out ------------------------------------------------------------------------------------- */

struct leaving {
	char *url;
	char id[TICKET_ID]; /* "": there was no session */
	void (*ended)(const char *id, void *arg);
	void *arg;
};

static void leave(struct http_req *req, void *arg)
{
	struct leaving *way = arg;
	if (*way->id)
		way->ended(way->id, way->arg);
	login_forget(req);
	send_to(req, way->url ? way->url : "/");
	loom_free(way->url);
	loom_free(way);
}

void login_end(struct login *l, struct http_req *req, void (*ended)(const char *id, void *arg),
               void *arg)
{
	struct loom_err err = { 0 };
	if (!session_may_navigate(req)) {
		login_page(req, 403, "Another site's page wanted to log you out.",
		           "You are logged in as before.");
		return;
	}
	struct leaving *way = loom_calloc(1, sizeof(*way));
	way->ended = ended;
	way->arg = arg;
	LOOM_CLEANUP(ticket_session_free) struct ticket_session *s = login_session(l, req);
	if (s) {
		LOOM_CLEANUP_STR char *home = own_url(l, req, "/");
		memcpy(way->id, s->id, sizeof(way->id));
		if (s->renewal)
			provider_revoke(l->provider, s->renewal);
		if (provider_logout_url(l->provider, s->token, home, &way->url, &err))
			log_warn("a logout did not reach the OpenID provider",
			         LOG_S("reason", err.msg), LOG_S("req", http_id(req)));
	}
	http_defer(req, leave, way);
}
