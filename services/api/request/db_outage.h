/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_outage - while the database does not answer, requests are refused at once (503, Retry-After)
 * instead of each holding a worker until its deadline. A probe finds out when it is back.
 *
 * While nobody can renew a lease, none expires (janitor). An API tells provisioners so if it cannot
 * connect to the database and is with the quorum of the coordination; then they need not stop their
 * work during an outage. An API that may be cut off itself does not say it.
 */
#ifndef LOOM_API_DB_OUTAGE_H
#define LOOM_API_DB_OUTAGE_H

#include "services/api/api.h"

/* Loop thread: started before the first request, stopped after the last one and all watchers. */
void db_outage_start(struct api *a);
void db_outage_stop(struct api *a);
void db_outage_note(struct api *a); /* any thread: a request met its deadline */
void db_outage_reply(struct http_req *req, const char *why); /* any thread: 503; why may be NULL */
bool db_outage_now(const struct api *a);                     /* any thread */
bool db_outage_before(struct http_req *req, void *ctx);      /* for http_server_before() */

#endif
