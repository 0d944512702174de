/* SPDX-License-Identifier: Apache-2.0 */
/*
 * results - what a worker says of its task, as it sent it. The attempt is the fence. On the rows of
 * a unit of work.
 */
#ifndef LOOM_SCHEDULER_RESULTS_H
#define LOOM_SCHEDULER_RESULTS_H

#include "common/bus/messages.h"
#include "services/scheduler/job/unit.h"

/* Does it change what is known of the task's node? */
bool result_about_node(const struct msg_finish *said, const struct task *t);
/* Applies it; *ret_status is the answer: 200, also when it was applied before, or 417 when it
 * belongs to no attempt that runs. unstorable: the database refuses what it says, so that the task
 * has failed. 0 or a DB_E_ code. */
LOOM_MUST_CHECK int result_apply(struct unit *u, struct task *t, const struct msg_finish *said,
                                 bool unstorable, int *ret_status);

#endif
