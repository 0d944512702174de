/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch_private - what comes (dispatch.c) and the batches that are made of it
 * (dispatch_batches.c). Loop thread only. */
#ifndef LOOM_SCHEDULER_DISPATCH_PRIVATE_H
#define LOOM_SCHEDULER_DISPATCH_PRIVATE_H

#include "services/scheduler/dispatch/batch.h"
#include "services/scheduler/dispatch/cluster_cache.h"
#include "services/scheduler/dispatch/dispatch.h"
#include "services/scheduler/dispatch/poll_waiters.h"
#include "services/scheduler/dispatch/result_queue.h"

/* One computes while the other waits for the database. Contended batches wait for a lock most of
 * the time, each on a thread of the pool, which has eight by default. */
enum { SLOTS = 2, MAX_CONTENDED = 2 };

struct under_way; /* a batch under way (dispatch_batches.c) */

struct batch_slot {
	struct payload_cache *payloads;
	struct edges_cache *edges_cache;
	struct candidate_cache *candidate_cache;
	const struct under_way *batch; /* NULL: none is under way */
};

struct dispatch {
	struct scheduler *s;
	struct poll_waiters waiters;
	struct result_queue queue;     /* for the slots */
	struct result_queue contended; /* for batches of their own */
	struct batch_slot slots[SLOTS];
	int64_t busy[MAX_CONTENDED]; /* clusters of contended batches; 0 none */
	struct cluster_cache *cache;
	struct fair_queue *fair;
	struct loop_timer *timer, *again, *due;
	int64_t due_at; /* monotonic ms; 0 not armed */
	uint64_t epoch;
	int64_t searched; /* monotonic ms: when the last search began */
	bool draining, stopping;
};

void dispatch_batches_start(void);                            /* once: metrics */
struct json *dispatch_batches_show(const struct dispatch *d); /* those under way; owned */
void dispatch_caches_start(void);                             /* once: metrics */
void dispatch_caches_measure(const struct dispatch *d);
/* Begins what batches it can. */
void dispatch_run(struct dispatch *d);

#endif
