/* SPDX-License-Identifier: Apache-2.0 */
/* Requests with an Idempotency-Key: looked up before their handler, kept with their effect. */
#include "services/api/repeat.h"

#include "common/base/fault.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "services/api/audit.h"
#include "services/api/request.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct repeats {
	pthread_mutex_t mutex;
	struct map *here; /* by struct repeatable's name */
};

struct repeatable {
	struct repeats *all;
	struct request_key key;
	char *tenant, *user, *text; /* the key's */
	char route[300];
	char name[65];              /* of tenant, user and key; a sealed answer belongs to it */
	struct request_answer kept; /* of another request of this key; status 0: none */
	bool other;                 /* which asked for something else */
};

static int here; /* a value for a map: it is there */

struct repeats *repeats_create(void)
{
	struct repeats *f = loom_calloc(1, sizeof(*f));
	pthread_mutex_init(&f->mutex, NULL);
	f->here = map_create(NULL);
	return f;
}

void repeats_destroy(struct repeats *f)
{
	if (!f)
		return;
	map_destroy(f->here);
	pthread_mutex_destroy(&f->mutex);
	loom_free(f);
}

static bool enter(struct repeats *f, const char *name)
{
	pthread_mutex_lock(&f->mutex);
	bool was = map_get(f->here, name);
	if (!was)
		map_set(f->here, name, &here);
	pthread_mutex_unlock(&f->mutex);
	return !was;
}

static void leave(struct repeats *f, const char *name)
{
	pthread_mutex_lock(&f->mutex);
	(void)map_del(f->here, name);
	pthread_mutex_unlock(&f->mutex);
}

/* ---- the key --------------------------------------------------------------------------------- */

bool repeat_taken(const struct route *r)
{
	return str_eq(r->method, "POST") && r->repeat != REPEAT_READS &&
	       !(r->roles & (ROLE_ANYBODY | ROLE_PROVISIONER));
}

static void hash_add(crypto_generichash_state *s, const char *text)
{
	crypto_generichash_update(s, (const unsigned char *)text, strlen(text) + 1);
}

static void hash_end(crypto_generichash_state *s, char ret[65])
{
	unsigned char sum[32];
	crypto_generichash_final(s, sum, sizeof(sum));
	sodium_bin2hex(ret, 65, sum, sizeof(sum));
}

/* What the path names, and the body as it was sent. */
static void hash_request(struct http_req *req, const struct route *r, char ret[65])
{
	crypto_generichash_state s;
	size_t len;
	const char *body = http_body(req, &len);
	crypto_generichash_init(&s, NULL, 0, 32);
	for (const char *p = strchr(r->path, '{'); p; p = strchr(p + 1, '{')) {
		LOOM_CLEANUP_STR char *name = loom_strndup(p + 1, strcspn(p, "}") - 1);
		hash_add(&s, http_param(req, name));
	}
	crypto_generichash_update(&s, (const unsigned char *)body, len);
	hash_end(&s, ret);
}

static struct repeatable *repeat_create(struct http_req *req, const struct route *row,
                                        const struct identity *who, const char *key)
{
	const struct api *a = http_ctx(req);
	struct repeatable *r = loom_calloc(1, sizeof(*r));
	crypto_generichash_state s;
	r->all = a->repeats;
	r->tenant = loom_strdup(who->tenant_id);
	r->user = loom_strdup(who->user);
	r->text = loom_strdup(key);
	snprintf(r->route, sizeof(r->route), "%s %s", row->method, row->path);
	r->key = (struct request_key){
		.tenant_id = r->tenant, .user = r->user, .key = r->text, .route = r->route
	};
	hash_request(req, row, r->key.hash);
	crypto_generichash_init(&s, NULL, 0, 32);
	hash_add(&s, r->tenant);
	hash_add(&s, r->user);
	hash_add(&s, r->text);
	hash_end(&s, r->name);
	return r;
}

static void repeat_free(struct repeatable *r)
{
	request_answer_fini(&r->kept);
	loom_free(r->tenant);
	loom_free(r->user);
	loom_free(r->text);
	loom_free(r);
}

void repeat_end(struct repeatable *r)
{
	if (!r)
		return;
	leave(r->all, r->name);
	repeat_free(r);
}

/* Of an older service, which kept only which cluster it made. */
static void fill_in(struct repeatable *r)
{
	char id[ID_MAX];
	if (!r->kept.cluster || r->kept.body)
		return;
	id_cluster(id, r->kept.cluster);
	r->kept.body = loom_asprintf("{\"id\":\"%s\"}", id);
}

static int look(struct db *db, struct repeatable *r)
{
	bool same = true;
	request_answer_fini(&r->kept);
	int rc = request_key_find(db, &r->key, &r->kept, &same);
	r->other = !rc && r->kept.status && !same;
	if (r->other)
		request_answer_fini(&r->kept);
	fill_in(r);
	return r->other ? REQUEST_KEY_E_OTHER : rc;
}

static int look_read(struct db *db, void *arg)
{
	return look(db, arg);
}

bool repeat_begin(struct http_req *req, const struct route *row, const struct identity *who,
                  struct repeatable **ret)
{
	struct api *a = http_ctx(req);
	const char *key = repeat_taken(row) ? http_header(req, "Idempotency-Key") : NULL;
	if (!key)
		return true;
	if (!request_key_ok(key)) {
		http_reply_text(req, 400, "Idempotency-Key must be 1 to %d printable characters",
		                REQUEST_KEY_MAX);
		return false;
	}
	struct repeatable *r = repeat_create(req, row, who, key);
	if (!enter(a->repeats, r->name)) {
		repeat_free(r);
		http_reply_header(req, "Retry-After", "1");
		http_reply_text(req, 409,
		                "a request with this Idempotency-Key is under way: ask again when "
		                "it has ended");
		return false;
	}
	*ret = r;
	int rc = db_read(a->db, look_read, r);
	if (rc)
		api_reply_db(req, rc);
	else if (r->kept.status)
		repeat_reply(req, NULL);
	return !rc && !r->kept.status;
}

/* ---- the effect ------------------------------------------------------------------------------ */

struct keyed {
	struct http_req *req;
	struct repeatable *r;
	db_tx_fn fn;
	void *arg;
	struct request_answer answer;
	struct outcome *o; /* that fn fills; NULL: none */
};

static int keep(struct db *db, struct keyed *k)
{
	k->answer.cluster = k->o ? k->o->cluster : 0;
	return request_key_add(db, &k->r->key, &k->answer);
}

/* Where it is refused another request of the key may have been faster, which is no refusal. */
static int keyed_run(struct db *db, void *arg)
{
	struct keyed *k = arg;
	if (k->o)
		*k->o = (struct outcome){ 0 };
	int rc = look(db, k->r);
	if (rc || k->r->kept.status)
		return rc;
	rc = k->fn(db, k->arg);
	if (!rc)
		rc = audit_row(db, k->req);
	if (!rc)
		return keep(db, k);
	int seen = err_is_refusal(rc) ? look(db, k->r) : 0;
	return seen ? seen : rc;
}

static struct keyed keyed_of(struct http_req *req, db_tx_fn fn, void *arg, const struct answer *a)
{
	const struct api *api = http_ctx(req);
	struct keyed k = { .req = req, .r = request_repeat(req), .fn = fn, .arg = arg };
	k.answer.status = a && a->status ? a->status : 200;
	if (k.r)
		hold_at("keyed");
	if (!k.r || !a)
		return k;
	k.answer.location = loom_strdup(a->location);
	k.answer.body = a->body ? json_text(a->body) : NULL;
	k.answer.sealed = a->secret;
	if (a->secret) {
		LOOM_CLEANUP_STR char *open = k.answer.body;
		k.answer.body = seal_text(&api->answer_key, k.r->name, open);
		sodium_memzero(open, strlen(open));
	}
	return k;
}

int repeat_tx(struct http_req *req, db_tx_fn fn, void *arg, const struct answer *a)
{
	struct api *api = http_ctx(req);
	struct keyed k = keyed_of(req, fn, arg, a);
	int rc = k.r ? db_tx(api->db, keyed_run, &k) : audit_tx(req, fn, arg);
	request_answer_fini(&k.answer);
	return k.r && k.r->kept.status && err_is_refusal(rc) ? 0 : rc;
}

/* What was kept is what this one comes to. */
static int settle(const struct repeatable *r, int rc, struct outcome *o)
{
	if (r->kept.status && (!rc || err_is_refusal(rc))) {
		(void)outcome_done(o, r->kept.cluster, 0);
		return 0;
	}
	if (rc == REQUEST_KEY_E_OTHER) {
		(void)outcome_refuse(o, err_http_status(rc), "%s", err_name(rc));
		return 0;
	}
	return outcome_settle(o, rc);
}

int repeat_outcome_tx(struct http_req *req, db_tx_fn fn, void *arg, struct outcome *o,
                      const struct answer *a)
{
	struct api *api = http_ctx(req);
	struct keyed k = keyed_of(req, fn, arg, a);
	k.o = o;
	if (!k.r)
		return audit_outcome_tx(req, fn, arg, o);
	int rc = db_tx(api->db, keyed_run, &k);
	request_answer_fini(&k.answer);
	return settle(k.r, rc, o);
}

/* ---- answers --------------------------------------------------------------------------------- */

bool repeat_may_be_secret(struct http_req *req)
{
	const struct api *a = http_ctx(req);
	if (!request_repeat(req) || a->answer_key.known)
		return true;
	http_reply_text(req, 400,
	                "without a cluster key (bus_key_file) no secret can be kept: send it "
	                "without Idempotency-Key");
	return false;
}

static void reply_kept(struct http_req *req, const struct repeatable *r)
{
	const struct api *a = http_ctx(req);
	const struct request_answer *k = &r->kept;
	char *body = k->sealed ? seal_open(&a->answer_key, r->name, k->body) : NULL;
	const char *text = k->sealed ? body : k->body;
	if (k->location)
		http_reply_header(req, "Location", k->location);
	if (k->sealed)
		http_reply_header(req, "Cache-Control", "no-store");
	if (k->sealed && !body)
		http_reply_text(req, 409, "it was done, and what was answered cannot be opened");
	else if (text)
		http_reply(req, k->status, "application/json", text, strlen(text));
	else
		http_reply_empty(req, k->status);
	if (body)
		sodium_memzero(body, strlen(body));
	loom_free(body);
}

void repeat_reply(struct http_req *req, const struct answer *a)
{
	const struct repeatable *r = request_repeat(req);
	if (r && r->kept.status) {
		reply_kept(req, r);
		return;
	}
	if (a && a->location)
		http_reply_header(req, "Location", a->location);
	if (a && a->secret)
		http_reply_header(req, "Cache-Control", "no-store");
	int status = a && a->status ? a->status : 200;
	if (a && a->body)
		http_reply_json(req, status, a->body);
	else
		http_reply_empty(req, status);
}

static int nothing(struct db *db LOOM_UNUSED, void *arg LOOM_UNUSED)
{
	return 0;
}

static void keep_done(struct http_req *req, void *arg LOOM_UNUSED)
{
	int rc = repeat_tx(req, nothing, NULL, NULL);
	if (rc)
		log_debug("an answer is not kept", LOG_S("req", http_id(req)),
		          LOG_S("reason", err_name(rc)));
	repeat_reply(req, NULL);
}

void repeat_reply_done(struct http_req *req)
{
	if (request_repeat(req))
		http_to_pool(req, keep_done, NULL);
	else
		http_reply_empty(req, 200);
}
