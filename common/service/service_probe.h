/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_probe - --check-ready: asks the running process with this configuration whether it is
 * ready, for health checks in containers without other programs. Blocks; before the loop.
 */
#ifndef LOOM_SERVICE_SERVICE_PROBE_H
#define LOOM_SERVICE_SERVICE_PROBE_H

#include "common/base/config.h"

/* 0 when /readyz answers 200, else 1; prints one line: the answer to stdout, or the reason to
 * stderr. */
int service_probe(const char *name, const struct config_table *tables);

#endif
