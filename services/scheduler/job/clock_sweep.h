/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock_sweep - what follows when the database's clock is set, or another node with another clock
 * becomes the writer. All leases and waits are kept by that clock. Worker threads; part of the
 * janitor's sweep.
 *
 * Set forward, all leases seem to have ended, and nobody had time to renew his: clock_step() tells
 * the janitor. Set back, what was to begin or to end soon would wait until the clock is there
 * again: clock_rewind() brings it nearer.
 */
#ifndef LOOM_SCHEDULER_CLOCK_SWEEP_H
#define LOOM_SCHEDULER_CLOCK_SWEEP_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct scheduler;

/* The database's clock as last read: between these two moments of this process's own. */
struct clock_seen {
	int64_t db, asked, answered;
};

/* By how many ms the database's clock was set since the last reading; 0: by less than can be told.
 * Pure. */
int64_t clock_step(struct clock_seen *seen, const struct clock_seen *now);

enum clock_state {
	CLOCK_UNKNOWN, /* not read before: leases may be wrong */
	CLOCK_RIGHT,
	CLOCK_BACK, /* it was set back: waits may be wrong, too */
};
/* Mends what may be wrong; now: of the database. A DB_E_ code; *state is CLOCK_RIGHT after all. */
LOOM_MUST_CHECK int clock_rewind(struct scheduler *s, int64_t now, enum clock_state *state);

#endif
