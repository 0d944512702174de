/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens - users make, list and delete their own tokens, administrators those of their tenant. A
 * token is shown once, when it is made. Nobody can make one with more permissions than the one that
 * he shows; so a narrowed caller makes none for others, whose roles may be wider.
 */
#include "services/api/identity/tokens.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/secret_file.h"
#include "common/base/str.h"
#include "common/model/catalog/entity.h"
#include "services/api/request/audit.h"
#include "services/api/request/repeat.h"
#include "services/api/request/request.h"
#include "services/api/resources.h"
#include "services/api/watch/listing.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_MS ((int64_t)7 * 24 * 3600 * 1000)

struct token_call {
	const struct identity *who;
	const char *user; /* whose tokens; NULL: all of the tenant */
	const char *id;
	struct token token;
};

static bool is_admin(const struct identity *who)
{
	return (who->role & ROLES_ADMIN) && !auth_narrowed(who);
}

/* Whose are shown; NULL: those of all of the tenant. */
static const char *shown_of(const struct http_req *req)
{
	const struct identity *who = request_who(req);
	return is_admin(who) ? http_query(req, "user") : who->user;
}

static int read_part(struct db *db, struct http_req *req, struct list_part *part, struct json **ret)
{
	return token_list(db, request_who(req)->tenant_id, shown_of(req), http_query(req, "kind"),
	                  part, ret);
}

static char *place_of(struct http_req *req LOOM_UNUSED, const struct json *item)
{
	return loom_asprintf("%lld.%s.%s", (long long)json_get_int(item, "createTime", 0),
	                     json_get_str(item, "id"), json_get_str(item, "user"));
}

static bool is_place(struct http_req *req LOOM_UNUSED, const char *text)
{
	struct token_place p;
	return token_place_parse(text, &p);
}

/* By user, because there is an index of that; of each the newest first. */
void tokens_list(struct http_req *req, void *ctx)
{
	static const char *const searched[] = { "name", NULL };
	static const struct listing_kind tokens = {
		.rules = { .key = "id", .searched = searched, .down = true, .filters = true },
		.read = read_part,
		.first = LIST_PAGE_MAX,
		.most = LIST_PAGE_MAX,
		.place = place_of,
		.is_place = is_place
	};
	const struct tally_of of =
		tally_of_rows(TALLY_TOKENS, request_who(req)->tenant_id, shown_of(req));
	listing_answer(req, ctx, &tokens, &of);
}

static int delete_tx(struct db *db, void *arg)
{
	const struct token_call *k = arg;
	return token_delete(db, k->who->tenant_id, k->user, k->id);
}

void tokens_delete(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct token_call k = { .who = request_who(req), .id = http_param(req, "id") };
	k.user = is_admin(k.who) ? NULL : k.who->user;
	int rc = audit_tx(req, delete_tx, &k);
	token_cache_clear(a->tokens);
	peers_catalog(a, k.who->tenant_id, "tokens");
	if (rc == TOKEN_E_NONE)
		http_reply_text(req, 404, "token %.32s does not exist", k.id);
	else if (rc)
		api_reply_db(req, rc);
	else
		http_reply_empty(req, 200);
}

/* ---- a new one --------------------------------------------------------------------------------
 */

/* A role that narrows the shown token also narrows the tokens made with it. */
static bool choose_role(struct http_req *req, struct token_call *k)
{
	const char *asked = json_get_str(request_body(req), "role"), *shown = k->who->own[1];
	k->token.own = asked && *asked ? asked : shown;
	if (!*shown || str_eq(k->token.own, shown))
		return true;
	http_reply_text(req, 403, "the token that you show has the role %s; so have all it makes",
	                shown);
	return false;
}

/* A token made with one that expires expires no later. Sessions and the first start's token are
 * exempt: they serve to make lasting tokens. */
static bool choose_end(struct http_req *req, struct token_call *k)
{
	int64_t last = k->who->kind == TOKEN_API ? k->who->expire : 0;
	if (k->token.expire && k->token.expire <= clock_wall_ms()) {
		http_reply_text(req, 400,
		                "expireTime has passed already (milliseconds since 1970)");
		return false;
	}
	if (last && k->token.expire > last) {
		http_reply_text(req, 403,
		                "the token that you show ends at %lld; so do all it makes",
		                (long long)last);
		return false;
	}
	if (!k->token.expire)
		k->token.expire = last;
	return true;
}

/* Each scope must be one that a route demands, and one that the caller's own token has. */
static bool check_scopes(struct http_req *req, const struct identity *who, const char *scopes)
{
	const struct api *a = http_ctx(req);
	for (const char *at = scopes; *at;) {
		size_t len = strcspn(at, " ");
		LOOM_CLEANUP_STR char *one = loom_strndup(at, len);
		if (!len || !routes_have_permission(a->routes, one)) {
			LOOM_CLEANUP_STR char *all = routes_permissions(a->routes);
			http_reply_text(req, 400, "'%.64s' is not a scope; there are %s", one, all);
			return false;
		}
		if (!auth_has_scope(who, one)) {
			http_reply_text(req, 403,
			                "the token that you show is not good for %s itself", one);
			return false;
		}
		at += len;
		at += *at == ' ';
	}
	return true;
}

static bool read_request(struct http_req *req, struct token_call *k)
{
	const struct json *body = request_body(req);
	const char *user = json_get_str(body, "user"), *scopes = json_get_str(body, "scopes");
	k->token = (struct token){ .kind = TOKEN_API,
		                   .tenant = k->who->tenant_id,
		                   .user = user ? user : k->who->user,
		                   .name = json_get_str(body, "name"),
		                   .scopes = scopes && *scopes ? scopes : k->who->scopes,
		                   .expire = json_get_int(body, "expireTime", 0) };
	if (!is_admin(k->who) && !str_eq(k->token.user, k->who->user)) {
		http_reply_text(req, 403, "only administrators make tokens for others");
		return false;
	}
	return choose_end(req, k) && choose_role(req, k) &&
	       check_scopes(req, k->who, k->token.scopes);
}

static int add_tx(struct db *db, void *arg)
{
	const struct token_call *k = arg;
	int rc = token_add(db, &k->token);
	return rc ? rc : token_end_first(db);
}

static struct json *shown_once(const struct token_call *k, const char *text)
{
	struct json *v = json_set_str(json_new_obj(), "id", k->token.id);
	json_set_str(v, "token", text);
	json_set_str(v, "name", k->token.name);
	json_set_str(v, "user", k->token.user);
	json_set_str(v, "scopes", k->token.scopes);
	json_set_str(v, "role", k->token.own);
	if (k->token.expire)
		json_set_int(v, "expireTime", k->token.expire);
	return v;
}

void tokens_post(struct http_req *req, void *ctx)
{
	struct api *a = ctx;
	struct token_call k = { .who = request_who(req) };
	char text[TOKEN_TEXT];
	if (!read_request(req, &k) || !repeat_may_be_secret(req))
		return;
	token_make(text, &k.token);
	LOOM_CLEANUP(json_free) struct json *made = shown_once(&k, text);
	const struct answer answer = { .body = made, .secret = true };
	audit_object(req, "tokens/%s", k.token.id);
	int rc = repeat_tx(req, add_tx, &k, &answer);
	token_cache_clear(a->tokens);
	if (rc == ACCOUNT_E_NONE)
		http_reply_text(req, 404, "user %s does not exist in this tenant", k.token.user);
	else if (rc == OWN_ROLE_E_NONE)
		http_reply_text(req, 404, "role %s does not exist in this tenant", k.token.own);
	else if (rc == OWN_ROLE_E_OTHER)
		http_reply_text(req, 409, "the role of user %s has nothing of the role %s",
		                k.token.user, k.token.own);
	else if (rc == TOKEN_E_MANY)
		http_reply_text(req, 409, "user %s has %d tokens already; end some first",
		                k.token.user, TOKENS_MAX);
	else if (rc)
		api_reply_db(req, rc);
	else {
		peers_catalog(a, k.who->tenant_id, "tokens");
		log_info("token made", LOG_S("token", k.token.id), LOG_S("user", k.token.user),
		         LOG_S("by", k.who->user), LOG_S("req", http_id(req)));
		repeat_reply(req, &answer);
	}
}

/* ---- at the start ---------------------------------------------------------------------------- */

/* Tokens made by the installation, and their accounts. */
static const struct {
	size_t file; /* offset of the setting */
	const char *setting, *user;
	enum account_role role;
} installed[] = {
	{ offsetof(struct api_config, admin_token_file), "admin_token_file", ACCOUNT_FIRST,
	  ACCOUNT_ADMIN },
	{ offsetof(struct api_config, provisioner_token_file), "provisioner_token_file",
	  ACCOUNT_PROVISIONERS, ACCOUNT_PROVISIONER },
};

struct start {
	struct token token;
	enum account_role role;
	bool needed; /* nobody can sign in */
};

static int install_tx(struct db *db, void *arg)
{
	const struct start *s = arg;
	int rc = account_ensure(db, s->token.tenant, s->token.user, s->role);
	if (!rc)
		rc = token_install(db, &s->token);
	return rc ? rc : token_end_first(db);
}

static int install(struct api *a, size_t i, struct loom_err *err)
{
	const char *path = *(char *const *)((const char *)&a->cfg + installed[i].file);
	char unused[TOKEN_TEXT];
	struct start s = { .role = installed[i].role };
	if (!*path)
		return 0;
	LOOM_CLEANUP(secret_file_free)
	char *text = secret_file_read(installed[i].setting, path, err);
	if (!text)
		return 500;
	token_make(unused, &s.token);
	if (!token_hash(text, s.token.hash))
		return err_set(err, 500, "%s %s holds no token, which is loom_ and 43 characters",
		               installed[i].setting, path);
	s.token.kind = TOKEN_INSTALLED;
	s.token.tenant = TENANT_SUPERADMIN;
	s.token.user = installed[i].user;
	s.token.name = installed[i].setting;
	s.token.scopes = "";
	int rc = db_tx(a->db, install_tx, &s);
	return rc ? err_set(err, rc, "cannot keep the token of %s: %s", path, err_name(rc)) : 0;
}

/* While nobody can sign in, each start makes another token; the first use of one ends them all. */
static int first_tx(struct db *db, void *arg)
{
	struct start *s = arg;
	int64_t now;
	bool usable;
	int rc = account_reachable(db, &usable);
	s->needed = !usable;
	if (rc || usable)
		return rc;
	rc = db_now(db, &now);
	if (!rc)
		rc = account_ensure(db, TENANT_SUPERADMIN, ACCOUNT_FIRST, ACCOUNT_ADMIN);
	s->token.expire = now + FIRST_MS;
	return rc ? rc : token_add(db, &s->token);
}

static int write_secret(const char *path, const char *text)
{
	LOOM_CLEANUP_STR char *fresh = loom_asprintf("%s.new", path);
	unlink(fresh);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		return -1;
	bool ok = fprintf(f, "%s\n", text) > 0 && !fflush(f) && !fsync(fd);
	ok = !fclose(f) && ok;
	return ok && !rename(fresh, path) ? 0 : -1;
}

static int make_first(struct api *a, struct loom_err *err)
{
	char text[TOKEN_TEXT];
	struct start s = { 0 };
	token_make(text, &s.token);
	s.token.kind = TOKEN_FIRST;
	s.token.tenant = TENANT_SUPERADMIN;
	s.token.user = ACCOUNT_FIRST;
	s.token.name = "first start";
	s.token.scopes = "";
	int rc = db_tx(a->db, first_tx, &s);
	if (rc)
		return err_set(err, rc, "cannot look for accounts: %s", err_name(rc));
	if (!s.needed)
		return 0;
	const char *path = a->cfg.first_token_file;
	bool written = *path && !write_secret(path, text);
	if (*path && !written)
		log_warn("the file for the first token cannot be written", LOG_S("file", path));
	log_warn(
		"nobody can sign in yet: make a token or a user with this one, which is good until "
		"then, for a week",
		LOG_S("token", text), LOG_S("file", written ? path : ""));
	return 0;
}

int tokens_start(struct api *a, struct loom_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < LOOM_COUNT(installed) && !rc; i++)
		rc = install(a, i, err);
	return rc ? rc : make_first(a, err);
}
