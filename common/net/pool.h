/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - a fixed number of worker threads with a bounded queue, for blocking work (SQL).
 *
 * pool_submit() from any thread; `work` runs on a worker, then `done` (may be NULL) on the loop.
 */
#ifndef LOOM_NET_POOL_H
#define LOOM_NET_POOL_H

#include "common/net/loop.h"

#include <stddef.h>

struct pool;

struct pool *pool_create(struct loop *l, unsigned threads, size_t max_queue);
/* 0, or -EAGAIN when the queue is full (nothing is run then), -ESHUTDOWN when stopping. */
LOOM_MUST_CHECK int pool_submit(struct pool *p, loop_fn work, loop_fn done, void *arg);
size_t pool_backlog(struct pool *p);
/* Stops accepting, runs what is queued, joins the threads; `done`s are posted to the loop. */
void pool_destroy(struct pool *p);

#endif
