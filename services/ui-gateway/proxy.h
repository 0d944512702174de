/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy - forwards a request to loom-api and its answer back, piece by piece.
 *
 * Short answers of known length are collected first, so that a truncated one becomes a 502. All
 * others are streamed (events, logs): a slow browser pauses the API's answer, a browser that leaves
 * cancels it, and when the API breaks off so does the browser's connection. An event stream ends
 * with its session. Loop thread.
 */
#ifndef LOOM_GATEWAY_PROXY_H
#define LOOM_GATEWAY_PROXY_H

#include "services/ui-gateway/renew.h"
#include "services/ui-gateway/session.h"

#include "common/net/http_client.h"

struct proxy;

/* Borrows all arguments. */
struct proxy *proxy_create(struct loop *l, struct http_client *client, const char *api_uri,
                           const struct sessions *sessions, struct renewals *renewals);
/* Every exchange must be over: destroy the server first. */
void proxy_destroy(struct proxy *p);

/* Forwards a request below /api/, with the path parameter "rest". Answers it, now or later. */
void proxy_pass(struct proxy *p, struct http_req *req);

/* Present load; streams are those exchanges whose answers have no end. Any thread. */
struct proxy_load {
	long exchanges, streams;
};
struct proxy_load proxy_load(const struct proxy *p);

/* Ends all event streams; their readers reconnect to another gateway. */
void proxy_end_streams(struct proxy *p);
void proxy_end_session(struct proxy *p, const char *session); /* the streams of one session */

#endif
