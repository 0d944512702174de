/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expiry_sweep - clusters whose time has come are deleted, and warned about before. Each is looked
 * at again under its row lock, so that a longer lease that was given in time is honoured. Worker
 * threads; part of the janitor's sweep.
 */
#ifndef LOOM_SCHEDULER_EXPIRY_SWEEP_H
#define LOOM_SCHEDULER_EXPIRY_SWEEP_H

#include "services/scheduler/scheduler.h"

/* Looks as far ahead as the next sweep. A DB_E_ code; *ret_next_ms: when the next cluster's time
 * comes, -1 when not before the next sweep. */
LOOM_MUST_CHECK int expiry_sweep(struct scheduler *s, int64_t *ret_next_ms);

#endif
