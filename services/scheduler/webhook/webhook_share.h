/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_share - limits how many callbacks are under way at once, in total and per tenant. Pure.
 *
 * A tenant may add a callback while it has fewer under way than there are free places. So a single
 * tenant gets half of all places, two get a third each, and a part of the same size always stays
 * free for the next tenant, which never waits for others' targets.
 */
#ifndef LOOM_SCHEDULER_WEBHOOK_SHARE_H
#define LOOM_SCHEDULER_WEBHOOK_SHARE_H

#include <stddef.h>
#include <stdint.h>

/* The weight of a message: large ones count several times, because the number limits the memory. */
int64_t webhook_weight(size_t bytes);

/* A tenant with fewer than this many under way may add one; 0: no tenant may. under_way: the weight
 * of all. */
int64_t webhook_share(int64_t at_once, int64_t under_way);

#endif
