/* SPDX-License-Identifier: Apache-2.0 */
/* change - the plan of an operation on a cluster as lines of text.  Pure. */
#ifndef LOOM_CLI_CHANGE_H
#define LOOM_CLI_CHANGE_H

#include "common/base/buf.h"
#include "common/json/json.h"

#define CHANGE_ALL ((size_t)-1)

/* One line for each machine and setting that changes, at most max of a kind; nothing for none. */
void change_write(const struct json *plan, size_t max, struct buf *out);

/* The machines that have steps in this plan, as {"nodenum", "hostname"}, by number; cluster says
 * the names of those that exist.  Returns owned. */
struct json *change_nodes(const struct json *plan, const struct json *cluster);

/* "2 machines added, 1 removed, 14 steps". Returns owned. */
char *change_summary(const struct json *plan);

#endif
