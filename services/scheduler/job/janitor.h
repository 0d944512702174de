/* SPDX-License-Identifier: Apache-2.0 */
/*
 * janitor - what nobody reports, at the elected scheduler: leases of tasks that ran out, clusters
 * whose time has come (expiry_sweep.h), provisioners that fell silent. Loop thread; the work is a
 * worker's.
 */
#ifndef LOOM_SCHEDULER_JANITOR_H
#define LOOM_SCHEDULER_JANITOR_H

#include "services/scheduler/scheduler.h"

void janitor_tick(struct scheduler *s); /* regularly */
void janitor_kick(struct scheduler *s); /* there is something to find now */
void janitor_stop(struct scheduler *s);

#endif
