/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox - queues the messages about a change, in the transaction that makes it. So every committed
 * change is announced, whatever happens to this process. Inside db_tx(), the cluster locked.
 */
#ifndef LOOM_SCHEDULER_OUTBOX_H
#define LOOM_SCHEDULER_OUTBOX_H

#include "common/model/cluster/job.h"
#include "services/scheduler/job/cluster_tx.h"
#include "services/scheduler/webhook/webhook_targets.h"

/* Call after the change has set its statuses; j NULL: no job is concerned. Targets with a veto get
 * no message about a start, because admission_ask() asks them before. */
LOOM_MUST_CHECK int outbox_add(struct db *db, struct cluster_tx *tx, const struct job *j,
                               enum callback_kind kind);

#endif
