/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login - exchanges a password for a session's token, signs out, changes the caller's password, and
 * says who he is. A wrong password gets the same answer whether the account exists or not.
 */
#include "services/api/identity/login.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/catalog/entity.h"
#include "common/model/identity/signin.h"
#include "common/model/identity/tenant.h"
#include "services/api/request/audit.h"
#include "services/api/request/pace.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/resources.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SESSION_MS   ((int64_t)12 * 3600 * 1000)
#define HASH_AT_ONCE 2 /* each takes 64 MiB */

/* ---- passwords --------------------------------------------------------------------------------
 */

static atomic_int hashing;

/* false after answering: too many passwords are being checked. */
static bool hash_begin(struct http_req *req)
{
	if (atomic_fetch_add(&hashing, 1) < HASH_AT_ONCE)
		return true;
	atomic_fetch_sub(&hashing, 1);
	http_reply_problem(req, 503, "other passwords are being looked at; try again");
	return false;
}

static void hash_end(void)
{
	atomic_fetch_sub(&hashing, 1);
}

char *login_hash(struct http_req *req, const char *password)
{
	if (!hash_begin(req))
		return NULL;
	char *hash = account_password_hash(password);
	hash_end();
	if (!hash)
		http_reply_problem(req, 503, "there is no memory to look at a password");
	return hash;
}

const char *login_wrong_password(const char *password)
{
	size_t n = strlen(password);
	return n < ACCOUNT_PASSWORD_MIN   ? "a password has at least 10 characters"
	       : n > ACCOUNT_PASSWORD_MAX ? "a password has at most 1024 bytes"
	                                  : NULL;
}

/* ---- tries ------------------------------------------------------------------------------------
 */

struct
try {
	char *key; /* the account whose password is tried; owned */
	int64_t wait;
};

static int try_tx(struct db *db, void *arg)
{
	struct try *t = arg;
	return signin_try(db, t->key, &t->wait);
}

static bool refuse_try(struct http_req *req, int64_t wait, const char *scope)
{
	char seconds[24];
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(wait + 999) / 1000);
	http_reply_header(req, "Retry-After", seconds);
	http_reply_text(req, 429, "too many wrong passwords %s; wait %s s", scope, seconds);
	return false;
}

/* Registers one more try, which counts as wrong until signin_right(). Whoever tries passwords with
 * many accounts is slowed down by address. false after answering. */
static bool try_begin(struct http_req *req, struct try *t)
{
	struct api *a = http_ctx(req);
	int64_t wait = pace_bad_password_wait(a, req);
	if (wait)
		return refuse_try(req, wait,
		                  "of this address (bad_password_rate, bad_password_burst)");
	if (!hash_begin(req))
		return false;
	int rc = db_tx(a->db, try_tx, t);
	if (!rc && !t->wait)
		return true;
	hash_end();
	if (!rc)
		return refuse_try(req, t->wait, "for this account");
	api_reply_db(req, rc);
	return false;
}

static bool try_end(struct http_req *req, const char *hash, const char *password)
{
	bool right = account_password_right(hash ? hash : "", password);
	hash_end();
	if (!right)
		pace_bad_password(http_ctx(req), req);
	return right;
}

/* ---- signing in -------------------------------------------------------------------------------
 */

struct login {
	const char *tenant, *user;
	char *tenant_id;
	struct account account;
	struct token token;
	struct try try;
};

static void login_fini(struct login *l)
{
	loom_free(l->tenant_id);
	loom_free(l->account.password);
	l->tenant_id = NULL;
	l->account = (struct account){ 0 };
}

static int account_read(struct db *db, void *arg)
{
	struct login *l = arg;
	login_fini(l);
	int rc = tenant_id_by_name(db, l->tenant, &l->tenant_id);
	if (!rc && l->tenant_id)
		rc = account_get(db, l->tenant_id, l->user, &l->account);
	return rc == ACCOUNT_E_NONE ? 0 : rc;
}

static int session_tx(struct db *db, void *arg)
{
	struct login *l = arg;
	struct account now;
	int64_t ms;
	int rc = db_now(db, &ms);
	if (!rc)
		rc = account_get(db, l->tenant_id, l->user, &now);
	if (rc)
		return rc;
	/* The password was changed during the check. */
	bool same = str_eq(now.password, l->account.password);
	loom_free(now.password);
	l->token.expire = ms + SESSION_MS;
	if (!same)
		return ACCOUNT_E_NONE;
	rc = signin_right(db, l->try.key);
	return rc ? rc : token_add(db, &l->token);
}

static void reply_session(struct http_req *req, const struct login *l, const char *text)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	json_set_str(v, "token", text);
	json_set_str(v, "user", l->user);
	json_set_str(v, "tenant", l->tenant);
	json_set_str(v, "role", account_role_name(l->account.role));
	json_set_int(v, "expireTime", l->token.expire);
	http_reply_header(req, "Cache-Control", "no-store");
	http_reply_json(req, 200, v);
}

static void refuse(struct http_req *req, const struct login *l)
{
	log_warn("sign in refused", LOG_S("tenant", l->tenant), LOG_S("user", l->user),
	         LOG_S("peer", http_peer(req)), LOG_S("req", http_id(req)));
	http_reply_text(req, 401, "tenant, user or password is wrong");
}

static void make_session(struct http_req *req, struct login *l)
{
	char text[TOKEN_TEXT];
	token_make(text, &l->token);
	l->token.kind = TOKEN_SESSION;
	l->token.tenant = l->tenant_id;
	l->token.user = l->user;
	l->token.name = "session";
	l->token.scopes = "";
	struct identity who = { 0 };
	snprintf(who.user, sizeof(who.user), "%s", l->user);
	snprintf(who.tenant_id, sizeof(who.tenant_id), "%s", l->tenant_id);
	snprintf(who.home, sizeof(who.home), "%s", l->tenant_id);
	snprintf(who.token, sizeof(who.token), "%s", l->token.id);
	request_is(req, &who);
	int rc = audit_tx(req, session_tx, l);
	peers_catalog(http_ctx(req), l->tenant_id, "tokens");
	if (rc == ACCOUNT_E_NONE)
		refuse(req, l);
	else if (rc)
		api_reply_db(req, rc);
	else
		reply_session(req, l, text);
}

void login_post(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	const struct json *body = request_body(req);
	struct login l = { .tenant = json_get_str(body, "tenant"),
		           .user = json_get_str(body, "user") };
	l.try.key = loom_asprintf("%s\n%s", l.tenant, l.user);
	audit_object(req, "users/%s of %s", l.user, l.tenant);
	int rc = db_read(a->db, account_read, &l);
	if (rc)
		api_reply_db(req, rc);
	else if (try_begin(req, &l.try)) {
		if (try_end(req, l.account.password, json_get_str(body, "password")))
			make_session(req, &l);
		else
			refuse(req, &l);
	}
	login_fini(&l);
	loom_free(l.try.key);
}

static int logout_tx(struct db *db, void *arg)
{
	const struct identity *who = arg;
	int rc = token_delete_session(db, who->token);
	return rc == TOKEN_E_NONE ? 0 : rc;
}

void logout_post(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct identity who = *request_who(req);
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	const struct answer answer = { .body = body };
	json_set_bool(body, "ended", who.kind == TOKEN_SESSION && !who.foreign);
	int rc = repeat_tx(req, logout_tx, &who, &answer);
	token_cache_clear(a->tokens);
	peers_catalog(a, who.tenant_id, "tokens");
	if (rc)
		api_reply_db(req, rc);
	else
		repeat_reply(req, &answer);
}

/* ---- oneself ----------------------------------------------------------------------------------
 */

struct self {
	const struct identity *who;
	char *tenant;
};

static int tenant_read(struct db *db, void *arg)
{
	struct self *s = arg;
	loom_free(s->tenant);
	s->tenant = NULL;
	return tenant_name_of(db, s->who->tenant_id, &s->tenant);
}

static struct json *narrowed_by(const struct identity *who)
{
	struct json *names = json_new_arr();
	for (size_t i = 0; i < LOOM_COUNT(who->own); i++) {
		if (*who->own[i])
			json_push(names, json_new_str(who->own[i]));
	}
	return names;
}

void whoami_get(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct self s = { .who = request_who(req) };
	int rc = db_read(a->db, tenant_read, &s);
	if (rc) {
		api_reply_db(req, rc);
		return;
	}
	LOOM_CLEANUP(json_free) struct json *v = json_new_obj();
	json_set_str(v, "user", s.who->user);
	json_set_str(v, "tenant", s.tenant);
	json_set_str(v, "tenantId", s.who->tenant_id);
	json_set_str(v, "role", role_name(s.who->role));
	json_set_str(v, "scopes", s.who->scopes);
	if (auth_narrowed(s.who))
		json_set(v, "narrowedBy", narrowed_by(s.who));
	json_set_str(v, "authMode", a->cfg.auth_mode);
	if (s.who->expire)
		json_set_int(v, "expireTime", s.who->expire);
	http_reply_json(req, 200, v);
	loom_free(s.tenant);
}

struct change {
	const struct identity *who;
	struct account account;
	char *hash;
	struct try try;
};

static int own_read(struct db *db, void *arg)
{
	struct change *c = arg;
	loom_free(c->account.password);
	return account_get(db, c->who->tenant_id, c->who->user, &c->account);
}

static int own_tx(struct db *db, void *arg)
{
	struct change *c = arg;
	struct account now;
	int rc = account_get(db, c->who->tenant_id, c->who->user, &now);
	if (rc)
		return rc;
	bool same = str_eq(now.password, c->account.password) || str_eq(now.password, c->hash);
	loom_free(now.password);
	if (!same)
		return ACCOUNT_E_NONE;
	rc = signin_right(db, c->try.key);
	return rc ? rc
	          : account_put(db, c->who->tenant_id, c->who->user, now.role, now.own, c->hash);
}

/* The old password was right: hashes and stores the new one. */
static void replace(struct http_req *req, struct change *c, const char *fresh)
{
	struct api *a = http_ctx(req);
	c->hash = login_hash(req, fresh);
	if (!c->hash)
		return;
	int rc = audit_tx(req, own_tx, c);
	token_cache_clear(a->tokens);
	if (rc == ACCOUNT_E_NONE)
		http_reply_text(req, 409, "the password was changed meanwhile");
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
}

void password_put(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	const struct json *body = request_body(req);
	const char *old = json_get_str(body, "old"), *fresh = json_get_str(body, "new");
	struct change c = { .who = request_who(req) };
	const char *wrong = login_wrong_password(fresh);
	if (wrong) {
		http_reply_text(req, 400, "%s", wrong);
		return;
	}
	c.try.key = loom_asprintf("%s\n%s", c.who->tenant_id, c.who->user);
	int rc = db_read(a->db, own_read, &c);
	if (rc && rc != ACCOUNT_E_NONE)
		api_reply_db(req, rc);
	else if (rc || !*c.account.password)
		http_reply_text(req, 409,
		                "this account has no password; an administrator can give it one");
	else if (try_begin(req, &c.try)) {
		if (try_end(req, c.account.password, old))
			replace(req, &c, fresh);
		else
			http_reply_text(req, 403, "the old password is wrong");
	}
	loom_free(c.account.password);
	loom_free(c.hash);
	loom_free(c.try.key);
}
