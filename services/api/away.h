/* SPDX-License-Identifier: Apache-2.0 */
/*
 * away - while the database does not answer, requests are refused at once (503, Retry-After)
 * instead of each holding a worker until its deadline. A probe finds out when it is back.
 */
#ifndef LOOM_API_AWAY_H
#define LOOM_API_AWAY_H

#include "services/api/api.h"

/* Loop thread. The probe stops with away_stop(). */
void away_start(struct api *a);
void away_stop(struct api *a);
void away_note(void);                              /* any thread: a request met its deadline */
bool away_now(void);                               /* any thread */
bool away_before(struct http_req *req, void *ctx); /* for http_server_before() */

#endif
