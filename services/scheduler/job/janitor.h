/* SPDX-License-Identifier: Apache-2.0 */
/*
 * janitor - finds failures that nobody reports: expired task leases, expired clusters
 * (expiry_sweep.h), silent provisioners. Runs at the elected scheduler. Loop thread; worker threads
 * do the work.
 */
#ifndef LOOM_SCHEDULER_JANITOR_H
#define LOOM_SCHEDULER_JANITOR_H

#include "services/scheduler/scheduler.h"

void janitor_start(void);               /* once: its metrics */
void janitor_tick(struct scheduler *s); /* called regularly */
void janitor_kick(struct scheduler *s); /* sweep now, because there is something to find */
void janitor_stop(struct scheduler *s);

#endif
