/* SPDX-License-Identifier: Apache-2.0 */
/* tracing - requests as spans (common/net/spans.h): those that change something, and those whose
 * caller shows a trace of its own. */
#ifndef LOOM_API_TRACING_H
#define LOOM_API_TRACING_H

#include "common/net/http_server.h"

/* A request was answered. Loop thread. */
void tracing_answered(struct http_req *req, int status, void *api);

/* What a job keeps of the request that it is made for; owned. */
char *tracing_of(const struct http_req *req);

#endif
