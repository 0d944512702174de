/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parking - takes that wait for a task, and what they are answered.  Loop thread only.
 */
#ifndef LOOM_SCHEDULER_PARKING_H
#define LOOM_SCHEDULER_PARKING_H

#include "common/bus/bus.h"
#include "services/scheduler/dispatch/turn.h"

struct parked {
	struct parked *next;
	struct bus_call *call;
	struct take take;
	int64_t since;  /* monotonic ms; when the API got the take, or later */
	int64_t until;  /* monotonic ms */
	uint64_t tried; /* in which epoch (dispatch.c); 0: not yet */
	bool in_turn, withdrawn;
};

struct parking {
	struct parked *first; /* oldest first */
};

/* Parks a take as an API sent it, for a lease of lease_ms; false when it was answered at once, with
 * nothing, because it is none or the scheduler drains. */
bool parking_take(struct parking *k, struct bus_call *call, const struct json *body,
                  int64_t lease_ms, bool draining);
/* Its worker has gone: nothing more is handed to it. */
void parking_withdraw(struct parking *k, const char *id);
void parking_take_out(struct parking *k, const struct parked *p);
/* Answers and frees one that was taken out. docs is taken; NULL: nothing. What was claimed was
 * claimed after `claimed` (monotonic ms): how long the take was held until then tells the worker
 * how old its leases are, whatever the answer waits for on its way. */
void parking_answer(struct parked *p, struct json *docs, int64_t claimed);
/* What an API gets: the documents as the texts that they are, or, if it is an older one, as values.
 * docs is taken; NULL: an empty list. */
struct json *parking_tasks(struct json *docs, bool as_texts);
/* Answers those whose time is over, or all, but for those in a turn. */
void parking_answer_expired(struct parking *k, bool all);
/* An empty-handed take that looked speaks for all of its tenant. */
void parking_tried(struct parking *k, const struct parked *by, uint64_t epoch);
/* How many tasks those who wait could take; counted up to a little more than `enough`. */
size_t parking_places(const struct parking *k, size_t enough);
size_t parking_count(const struct parking *k); /* of those who are in no turn */

#endif
