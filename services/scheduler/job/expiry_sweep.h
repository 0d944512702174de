/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expiry_sweep - warns about clusters whose lease is about to end, and deletes them when it has
 * ended. Checks each cluster again under its row lock, so that a lease extended in time is
 * honoured. Worker threads; part of the janitor's sweep.
 */
#ifndef LOOM_SCHEDULER_EXPIRY_SWEEP_H
#define LOOM_SCHEDULER_EXPIRY_SWEEP_H

#include "services/scheduler/scheduler.h"

/* Looks as far ahead as the next sweep. A DB_E_ code; *ret_next_ms: milliseconds until the next
 * cluster is due, -1 if not before the next sweep. */
LOOM_MUST_CHECK int expiry_sweep(struct scheduler *s, int64_t *ret_next_ms);

#endif
