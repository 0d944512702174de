/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_probe - --check-ready: asks the process that runs with this configuration whether it is
 * ready, for the health checks of containers that hold no other program. Blocks; before the loop.
 */
#ifndef LOOM_SERVICE_SERVICE_PROBE_H
#define LOOM_SERVICE_SERVICE_PROBE_H

#include "common/base/config.h"

/* 0 when /readyz answers 200, else 1; one line with the answer on stdout or the reason on stderr.
 */
int service_probe(const char *name, const struct config_table *tables);

#endif
