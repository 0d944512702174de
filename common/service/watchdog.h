/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog - ends the process, with exit code 1, when its loop has not turned for so long. For
 * containers: their engine starts again what has ended, but not what hangs; on machines systemd
 * does this (sd_notify.h). Being stopped or frozen as a whole is no reason.
 */
#ifndef LOOM_SERVICE_WATCHDOG_H
#define LOOM_SERVICE_WATCHDOG_H

#include "common/net/loop.h"

struct watchdog;

/* Owned; NULL if most_ms is 0 or there is no thread for it. Loop thread. */
struct watchdog *watchdog_start(struct loop *loop, int64_t most_ms);
void watchdog_stop(struct watchdog *w); /* NULL is nothing */

#endif
