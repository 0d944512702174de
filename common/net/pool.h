/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - a fixed number of worker threads with a bounded queue, for blocking work (SQL).
 *
 * pool_submit() from any thread; `work` runs on a worker, then `done` (may be NULL) on the loop.
 *
 * Work may belong to a share. Shares take turns, each in its own order, and none gets all threads
 * or the whole queue. So the work of one share delays the others only by the time of a few of its
 * pieces, however many wait. Every other turn goes to work without a share, the service's own.
 */
#ifndef LOOM_NET_POOL_H
#define LOOM_NET_POOL_H

#include "common/net/loop.h"

#include <stddef.h>

struct pool;

struct pool *pool_create(struct loop *l, unsigned threads, size_t max_queue);
/* 0, or -EAGAIN if the queue is full (nothing is run), -ESHUTDOWN when stopping. */
LOOM_MUST_CHECK int pool_submit(struct pool *p, loop_fn work, loop_fn done, void *arg);

struct pool_share {
	const char *name; /* borrowed; NULL: no share */
	unsigned most;    /* at once; 0: all threads but two, at least one. While work of this share
	                   * exists, the value of its first piece applies. */
};
/* pool_submit() for a share; also -EAGAIN if the share has a quarter of the queue. */
LOOM_MUST_CHECK int pool_submit_share(struct pool *p, const struct pool_share *share, loop_fn work,
                                      loop_fn done, void *arg);
/* The pool's number of threads divided by one_in; at least one. */
unsigned pool_threads(const struct pool *p, unsigned one_in);
size_t pool_backlog(struct pool *p);
/* Stops accepting, runs the queued work, joins the threads; `done`s are posted to the loop. */
void pool_destroy(struct pool *p);

#endif
