/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_node - a node as the original's /nodes shows it (REST spec 6), whose member names differ
 * from those in a cluster's details. Pure.
 */
#ifndef LOOM_API_PLAIN_NODE_H
#define LOOM_API_PLAIN_NODE_H

#include "common/json/json.h"

/* Converts a node from a cluster's details, or from a client; missing members get their defaults.
 * Owned. */
struct json *plain_node(const struct json *node);

#endif
