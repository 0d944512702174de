/* SPDX-License-Identifier: Apache-2.0 */
/*
 * results - applies the result of a task as its worker sent it, on the rows of a unit of work. The
 * attempt is the fence.
 */
#ifndef LOOM_SCHEDULER_RESULTS_H
#define LOOM_SCHEDULER_RESULTS_H

#include "common/bus/messages.h"
#include "services/scheduler/job/unit.h"

/* Does the result change facts about the task's node? */
bool result_about_node(const struct msg_finish *finish, const struct task *t);
/* Applies the result. *ret_status is the answer to the worker: 200, also if it was applied before,
 * or 417 if it does not belong to a running attempt. unstorable: the database refuses the result,
 * so the task fails. 0 or a DB_E_ code. */
LOOM_MUST_CHECK int result_apply(struct unit *u, struct task *t, const struct msg_finish *finish,
                                 bool unstorable, int *ret_status);

#endif
