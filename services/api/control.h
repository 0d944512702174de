/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_control - what is done to the job that a cluster waits for; a scheduler does it. Worker
 * threads.
 */
#ifndef LOOM_API_CONTROL_H
#define LOOM_API_CONTROL_H

#include "services/api/auth.h"

/* verb: "pause", "resume", "abort", or "delete", which ends the job whatever it is and deletes the
 * cluster. job: the cluster's newest as the caller saw it. Answers req later. */
void control_send(struct http_req *req, struct api *a, const struct identity *who, int64_t cluster,
                  int64_t job, const char *verb);

#endif
