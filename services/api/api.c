/* SPDX-License-Identifier: Apache-2.0 */
/* api - starts and stops loom-api: its settings, its parts in order, and what all handlers need. */
#include "services/api/api.h"
#include "services/api/request/audit.h"
#include "services/api/request/auth.h"

#include "common/base/log.h"
#include "common/base/netlist.h"
#include "common/base/str.h"
#include "common/model/callback/callback_target.h"
#include "common/model/cluster/outcome.h"
#include "common/model/mail.h"
#include "common/model/schema.h"
#include "services/api/catalog/hostfields.h"
#include "services/api/catalog/secrets.h"
#include "services/api/cluster/terms.h"
#include "services/api/identity/tokens.h"
#include "services/api/request/budget.h"
#include "services/api/request/db_outage.h"
#include "services/api/request/oidc.h"
#include "services/api/request/pace.h"
#include "services/api/request/repeat.h"
#include "services/api/request/route.h"
#include "services/api/request/tracing.h"
#include "services/api/routes/openapi.h"
#include "services/api/worker/provisioner_cache.h"
#include "services/api/worker/share_push.h"

#include <string.h>

#define KEY(...) CONFIG_KEY(struct api_config, __VA_ARGS__)

const struct config_key api_config_keys[] = {
	KEY(external_listen, CFG_STR, "127.0.0.1:55054", 0, 0,
	    "address for users and administrators"),
	KEY(internal_listen, CFG_STR, "127.0.0.1:55055", 0, 0, "address for provisioners"),
	KEY(internal_tls_client_ca, CFG_STR, "", 0, 0,
	    "like tls_client_ca, for the port of provisioners"),
	KEY(secretless_workers, CFG_STR, NET_LIST_PRIVATE, 0, 0,
	    "networks of workers that know no secret of their claims, as the original's and those of "
	    "versions before"),
	KEY(host_values, CFG_STR, "", 0, 0,
	    "values that all tenants' providers may use in fields about a provisioner's host: "
	    "field=value, comma-separated, * for any name: state_dir=/srv/sandbox/*, bridge=loom0"),
	KEY(auth_mode, CFG_STR, "token", 0, 0,
	    "how callers identify themselves: token, or headers (of the original's clients, believed)"),
	KEY(auth_headers_public, CFG_BOOL, "no", 0, 0,
	    "with auth_mode = headers, allow a public listen address"),
	KEY(admin_token_file, CFG_STR, "", 0, 0,
	    "file with a token of the superadmin admin, made when Loom was installed"),
	KEY(provisioner_token_file, CFG_STR, "", 0, 0, "the same for provisioners of all tenants"),
	KEY(first_token_file, CFG_STR, "", 0, 0,
	    "where to write the token for the first account, besides the log, while there is none"),
	KEY(tokenless_workers, CFG_STR, "", 0, 0,
	    "networks of provisioners that show no token, as the original's; empty: with auth_mode = "
	    "headers this machine and private ones, else none"),
	KEY(require_if_match, CFG_BOOL, "no", 0, 0,
	    "a change of a document must name the version it is made to (else 428)"),
	KEY(audit, CFG_BOOL, "yes", 0, 0,
	    "record who changed what, and what was refused (GET /v2/audit)"),
	KEY(audit_keep, CFG_DURATION, "400d", 0, 36500LL * 24 * 3600 * 1000,
	    "how long to keep the audit log; 0: for ever"),
	KEY(trusted_proxies, CFG_STR, "127.0.0.0/8, ::1", 0, 0,
	    "networks whose X-Forwarded-For is believed as the client's address in the audit log"),
	KEY(tenant_rate, CFG_INT, "2000", 0, 1000000,
	    "requests a second per tenant at the public port of this API; 0: unlimited"),
	KEY(tenant_burst, CFG_INT, "4000", 1, 1000000, "the most at once, after a pause"),
	KEY(tenant_change_rate, CFG_INT, "50", 0, 1000000,
	    "creates, operations and deletions a second per tenant, each 16 KiB of body counting as "
	    "one more; 0: unlimited"),
	KEY(tenant_change_burst, CFG_INT, "1000", 1, 1000000, "the most at once, after a pause"),
	KEY(token_rate, CFG_INT, "1000", 0, 1000000, "requests a second per token; 0: unlimited"),
	KEY(token_burst, CFG_INT, "2000", 1, 1000000, "the most at once, after a pause"),
	KEY(tenant_held, CFG_INT, "2048", 1, 1000000,
	    "event streams, followed logs, blocking queries and waiting takes per tenant"),
	KEY(bad_token_rate, CFG_INT, "10", 0, 1000000,
	    "bad tokens a second per address; 0: unlimited"),
	KEY(bad_token_burst, CFG_INT, "200", 1, 1000000, "the most at once, after a pause"),
	KEY(bad_password_rate, CFG_INT, "1", 0, 1000000,
	    "wrong passwords a second per address, for any account; 0: unlimited"),
	KEY(bad_password_burst, CFG_INT, "60", 1, 1000000, "the most at once, after a pause"),
	KEY(oidc_issuer, CFG_STR, "", 0, 0,
	    "OpenID provider whose tokens are accepted (their iss); empty: none"),
	KEY(oidc_audience, CFG_STR, "", 0, 0,
	    "audience that they must have (aud): our client id there"),
	KEY(oidc_keys, CFG_STR, "", 0, 0,
	    "where the provider publishes its keys (jwks_uri), https://..., or a file"),
	KEY(oidc_roles, CFG_STR, "", 0, 0,
	    "roles of its groups: group=tenant:role, comma-separated; the first match counts"),
	KEY(oidc_groups_claim, CFG_STR, "groups", 0, 0, "claim with the groups of a token's user"),
	KEY(oidc_user_claim, CFG_STR, "sub", 0, 0,
	    "claim with the user's name: one that never changes and that users cannot choose"),
	KEY(oidc_user_prefix, CFG_STR, "oidc:", 0, 0,
	    "prefix of these names, so that none equals an account's"),
	KEY(cors_origins, CFG_STR, "", 0, 0,
	    "origins whose pages may use the public port from a browser, as https://a.example; "
	    "comma-separated"),
	KEY(cors_credentials, CFG_BOOL, "no", 0, 0,
	    "let them send cookies, for a proxy in front that identifies users by cookies"),
	KEY(threads, CFG_INT, "8", 2, 256, "worker threads for the database"),
	KEY(id_start, CFG_INT, "1", 1, 1000000, "first cluster id"),
	KEY(id_step, CFG_INT, "1", 1, 1000000, "distance between cluster ids"),
	KEY(max_cluster_size, CFG_INT, "10000", 1, 1000000,
	    "most nodes that a cluster may request"),
	KEY(max_unfinished_jobs, CFG_INT, "5000", 1, 1000000,
	    "most unfinished jobs per tenant; more are refused (429), except deletions"),
	KEY(plugin_resource_mib, CFG_INT, "1024", 1, 1000000,
	    "largest accepted file for plug-ins, MiB"),
	KEY(plugin_resources_mib, CFG_INT, "10240", 1, 100000000,
	    "most MiB of all files for plug-ins per tenant"),
	KEY(plugin_uploads, CFG_INT, "16", 1, 1000, "concurrent uploads of files for plug-ins"),
	KEY(poll_ms, CFG_DURATION, "2s", 50, 60000,
	    "how often to check for events whose notice was lost"),
	{ 0 },
};

void api_reply_db(struct http_req *req, int rc)
{
	if (err_is_refusal(rc)) {
		http_reply_text(req, err_http_status(rc), "%s", err_name(rc));
		return;
	}
	log_warn("database", LOG_S("req", http_id(req)), LOG_S("path", http_path(req)),
	         LOG_S("reason", err_name(rc)));
	if (rc == DB_E_FATAL)
		http_reply_problem(req, 500, "an internal error; the server's log has it under %s",
		                   http_id(req));
	else if (rc == DB_E_FULL) /* requests that need no space still succeed */
		http_reply_problem(
			req, 503,
			"the database is out of disk space or memory; nothing was done: try"
			" again when its operator has made room");
	else {
		db_outage_note(http_ctx(req));
		db_outage_reply(req, err_name(rc));
	}
}

void api_reply_one(struct http_req *req, int rc, const struct json *list, const char *name,
                   const char *what)
{
	if (rc)
		api_reply_db(req, rc);
	else if (json_len(list))
		http_reply_json(req, 200, json_at(list, 0));
	else
		http_reply_text(req, 404, "%s %s does not exist", what, name);
}

void api_reply_outcome(struct http_req *req, int rc, const struct outcome *o)
{
	if (rc)
		api_reply_db(req, rc);
	else if (o->status == 200)
		http_reply_empty(req, 200);
	else
		http_reply_text(req, o->status, "%s", o->msg);
}

/* Headers that pages of other origins may send and read. */
#define CORS_ALLOW                                                                        \
	"Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, " \
	"Last-Event-ID, X-Request-ID, X-Loom-ApiKey, X-Loom-TenantID, X-Loom-UserID, "    \
	"traceparent, tracestate"
#define CORS_EXPOSE                                                                  \
	"Allow, ETag, Link, Location, Retry-After, WWW-Authenticate, X-Loom-Index, " \
	"Warning, X-Request-ID, traceresponse"

#define LOG_RATE    (2 << 20)  /* bytes a second of output of one tenant's tasks, */
#define LOG_BURST   (8 << 20)  /* and the burst; provisioners drop the middle of longer output */
#define DEADLINE_MS 4000       /* answer before the client gives up by itself */
#define MAX_REQUEST (1u << 20) /* bytes of a document; routes with larger bodies say so */
#define MAX_DEPTH   48         /* of a document; messages around it add some levels, up to 64 */

static bool has_nul(const struct json *v)
{
	if (json_is(v, JSON_STRING))
		return strlen(json_str(v)) != json_str_len(v);
	for (size_t i = 0; i < json_len(v); i++) {
		if (has_nul(json_is(v, JSON_ARRAY) ? json_at(v, i) : json_value_at(v, i)))
			return true;
	}
	return false;
}

/* The member whose text a NUL would truncate. Free-form members are stored as they are, and may
 * have any. */
static const char *nul_member(const struct json *doc)
{
	static const char *const any[] = { "config", "result", "stdout", "stderr", "data" };
	for (size_t i = 0; json_is(doc, JSON_OBJECT) && i < json_len(doc); i++) {
		const char *name = json_key_at(doc, i);
		size_t k = 0;
		while (k < LOOM_COUNT(any) && !str_eq(name, any[k]))
			k++;
		if (k == LOOM_COUNT(any) && has_nul(json_value_at(doc, i)))
			return name;
	}
	return NULL;
}

int api_json_check(const struct json *doc, struct loom_err *err)
{
	if (json_deeper(doc, MAX_DEPTH))
		return err_set(err, 400, "the document is nested deeper than %d levels", MAX_DEPTH);
	const char *nul = nul_member(doc);
	return nul ? err_set(err, 400, "a text in %s holds a NUL character (\\u0000)", nul) : 0;
}

int api_body_json(struct http_req *req, struct json **ret)
{
	size_t len;
	struct loom_err err = { 0 };
	(void)http_body(req, &len);
	if (len > MAX_REQUEST) {
		http_reply_problem(req, 413, "the request has %zu bytes; at most %u are allowed",
		                   len, MAX_REQUEST);
		return 413;
	}
	int rc = http_body_json(req, ret, NULL);
	if (rc || !api_json_check(*ret, &err))
		return rc;
	http_reply_problem(req, 400, "%s", err.msg);
	json_free(*ret);
	*ret = NULL;
	return 400;
}

static void answered(struct http_req *req, int status, void *api)
{
	audit_answered(req, status, api);
	tracing_answered(req, status, api);
}

static int listen_on(struct api *a, struct http_server **srv, const struct http_route *routes,
                     const char *addr, const struct tls_config *tls, struct loom_err *err)
{
	struct http_limits limits = http_config_limits(&a->cfg.http);
	limits.max_streamed = (uint64_t)a->cfg.plugin_resource_mib << 20;
	*srv = http_server_create(a->loop, a->pool, routes, a, &limits);
	http_server_before(*srv, db_outage_before);
	int rc = http_server_tls(*srv, tls, err);
	if (rc)
		return rc;
	rc = http_server_listen(*srv, addr);
	return rc ? err_set(err, 500, "cannot listen on %s: %s", addr, http_server_listen_words(rc))
	          : 0;
}

static int check_networks(const struct api_config *cfg, struct loom_err *err)
{
	const struct {
		const char *key, *list;
	} lists[] = { { "secretless_workers", cfg->secretless_workers },
		      { "tokenless_workers", cfg->tokenless_workers },
		      { "trusted_proxies", cfg->trusted_proxies } };
	for (size_t i = 0; i < LOOM_COUNT(lists); i++) {
		LOOM_CLEANUP_STR char *bad = NULL;
		if (!net_list_valid(lists[i].list, &bad))
			return err_set(err, 400, "%s: '%.64s' is not a network (10.1.0.0/16, ::1)",
			               lists[i].key, bad);
	}
	return 0;
}

static int check_origins(const struct api_config *cfg, struct loom_err *err)
{
	LOOM_CLEANUP_STR char *bad = NULL;
	if (http_cors_valid(cfg->cors_origins, &bad))
		return 0;
	return err_set(err, 400,
	               "cors_origins: '%.64s' is not an origin, as https://a.example or "
	               "http://localhost:3000: small letters, no path",
	               bad);
}

/* Those that nothing else looks at when it starts. */
static int check_values(struct api *a, struct loom_err *err)
{
	int rc = check_networks(&a->cfg, err);
	if (!rc)
		rc = auth_config_check(&a->cfg, err);
	if (!rc)
		rc = hostfields_check_values(a->cfg.host_values, err);
	if (!rc)
		rc = oidc_config_check(&a->cfg, err);
	return rc ? rc : check_origins(&a->cfg, err);
}

int api_check(void *ctx, struct loom_err *err)
{
	struct api *a = ctx;
	int rc = check_values(a, err);
	if (!rc)
		rc = http_server_listen_check("external_listen", a->cfg.external_listen, err);
	if (!rc)
		rc = http_server_listen_check("internal_listen", a->cfg.internal_listen, err);
	if (!rc)
		rc = tls_config_check(&a->cfg.tls, err);
	return rc ? rc : coord_config_check(&a->cfg.coord, err);
}

static void too_old(const char *why, void *arg)
{
	service_fail(arg, why);
}

static int start_memory(struct api *a, struct loom_err *err LOOM_UNUSED)
{
	a->pool = pool_create(a->loop, (unsigned)a->cfg.threads, 4096);
	a->provisioners = provisioner_cache_create();
	a->log_budget = budget_create(LOG_RATE, LOG_BURST);
	schema_machines_max = a->cfg.max_cluster_size;
	a->pace = pace_create(&a->cfg);
	a->tokens = token_cache_create();
	a->repeats = repeats_create();
	return 0;
}

static int start_db(struct api *a, struct loom_err *err)
{
	struct db_config db = a->cfg.db; /* the configured values must not change */
	if (db.deadline_ms > DEADLINE_MS)
		db.deadline_ms = DEADLINE_MS;
	int rc = db_pool_create(&db, &a->db, err);
	if (rc)
		return rc;
	db_pool_on_too_old(a->db, too_old, a->service);
	return db_migrate(a->db, schema_migrations, 60000, err);
}

static int start_secrets(struct api *a, struct loom_err *err)
{
	int rc = auth_by_token(a) ? tokens_start(a, err) : 0;
	if (!rc)
		rc = keyring_create(&a->cfg.keys, a->cfg.bus.key_file, a->db, &a->ring, err);
	return rc ? rc : seal_key_init(a->cfg.bus.key_file, MAIL_USE, &a->mail_key, err);
}

static int start_peers(struct api *a, struct loom_err *err)
{
	int rc = bus_create(a->loop, &a->cfg.bus, &a->bus, err);
	if (rc)
		return rc;
	a->cfg.coord.key_file = a->cfg.bus.key_file;
	a->coord = coord_create(a->loop, &a->cfg.coord, err);
	if (!a->coord)
		return 1;
	secrets_start(a);
	peers_start(a);
	db_outage_start(a);
	return 0;
}

static int start_share_push(struct api *a, struct loom_err *err LOOM_UNUSED)
{
	share_push_start(a);
	terms_start(a);
	oidc_start(a);
	watchers_start(a);
	return 0;
}

static int start_routes(struct api *a, struct loom_err *err)
{
	int rc = api_routes_create(&a->routes, err);
	if (!rc)
		a->described = described_create(a->routes, a->cfg.internal_listen);
	return rc;
}

static int start_external(struct api *a, struct loom_err *err)
{
	int rc = listen_on(a, &a->external, a->routes->external.v, a->cfg.external_listen,
	                   &a->cfg.tls, err);
	if (rc)
		return rc;
	http_server_check(a->external, auth_head);
	http_server_share(a->external, auth_share);
	http_server_cors(a->external,
	                 &(struct http_cors){ a->cfg.cors_origins, a->cfg.cors_credentials,
	                                      CORS_ALLOW, CORS_EXPOSE });
	http_server_answered(a->external, answered);
	return 0;
}

static int start_internal(struct api *a, struct loom_err *err)
{
	a->internal_tls = a->cfg.tls;
	a->internal_tls.client_ca = a->cfg.internal_tls_client_ca;
	int rc = listen_on(a, &a->internal, a->routes->internal.v, a->cfg.internal_listen,
	                   &a->internal_tls, err);
	if (!rc)
		http_server_answered(a->internal, answered);
	return rc;
}

/* Each may use what the earlier ones made. The servers start last. */
static int (*const starts[])(struct api *a, struct loom_err *err) = {
	start_memory, check_values,     start_db,     start_secrets,  start_peers,
	audit_start,  start_share_push, start_routes, start_external, start_internal,
};

int api_start(struct service *service, void *ctx, struct loom_err *err)
{
	struct api *a = ctx;
	a->service = service;
	a->loop = service_loop(service);
	int rc = 0;
	for (size_t i = 0; !rc && i < LOOM_COUNT(starts); i++)
		rc = starts[i](a, err);
	return rc;
}

static void when_idle(void *arg)
{
	struct api *a = arg;
	bool external = http_server_rests(a->external), internal = http_server_rests(a->internal);
	if (external && internal)
		service_drained(a->service);
}

/* Ends streams and long polls first: their clients reconnect to another copy. */
void api_drain(struct service *service LOOM_UNUSED, void *ctx)
{
	struct api *a = ctx;
	http_server_stop_accepting(a->external);
	http_server_stop_accepting(a->internal);
	watchers_stop(a);
	takes_drain(a);
	struct loop_timer *t = loop_timer_create(a->loop, "drain", when_idle, a);
	loop_timer_every(t, 20);
	a->draining = t;
}

/* Workers end first, while everything that their posted results refer to still exists. */
void api_stop(struct service *service LOOM_UNUSED, void *ctx)
{
	struct api *a = ctx;
	loop_timer_destroy(a->draining);
	watchers_stop(a);
	audit_stop(a);
	if (a->db)
		db_pool_stop(a->db);
	pool_destroy(a->pool);
	a->pool = NULL;
	loop_flush(a->loop);
	takes_drain(a);
	peers_stop(a);
	if (a->coord)
		coord_destroy(a->coord);
	if (a->bus)
		bus_destroy(a->bus);
	loop_flush(a->loop);
	http_server_destroy(a->external);
	http_server_destroy(a->internal);
	described_destroy(a->described);
	audit_free(a);
	share_push_stop(a);
	terms_stop(a);
	api_routes_destroy(a->routes);
	db_pool_destroy(a->db);
	seal_key_fini(&a->mail_key);
	secrets_stop(a);
	keyring_destroy(a->ring);
	db_outage_stop(a);
	provisioner_cache_destroy(a->provisioners);
	budget_destroy(a->log_budget);
	pace_destroy(a->pace);
	token_cache_destroy(a->tokens);
	oidc_stop(a);
	repeats_destroy(a->repeats);
}

void api_notes(struct service *service LOOM_UNUSED, void *ctx, struct strs *ret)
{
	struct api *a = ctx;
	if (peers_unheard(a))
		strs_add(ret,
		         "no scheduler can be heard: requests go by way of the database, slowly");
	bus_notes(a->bus, ret);
}

bool api_ready(struct service *service LOOM_UNUSED, void *ctx, struct loom_err *err)
{
	struct api *a = ctx;
	return a->db && db_pool_ready(a->db, err);
}
