/* SPDX-License-Identifier: Apache-2.0 */
/* plan_diff - the plan of an operation on a cluster as lines of text.  Pure. */
#ifndef LOOM_CLI_PLAN_DIFF_H
#define LOOM_CLI_PLAN_DIFF_H

#include "common/base/buf.h"
#include "common/json/json.h"

#define PLAN_DIFF_ALL ((size_t)-1)

/* One line per changed node and setting, at most max of a kind; nothing without changes. */
struct table_fit;
void plan_diff_write(const struct json *plan, size_t max, const struct table_fit *fit,
                     struct buf *out);

/* The nodes that have tasks in this plan, as {"nodenum", "hostname"}, by number; cluster provides
 * the names of existing ones. Returns owned. */
struct json *plan_diff_nodes(const struct json *plan, const struct json *cluster);

/* "2 nodes added, 1 node removed, 14 tasks". Returns owned. */
char *plan_diff_summary(const struct json *plan);

#endif
