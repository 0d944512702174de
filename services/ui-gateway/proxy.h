/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy - passes a request on to loom-api and its answer back, piece by piece.
 *
 * Short answers with a known length are passed on whole, so that one cut off becomes a 502; all
 * others flow as they come (event streams, logs): a slow browser pauses the API's answer, one that
 * leaves cancels it, and an API that breaks off breaks the browser's connection too.  Loop thread.
 */
#ifndef LOOM_GATEWAY_PROXY_H
#define LOOM_GATEWAY_PROXY_H

#include "services/ui-gateway/session.h"

#include "common/net/http_client.h"

struct proxy;

/* Borrows all it is given. */
struct proxy *proxy_create(struct loop *l, struct http_client *client, const char *api_uri,
                           const struct sessions *sessions);
/* Every exchange must be over: destroy the server first. */
void proxy_destroy(struct proxy *p);

/* A request below /api/, with the path parameter "rest". Answers it, now or later. */
void proxy_pass(struct proxy *p, struct http_req *req);

/* What is under way now; streams are those of the exchanges that have no end of their own. Any
 * thread. */
struct proxy_load {
	long exchanges, streams;
};
struct proxy_load proxy_load(const struct proxy *p);

/* Ends the event streams, whose readers come back to another gateway. */
void proxy_end_streams(struct proxy *p);

#endif
