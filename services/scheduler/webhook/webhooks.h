/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhooks - sends the callbacks that the outbox holds: on the loop, since targets may be slow,
 * with a few threads for the database. Each callback is claimed for a while (so a killed
 * scheduler's are sent by others), sent again with growing waits until it was answered with 2xx,
 * and a dead letter after callback_tries.
 */
#ifndef LOOM_SCHEDULER_WEBHOOKS_H
#define LOOM_SCHEDULER_WEBHOOKS_H

#include "services/scheduler/scheduler.h"

/* Loop thread. */
LOOM_MUST_CHECK int webhooks_start(struct scheduler *s, struct loom_err *err);
void webhooks_drain(struct scheduler *s); /* begins nothing new, soon gives up what hangs */
bool webhooks_idle(const struct scheduler *s);
void webhooks_stop(struct scheduler *s); /* gives up what is under way */
void webhooks_kick(struct scheduler *s); /* there may be something to send */
void webhooks_poll(struct scheduler *s); /* regularly: what others left, or is due again */

#endif
