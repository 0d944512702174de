/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocking - blocking queries: a GET about a cluster with ?index=N&wait=30s is answered when the
 * cluster has an event after number N, or when the wait is over, for whoever cannot read a stream.
 * Worker threads.
 */
#ifndef LOOM_API_BLOCKING_H
#define LOOM_API_BLOCKING_H

#include "common/model/cluster.h"
#include "common/net/http_server.h"

/* Runs answer(req, ctx) on a worker: now, or when what the query waits for has come. Of a request
 * whose route is of a cluster; it answers itself what is wrong with the query. */
void blocking_query(struct http_req *req, void *ctx, http_handler answer);
/* Before the answer: which index it has. */
void blocking_index(struct http_req *req, const struct cluster *c);

#endif
