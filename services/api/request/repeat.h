/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repeat - requests that may be sent again (header Idempotency-Key), where the route permits it.
 * A key belongs to a tenant, a user, a route, and one request. The transaction that has the effect
 * also stores the answer, so that both exist or neither:
 *
 *   the same request again          the answer of the first (and no effect)
 *   another request with the key    422
 *   while the first is in progress  409 with Retry-After; at another copy of loom-api it waits for
 *                                   the first one's transaction instead, and gets its answer
 *   after a refusal                 as new: nothing was done
 *
 * Worker threads, unless said otherwise.
 */
#ifndef LOOM_API_REPEAT_H
#define LOOM_API_REPEAT_H

#include "common/model/cluster/outcome.h"
#include "common/model/request_key.h"
#include "services/api/request/auth.h"
#include "services/api/request/route.h"

#define REPEAT_USE "answers to requests with keys" /* for seal_key_init() */

struct repeats; /* the requests with keys that this process is working on */
struct repeats *repeats_create(void);
void repeats_destroy(struct repeats *f); /* NULL ok */

/* Does the row take a key? */
bool repeat_taken(const struct route *r);
/* For a streamed body, whose hash is known only at its end. Was there an earlier request with this
 * key? Then just read the body and compare. */
bool repeat_is_known(const struct http_req *req);
/* Sets the hash of the whole body; before repeat_tx(). */
void repeat_body(struct http_req *req, const char *hash);

struct repeatable; /* of one request that has a key */
/* For the dispatcher: *ret is NULL without a key; false when answered. */
LOOM_MUST_CHECK bool repeat_begin(struct http_req *req, const struct route *r,
                                  const struct identity *who, struct repeatable **ret);
void repeat_end(struct repeatable *r); /* the request is answered; any thread; NULL ok */

/* A successful answer. All members are borrowed and may be NULL. */
struct answer {
	int status; /* 0: 200 */
	const char *location;
	const struct json *body;
	struct json *const *made; /* the body, where the transaction makes it */
	bool secret;              /* the body: sealed where it is kept */
};

/* db_tx(), which also stores the answer of a request with a key. 0, too, if another request of the
 * key was faster; then nothing was done. */
LOOM_MUST_CHECK int repeat_tx(struct http_req *req, db_tx_fn fn, void *arg, const struct answer *a);
/* The same for outcome_tx(). */
LOOM_MUST_CHECK int repeat_outcome_tx(struct http_req *req, db_tx_fn fn, void *arg,
                                      struct outcome *o, const struct answer *a);
/* Afterwards: sends the stored answer, or this one. */
void repeat_reply(struct http_req *req, const struct answer *a);
/* After work that another process has done: stores that it is done, and answers. Any thread. */
void repeat_reply_done(struct http_req *req);
/* Can a secret answer be stored? false when answered. */
bool repeat_may_be_secret(struct http_req *req);

#endif
