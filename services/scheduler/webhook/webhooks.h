/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhooks - sends the callbacks of the outbox: on the loop, since targets may be slow, with a few
 * threads for the database. Each callback is claimed for a while, so that others send those of a
 * killed scheduler. It is retried with growing waits until it is answered with 2xx, and becomes a
 * dead letter after callback_tries.
 */
#ifndef LOOM_SCHEDULER_WEBHOOKS_H
#define LOOM_SCHEDULER_WEBHOOKS_H

#include "services/scheduler/scheduler.h"

/* Loop thread. */
LOOM_MUST_CHECK int webhooks_start(struct scheduler *s, struct loom_err *err);
void webhooks_drain(struct scheduler *s); /* starts nothing new, soon gives up hanging calls */
bool webhooks_idle(const struct scheduler *s);
void webhooks_stop(struct scheduler *s); /* gives up all calls under way */
void webhooks_kick(struct scheduler *s); /* there may be something to send */
void webhooks_poll(struct scheduler *s); /* regularly: callbacks left by others or due again */

#endif
