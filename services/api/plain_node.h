/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_node - a node as the original's /nodes shows it (REST spec 6): by the names and words of
 * its own classes, which differ from those of a cluster's details. Pure.
 */
#ifndef LOOM_API_PLAIN_NODE_H
#define LOOM_API_PLAIN_NODE_H

#include "common/json/json.h"

/* Of one as details show it, or as a client sent it; what is left out there has its default.
 * Owned. */
struct json *plain_node(const struct json *node);

#endif
