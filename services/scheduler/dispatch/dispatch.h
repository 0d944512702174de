/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - applies results and hands out tasks, batch after batch (dispatch_batches.c): results
 * move the graph, waiting takes get ready tasks. Loop thread.
 */
#ifndef LOOM_SCHEDULER_DISPATCH_H
#define LOOM_SCHEDULER_DISPATCH_H

#include "services/scheduler/scheduler.h"

void dispatch_start(struct scheduler *s);
void dispatch_drain(struct scheduler *s);      /* answers all waiting takes empty-handed */
bool dispatch_idle(const struct scheduler *s); /* no result is queued or being applied */
void dispatch_stop(struct scheduler *s);
void dispatch_kick(struct scheduler *s); /* there may be ready tasks */
/* A route of the admin port; dispatch_show.c. */
void dispatch_show(struct http_req *req, void *ctx);

#endif
