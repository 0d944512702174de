/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox - notes down who is to be told about a change, in the transaction that makes it: what was
 * committed is told, whatever happens to this process. Inside db_tx(), the cluster locked.
 */
#ifndef LOOM_SCHEDULER_OUTBOX_H
#define LOOM_SCHEDULER_OUTBOX_H

#include "common/model/job.h"
#include "services/scheduler/job/cluster_tx.h"
#include "services/scheduler/webhook/webhook_targets.h"

/* After the change's statuses are set; j NULL: of no job. Targets that may veto are not told of a
 * start, they are asked before (admission_ask()). */
LOOM_MUST_CHECK int outbox_add(struct db *db, struct cluster_tx *tx, const struct job *j,
                               enum callback_kind kind);

#endif
