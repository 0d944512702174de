/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch_private - shared by requests (dispatch.c) and the batches made of them
 * (dispatch_batches.c). Loop thread only. */
#ifndef LOOM_SCHEDULER_DISPATCH_PRIVATE_H
#define LOOM_SCHEDULER_DISPATCH_PRIVATE_H

#include "services/scheduler/dispatch/batch.h"
#include "services/scheduler/dispatch/cluster_cache.h"
#include "services/scheduler/dispatch/dispatch.h"
#include "services/scheduler/dispatch/poll_waiters.h"
#include "services/scheduler/dispatch/result_queue.h"

/* Two slots: one batch computes while the other waits for the database. Contended batches mostly
 * wait for a lock, each on a thread of the pool, which has eight by default. */
enum { SLOTS = 2, MAX_CONTENDED = 2 };

struct under_way; /* a batch under way (dispatch_batches.c) */

struct batch_slot {
	struct payload_cache *payloads;
	struct edges_cache *edges_cache;
	struct candidate_cache *candidate_cache;
	const struct under_way *batch; /* NULL: none */
};

struct dispatch {
	struct scheduler *s;
	struct poll_waiters waiters;
	struct result_queue queue;     /* for the slots */
	struct result_queue contended; /* results of clusters that another transaction held */
	struct batch_slot slots[SLOTS];
	int64_t busy[MAX_CONTENDED]; /* clusters of running contended batches; 0: none */
	struct cluster_cache *cache;
	struct fair_queue *fair;
	struct loop_timer *timer, *again, *due;
	int64_t due_at; /* monotonic ms; 0: not armed */
	uint64_t epoch;
	int64_t searched; /* monotonic ms: start of the last search */
	bool draining, stopping;
};

void dispatch_batches_start(void);                            /* once: metrics */
struct json *dispatch_batches_show(const struct dispatch *d); /* running batches; owned */
void dispatch_caches_start(void);                             /* once: metrics */
void dispatch_caches_measure(const struct dispatch *d);
/* Starts all batches that can start. */
void dispatch_run(struct dispatch *d);

#endif
