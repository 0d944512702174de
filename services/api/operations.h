/* SPDX-License-Identifier: Apache-2.0 */
/* operations - starts a change of an existing cluster, or shows what it would be. Worker threads.
 */
#ifndef LOOM_API_OPERATIONS_H
#define LOOM_API_OPERATIONS_H

#include "common/operation/job_params.h"
#include "services/api/auth.h"

struct operation_request {
	const struct operation_kind *kind;
	struct job_params params; /* checked */
	char *token;              /* of the plan that is to be done; NULL: of none */
	bool plan_only;
};

void operation_request_fini(struct operation_request *o);

/* Takes what the request owns. Answers req, now or later. */
void operation_start(struct http_req *req, struct api *a, struct operation_request *asked);

/* Names of the operations that may be asked for while a cluster has this status. Owned. */
struct json *operations_possible(const char *status);

#endif
