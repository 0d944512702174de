/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a token is: where a request shows it, and what is remembered of it. */
#include "services/api/auth.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "services/api/oidc.h"
#include "services/api/pace.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>

/* What is revoked ends so late at most. MOST: of some 1.5 KiB each. */
enum { REMEMBERED_MS = 1000, MOST = 4096 };

struct token_cache {
	pthread_mutex_t mutex;
	struct map *found; /* struct remembered, by hash; none that is not good */
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

/* Was it good once, as far as is remembered? */
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

/* The words of the original's clients differ: "Bearer x", "Bearer: x"; and its key for an API. */
const char *auth_token_shown(const struct http_req *req)
{
	static const char *const keys[] = { "X-Loom-ApiKey", "Coopr-ApiKey" };
	const char *v = http_header(req, "Authorization");
	const char *space = v ? strchr(v, ' ') : NULL;
	if (v)
		return space ? space + strspn(space, " ") : "";
	for (size_t i = 0; i < LOOM_COUNT(keys) && !v; i++)
		v = http_header(req, keys[i]);
	return v ? v : "";
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

/* One of ours. */
static int find(struct api *a, const char *hash, struct token_owner *ret)
{
	struct question q = { hash, ret };
	int rc = db_read(a->db, find_read, &q);
	if (rc)
		return rc == TOKEN_E_NONE ? 401 : rc;
	/* Only to be shown: it does not matter when it is lost. */
	if (ret->used + TOKEN_USED_MS < clock_wall_ms())
		(void)!db_tx(a->db, used_tx, &q);
	return 0;
}

/* Of a provider's: for the tenant that is asked for, as his role may be another elsewhere. */
static void foreign_hash(const char *token, const char *tenant, char ret[TOKEN_HASH])
{
	unsigned char hash[(TOKEN_HASH - 1) / 2];
	LOOM_CLEANUP_STR char *both = loom_asprintf("%s %s", token, tenant ? tenant : "");
	(void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)both, strlen(both),
	                         NULL, 0);
	sodium_bin2hex(ret, TOKEN_HASH, hash, sizeof(hash));
}

/* Of one that is not remembered. What is not good is counted; whoever shows many has to wait before
 * another is looked for, unless it was good a while ago. */
static int look_up(struct api *a, const struct http_req *req, const char *hash,
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
	         : foreign ? oidc_owner(a, shown, auth_tenant_said(req), ret, err)
	                   : find(a, hash, ret);
	if (rc == 401)
		pace_bad_token(a, req);
	if (rc == 401 && !*err->msg)
		(void)err_set(err, 401, "the token is not good, or not any more; " AUTH_SHOW_TOKEN);
	if (!rc)
		remember(a->tokens, hash, ret, asked);
	return rc;
}

int auth_token_owner(struct api *a, const struct http_req *req, bool may_block,
                     struct token_owner *ret, struct loom_err *err)
{
	char hash[TOKEN_HASH] = "";
	const char *shown = auth_token_shown(req);
	bool foreign = oidc_takes(a, shown);
	if (foreign)
		foreign_hash(shown, auth_tenant_said(req), hash);
	else if (!token_hash(shown, hash))
		*hash = '\0'; /* no text of a token: there is nothing to look for */
	if (*hash && recall(a->tokens, hash, ret))
		return 0;
	if (*hash && !may_block)
		return -EAGAIN;
	return look_up(a, req, hash, ret, err);
}
