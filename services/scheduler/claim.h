/* SPDX-License-Identifier: Apache-2.0 */
/* claim - hands ready tasks to a worker, and the document a worker is given. Worker threads. */
#ifndef LOOM_SCHEDULER_CLAIM_H
#define LOOM_SCHEDULER_CLAIM_H

#include "common/db/db.h"
#include "common/json/json.h"
#include "services/scheduler/engine.h"

struct take {
	char *id, *tenant, *provisioner, *worker;
	int64_t max;
	int64_t lease_ms; /* renewed by heartbeat, or the whole time limit */
};

/* Called after each commit, on the calling thread: the cluster as committed, with its event number.
 */
typedef void (*claim_changed)(const struct change *ch, void *arg);

/*
 * Claims up to take->max tasks and returns their documents (REST spec 10.1, plus attempt and
 * leaseMs) as an array, empty when nothing is ready. A task whose macros cannot be expanded is
 * given up on the spot.
 */
LOOM_MUST_CHECK int claim_tasks(struct db_pool *p, const struct engine_policy *policy,
                                const struct take *take, struct json **ret, claim_changed changed,
                                void *arg);

#endif
