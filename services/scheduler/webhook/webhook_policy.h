/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook_policy - the addresses to which callbacks may go. Addresses of this machine, this link,
 * private networks, cloud metadata and the like need the operator's permission. Pure; any thread.
 */
#ifndef LOOM_SCHEDULER_WEBHOOK_POLICY_H
#define LOOM_SCHEDULER_WEBHOOK_POLICY_H

#include <stdbool.h>

struct sockaddr;

/* Why the address is not public: "loopback", "private" ...; NULL if it is public. */
const char *webhook_address_class(const struct sockaddr *sa);

/* allow: names ("hooks.lab"), endings ("*.lab"), addresses, networks ("10.1.0.0/16", "fd00::/8"),
 * or "*", separated by commas and blanks. host as in the URL: lower case, without brackets. */
bool webhook_host_listed(const char *allow, const char *host);
bool webhook_address_listed(const char *allow, const struct sockaddr *sa);

/* Is every word of the list well-formed? *ret_bad owned: the first malformed one. */
bool webhook_allow_valid(const char *allow, char **ret_bad);

#endif
