/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks_private - sending callbacks and asking for admission share these. */
#ifndef LOOM_SCHEDULER_WEBHOOKS_PRIVATE_H
#define LOOM_SCHEDULER_WEBHOOKS_PRIVATE_H

#include "services/scheduler/webhook/webhooks.h"

#include "common/base/seal.h"

#include <stdatomic.h>
#include <sys/queue.h>

TAILQ_HEAD(tellings, telling);
TAILQ_HEAD(askings, asking);

struct webhooks {
	struct scheduler *s;
	struct pool *pool; /* for the database; NULL once stopped */
	struct http_client *client;
	struct tellings under_way;
	int64_t weight;       /* of these, webhook_share.h */
	int64_t preparing;    /* of these, on a thread to be claimed */
	bool again;           /* there may be more */
	struct askings asked; /* admission.c */
	int64_t asked_weight;
	struct loop_timer *grace; /* armed when draining */
	atomic_bool stopping;
	struct seal_key key; /* of the secrets of tenants' targets */
};

void admission_give_up(struct webhooks *k); /* loop: those that hang; asked again by another */

#endif
