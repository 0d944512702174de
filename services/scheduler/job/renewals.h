/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renewals - could workers renew their leases? Nobody's lease is ended before everybody had a whole
 * lease's time for it. Pure; times are monotonic ms, but for silence, which is the database's.
 *
 * A sweep that fails says that they could not; so does one that finds the database's clock set
 * forward, as leases are kept by it. One that is slow, or whose writes fail, may say it:
 * the database may be away, or busy, or one row locked. If that goes on for PATIENCE leases and
 * heartbeats are stored meanwhile, leases are renewed as well, and those that are not end.
 */
#ifndef LOOM_SCHEDULER_RENEWALS_H
#define LOOM_SCHEDULER_RENEWALS_H

#include <stdbool.h>
#include <stdint.h>

struct renewals {
	int64_t away_until;  /* when the database was last taken to be away; 0: never */
	int64_t doubt_since; /* since when sweeps say that it may be; 0: they do not */
	bool write_failed;   /* in the last sweep */
};

/* What a sweep saw. */
struct renewals_look {
	int64_t asked, answered;
	bool failed;     /* no answer */
	int64_t silence; /* since the last heartbeat of anybody was stored */
	int64_t step;    /* by which the database's clock was set since the last sweep */
};

void renewals_see(struct renewals *r, const struct renewals_look *look, int64_t lease_ms);
/* Have they been possible for this long? */
bool renewals_for(const struct renewals *r, int64_t now, int64_t for_ms);

#endif
