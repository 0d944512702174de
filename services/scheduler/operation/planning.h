/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planning - jobs in phase plan become nodes and tasks. A job is claimed for a while (owner,
 * epoch); solving and planning happen outside any transaction; the commit checks the claim, so that
 * a scheduler that was too slow writes nothing. Loop thread; the work is a worker's.
 */
#ifndef LOOM_SCHEDULER_PLANNING_H
#define LOOM_SCHEDULER_PLANNING_H

#include "services/scheduler/scheduler.h"

void planning_start(struct scheduler *s);
/* Nothing is under way any more. */
void planning_stop(struct scheduler *s);
/* Looks for jobs to plan, soon: tenants take turns (planning_share.h). */
void planning_kick(struct scheduler *s);
/* The scheduler of that id is gone: what it was planning is planned here. */
void planning_take_over(struct scheduler *s, const char *owner);

#endif
