/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - follows a cluster's event stream until the cluster is at rest.
 *
 * A terminal gets one picture that is redrawn in place, everything else one line per event (-o
 * json: one JSON object per event).  A stream that breaks is taken up again where it broke.
 */
#ifndef LOOM_CLI_WATCH_H
#define LOOM_CLI_WATCH_H

#include "services/cli/cli.h"

#include <stdio.h>

/* Instead of the number of an event: show how it stands, then only what is new. */
#define WATCH_NEWS (-1)

/* Returns an exit code: CLI_OK when the cluster's last job came to its good end.  Lines are printed
 * for events after print_after only. */
int watch_cluster(struct cli *c, const char *id, int64_t print_after, FILE *out);

#endif
