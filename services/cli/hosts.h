/* SPDX-License-Identifier: Apache-2.0 */
/* hosts - nodes by the host names that people know them by. Pure. */
#ifndef LOOM_CLI_HOSTS_H
#define LOOM_CLI_HOSTS_H

#include "common/json/json.h"

/* Words with "on shop3-1000" where they say "on node 1000": the server's reasons have numbers only.
 * host_of answers a borrowed host name, or NULL when it knows none. Returns owned. */
char *hosts_in_words(const char *words, const char *(*host_of)(const void *arg, int64_t num),
                     const void *arg);

/* host_of for the details of a cluster (struct json), and for a watched one (struct view). */
const char *hosts_of_cluster(const void *cluster, int64_t num);
const char *hosts_of_view(const void *view, int64_t num);

#endif
