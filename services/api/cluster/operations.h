/* SPDX-License-Identifier: Apache-2.0 */
/* operations - changes an existing cluster, or shows the plan of a change. Worker threads. */
#ifndef LOOM_API_OPERATIONS_H
#define LOOM_API_OPERATIONS_H

#include "common/operation/job_params.h"
#include "services/api/request/auth.h"

struct operation_request {
	const struct operation_kind *kind;
	struct job_params params; /* validated */
	char *token;              /* of the plan to apply; NULL: none */
	bool plan_only;
};

void operation_request_fini(struct operation_request *o);

/* Takes what `asked` owns. Answers req, now or later. */
void operation_start(struct http_req *req, struct api *a, struct operation_request *asked);

/* Names of the operations that are allowed in this cluster status. Owned. */
struct json *operations_possible(const char *status);

#endif
