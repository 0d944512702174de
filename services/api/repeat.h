/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repeat - requests that may be sent again (header Idempotency-Key), by the column of the table of
 * routes. A key belongs to tenant, user, route, and what is asked for. The transaction that has the
 * effect keeps the answer too, so there is one with the other or neither:
 *
 *   the same request again          the answer of the first (and no effect)
 *   another request with the key    422
 *   while the first is under way    409 with Retry-After; at another copy of loom-api it waits for
 *                                   the first one's transaction instead, and gets its answer
 *   after a refusal                 as new: nothing was done
 *
 * Worker threads, but for what says otherwise.
 */
#ifndef LOOM_API_REPEAT_H
#define LOOM_API_REPEAT_H

#include "common/model/outcome.h"
#include "common/model/request_key.h"
#include "services/api/auth.h"
#include "services/api/route.h"

#define REPEAT_USE "answers to requests with keys" /* for seal_key_init() */

struct repeats; /* the requests with keys that are under way here */
struct repeats *repeats_create(void);
void repeats_destroy(struct repeats *f); /* NULL ok */

/* Does the row take a key? */
bool repeat_taken(const struct route *r);

struct repeatable; /* of one request that has a key */
/* For the dispatcher: *ret is NULL where there is no key; false when answered. */
LOOM_MUST_CHECK bool repeat_begin(struct http_req *req, const struct route *r,
                                  const struct identity *who, struct repeatable **ret);
void repeat_end(struct repeatable *r); /* the request is answered; any thread; NULL ok */

/* A success. All is borrowed, and may be NULL. */
struct answer {
	int status; /* 0: 200 */
	const char *location;
	const struct json *body;
	bool secret; /* the body: sealed where it is kept */
};

/* db_tx(), which keeps the answer of a request with a key. 0 also when another request of the key
 * was faster, and nothing was done. */
LOOM_MUST_CHECK int repeat_tx(struct http_req *req, db_tx_fn fn, void *arg, const struct answer *a);
/* The same of outcome_tx(). */
LOOM_MUST_CHECK int repeat_outcome_tx(struct http_req *req, db_tx_fn fn, void *arg,
                                      struct outcome *o, const struct answer *a);
/* After that: the kept answer, or this one. */
void repeat_reply(struct http_req *req, const struct answer *a);
/* For what another process has done: keeps that it is, and answers. Any thread. */
void repeat_reply_done(struct http_req *req);
/* Can a secret be kept? false when answered. */
bool repeat_may_be_secret(struct http_req *req);

#endif
