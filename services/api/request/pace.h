/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace - limits how fast a tenant and a token may send requests and change clusters, and how many
 * connections of a tenant streams and waiting takes may hold, so that one greedy tenant leaves room
 * for others. Each API counts for itself.
 */
#ifndef LOOM_API_PACE_H
#define LOOM_API_PACE_H

#include "services/api/api.h"

struct pace;

struct pace *pace_create(const struct api_config *cfg);
void pace_destroy(struct pace *p); /* NULL ok */

/* Counts a request: false after answering 429 with Retry-After. An empty tenant or token is not
 * counted. Any thread. */
bool pace_ask(struct api *a, struct http_req *req, const char *tenant_id, const char *token);

/* Counts a change of a cluster, as several if its body is large: false after answering 429 with
 * Retry-After. Any thread. */
bool pace_change(struct api *a, struct http_req *req, const char *tenant_id);

/* The ms that the peer has to wait before another token is looked up, because it has shown too many
 * bad ones; 0: none. Any thread. */
int64_t pace_bad_token_wait(struct api *a, const struct http_req *req);
void pace_bad_token(struct api *a, const struct http_req *req); /* counts a bad token */
/* The same for wrong passwords, of whatever account. */
int64_t pace_bad_password_wait(struct api *a, const struct http_req *req);
void pace_bad_password(struct api *a, const struct http_req *req);

/* Counts a connection that is held from now until pace_release(): false after answering 429. Loop
 * thread. */
bool pace_hold(struct api *a, struct http_req *req, const char *tenant_id);
void pace_release(struct api *a, const char *tenant_id);

#endif
