/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd_notify - reports our state to the service manager, over the datagram socket that NOTIFY_SOCKET
 * names (a path, or '@' and an abstract name). Without one, nothing is sent. Any thread.
 */
#ifndef LOOM_SERVICE_SD_NOTIFY_H
#define LOOM_SERVICE_SD_NOTIFY_H

#include "common/base/mem.h"

#include <stdint.h>

/* "READY=1", "STOPPING=1", "STATUS=..."; 0 also without a manager, else -errno. */
LOOM_MUST_CHECK int sd_notify_send(const char *text);

/* Half of WATCHDOG_USEC; 0: this process needs no watchdog. */
int64_t sd_notify_watchdog_ms(void);

#endif
