/* SPDX-License-Identifier: Apache-2.0 */
/* Authenticates the caller: user, tenant and role. */
#include "services/api/request/auth.h"

#include "common/base/netlist.h"
#include "common/base/str.h"
#include "common/model/catalog/entity.h"
#include "common/model/identity/tenant.h"
#include "services/api/request/audit.h"
#include "services/api/request/db_outage.h"
#include "services/api/request/legacy.h"
#include "services/api/request/pace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- settings -------------------------------------------------------------------------------- */

bool auth_by_token(const struct api *a)
{
	return str_eq(a->cfg.auth_mode, "token");
}

/* Without tokens, whoever reaches the port could claim to be an administrator. */
static bool is_public(const char *listen)
{
	struct net_addr at;
	return net_addr_peer(listen, &at) && !net_list_has(NET_LIST_PRIVATE, &at);
}

int auth_config_check(const struct api_config *cfg, struct loom_err *err)
{
	bool headers = str_eq(cfg->auth_mode, "headers");
	if (!headers && !str_eq(cfg->auth_mode, "token"))
		return err_set(err, 400, "auth_mode: '%.32s' is neither token nor headers",
		               cfg->auth_mode);
	if (headers && is_public(cfg->external_listen) && !cfg->auth_headers_public)
		return err_set(
			err, 400,
			"auth_mode = headers believes whoever reaches %s; listen on a private "
			"address, use auth_mode = token, or say auth_headers_public = yes where "
			"only a proxy that sets the headers can reach it",
			cfg->external_listen);
	return 0;
}

/* ---- headers --------------------------------------------------------------------------------- */

/* What is said once, for of two the one that counts need not be the one that a proxy has seen. By
 * our header or the original's; first the two that name user and tenant. */
enum { USER_HEADER, TENANT_HEADER, IDENTITY_HEADERS };

static const struct {
	const char *ours, *originals, *what;
} identity_headers[] = {
	[USER_HEADER] = { "X-Loom-UserID", "Coopr-UserID", "who you are" },
	[TENANT_HEADER] = { "X-Loom-TenantID", "Coopr-TenantID", "which tenant you work in" },
	{ "X-Loom-ApiKey", "Coopr-ApiKey", "your token" },
	{ "Authorization", "Authorization", "your token" },
	{ "Idempotency-Key", "Idempotency-Key", "which request is not to be done twice" },
};

static const char *either(const struct http_req *req, const char *ours, const char *originals)
{
	const char *v = http_header(req, ours);
	return v ? v : http_header(req, originals);
}

const char *auth_tenant_header(const struct http_req *req)
{
	return either(req, identity_headers[TENANT_HEADER].ours,
	              identity_headers[TENANT_HEADER].originals);
}

static int check_once(const struct http_head *head, size_t i, struct loom_err *err)
{
	const char *found = NULL, *value = NULL;
	for (size_t k = 0; k < head->n; k++) {
		const char *name = head->headers[k].name;
		if (!str_ieq(name, identity_headers[i].ours) &&
		    !str_ieq(name, identity_headers[i].originals))
			continue;
		/* Behind a proxy that adds its own header, the client's copy would come first and
		 * win. */
		if (found && (str_ieq(found, name) || !str_eq(value, head->headers[k].value)))
			return err_set(err, 400, "headers %s and %s: %s must be said once", found,
			               name, identity_headers[i].what);
		found = name;
		value = head->headers[k].value;
	}
	return 0;
}

static int check_head(const struct api *a, const struct http_head *head, bool asked,
                      struct loom_err *err)
{
	for (size_t i = 0; i < LOOM_COUNT(identity_headers); i++) {
		int rc = check_once(head, i, err);
		if (rc)
			return rc;
	}
	if (auth_by_token(a))
		return !asked || http_head_value(head, "Authorization") ||
		                       http_head_value(head, "X-Loom-ApiKey") ||
		                       http_head_value(head, "Coopr-ApiKey")
		               ? 0
		               : err_set(err, 401, AUTH_SHOW_TOKEN);
	/* Version 0.9.7 knew no tenants. */
	size_t needed = legacy_path(head->target) ? TENANT_HEADER : IDENTITY_HEADERS;
	for (size_t i = 0; i < needed && asked; i++) {
		if (str_blank(http_head_value(head, identity_headers[i].ours)) &&
		    str_blank(http_head_value(head, identity_headers[i].originals)))
			return err_set(err, 401, "header %s is missing: it says %s",
			               identity_headers[i].ours, identity_headers[i].what);
	}
	return 0;
}

int auth_head(const struct http_head *head, const struct http_route *route, void *ctx,
              struct loom_err *err)
{
	struct api *a = ctx;
	const struct route *r = api_routes_rule(a->routes, route);
	bool asked = r->roles != ROLE_ANYBODY && r->roles != ROLE_PROVISIONER;
	int rc = check_head(a, head, asked, err);
	if (rc == 401)
		audit_head_refused(a, head, r, rc);
	return rc;
}

const char *auth_share(const struct http_req *req)
{
	/* With tokens the tenant header proves nothing: it could name another tenant, and use that
	 * one's share. */
	const char *key =
		auth_by_token(http_ctx(req)) ? auth_token_shown(req) : auth_tenant_header(req);
	return str_blank(key) ? NULL : key;
}

struct lookup {
	const char *name;
	char *id;
};

static int lookup_read(struct db *db, void *arg)
{
	struct lookup *l = arg;
	loom_free(l->id);
	return tenant_id_by_name(db, l->name, &l->id);
}

static bool refuse(struct http_req *req, int status, const char *why)
{
	http_reply_text(req, status, "%s", why);
	return false;
}

/* *ret owned; NULL after answering. */
static char *tenant_named(struct api *a, struct http_req *req, const char *name)
{
	struct lookup l = { .name = name };
	/* The superadmin tenant always exists, with its name as its id. */
	if (str_eq(name, TENANT_SUPERADMIN))
		return loom_strdup(name);
	int rc = db_read(a->db, lookup_read, &l);
	if (rc)
		api_reply_db(req, rc);
	else if (!l.id)
		http_reply_text(req, 404, "tenant %s does not exist", name);
	return l.id;
}

static bool by_headers(struct api *a, struct http_req *req, struct identity *who)
{
	const char *user = either(req, identity_headers[0].ours, identity_headers[0].originals);
	const char *tenant = auth_tenant_header(req);
	if (str_blank(user))
		return refuse(req, 401, "header X-Loom-UserID is missing: it says who you are");
	if (str_blank(tenant) && legacy_is(req))
		tenant = TENANT_SUPERADMIN;
	if (str_blank(tenant))
		return refuse(
			req, 401,
			"header X-Loom-TenantID is missing: it says which tenant you work in");
	if (strlen(user) >= sizeof(who->user))
		return refuse(req, 401, "header X-Loom-UserID is longer than 255 characters");
	if (!str_is_utf8(user))
		return refuse(req, 401, "header X-Loom-UserID is not UTF-8");
	LOOM_CLEANUP_STR char *id = tenant_named(a, req, tenant);
	if (!id)
		return false;
	snprintf(who->user, sizeof(who->user), "%s", user);
	snprintf(who->tenant_id, sizeof(who->tenant_id), "%s", id);
	snprintf(who->home, sizeof(who->home), "%s", id);
	who->role = !str_eq(user, "admin")                      ? ROLE_USER
	            : str_eq(who->tenant_id, TENANT_SUPERADMIN) ? ROLE_SUPERADMIN
	                                                        : ROLE_ADMIN;
	return true;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static enum role role_of(const struct token_owner *o)
{
	bool super = str_eq(o->tenant_id, TENANT_SUPERADMIN);
	switch (o->role) {
	case ACCOUNT_USER:
		return ROLE_USER;
	case ACCOUNT_AUDITOR:
		return ROLE_AUDITOR;
	case ACCOUNT_ADMIN:
		return super ? ROLE_SUPERADMIN : ROLE_ADMIN;
	case ACCOUNT_PROVISIONER:
		return ROLE_PROVISIONER;
	}
	return ROLE_USER;
}

/* A superadmin may work in any tenant, as its administrator. Everybody else, also a superadmin
 * narrowed by a role of his tenant, must name his own tenant or none. */
static bool in_tenant(struct api *a, struct http_req *req, const char *name, struct identity *who)
{
	LOOM_CLEANUP_STR char *id = tenant_named(a, req, name);
	if (!id)
		return false;
	if (str_eq(id, who->tenant_id))
		return true;
	if (who->role != ROLE_SUPERADMIN || auth_narrowed(who)) {
		http_reply_text(req, 404, "tenant %s does not exist", name);
		return false;
	}
	who->role = ROLE_ADMIN;
	snprintf(who->tenant_id, sizeof(who->tenant_id), "%s", id);
	return true;
}

static void refuse_token(struct http_req *req, int rc, const struct loom_err *err)
{
	if (rc > ERR_LAST_STATUS) {
		api_reply_db(req, rc);
		return;
	}
	if (rc == 401)
		http_reply_header(req, "WWW-Authenticate", "Bearer realm=\"loom\"");
	http_reply_text(req, rc, "%s", err->msg); /* with 429 and 503: Retry-After */
}

static bool by_token(struct api *a, struct http_req *req, struct identity *who)
{
	struct token_owner o;
	struct loom_err err = { 0 };
	int rc = auth_token_owner(a, req, AUTH_WAIT_MS, &o, &err);
	if (rc) {
		refuse_token(req, rc, &err);
		return false;
	}
	const char *user = either(req, identity_headers[0].ours, identity_headers[0].originals);
	const char *tenant = auth_tenant_header(req);
	snprintf(who->user, sizeof(who->user), "%s", o.user);
	snprintf(who->tenant_id, sizeof(who->tenant_id), "%s", o.tenant_id);
	snprintf(who->home, sizeof(who->home), "%s", o.tenant_id);
	snprintf(who->token, sizeof(who->token), "%s", o.id);
	snprintf(who->scopes, sizeof(who->scopes), "%s", o.scopes);
	memcpy(who->own, o.own, sizeof(who->own));
	who->kind = o.kind;
	who->expire = o.expire;
	who->foreign = o.foreign;
	who->stamp = o.stamp;
	who->role = role_of(&o);
	/* The identity headers of the original's clients must agree with the token. */
	if (!str_blank(user) && !str_eq(user, o.user)) {
		http_reply_text(req, 403, "the token is that of user %s; X-Loom-UserID says %.64s",
		                o.user, user);
		return false;
	}
	return str_blank(tenant) || in_tenant(a, req, tenant, who);
}

/* ---- provisioners ---------------------------------------------------------------------------- */

static bool may_show_none(const struct api *a, const struct http_req *req)
{
	struct net_addr from;
	const char *networks = a->cfg.tokenless_workers;
	if (!*networks && !auth_by_token(a))
		networks = NET_LIST_PRIVATE;
	return net_addr_peer(http_peer(req), &from) && net_list_has(networks, &from);
}

static int refuse_worker(struct http_req *req, const struct token_owner *o, const char *tenant)
{
	enum role role = role_of(o);
	bool super = str_eq(o->tenant_id, TENANT_SUPERADMIN);
	if (role != ROLE_PROVISIONER && role != ROLE_SUPERADMIN) {
		http_reply_text(req, 403, "the token of %s is not that of a provisioner", o->user);
		return 403;
	}
	if (super || !tenant || str_eq(tenant, o->tenant_id))
		return 0;
	http_reply_text(req, 403,
	                "the token is for tenant %s only; set the provisioner's tenant to that",
	                o->tenant_id);
	return 403;
}

int auth_worker(struct api *a, struct http_req *req, int64_t wait_ms, const char *tenant,
                struct worker_pass *ret)
{
	struct token_owner o;
	*ret = (struct worker_pass){ 0 };
	if (may_show_none(a, req))
		return 0;
	struct loom_err err = { 0 };
	int rc = auth_token_owner(a, req, wait_ms, &o, &err);
	if (rc == -EAGAIN)
		return rc;
	if (rc == DB_E_AWAY && wait_ms < AUTH_WAIT_MS) /* a short wait does not prove an outage */
		db_outage_reply(req, err_name(rc));
	else if (rc)
		refuse_token(req, rc, &err);
	else
		rc = refuse_worker(req, &o, tenant);
	if (rc)
		return rc;
	if (!o.foreign)
		snprintf(ret->token, sizeof(ret->token), "%s", o.id);
	ret->stamp = o.stamp;
	if (str_eq(o.tenant_id, TENANT_SUPERADMIN))
		return 0;
	snprintf(ret->tenant, sizeof(ret->tenant), "%s", o.tenant_id);
	/* Provisioners shared by all tenants belong to the installation and are not counted. */
	return pace_ask(a, req, o.tenant_id, o.id) ? 0 : 429;
}

void auth_refuse_revoked(struct http_req *req)
{
	struct loom_err err = { 0 };
	refuse_token(req, err_set(&err, 401, AUTH_NOT_GOOD), &err);
}

void auth_worker_identity(struct api *a, const struct http_req *req, struct identity *who)
{
	struct token_owner o;
	struct loom_err err;
	*who = (struct identity){ .role = ROLE_PROVISIONER };
	if (!auth_by_token(a) || auth_token_owner(a, req, 0, &o, &err))
		return;
	snprintf(who->user, sizeof(who->user), "%s", o.user);
	snprintf(who->tenant_id, sizeof(who->tenant_id), "%s", o.tenant_id);
	snprintf(who->home, sizeof(who->home), "%s", o.tenant_id);
	snprintf(who->token, sizeof(who->token), "%s", o.id);
	who->role = role_of(&o);
}

bool auth(struct api *a, struct http_req *req, struct identity *who)
{
	*who = (struct identity){ 0 };
	return auth_by_token(a) ? by_token(a, req, who) : by_headers(a, req, who);
}

bool auth_covers(const char *words, const char *permission)
{
	static const char write[] = ":write";
	if (!*words || !*permission)
		return true;
	size_t of = strcspn(permission, ":");
	for (const char *at = words; *at;) {
		size_t len = strcspn(at, " ");
		bool same = len == strlen(permission) && !strncmp(at, permission, len);
		bool writes = len == of + strlen(write) && !strncmp(at, permission, of) &&
		              !strncmp(at + of, write, strlen(write));
		if (same || writes)
			return true;
		at += len + strspn(at + len, " ");
	}
	return false;
}

bool auth_has_scope(const struct identity *who, const char *permission)
{
	return auth_covers(who->scopes, permission);
}

bool auth_narrowed(const struct identity *who)
{
	return *who->own[0] || *who->own[1];
}

bool auth_sees_all(const struct identity *who)
{
	return who->role & (ROLES_ADMIN | ROLE_AUDITOR);
}
