/* SPDX-License-Identifier: Apache-2.0 */
/* oidc - the provider's keys, and the mapping of its claims to users and roles. */
#include "services/api/request/oidc.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/model/catalog/entity.h"
#include "common/model/identity/own_role.h"
#include "common/model/identity/tenant.h"
#include "common/net/http_client.h"
#include "services/api/request/jwt.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	REFRESH_MS = 5 * 60 * 1000, /* the longest time that a withdrawn key is still accepted */
	AGAIN_MS = 5000,            /* the shortest time between two reads, whatever tokens
	                             * arrive */
	FIRST_MS = 500,             /* the same while there are no keys, when nobody can sign in */
	ANSWER_MS = 2000,           /* for the provider's answer: a worker waits for it */
	SET_BYTES = 256 << 10,
	LEEWAY_MS = 60 * 1000,
};

/* Members of this group of the provider have this role in this tenant. */
struct grant {
	char *group, *tenant;
	enum account_role role;
	char *own; /* a role of the tenant itself instead of `role`; NULL: none */
};

struct oidc {
	struct api *a;
	struct grant *grants;
	size_t n;
	pthread_rwlock_t lock;
	struct jwk_set *keys; /* under the lock; NULL: not read yet */
	pthread_mutex_t reading;
	int64_t tried; /* monotonic ms; under `reading` */
	bool failing;  /* the failure is logged already; under `reading` */
	struct loop_timer *refresh;
};

/* ---- settings -------------------------------------------------------------------------------- */

static void grants_free(struct grant *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		loom_free(v[i].group);
		loom_free(v[i].tenant);
		loom_free(v[i].own);
	}
	loom_free(v);
}

/* " ops=superadmin:admin" */
static bool grant_parse(const char *text, size_t len, struct grant *ret)
{
	size_t skip = strspn(text, " \t");
	skip = skip < len ? skip : len;
	LOOM_CLEANUP_STR char *one = loom_strndup(text + skip, len - skip);
	for (size_t n = strlen(one); n && one[n - 1] == ' '; n--)
		one[n - 1] = '\0';
	char *equals = strrchr(one, '='), *colon = equals ? strchr(equals, ':') : NULL;
	if (!colon || equals == one)
		return false;
	*equals = *colon = '\0';
	const char *role = colon + 1;
	bool own = !account_role_parse(role, &ret->role);
	if (!str_is_name(equals + 1) || ret->role == ACCOUNT_PROVISIONER ||
	    (own && (!str_is_name(role) || strlen(role) > OWN_ROLE_NAME)))
		return false;
	ret->own = own ? loom_strdup(role) : NULL;
	ret->group = loom_strdup(one);
	ret->tenant = loom_strdup(equals + 1);
	return true;
}

static int grants_parse(const char *text, struct grant **ret, size_t *ret_n, struct loom_err *err)
{
	*ret = NULL;
	*ret_n = 0;
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, ",");
		struct grant g;
		if (!grant_parse(p, len, &g))
			return err_set(
				err, 400,
				"oidc_roles: '%.*s' is not group=tenant:role, the role user, "
				"auditor or admin",
				(int)(len < 64 ? len : 64), p);
		*ret = LOOM_GROW(*ret, *ret_n);
		(*ret)[(*ret_n)++] = g;
		p += len + (p[len] == ',');
	}
	return 0;
}

static bool is_file(const char *where)
{
	return *where == '/';
}

static int check_words(const struct api_config *cfg, struct loom_err *err)
{
	if (!str_eq(cfg->auth_mode, "token"))
		return err_set(err, 400, "oidc_issuer is for auth_mode = token");
	if (str_blank(cfg->oidc_audience))
		return err_set(err, 400,
		               "oidc_audience is empty: whom tokens must be for (the client's id)");
	/* Whoever could change the keys in transit could sign in as anybody. */
	if (!is_file(cfg->oidc_keys) && !http_url_is_safe(cfg->oidc_keys))
		return err_set(err, 400,
		               "oidc_keys: '%.100s' is neither https://..., nor http:// on this "
		               "machine, nor the path of a file",
		               cfg->oidc_keys);
	/* Without a prefix, one of the provider's users could pass for an account of the same
	 * name. */
	if (str_is_name(cfg->oidc_user_prefix) || str_blank(cfg->oidc_user_prefix))
		return err_set(err, 400,
		               "oidc_user_prefix: '%.32s' must have a character that no account's "
		               "name has, as oidc:",
		               cfg->oidc_user_prefix);
	return 0;
}

int oidc_config_check(const struct api_config *cfg, struct loom_err *err)
{
	struct grant *grants = NULL;
	size_t n = 0;
	if (str_blank(cfg->oidc_issuer))
		return 0;
	int rc = check_words(cfg, err);
	if (!rc)
		rc = grants_parse(cfg->oidc_roles, &grants, &n, err);
	if (!rc && !n)
		rc = err_set(err, 400, "oidc_roles is empty: nobody would have a role");
	grants_free(grants, n);
	return rc;
}

/* ---- the provider's keys --------------------------------------------------------------------- */

static int read_file(const char *path, struct buf *to, struct loom_err *err)
{
	char piece[4096];
	ssize_t n = 0;
	LOOM_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(to, piece, (size_t)n);
	return fd < 0 || n < 0 ? err_set(err, 503, "%s: %s", path, strerror(errno)) : 0;
}

static int fetch(const char *url, struct buf *to, struct loom_err *err)
{
	struct http_call call = { .method = "GET",
		                  .url = url,
		                  .trust = &http_trust_system,
		                  .connect_ms = ANSWER_MS,
		                  .timeout_ms = ANSWER_MS,
		                  .max_answer = SET_BYTES };
	int rc = http_call(NULL, &call, err);
	if (!rc && call.status != 200)
		rc = err_set(err, 503, "%s answers %d", url, call.status);
	if (!rc)
		buf_add(to, call.answer.data, call.answer.len);
	http_call_fini(&call);
	return rc;
}

static int read_keys(const struct oidc *o, struct jwk_set **ret, struct loom_err *err)
{
	const char *where = o->a->cfg.oidc_keys;
	LOOM_CLEANUP(buf_fini) struct buf text = BUF_INIT(SET_BYTES);
	int rc = is_file(where) ? read_file(where, &text, err) : fetch(where, &text, err);
	return rc ? rc : jwk_set_parse(buf_str(&text), text.len, ret, err);
}

/* `reading` is held. If the keys cannot be read, the old ones stay. */
static void read_now(struct oidc *o)
{
	struct jwk_set *fresh = NULL, *old;
	struct loom_err err = { 0 };
	o->tried = clock_mono_ms();
	int rc = read_keys(o, &fresh, &err);
	if (rc && !o->failing)
		log_warn("the OpenID provider's keys cannot be read",
		         LOG_S("from", o->a->cfg.oidc_keys), LOG_S("reason", err.msg));
	o->failing = rc != 0;
	if (rc)
		return;
	pthread_rwlock_wrlock(&o->lock);
	old = o->keys;
	o->keys = fresh;
	pthread_rwlock_unlock(&o->lock);
	if (!old)
		log_info("the OpenID provider's keys are read",
		         LOG_I("keys", (int64_t)jwk_set_count(fresh)));
	jwk_set_free(old);
}

static void refresh_work(void *arg)
{
	struct oidc *o = arg;
	pthread_mutex_lock(&o->reading);
	read_now(o);
	pthread_mutex_unlock(&o->reading);
}

static void refresh_done(void *arg LOOM_UNUSED)
{
}

static void refresh(void *arg)
{
	struct oidc *o = arg;
	if (pool_submit(o->a->pool, refresh_work, refresh_done, o))
		log_warn("the OpenID provider's keys are read later: too much work at the moment");
}

/* The token names an unknown key: it may be new, so read the keys again. One worker at a time
 * reads; the others must not wait with it for a provider that hangs. false: another one reads. */
static bool read_again(struct oidc *o)
{
	if (pthread_mutex_trylock(&o->reading))
		return false;
	/* Only the holder of `reading` changes o->keys. */
	int64_t wait = o->keys ? AGAIN_MS : FIRST_MS;
	if (!o->tried || clock_mono_ms() >= o->tried + wait)
		read_now(o);
	pthread_mutex_unlock(&o->reading);
	return true;
}

void oidc_start(struct api *a)
{
	struct loom_err err;
	if (str_blank(a->cfg.oidc_issuer))
		return;
	struct oidc *o = a->oidc = loom_calloc(1, sizeof(*o));
	o->a = a;
	int rc = grants_parse(a->cfg.oidc_roles, &o->grants, &o->n, &err);
	loom_assert(!rc); /* oidc_config_check() has checked it */
	pthread_rwlock_init(&o->lock, NULL);
	pthread_mutex_init(&o->reading, NULL);
	o->refresh = loop_timer_create(a->loop, "oidc keys", refresh, o);
	loop_timer_every(o->refresh, REFRESH_MS);
	refresh(o);
}

void oidc_stop(struct api *a)
{
	struct oidc *o = a->oidc;
	if (!o)
		return;
	loop_timer_destroy(o->refresh);
	grants_free(o->grants, o->n);
	jwk_set_free(o->keys);
	pthread_rwlock_destroy(&o->lock);
	pthread_mutex_destroy(&o->reading);
	loom_free(o);
	a->oidc = NULL;
}

/* ---- whose a token is ------------------------------------------------------------------------ */

bool oidc_takes(const struct api *a, const char *token)
{
	return a->oidc && !str_starts(token, TOKEN_PREFIX) && jwt_is_one(token);
}

static int verify_once(struct oidc *o, const char *token, struct json **ret, struct loom_err *err)
{
	pthread_rwlock_rdlock(&o->lock);
	bool none = !o->keys;
	int rc = jwt_verify(o->keys, token, ret, err);
	pthread_rwlock_unlock(&o->lock);
	if (rc == -ENOENT && none)
		rc = err_set(err, 503, "the OpenID provider's keys could not be read yet");
	return rc;
}

static int verify(struct oidc *o, const char *token, struct json **ret, struct loom_err *err)
{
	int rc = verify_once(o, token, ret, err);
	if (rc != -ENOENT && rc != 503)
		return rc;
	if (!read_again(o))
		return err_set(err, 503, "the OpenID provider's keys are being read");
	rc = verify_once(o, token, ret, err);
	return rc == -ENOENT ? 401 : rc;
}

static bool is_in(const struct json *groups, const char *group)
{
	if (json_is(groups, JSON_STRING))
		return str_eq(json_str(groups), group);
	return json_arr_has_str(groups, group);
}

/* The grant for the tenant that the caller asks for; a grant for all tenants counts there, too. */
static const struct grant *choose(const struct oidc *o, const struct json *groups,
                                  const char *tenant)
{
	const struct grant *first = NULL, *super = NULL;
	for (size_t i = 0; i < o->n; i++) {
		const struct grant *g = &o->grants[i];
		if (!is_in(groups, g->group))
			continue;
		if (!str_blank(tenant) && str_eq(g->tenant, tenant))
			return g;
		first = first ? first : g;
		bool all = g->role == ACCOUNT_ADMIN && str_eq(g->tenant, TENANT_SUPERADMIN);
		super = super || !all ? super : g;
	}
	return !str_blank(tenant) && super ? super : first;
}

struct tenant_of {
	const char *name;
	char *id;
};

static int tenant_read(struct db *db, void *arg)
{
	struct tenant_of *t = arg;
	loom_free(t->id);
	t->id = NULL;
	return tenant_id_by_name(db, t->name, &t->id);
}

struct base_of {
	const char *tenant, *own;
	enum account_role role;
	int64_t changed;
};

static int base_read(struct db *db, void *arg)
{
	struct base_of *b = arg;
	struct own_role own;
	int rc = own_role_get(db, b->tenant, b->own, &own);
	if (!rc)
		b->role = own.base;
	b->changed = own.changed;
	own_role_fini(&own);
	return rc;
}

/* Fills in the role, once the tenant is known. */
static int put_role(struct api *a, const struct grant *g, struct token_owner *ret,
                    struct loom_err *err)
{
	struct base_of b = { .tenant = ret->tenant_id, .own = g->own, .role = g->role };
	int rc = g->own ? db_read(a->db, base_read, &b) : 0;
	ret->role = b.role;
	ret->stamp = (uint64_t)b.changed;
	snprintf(ret->own[0], sizeof(ret->own[0]), "%s", g->own ? g->own : "");
	return rc == OWN_ROLE_E_NONE
	               ? err_set(err, 403,
	                         "group %s has the role %s in tenant %s (oidc_roles), which "
	                         "has no such role",
	                         g->group, g->own, g->tenant)
	               : rc;
}

static int put_tenant(struct api *a, const struct grant *g, struct token_owner *ret,
                      struct loom_err *err)
{
	struct tenant_of t = { .name = g->tenant };
	bool super = str_eq(g->tenant, TENANT_SUPERADMIN);
	int rc = super ? 0 : db_read(a->db, tenant_read, &t);
	if (!rc && !super && !t.id)
		rc = err_set(err, 403,
		             "group %s has a role in tenant %s (oidc_roles), which does "
		             "not exist",
		             g->group, g->tenant);
	if (!rc)
		snprintf(ret->tenant_id, sizeof(ret->tenant_id), "%s", super ? g->tenant : t.id);
	loom_free(t.id);
	return rc;
}

static int put_user(const struct api_config *cfg, const struct json *claims,
                    struct token_owner *ret, struct loom_err *err)
{
	const struct json *v = json_get(claims, cfg->oidc_user_claim);
	const char *name = json_is(v, JSON_STRING) ? json_str(v) : NULL;
	if (!name || str_blank(name) || strlen(name) != json_str_len(v))
		return err_set(err, 401, "the token does not say who it is of (claim %s)",
		               cfg->oidc_user_claim);
	size_t n =
		(size_t)snprintf(ret->user, sizeof(ret->user), "%s%s", cfg->oidc_user_prefix, name);
	return n < sizeof(ret->user)
	               ? 0
	               : err_set(err, 401, "the user's name in the token is longer than %d bytes",
	                         ACCOUNT_NAME_MAX);
}

/* A name for the token in the audit log: not the token itself, but equal for equal tokens. */
static void put_id(const char *token, struct token_owner *ret)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];
	(void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)token, strlen(token),
	                         NULL, 0);
	sodium_bin2hex(ret->id, sizeof(ret->id), hash, (sizeof(ret->id) - 1) / 2);
}

int oidc_owner(struct api *a, const char *token, const char *tenant, struct token_owner *ret,
               struct loom_err *err)
{
	const struct jwt_rules rules = { .issuer = a->cfg.oidc_issuer,
		                         .audience = a->cfg.oidc_audience,
		                         .now = clock_wall_ms(),
		                         .leeway = LEEWAY_MS };
	LOOM_CLEANUP(json_free) struct json *claims = NULL;
	int64_t ends = 0;
	*ret = (struct token_owner){ .kind = TOKEN_SESSION, .foreign = true };
	int rc = verify(a->oidc, token, &claims, err);
	if (!rc)
		rc = jwt_check(claims, &rules, &ends, err);
	if (!rc)
		rc = put_user(&a->cfg, claims, ret, err);
	if (rc)
		return rc;
	const struct grant *g = choose(a->oidc, json_get(claims, a->cfg.oidc_groups_claim), tenant);
	if (!g)
		return err_set(err, 403,
		               "none of the groups in the token (claim %s) has a role here",
		               a->cfg.oidc_groups_claim);
	ret->expire = ends + LEEWAY_MS; /* accepted until then */
	put_id(token, ret);
	rc = put_tenant(a, g, ret, err);
	return rc ? rc : put_role(a, g, ret, err);
}
