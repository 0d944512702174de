/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry_policy - how often a failed task is tried again, and after what wait: the service's action
 * (provisioner.actions.<action>.retry), else the template (administration.retries.<action>), else
 * the scheduler's own. Pure.
 */
#ifndef LOOM_SCHEDULER_RETRY_POLICY_H
#define LOOM_SCHEDULER_RETRY_POLICY_H

#include "common/model/task.h"
#include "services/scheduler/job/cluster_tx.h"

/* c has its documents. */
struct job_policy retry_policy(const struct job_policy *own, const struct cluster *c,
                               const struct task *t);

#endif
