/* SPDX-License-Identifier: Apache-2.0 */
/* tracing - requests as spans (common/net/spans.h): those that change something, and those whose
 * caller sends a trace. */
#ifndef LOOM_API_TRACING_H
#define LOOM_API_TRACING_H

#include "common/net/http_server.h"
#include "common/operation/job_params.h"

/* A request was answered. Loop thread. */
void tracing_answered(struct http_req *req, int status, void *api);

/* The job keeps the trace of the request that created it. */
void tracing_keep(const struct http_req *req, struct job_params *p);

#endif
