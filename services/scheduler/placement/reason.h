/* SPDX-License-Identifier: Apache-2.0 */
/* reason - explains why new nodes are impossible; and phrases for all refusals. Any thread. */
#ifndef LOOM_SCHEDULER_REASON_H
#define LOOM_SCHEDULER_REASON_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "services/scheduler/placement/model.h"
#include "services/scheduler/placement/set_cover.h"

#define REASON_LIST 700 /* most bytes of a list inside a reason */

/* Two arguments, for "%" PRId64 " %s": "1 node", "2 nodes". */
#define REASON_NODES(n) (n), (n) == 1 ? "node" : "nodes"

/* "a", "a and b", "a, b and c" */
void reason_add_list(struct buf *b, const struct strs *names);
void reason_add_name(struct buf *b, const char *name); /* to "a, b"; does nothing for NULL */
void reason_add_set(struct buf *b, const struct rules *r, const struct rules_set *set);

/* 0 if every needed group fits on some node by itself and its limits are consistent with each other
 * and with the number of nodes; else 400 with err. */
LOOM_MUST_CHECK int reason_check_groups(const struct model *m, struct loom_err *err);

/* These return 400 with err. */

/* The maxima are too low for every new node to get a service. */
int reason_too_many_nodes(const struct model *m, struct loom_err *err);
/* The minima need more new nodes than requested; c was made from m's largest sets. */
int reason_too_few_nodes(const struct model *m, struct set_cover *c, struct loom_err *err);

#endif
