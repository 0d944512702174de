/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - a fixed number of worker threads with a bounded queue, for blocking work (SQL).
 *
 * pool_submit() from any thread; `work` runs on a worker, then `done` (may be NULL) on the loop.
 *
 * Work may be somebody's share. Shares take turns, each in its own order, and none has all threads
 * or the whole queue; so what one submits costs the others the time of a few of its pieces, however
 * many wait. Every other turn is that of work that is nobody's, which is the service's own.
 */
#ifndef LOOM_NET_POOL_H
#define LOOM_NET_POOL_H

#include "common/net/loop.h"

#include <stddef.h>

struct pool;

struct pool *pool_create(struct loop *l, unsigned threads, size_t max_queue);
/* 0, or -EAGAIN when the queue is full (nothing is run then), -ESHUTDOWN when stopping. */
LOOM_MUST_CHECK int pool_submit(struct pool *p, loop_fn work, loop_fn done, void *arg);

struct pool_share {
	const char *name; /* borrowed; NULL: nobody's */
	unsigned most; /* of it at once; 0: all threads but two, at least one. For all of one name
	                * that are there at once the first one's counts. */
};
/* The same; also -EAGAIN when the share has a quarter of the queue. */
LOOM_MUST_CHECK int pool_submit_share(struct pool *p, const struct pool_share *share, loop_fn work,
                                      loop_fn done, void *arg);
/* One in so many of its threads; at least one. */
unsigned pool_threads(const struct pool *p, unsigned one_in);
size_t pool_backlog(struct pool *p);
/* Stops accepting, runs what is queued, joins the threads; `done`s are posted to the loop. */
void pool_destroy(struct pool *p);

#endif
