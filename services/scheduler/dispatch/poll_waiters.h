/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll_waiters - the takes that wait for a task, and their answers. Loop thread only.
 */
#ifndef LOOM_SCHEDULER_POLL_WAITERS_H
#define LOOM_SCHEDULER_POLL_WAITERS_H

#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "services/scheduler/dispatch/batch.h"

struct waiter {
	struct waiter *next;
	struct bus_call *call;
	struct msg_take *asked;
	struct take take;  /* read from asked */
	int64_t since;     /* monotonic ms; when the API got the take, or later */
	int64_t until;     /* monotonic ms */
	uint64_t searched; /* epoch of its last search (dispatch.c); 0: none */
	bool in_batch, withdrawn;
};

struct poll_waiters {
	struct waiter *first; /* oldest first */
};

/* Adds a take as an API sent it, with a lease of lease_ms; takes ownership of asked. False if it
 * was answered at once, without tasks, because the scheduler drains. */
bool poll_waiters_add(struct poll_waiters *k, struct bus_call *call, struct msg_take *asked,
                      int64_t lease_ms, bool draining);
/* The worker of this take has gone: it gets no more tasks. */
void poll_waiters_cancel(struct poll_waiters *k, const char *id);
void poll_waiters_remove(struct poll_waiters *k, const struct waiter *p);
/* Answers and frees a removed waiter. Takes payloads; NULL: none. Tasks were claimed after
 * `claimed` (monotonic ms): the answer tells how long the take was held until then, so that the
 * worker knows the age of its leases however long the answer takes. */
void poll_waiters_answer(struct waiter *p, struct json *payloads, int64_t claimed);
/* Answers the takes whose time is over, or all; except those in a batch. */
void poll_waiters_answer_expired(struct poll_waiters *k, bool all);
/* If one take of a tenant found nothing, all its takes that have searched before are marked
 * searched. */
void poll_waiters_searched(struct poll_waiters *k, const struct waiter *by, uint64_t epoch);
/* How many tasks the waiting takes could get; stops counting a little above `enough`. */
size_t poll_waiters_places(const struct poll_waiters *k, size_t enough);
size_t poll_waiters_count(const struct poll_waiters *k); /* those not in a batch */

#endif
