/* SPDX-License-Identifier: Apache-2.0 */
/* operations - starts a change of an existing cluster, or shows what it would be. Worker threads.
 */
#ifndef LOOM_API_OPERATIONS_H
#define LOOM_API_OPERATIONS_H

#include "services/api/auth.h"

/* Takes params, whose body fields are checked ("operation", "services", "config" ..., "token").
 * Answers req, now or later. */
void operation_start(struct http_req *req, struct api *a, const struct identity *who,
                     struct json *params, bool plan_only);

/* Names of the operations that may be asked for while a cluster has this status. Owned. */
struct json *operations_possible(const char *status);

#endif
