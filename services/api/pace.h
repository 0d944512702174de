/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace - how fast a tenant and a token may ask, and how many connections of a tenant may be held
 * open by streams and waiting takes, so that one who asks without end leaves room for others. Each
 * API counts for itself.
 */
#ifndef LOOM_API_PACE_H
#define LOOM_API_PACE_H

#include "services/api/api.h"

struct pace;

struct pace *pace_create(const struct api_config *cfg);
void pace_destroy(struct pace *p); /* NULL ok */

/* Counts a request: false after answering 429 with Retry-After. Either "": not counted for it. Any
 * thread. */
bool pace_ask(struct api *a, struct http_req *req, const char *tenant_id, const char *token);

/* Has the peer shown so many tokens that are not good that another is not looked up? 0, or so many
 * ms that it has to wait. Any thread. */
int64_t pace_bad_token_wait(struct api *a, const struct http_req *req);
void pace_bad_token(struct api *a, const struct http_req *req); /* one more of it */

/* Counts a connection that is held from now until pace_release(): false after answering 429. Loop
 * thread. */
bool pace_hold(struct api *a, struct http_req *req, const char *tenant_id);
void pace_release(struct api *a, const char *tenant_id);

#endif
