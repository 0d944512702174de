/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_share - how many callbacks are under way at once, and how many of them one tenant's.
 * Pure.
 *
 * A tenant may have one more while it has fewer than there is room left. So one alone gets half of
 * all, two a third each, and a part of the same size always stays free for whoever comes next: it
 * waits for nobody's targets.
 */
#ifndef LOOM_SCHEDULER_WEBHOOK_SHARE_H
#define LOOM_SCHEDULER_WEBHOOK_SHARE_H

#include <stddef.h>
#include <stdint.h>

/* What a message counts as: memory is limited with the number, so large ones are several. */
int64_t webhook_weight(size_t bytes);

/* A tenant with fewer than this many under way may have one more; 0: nobody may. under_way: the
 * weight of all. */
int64_t webhook_share(int64_t at_once, int64_t under_way);

#endif
