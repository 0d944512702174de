/* SPDX-License-Identifier: Apache-2.0 */
/* Assembles the gateway: the page's files, and the proxy to the API. */
#include "services/ui-gateway/gateway.h"

#include "common/base/log.h"
#include "common/base/version.h"
#include "common/json/json.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#ifndef LOOM_DATADIR
#define LOOM_DATADIR "/usr/local/share/loom"
#endif

#define THREADS       4 /* logins may use two of them, renewals one */
#define MAX_QUEUE     64
#define READY_MS      2000
#define DRAIN_LOOK_MS 20

#define KEY(field, def, doc)                                                                      \
	{                                                                                         \
#field, CFG_STR, offsetof(struct gateway_config, field), def, 0, 0, CFG_REQUIRED, \
			doc                                                                       \
	}

const struct config_key gateway_config_keys[] = {
	KEY(listen, "127.0.0.1:8100", "address of the web app and of /livez, /readyz, /metrics"),
	KEY(api_uri, "http://127.0.0.1:55054", "address of loom-api's public port"),
	KEY(web_dir, LOOM_DATADIR "/web", "folder of the web app's files"),
	{ "bundle", CFG_BOOL, offsetof(struct gateway_config, bundle), "true", 0, 0, 0,
	  "serve the page's modules as one script; false: one by one, for development" },
	{ "default_user", CFG_STR, offsetof(struct gateway_config, default_user), "", 0, 0, 0,
	  "who asks where nobody has signed in, for an API that believes headers; empty: nobody" },
	KEY(default_tenant, "superadmin", "and in which tenant"),
	{ 0 },
};

static void serve_file(struct http_req *req, void *ctx)
{
	struct gateway *g = ctx;
	site_serve(g->site, req);
}

static void pass_on(struct http_req *req, void *ctx)
{
	struct gateway *g = ctx;
	proxy_pass(g->proxy, req);
}

/* Does the API answer? err filled if not. On a worker: it may take READY_MS. */
static bool api_lives(const struct gateway *g, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *url = loom_asprintf("%s/livez", g->cfg.api_uri);
	struct http_call call = { .method = "GET",
		                  .url = url,
		                  .trust = &g->cfg.trust,
		                  .connect_ms = READY_MS,
		                  .timeout_ms = READY_MS };
	struct loom_err why = { 0 };
	int rc = http_call(NULL, &call, &why);
	bool ok = !rc && call.status == 200;
	if (rc)
		err_set(err, 503, "loom-api: %s", why.msg);
	else if (!ok)
		err_set(err, 503, "loom-api: %s answers %d", url, call.status);
	http_call_fini(&call);
	return ok;
}

/* Shows the version and the present load, for people and tools; always 200. There are no sessions
 * to count, as each request carries its identity. The API's address is not disclosed. */
static void tell_status(struct http_req *req, void *ctx)
{
	const struct gateway *g = ctx;
	struct loom_err err = { 0 };
	struct proxy_load load = proxy_load(g->proxy);
	bool lives = api_lives(g, &err);
	LOOM_CLEANUP(json_free) struct json *o = json_new_obj();
	struct json *api = json_set_str(json_new_obj(), "name", "loom-api");
	json_set_bool(api, "reachable", lives);
	json_set_str(o, "service", "loom-ui-gateway");
	json_set_str(o, "version", loom_version);
	json_set_str(o, "state", service_draining(g->service) ? "draining" : "serving");
	json_set(o, "backends", json_push(json_new_arr(), api));
	json_set_int(o, "requests", load.exchanges);
	json_set_int(o, "streams", load.streams);
	json_set_int(o, "sessions", 0);
	json_set_int(o, "files", (int64_t)site_count(g->site));
	http_reply_json(req, 200, o);
}

static void sign_in(struct http_req *req, void *ctx)
{
	struct gateway *g = ctx;
	session_begin(&g->sessions, req);
}

static void sign_out(struct http_req *req, void *ctx)
{
	struct gateway *g = ctx;
	session_end(&g->sessions, req);
}

static void tell_session(struct http_req *req, void *ctx)
{
	const struct gateway *g = ctx;
	session_ways(&g->sessions, req);
}

/* ---- the login at a provider ----------------------------------------------------------------- */

static bool has_login(const struct gateway *g, struct http_req *req)
{
	if (!g->login)
		http_reply_text(req, 404, "No OpenID provider is configured here (oidc_issuer).\n");
	return g->login;
}

static void log_in(struct http_req *req, void *ctx)
{
	struct gateway *g = ctx;
	if (has_login(g, req))
		login_begin(g->login, req);
}

static void logged_in(struct http_req *req, void *ctx)
{
	struct gateway *g = ctx;
	if (has_login(g, req))
		login_back(g->login, req);
}

static void session_ended(const char *id, void *arg)
{
	struct gateway *g = arg;
	if (!g->proxy)
		return; /* it is stopping */
	renewals_end(g->renewals, id);
	proxy_end_session(g->proxy, id);
}

static void log_out(struct http_req *req, void *ctx)
{
	struct gateway *g = ctx;
	if (has_login(g, req))
		login_end(g->login, req, session_ended, g);
}

/* All logins share half of the threads, so that a hanging provider does not stop the rest. */
static const char *share_of(const struct http_req *req)
{
	http_handler fn = http_matched(req)->fn;
	return fn == log_in || fn == logged_in || fn == log_out ? "logins" : NULL;
}

#define PASS(method)                                          \
	{                                                     \
		method, "/api/{rest*}", HTTP_ON_LOOP, pass_on \
	}

static const struct http_route routes[] = {
	SERVICE_ROUTES,
	{ "GET", "/status", HTTP_ON_POOL | HTTP_HEALTH, tell_status },
	{ "GET", "/session", HTTP_ON_LOOP, tell_session },
	{ "POST", "/session", HTTP_ON_POOL | HTTP_SMALL, sign_in },
	{ "DELETE", "/session", HTTP_ON_POOL, sign_out },
	{ "GET", "/login", HTTP_ON_POOL, log_in },
	{ "GET", "/login/callback", HTTP_ON_POOL, logged_in },
	{ "GET", "/logout", HTTP_ON_POOL, log_out },
	PASS("GET"),
	PASS("POST"),
	PASS("PUT"),
	PASS("DELETE"),
	PASS("PATCH"),
	PASS("HEAD"),
	PASS("OPTIONS"),
	{ "GET", "/{rest*}", HTTP_ON_LOOP, serve_file },
	{ "HEAD", "/{rest*}", HTTP_ON_LOOP, serve_file },
	{ 0 },
};

/* Headers on every answer, also the API's: pages of this site load from, send to and are framed by
 * no other site. */
static bool add_policy(struct http_req *req, void *ctx)
{
	(void)ctx;
	http_reply_header(req, "Content-Security-Policy",
	                  "default-src 'self'; base-uri 'none'; form-action 'self'; "
	                  "object-src 'none'; frame-ancestors 'none'");
	http_reply_header(req, "X-Content-Type-Options", "nosniff");
	http_reply_header(req, "X-Frame-Options", "DENY");
	http_reply_header(req, "Referrer-Policy", "no-referrer");
	return true;
}

static int check_values(const struct gateway *g, struct loom_err *err)
{
	if (*g->cfg.default_user && *g->cfg.provider.oidc_issuer)
		return err_set(err, 0,
		               "default_user is for an API that believes headers, "
		               "oidc_issuer for one that wants tokens");
	return 0;
}

int gateway_check(void *ctx, struct loom_err *err)
{
	const struct gateway *g = ctx;
	int rc = check_values(g, err);
	if (!rc)
		rc = http_server_listen_check("listen", g->cfg.listen, err);
	return rc ? rc : tls_config_check(&g->cfg.tls, err);
}

int gateway_start(struct service *service, void *ctx, struct loom_err *err)
{
	struct gateway *g = ctx;
	g->service = service;
	g->loop = service_loop(service);
	if (sodium_init() < 0)
		return err_set(err, 0, "libsodium does not start");
	int rc = http_trust_check(&g->cfg.trust, err);
	if (!rc)
		rc = site_load(g->cfg.web_dir, g->cfg.bundle, &g->site, err);
	if (!rc)
		rc = check_values(g, err);
	if (rc)
		return rc;
	rc = login_create(&g->cfg.provider, g->cfg.api_uri, &g->cfg.trust, &g->login, err);
	if (rc)
		return rc;
	g->sessions = (struct sessions){ g->cfg.default_user, g->cfg.default_tenant, g->cfg.api_uri,
		                         &g->cfg.trust, g->login };
	g->pool = pool_create(g->loop, THREADS, MAX_QUEUE);
	g->client = http_client_create(g->loop);
	g->renewals = renewals_create(g->loop, g->pool, g->login);
	g->proxy = proxy_create(g->loop, g->client, g->cfg.api_uri, &g->sessions, g->renewals);
	const struct http_limits limits = http_config_limits(&g->cfg.http);
	g->server = http_server_create(g->loop, g->pool, routes, g, &limits);
	http_server_before(g->server, add_policy);
	/* Answers depend on the cookie: no cache may keep them for others, nor after a logout. */
	http_server_cache(g->server, "no-store");
	http_server_share(g->server, share_of);
	rc = http_server_tls(g->server, &g->cfg.tls, err);
	if (rc)
		return rc;
	rc = http_server_listen(g->server, g->cfg.listen);
	if (rc)
		return err_set(err, 0, "cannot listen on %s: %s", g->cfg.listen,
		               http_server_listen_words(rc));
	log_info("serving", LOG_S("listen", g->cfg.listen),
	         LOG_I("port", http_server_port(g->server)), LOG_S("api", g->cfg.api_uri),
	         LOG_I("files", site_count(g->site)));
	return 0;
}

static void when_idle(void *arg)
{
	struct gateway *g = arg;
	if (http_server_rests(g->server))
		service_drained(g->service);
}

void gateway_drain(struct service *service, void *ctx)
{
	(void)service;
	struct gateway *g = ctx;
	http_server_stop_accepting(g->server);
	proxy_end_streams(g->proxy);
	g->drain = loop_timer_create(g->loop, "drain", when_idle, g);
	loop_timer_every(g->drain, DRAIN_LOOK_MS);
}

void gateway_stop(struct service *service, void *ctx)
{
	(void)service;
	struct gateway *g = ctx;
	loop_timer_destroy(g->drain);
	renewals_stop(g->renewals);
	if (g->server)
		http_server_destroy(g->server); /* ends every exchange */
	proxy_destroy(g->proxy);
	g->proxy = NULL;
	if (g->client)
		http_client_destroy(g->client);
	if (g->pool)
		pool_destroy(g->pool);
	loop_flush(g->loop);
	renewals_destroy(g->renewals);
	login_destroy(g->login);
	site_destroy(g->site);
}

bool gateway_ready(struct service *service, void *ctx, struct loom_err *err)
{
	(void)service;
	const struct gateway *g = ctx;
	return api_lives(g, err);
}
