/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake - what follows a commit: hints to the other parts, to other schedulers and to APIs. A hint
 * that is lost costs time only, for each looks by itself now and then.
 */
#ifndef LOOM_SCHEDULER_WAKE_H
#define LOOM_SCHEDULER_WAKE_H

#include "services/scheduler/scheduler.h"

struct wake {
	int64_t cluster, seq; /* 0: no new events */
	char tenant[65];
	bool ready;     /* tasks became ready */
	bool job;       /* a job wants planning */
	bool callbacks; /* there are callbacks to send */
};

/* Loop thread. Joins the members, and watches who else is there. */
void wake_start(struct scheduler *s);
void wake_stop(struct scheduler *s);

/* What a committed change calls for; the spans of what it ended are handed on here. Any thread. */
struct wake wake_of(struct scheduler *s, const struct cluster_tx *tx);
/* For all changes of one commit at once. Loop thread. */
void wake_now(struct scheduler *s, const struct wake *v, size_t n);
/* For one, from any thread. */
void wake_changed(struct scheduler *s, const struct cluster_tx *tx);

#endif
