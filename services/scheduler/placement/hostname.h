/* SPDX-License-Identifier: Apache-2.0 */
/* hostname - makes the host names of nodes. Any thread. */
#ifndef LOOM_SCHEDULER_HOSTNAME_H
#define LOOM_SCHEDULER_HOSTNAME_H

#include "common/json/json.h"

/*
 * "123i.am-a_clusTer", 1, 1002, NULL gives "i-am-a-cluster1-1002.local". The first label starts
 * with a letter or digit and fits 63 characters. dns_suffix NULL or empty means "local"; one
 * leading dot is dropped. Returns owned.
 */
char *hostname_make(const char *cluster_name, int64_t cluster_id, int nodenum,
                    const char *dns_suffix);
/* The suffix in the request, else the template's default; borrowed. */
const char *hostname_suffix(const struct json *request, const struct json *template);

#endif
