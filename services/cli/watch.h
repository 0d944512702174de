/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - follows a cluster's event stream until the cluster is at rest.
 *
 * A terminal gets one picture that is redrawn in place, other output one line per event (-o json:
 * one JSON object per event). A broken stream is resumed where it broke.
 */
#ifndef LOOM_CLI_WATCH_H
#define LOOM_CLI_WATCH_H

#include "services/cli/cli.h"

#include <stdio.h>

/* Instead of an event number: print the present state, then only new events. */
#define WATCH_NEWS (-1)

/* Returns an exit code: CLI_OK when the cluster's last job succeeded. Prints lines only for events
 * after print_after. */
int watch_cluster(struct cli *c, const char *id, int64_t print_after, FILE *out);

#endif
