/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll_waiters - takes that wait for a task, and what they are answered.  Loop thread only.
 */
#ifndef LOOM_SCHEDULER_POLL_WAITERS_H
#define LOOM_SCHEDULER_POLL_WAITERS_H

#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "services/scheduler/dispatch/batch.h"

struct waiter {
	struct waiter *next;
	struct bus_call *call;
	struct msg_take *said;
	struct take take;  /* of it */
	int64_t since;     /* monotonic ms; when the API got the take, or later */
	int64_t until;     /* monotonic ms */
	uint64_t searched; /* in which epoch (dispatch.c); 0: not yet */
	bool in_batch, withdrawn;
};

struct poll_waiters {
	struct waiter *first; /* oldest first */
};

/* Parks a take as an API sent it, for a lease of lease_ms; said is taken. False when it was
 * answered at once, with nothing, because the scheduler drains. */
bool poll_waiters_add(struct poll_waiters *k, struct bus_call *call, struct msg_take *said,
                      int64_t lease_ms, bool draining);
/* Its worker has gone: nothing more is handed to it. */
void poll_waiters_cancel(struct poll_waiters *k, const char *id);
void poll_waiters_remove(struct poll_waiters *k, const struct waiter *p);
/* Answers and frees one that was taken out. payloads is taken; NULL: nothing. What was claimed was
 * claimed after `claimed` (monotonic ms): how long the take was held until then tells the worker
 * how old its leases are, whatever the answer waits for on its way. */
void poll_waiters_answer(struct waiter *p, struct json *payloads, int64_t claimed);
/* Answers those whose time is over, or all, but for those in a batch. */
void poll_waiters_answer_expired(struct poll_waiters *k, bool all);
/* An empty-handed take that looked speaks for all of its tenant. */
void poll_waiters_searched(struct poll_waiters *k, const struct waiter *by, uint64_t epoch);
/* How many tasks those who wait could take; counted up to a little more than `enough`. */
size_t poll_waiters_places(const struct poll_waiters *k, size_t enough);
size_t poll_waiters_count(const struct poll_waiters *k); /* of those who are in no batch */

#endif
