/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch_private - what comes (dispatch.c) and the turns that are made of it (dispatch_turns.c).
 * Loop thread only. */
#ifndef LOOM_SCHEDULER_DISPATCH_PRIVATE_H
#define LOOM_SCHEDULER_DISPATCH_PRIVATE_H

#include "services/scheduler/dispatch/book.h"
#include "services/scheduler/dispatch/parking.h"
#include "services/scheduler/dispatch/result_queue.h"
#include "services/scheduler/dispatch/turn.h"
#include "services/scheduler/scheduler.h"

enum { LANES = 2, MAX_ASIDE = 2 };

struct running; /* a turn under way (dispatch_turns.c) */

struct lane {
	struct documents *documents;
	struct successors *successors;
	struct outlook *outlook;
	const struct running *turn; /* NULL: none is under way */
};

struct dispatch {
	struct scheduler *s;
	struct parking parking;
	struct result_queue queue; /* for the lanes */
	struct result_queue aside; /* for turns of their own */
	struct lane lanes[LANES];
	int64_t busy[MAX_ASIDE]; /* clusters of turns aside; 0 none */
	struct book *book;
	struct loop_timer *timer, *again, *due;
	int64_t due_at; /* monotonic ms; 0 not armed */
	uint64_t epoch;
	int64_t searched; /* monotonic ms: when the last search began */
	bool draining, stopping;
};

void dispatch_turns_start(void); /* once: metrics */
/* Begins what turns it can. */
void dispatch_run(struct dispatch *d);

#endif
