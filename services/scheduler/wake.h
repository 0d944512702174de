/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake - sends hints after a commit to other parts, other schedulers and APIs. A lost hint only
 * costs time, because each of them also looks by itself now and then.
 */
#ifndef LOOM_SCHEDULER_WAKE_H
#define LOOM_SCHEDULER_WAKE_H

#include "services/scheduler/scheduler.h"

struct wake {
	int64_t cluster, seq; /* 0: no new events */
	char tenant[65];
	bool ready;     /* tasks became ready */
	bool job;       /* a job needs planning */
	bool callbacks; /* there are callbacks to send */
};

/* Loop thread. Joins the members, and watches the other ones. */
void wake_start(struct scheduler *s);
void wake_stop(struct scheduler *s);

/* The hints that a committed change needs; also exports the spans that it ended. Any thread. */
struct wake wake_of(struct scheduler *s, const struct cluster_tx *tx);
/* Sends the hints for all changes of a commit at once. Loop thread. */
void wake_now(struct scheduler *s, const struct wake *v, size_t n);
/* A tenant's callbacks were delivered or failed. Loop thread. */
void wake_callbacks(struct scheduler *s, const char *tenant);
/* Sends the hints for one change, from any thread. */
void wake_changed(struct scheduler *s, const struct cluster_tx *tx);

#endif
