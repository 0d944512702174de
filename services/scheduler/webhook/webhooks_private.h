/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks_private - shared by sending callbacks and asking for admission. */
#ifndef LOOM_SCHEDULER_WEBHOOKS_PRIVATE_H
#define LOOM_SCHEDULER_WEBHOOKS_PRIVATE_H

#include "services/scheduler/webhook/webhooks.h"

#include "common/base/seal.h"

#include <stdatomic.h>
#include <sys/queue.h>

TAILQ_HEAD(deliveries, delivery);
TAILQ_HEAD(askings, asking);

struct webhooks {
	struct scheduler *s;
	struct pool *pool; /* for the database; NULL once stopped */
	struct http_client *client;
	struct deliveries under_way;
	int64_t weight;       /* of under_way, see webhook_share.h */
	int64_t preparing;    /* callbacks of under_way that a thread is claiming */
	bool again;           /* there may be more to claim */
	struct askings asked; /* admission.c */
	int64_t asked_weight;
	struct loop_timer *grace; /* armed when draining */
	atomic_bool stopping;
};

void admission_give_up(struct webhooks *k); /* loop: ends hanging calls, for others to repeat */

#endif
