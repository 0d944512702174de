/* SPDX-License-Identifier: Apache-2.0 */
/* webhooks_private - the threads that send callbacks and ask for admission share these. */
#ifndef LOOM_SCHEDULER_WEBHOOKS_PRIVATE_H
#define LOOM_SCHEDULER_WEBHOOKS_PRIVATE_H

#include "services/scheduler/webhook/webhooks.h"

#include "common/base/seal.h"

#include <stdatomic.h>

struct webhooks {
	struct scheduler *s;
	struct pool *pool;
	int64_t running; /* of its threads, sending; one is left for admission */
	bool again;
	atomic_bool stopping;
	struct seal_key key; /* of the secrets of tenants' targets */
};

#endif
