/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a token in a request and its owner, with a cache. */
#include "services/api/request/auth.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "services/api/request/oidc.h"
#include "services/api/request/pace.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>

/* REMEMBERED_MS: a revoked token ends this late at most. MOST: of some 1.5 KiB each. */
enum { REMEMBERED_MS = 1000, MOST = 4096 };

struct token_cache {
	pthread_mutex_t mutex;
	struct map *found; /* struct remembered, by hash; valid tokens only */
};

struct remembered {
	struct token_owner owner;
	int64_t until; /* monotonic ms */
};

struct token_cache *token_cache_create(void)
{
	struct token_cache *c = loom_calloc(1, sizeof(*c));
	pthread_mutex_init(&c->mutex, NULL);
	c->found = map_create(loom_free);
	return c;
}

void token_cache_destroy(struct token_cache *c)
{
	if (!c)
		return;
	map_destroy(c->found);
	pthread_mutex_destroy(&c->mutex);
	loom_free(c);
}

static void clear(struct token_cache *c)
{
	map_destroy(c->found);
	c->found = map_create(loom_free);
}

void token_cache_clear(struct token_cache *c)
{
	pthread_mutex_lock(&c->mutex);
	clear(c);
	pthread_mutex_unlock(&c->mutex);
}

/* Was the token valid before, as far as the cache remembers? */
static bool was_good(struct token_cache *c, const char *hash)
{
	pthread_mutex_lock(&c->mutex);
	bool known = map_get(c->found, hash) != NULL;
	pthread_mutex_unlock(&c->mutex);
	return known;
}

static bool recall(struct token_cache *c, const char *hash, struct token_owner *ret)
{
	pthread_mutex_lock(&c->mutex);
	const struct remembered *r = map_get(c->found, hash);
	bool fresh = r && r->until > clock_mono_ms();
	if (fresh)
		*ret = r->owner;
	pthread_mutex_unlock(&c->mutex);
	return fresh;
}

static void remember(struct token_cache *c, const char *hash, const struct token_owner *o,
                     int64_t asked)
{
	struct remembered *r = loom_malloc(sizeof(*r));
	*r = (struct remembered){ *o, asked + REMEMBERED_MS };
	pthread_mutex_lock(&c->mutex);
	if (map_count(c->found) >= MOST)
		clear(c);
	map_set(c->found, hash, r);
	pthread_mutex_unlock(&c->mutex);
}

static bool is_bearer(const char *authorization)
{
	return authorization && strncasecmp(authorization, "Bearer", strlen("Bearer")) == 0;
}

/* The original's clients differ: "Bearer x", "Bearer: x", and an API key header. With that one, an
 * Authorization of another kind is for a proxy in front of us. */
const char *auth_token_shown(const struct http_req *req)
{
	static const char *const keys[] = { "X-Loom-ApiKey", "Coopr-ApiKey" };
	const char *v = http_header(req, "Authorization"), *key = NULL;
	const char *space = v ? strchr(v, ' ') : NULL;
	for (size_t i = 0; i < LOOM_COUNT(keys) && !key && !is_bearer(v); i++)
		key = http_header(req, keys[i]);
	if (key)
		return key;
	return space ? space + strspn(space, " ") : "";
}

struct question {
	const char *hash;
	struct token_owner *owner;
};

static int find_read(struct db *db, void *arg)
{
	const struct question *q = arg;
	return token_find(db, q->hash, q->owner);
}

static int used_tx(struct db *db, void *arg)
{
	const struct question *q = arg;
	return token_used(db, q->owner->id);
}

/* Looks up a Loom token. */
static int find(struct api *a, const char *hash, int64_t wait_ms, struct token_owner *ret)
{
	struct question q = { hash, ret };
	int rc = db_read_deadline(a->db, find_read, &q, wait_ms);
	if (rc)
		return rc == TOKEN_E_NONE ? 401 : rc;
	/* The time is only displayed: a lost update does no harm. */
	if (ret->used + TOKEN_USED_MS < clock_wall_ms())
		(void)!db_tx_deadline(a->db, used_tx, &q, wait_ms);
	return 0;
}

/* A provider's token is cached per requested tenant, as its user's role may differ between them. */
static void foreign_hash(const char *token, const char *tenant, char ret[TOKEN_HASH])
{
	unsigned char hash[(TOKEN_HASH - 1) / 2];
	LOOM_CLEANUP_STR char *both = loom_asprintf("%s %s", token, tenant ? tenant : "");
	(void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)both, strlen(both),
	                         NULL, 0);
	sodium_bin2hex(ret, TOKEN_HASH, hash, sizeof(hash));
}

/* Looks up a token that is not cached. Bad tokens are counted: a peer that showed many has to wait
 * before the next look-up, unless this token was valid a while ago. */
static int look_up(struct api *a, const struct http_req *req, const char *hash, int64_t wait_ms,
                   struct token_owner *ret, struct loom_err *err)
{
	const char *shown = auth_token_shown(req);
	bool foreign = oidc_takes(a, shown);
	int64_t asked = clock_mono_ms();
	int64_t wait = was_good(a->tokens, hash) ? 0 : pace_bad_token_wait(a, req);
	if (wait)
		return err_set(err, 429,
		               "too many tokens that are not good came from this address; wait "
		               "%lld s (bad_token_rate, bad_token_burst)",
		               (long long)(wait + 999) / 1000);
	int rc = !*hash    ? 401
	         : foreign ? oidc_owner(a, shown, auth_tenant_header(req), ret, err)
	                   : find(a, hash, wait_ms, ret);
	if (rc == 401)
		pace_bad_token(a, req);
	if (rc == 401 && !*err->msg)
		(void)err_set(err, 401, AUTH_NOT_GOOD);
	if (!rc)
		remember(a->tokens, hash, ret, asked);
	return rc;
}

int auth_token_owner(struct api *a, const struct http_req *req, int64_t wait_ms,
                     struct token_owner *ret, struct loom_err *err)
{
	char hash[TOKEN_HASH] = "";
	const char *shown = auth_token_shown(req);
	bool foreign = oidc_takes(a, shown);
	if (foreign)
		foreign_hash(shown, auth_tenant_header(req), hash);
	else if (!token_hash(shown, hash))
		*hash = '\0'; /* not the form of a token: skip the look-up */
	if (*hash && recall(a->tokens, hash, ret))
		return 0;
	if (*hash && !wait_ms)
		return -EAGAIN;
	return look_up(a, req, hash, wait_ms, ret, err);
}
