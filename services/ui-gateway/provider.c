/* SPDX-License-Identifier: Apache-2.0 */
/* Sends requests to the OpenID provider. */
#include "services/ui-gateway/provider.h"

#include "services/ui-gateway/rules.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/secret_file.h"
#include "common/json/json.h"
#include "common/net/http_client.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

enum {
	READ_AGAIN_MS = 60 * 60 * 1000, /* endpoints hardly ever change */
	FAILED_MS = 2000,               /* after a failure the provider is left alone for this
	                                 * long */
	ANSWER_MS = 5000,
	ANSWER_BYTES = 256 << 10,
	FORM_BYTES = 32 << 10,
};

#define ROW(field, type, def, min, max, doc) \
	CONFIG_KEY(struct provider_config, field, type, def, min, max, doc)

const struct config_key provider_config_keys[] = {
	ROW(oidc_issuer, CFG_STR, "", 0, 0,
	    "OpenID provider at which people log in, as it names itself (https://...); empty: none"),
	ROW(oidc_name, CFG_STR, "", 0, 0,
	    "what the page calls it: 'Log in with ...'; empty: its host's name"),
	ROW(oidc_client_id, CFG_STR, "", 0, 0,
	    "what the provider knows this page as; loom-api's oidc_audience"),
	ROW(oidc_client_secret_file, CFG_STR, "", 0, 0,
	    "file with the secret that the provider gave; empty: a public client"),
	ROW(oidc_redirect, CFG_STR, "", 0, 0,
	    "where the provider sends people back to, https://.../login/callback; empty: made of "
	    "the Host that the browser names"),
	ROW(oidc_scope, CFG_STR, "openid profile", 0, 0,
	    "what is asked of the provider: add what it needs to name groups, and offline_access "
	    "where it renews sessions only so"),
	ROW(oidc_session, CFG_DURATION, "12h", 1000, INT64_C(31536000000),
	    "longest time of a login, however often it is renewed"),
	ROW(cluster_key_file, CFG_STR, "", 0, 0,
	    "64 hex digits, alike for all copies of this gateway, that sessions are sealed with"),
	ROW(session_key_file, CFG_STR, "", 0, 0,
	    "keys of sessions, 64 hex digits a line, the newest first, alike for all copies of this "
	    "gateway; empty: the cluster's key is the only one"),
	{ 0 },
};

struct provider {
	const struct provider_config *cfg;
	char *secret; /* NULL: a public client */
	pthread_mutex_t mutex;
	/* Protected by the mutex. */
	struct json *discovery; /* its discovery document; NULL: not read yet */
	int64_t read_at, failed_at;
	struct loom_err failure;
};

/* ---- settings -------------------------------------------------------------------------------- */

static int check(const struct provider_config *cfg, struct loom_err *err)
{
	const char *back = cfg->oidc_redirect;
	LOOM_CLEANUP_STR char *host = *back ? http_url_host(back) : NULL;
	if (!http_url_is_safe(cfg->oidc_issuer))
		return err_set(err, 0,
		               "oidc_issuer: '%.100s' is neither https://... nor http:// on this "
		               "machine",
		               cfg->oidc_issuer);
	if (str_blank(cfg->oidc_client_id))
		return err_set(err, 0, "oidc_client_id is empty: what the provider knows Loom as");
	if (str_blank(cfg->cluster_key_file) && str_blank(cfg->session_key_file))
		return err_set(err, 0,
		               "cluster_key_file and session_key_file are empty: what sessions are "
		               "sealed with");
	if (*back && (!host || !str_ends(back, "/login/callback")))
		return err_set(err, 0, "oidc_redirect: '%.100s' is not https://HOST/login/callback",
		               back);
	return 0;
}

int provider_create(const struct provider_config *cfg, struct provider **ret, struct loom_err *err)
{
	int rc = check(cfg, err);
	if (rc)
		return rc;
	struct provider *p = loom_calloc(1, sizeof(*p));
	p->cfg = cfg;
	pthread_mutex_init(&p->mutex, NULL);
	if (*cfg->oidc_client_secret_file) {
		p->secret = secret_file_read("oidc_client_secret_file",
		                             cfg->oidc_client_secret_file, err);
		if (!p->secret) {
			provider_destroy(p);
			return ERR_PLAIN;
		}
	}
	*ret = p;
	return 0;
}

void provider_destroy(struct provider *p)
{
	if (!p)
		return;
	json_free(p->discovery);
	pthread_mutex_destroy(&p->mutex);
	secret_file_free(p->secret);
	loom_free(p);
}

/* ---- where its endpoints are ----------------------------------------------------------------- */

static int check_discovery(const struct provider *p, const struct json *discovery,
                           struct loom_err *err)
{
	static const char *const needed[] = { "authorization_endpoint", "token_endpoint" };
	static const char *const maybe[] = { "end_session_endpoint", "revocation_endpoint" };
	const char *issuer = json_get_str(discovery, "issuer");
	if (!str_eq(issuer, p->cfg->oidc_issuer))
		return err_set(err, 502, "the provider names itself '%.100s', oidc_issuer is '%s'",
		               issuer ? issuer : "", p->cfg->oidc_issuer);
	for (size_t i = 0; i < LOOM_COUNT(needed); i++) {
		const char *url = json_get_str(discovery, needed[i]);
		if (!url || !http_url_is_safe(url))
			return err_set(err, 502, "the provider's %s is '%.100s', not https://...",
			               needed[i], url ? url : "");
	}
	for (size_t i = 0; i < LOOM_COUNT(maybe); i++) {
		const char *url = json_get_str(discovery, maybe[i]);
		if (url && !http_url_is_safe(url))
			return err_set(err, 502, "the provider's %s is '%.100s', not https://...",
			               maybe[i], url);
	}
	return 0;
}

static int fetch(const struct provider *p, struct json **ret, struct loom_err *err)
{
	size_t n = strlen(p->cfg->oidc_issuer);
	bool slash = n && p->cfg->oidc_issuer[n - 1] == '/';
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s%s.well-known/openid-configuration",
	                                           p->cfg->oidc_issuer, slash ? "" : "/");
	LOOM_CLEANUP(json_free) struct json *discovery = NULL;
	struct http_call call = { .method = "GET",
		                  .url = url,
		                  .trust = &http_trust_system,
		                  .timeout_ms = ANSWER_MS,
		                  .max_answer = ANSWER_BYTES };
	int rc = http_call(NULL, &call, err) ? 502 : 0;
	if (!rc && call.status != 200)
		rc = err_set(err, 502, "%s answers %d", url, call.status);
	if (!rc && json_parse_few(buf_str(&call.answer), call.answer.len, 0, &discovery, NULL))
		rc = err_set(err, 502, "%s: it is no JSON", url);
	http_call_fini(&call);
	if (!rc)
		rc = check_discovery(p, discovery, err);
	if (!rc)
		*ret = loom_take(discovery);
	return rc;
}

/* Under the mutex, so that one thread asks for all who wait. Meanwhile the last known document
 * stays valid. */
static int learn(struct provider *p, struct loom_err *err)
{
	int64_t now = clock_mono_ms();
	struct json *discovery = NULL;
	if (p->discovery && now < p->read_at + READ_AGAIN_MS)
		return 0;
	if (p->failed_at && now < p->failed_at + FAILED_MS) {
		*err = p->failure;
		return p->discovery ? 0 : 502;
	}
	int rc = fetch(p, &discovery, err);
	if (rc) {
		log_warn("the OpenID provider's discovery document cannot be read",
		         LOG_S("reason", err->msg));
		p->failed_at = clock_mono_ms();
		p->failure = *err;
		return p->discovery ? 0 : rc;
	}
	json_free(p->discovery);
	p->discovery = discovery;
	p->read_at = clock_mono_ms();
	p->failed_at = 0;
	return 0;
}

/* The provider's discovery document, owned; NULL with err. */
static struct json *discovery_of(struct provider *p, struct loom_err *err)
{
	pthread_mutex_lock(&p->mutex);
	struct json *copy = learn(p, err) ? NULL : json_copy(p->discovery);
	pthread_mutex_unlock(&p->mutex);
	return copy;
}

/* ---- addresses for the browser --------------------------------------------------------------- */

static void add_pair(struct buf *b, const char *name, const char *value)
{
	if (b->len)
		buf_addc(b, '&');
	buf_adds(b, name);
	buf_addc(b, '=');
	rules_encode(b, value, "-._~");
}

static char *with_query(const char *url, const struct buf *query)
{
	return loom_asprintf("%s%c%s", url, strchr(url, '?') ? '&' : '?', buf_str(query));
}

int provider_login_url(struct provider *p, const struct ticket_attempt *a, char **ret,
                       struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *discovery = discovery_of(p, err);
	LOOM_CLEANUP(buf_fini) struct buf query = BUF_INIT(FORM_BYTES);
	LOOM_CLEANUP_STR char *challenge = ticket_challenge(a->verifier);
	if (!discovery)
		return 502;
	add_pair(&query, "response_type", "code");
	add_pair(&query, "client_id", p->cfg->oidc_client_id);
	add_pair(&query, "redirect_uri", a->redirect);
	add_pair(&query, "scope", p->cfg->oidc_scope);
	add_pair(&query, "state", a->state);
	add_pair(&query, "nonce", a->nonce);
	add_pair(&query, "code_challenge", challenge);
	add_pair(&query, "code_challenge_method", "S256");
	*ret = with_query(json_get_str(discovery, "authorization_endpoint"), &query);
	return 0;
}

int provider_logout_url(struct provider *p, const char *id_token, const char *back, char **ret,
                        struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *discovery = discovery_of(p, err);
	LOOM_CLEANUP(buf_fini) struct buf query = BUF_INIT(FORM_BYTES);
	const char *url = json_get_str(discovery, "end_session_endpoint");
	*ret = NULL;
	if (!discovery)
		return 502;
	if (!url)
		return 0;
	add_pair(&query, "id_token_hint", id_token);
	add_pair(&query, "client_id", p->cfg->oidc_client_id);
	add_pair(&query, "post_logout_redirect_uri", back);
	*ret = with_query(url, &query);
	return 0;
}

/* ---- its token endpoint ---------------------------------------------------------------------- */

/* RFC 6749, 2.3.1: by header, unless the provider does not support that. */
static bool takes_basic(const struct json *discovery)
{
	const struct json *ways = json_get(discovery, "token_endpoint_auth_methods_supported");
	return !ways || json_arr_has_str(ways, "client_secret_basic") ||
	       !json_arr_has_str(ways, "client_secret_post");
}

/* Adds our client id and secret to the request. */
static void add_client(const struct provider *p, const struct json *discovery, struct buf *form,
                       struct strs *headers)
{
	LOOM_CLEANUP(buf_fini) struct buf pair = BUF_INIT((size_t)2 * SECRET_FILE_MAX);
	char text[4 * SECRET_FILE_MAX];
	bool basic = p->secret && takes_basic(discovery);
	strs_add(headers, "Content-Type: application/x-www-form-urlencoded");
	strs_add(headers, "Accept: application/json");
	if (!basic)
		add_pair(form, "client_id", p->cfg->oidc_client_id);
	if (!p->secret)
		return;
	if (!basic) {
		add_pair(form, "client_secret", p->secret);
		return;
	}
	rules_encode(&pair, p->cfg->oidc_client_id, "-._~");
	buf_addc(&pair, ':');
	rules_encode(&pair, p->secret, "-._~");
	sodium_bin2base64(text, sizeof(text), (const unsigned char *)buf_str(&pair), pair.len,
	                  sodium_base64_VARIANT_ORIGINAL);
	strs_addf(headers, "Authorization: Basic %s", text);
}

/* Does it refuse what the person has shown (RFC 6749, 5.2)? Else it is us that it does not like, or
 * it has too much to do: no login mends that. */
static bool is_refusal(int status, const char *error)
{
	static const char *const ours[] = { "invalid_client", "unauthorized_client",
		                            "unsupported_grant_type", "invalid_scope",
		                            "invalid_request" };
	for (size_t i = 0; error && i < LOOM_COUNT(ours); i++) {
		if (str_eq(error, ours[i]))
			return false;
	}
	return error && status >= 400 && status < 500 && status != 429;
}

/* Posts the form; the caller owns the answer's document. 0, 400 or 502. */
static int post(struct provider *p, const struct json *discovery, const char *endpoint,
                struct buf *form, struct json **ret, struct loom_err *err)
{
	LOOM_CLEANUP(strs_fini) struct strs headers = { 0 };
	const char *url = json_get_str(discovery, endpoint);
	*ret = NULL;
	add_client(p, discovery, form, &headers);
	if (form->full)
		return err_set(err, 502, "what is asked of the provider is too long");
	struct http_call call = { .method = "POST",
		                  .url = url,
		                  .headers = &headers,
		                  .body = buf_str(form),
		                  .body_len = form->len,
		                  .trust = &http_trust_system,
		                  .timeout_ms = ANSWER_MS,
		                  .max_answer = ANSWER_BYTES };
	int rc = http_call(NULL, &call, err) ? 502 : 0;
	if (!rc && json_parse_few(buf_str(&call.answer), call.answer.len, 0, ret, NULL))
		*ret = NULL;
	const char *error = json_get_str(*ret, "error");
	if (!rc && call.status != 200)
		rc = err_set(err, is_refusal(call.status, error) ? 400 : 502,
		             "%s answers %d: %.200s", url, call.status, error ? error : "");
	http_call_fini(&call);
	return rc;
}

static int ask_tokens(struct provider *p, const struct json *discovery, struct buf *form,
                      struct provider_tokens *ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *answer = NULL;
	*ret = (struct provider_tokens){ 0 };
	int rc = post(p, discovery, "token_endpoint", form, &answer, err);
	if (rc)
		return rc;
	ret->id = loom_strdup(json_get_str(answer, "id_token"));
	ret->renewal = loom_strdup(json_get_str(answer, "refresh_token"));
	return 0;
}

void provider_tokens_fini(struct provider_tokens *t)
{
	secret_file_free(t->id);
	secret_file_free(t->renewal);
	*t = (struct provider_tokens){ 0 };
}

int provider_redeem(struct provider *p, const struct ticket_attempt *a, const char *code,
                    struct provider_tokens *ret, struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *discovery = discovery_of(p, err);
	LOOM_CLEANUP(buf_fini) struct buf form = BUF_INIT(FORM_BYTES);
	if (!discovery)
		return 502;
	add_pair(&form, "grant_type", "authorization_code");
	add_pair(&form, "code", code);
	add_pair(&form, "redirect_uri", a->redirect);
	add_pair(&form, "code_verifier", a->verifier);
	int rc = ask_tokens(p, discovery, &form, ret, err);
	if (rc || ret->id)
		return rc;
	provider_tokens_fini(ret);
	return err_set(err, 502, "the provider gave no ID token; is 'openid' in oidc_scope?");
}

int provider_renew(struct provider *p, const char *renewal, struct provider_tokens *ret,
                   struct loom_err *err)
{
	LOOM_CLEANUP(json_free) struct json *discovery = discovery_of(p, err);
	LOOM_CLEANUP(buf_fini) struct buf form = BUF_INIT(FORM_BYTES);
	if (!discovery)
		return 502;
	add_pair(&form, "grant_type", "refresh_token");
	add_pair(&form, "refresh_token", renewal);
	int rc = ask_tokens(p, discovery, &form, ret, err);
	if (!rc && !ret->renewal) /* the provider omits a refresh token that stays valid */
		ret->renewal = loom_strdup(renewal);
	return rc;
}

void provider_revoke(struct provider *p, const char *renewal)
{
	struct loom_err err = { 0 };
	LOOM_CLEANUP(json_free) struct json *discovery = discovery_of(p, &err), *answer = NULL;
	LOOM_CLEANUP(buf_fini) struct buf form = BUF_INIT(FORM_BYTES);
	if (!json_get_str(discovery, "revocation_endpoint"))
		return;
	add_pair(&form, "token", renewal);
	add_pair(&form, "token_type_hint", "refresh_token");
	if (post(p, discovery, "revocation_endpoint", &form, &answer, &err))
		log_info("the OpenID provider did not revoke a refresh token",
		         LOG_S("reason", err.msg));
}
