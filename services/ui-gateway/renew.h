/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renew - renews sessions before their token ends, if the provider gave a refresh token.
 *
 * Each session has one renewal at a time: requests that arrive meanwhile wait for it, and requests
 * that arrive a little later with the old session get its result, too. Other copies of the gateway
 * may renew the same session at the same time, and a provider may accept a refresh token only once.
 * So a refusal does not end a session: its token stays in use until it expires. A request with an
 * expired one is first asked to retry, as another copy may have given its browser a new session
 * meanwhile. Loop thread.
 */
#ifndef LOOM_GATEWAY_RENEW_H
#define LOOM_GATEWAY_RENEW_H

#include "services/ui-gateway/login.h"

#include "common/net/pool.h"

struct renewals;

/* login NULL: there are no sessions. Borrows all arguments. */
struct renewals *renewals_create(struct loop *loop, struct pool *pool, struct login *login);
void renewals_stop(struct renewals *r);    /* answers the waiting requests; NULL ok */
void renewals_destroy(struct renewals *r); /* after the pool is destroyed; NULL ok */

/* Finds the session of a request (renewals_session()), and calls then(req, arg), at once or after a
 * renewal; or answers, if going on is useless. */
void renewals_pass(struct renewals *r, struct http_req *req,
                   void (*then)(struct http_req *req, void *arg), void *arg);
/* The session of a request in then(); NULL: none. Borrowed. */
const struct ticket_session *renewals_session(const struct http_req *req);
/* The session was logged out: a renewal in progress must not give it to anybody. */
void renewals_end(struct renewals *r, const char *id);

#endif
