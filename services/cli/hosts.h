/* SPDX-License-Identifier: Apache-2.0 */
/* hosts - shows nodes by their host names. Pure. */
#ifndef LOOM_CLI_HOSTS_H
#define LOOM_CLI_HOSTS_H

#include "common/json/json.h"

/* Replaces "on node 1000" by "on shop3-1000": the server's sentences have only numbers. host_of
 * returns a borrowed host name, or NULL for an unknown node. Returns owned. */
char *hosts_in_words(const char *words, const char *(*host_of)(const void *arg, int64_t num),
                     const void *arg);

/* host_of for the details of a cluster (struct json), and for a watched one (struct view). */
const char *hosts_of_cluster(const void *cluster, int64_t num);
const char *hosts_of_view(const void *view, int64_t num);

#endif
