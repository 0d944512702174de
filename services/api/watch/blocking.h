/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocking - blocking queries, for clients that cannot read a stream: a GET about a cluster with
 * ?index=N&wait=30s is answered when the cluster has an event after number N, or when the wait is
 * over. The same works for lists, whose number changes whenever anything in them does (tally.h):
 * any cluster that the caller sees, any document. Worker threads.
 */
#ifndef LOOM_API_BLOCKING_H
#define LOOM_API_BLOCKING_H

#include "common/model/cluster/cluster.h"
#include "common/net/http_server.h"
#include "services/api/watch/tally.h"

/* Runs answer(req, ctx) on a worker: now, or when the awaited change has come. For routes of a
 * cluster; answers itself if the query is wrong. */
void blocking_query(struct http_req *req, void *ctx, http_handler answer);
/* The same for a list: calls answer(req, arg) and sends the list's index. of NULL: a list of the
 * route's cluster. arg lives as long as req. */
void blocking_list(struct http_req *req, struct api *a, const struct tally_of *of, void *arg,
                   http_handler answer);
/* Call before answering: sends the cluster's index. */
void blocking_index(struct http_req *req, const struct cluster *c);

#endif
