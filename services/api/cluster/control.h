/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_control - has a scheduler act on the job that a cluster waits for. Worker threads. */
#ifndef LOOM_API_CONTROL_H
#define LOOM_API_CONTROL_H

#include "services/api/request/auth.h"

/* verb: "pause", "resume", "abort", or "delete", which ends any job and deletes the cluster. job:
 * the cluster's newest as the caller saw it. Answers req later. */
void control_send(struct http_req *req, struct api *a, const struct identity *who, int64_t cluster,
                  int64_t job, const char *verb);

#endif
