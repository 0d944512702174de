/* SPDX-License-Identifier: Apache-2.0 */
/* Requests with an Idempotency-Key: looked up before the handler, stored with their effect. */
#include "services/api/request/repeat.h"

#include "common/base/fault.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "services/api/request/audit.h"
#include "services/api/request/request.h"

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
	char *tenant, *user, *text; /* of the key */
	char route[300];
	char name[65];              /* hash of tenant, user and key; a sealed answer is bound to
	                             * it */
	struct request_answer kept; /* the stored answer of an earlier request with this key; status
	                             * 0: none */
	bool other;                 /* that request asked for something else */
	bool streamed, known;       /* the body is not read yet; an earlier request exists */
};

static int here; /* the value of each map entry: only presence counts */

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

/* What the path names, the query, and the body as it was sent. */
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
	const char *query = strchr(http_raw_uri(req), '?');
	if (query)
		hash_add(&s, query);
	crypto_generichash_update(&s, (const unsigned char *)body, len);
	hash_end(&s, ret);
}

static bool is_streamed(const struct route *r)
{
	return r->run & HTTP_STREAMED;
}

bool repeat_is_known(const struct http_req *req)
{
	const struct repeatable *r = request_repeat(req);
	return r && r->known;
}

void repeat_body(struct http_req *req, const char *hash)
{
	struct repeatable *r = request_repeat(req);
	crypto_generichash_state s;
	if (!r)
		return;
	crypto_generichash_init(&s, NULL, 0, 32);
	hash_add(&s, r->key.hash);
	hash_add(&s, hash);
	hash_end(&s, r->key.hash);
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
	r->streamed = is_streamed(row);
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

/* Older services stored only which cluster was made: build the rest of the answer. */
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

/* For a streamed body, finds only whether a request exists: bodies are compared at its end. */
static int look_read(struct db *db, void *arg)
{
	struct repeatable *r = arg;
	int rc = look(db, r);
	if (!r->streamed)
		return rc;
	r->known = r->kept.status || rc == REQUEST_KEY_E_OTHER;
	request_answer_fini(&r->kept);
	return rc == REQUEST_KEY_E_OTHER ? 0 : rc;
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
	struct json *const *made; /* what fn makes to be answered; NULL: nothing */
	struct outcome *o;        /* that fn fills; NULL: none */
};

static int keep(struct db *db, struct keyed *k)
{
	k->answer.cluster = k->o ? k->o->cluster : 0;
	if (k->made) {
		loom_free(k->answer.body); /* of an earlier run of the transaction */
		k->answer.body = *k->made ? json_text(*k->made) : NULL;
		if (k->answer.body && strlen(k->answer.body) > REQUEST_ANSWER_MAX)
			loom_free(loom_take(k->answer.body)); /* the report of a huge import */
	}
	return request_key_add(db, &k->r->key, &k->answer);
}

/* A refusal may mean that another request of the key was faster; then it is no refusal. */
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

/* The tenant's key may be lost with the database, or locked; then use the cluster's. */
static char *seal_answer(const struct api *a, const char *tenant, const char *name,
                         const char *text)
{
	struct keyring_key key;
	struct loom_err err;
	if (keyring_current(a->ring, NULL, tenant, REPEAT_USE, &key, &err))
		keyring_direct(a->ring, REPEAT_USE, &key);
	char *sealed = keyring_seal(&key, name, text);
	seal_key_fini(&key.key);
	return sealed;
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
	k.made = a->made;
	k.answer.sealed = a->secret;
	if (a->secret && k.answer.body) {
		LOOM_CLEANUP_STR char *open = k.answer.body;
		k.answer.body = seal_answer(api, request_who(req)->tenant_id, k.r->name, open);
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

/* Use the stored answer as the result of this request. */
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
	if (!request_repeat(req) || keyring_known(a->ring))
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
	const struct keyring_of of = { REPEAT_USE, r->name };
	struct loom_err why = { 0 };
	char *body = NULL;
	int rc = k->sealed ? keyring_open(a->ring, NULL, &of, k->body, &body, &why) : 0;
	if (rc && !err_is_refusal(rc)) {
		api_reply_db(req, rc);
		return;
	}
	const char *text = k->sealed ? body : k->body;
	if (k->location)
		http_reply_header(req, "Location", k->location);
	if (k->sealed)
		http_reply_header(req, "Cache-Control", "no-store");
	if (k->sealed && !body)
		http_reply_text(req, 409, "it was done, and what was answered cannot be opened: %s",
		                why.msg);
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
	const struct json *body = a && a->made ? *a->made : a ? a->body : NULL;
	if (body)
		http_reply_json(req, status, body);
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
