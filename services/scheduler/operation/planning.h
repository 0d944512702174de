/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planning - turns jobs in phase plan into nodes and tasks. It claims a job for a while (owner,
 * epoch), solves and plans outside any transaction, and checks the claim in the commit, so that a
 * scheduler that was too slow writes nothing. Loop thread; worker threads do the work.
 */
#ifndef LOOM_SCHEDULER_PLANNING_H
#define LOOM_SCHEDULER_PLANNING_H

#include "services/scheduler/scheduler.h"

void planning_start(struct scheduler *s);
/* Call when no planning is under way any more. */
void planning_stop(struct scheduler *s);
/* Looks for jobs to plan, soon: tenants take turns (planning_share.h). */
void planning_kick(struct scheduler *s);
/* The scheduler with this id is gone: plans its jobs here. */
void planning_take_over(struct scheduler *s, const char *owner);

#endif
