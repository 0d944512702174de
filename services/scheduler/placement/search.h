/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search - finds the preferred count vector of a model: how many new nodes of each kind.
 *
 * Kinds of nodes are ordered by number of services, most first; then by the names of the hardware
 * type, the image type and the services. The answer is the first vector, in descending
 * lexicographic order over that list, that has the right number of nodes and satisfies the need and
 * the room of every group.
 *
 * It is built greedily: take as many nodes as possible of the first kind such that a solution is
 * left, then of the next kind, and so on. Whether a solution is left is decided exactly without
 * looking at kinds: because every subset of a permitted set is permitted, the rest is solvable if
 * and only if
 *   - no demand exceeds the remainder of the group's maximum,
 *   - the remaining nodes can cover the demands (set_cover.h), and
 *   - the maxima suffice to leave no node empty, or nodes may stay empty.
 * (Surplus groups can be dropped; a node with two groups can be split; one more instance of a group
 * adds at most one node.) Earlier kinds need not be excluded from the rest: using one again would
 * contradict that as many as possible of it were taken.
 *
 * Any thread.
 */
#ifndef LOOM_SCHEDULER_SEARCH_H
#define LOOM_SCHEDULER_SEARCH_H

#include "common/base/err.h"
#include "services/scheduler/placement/model.h"

struct search_kind {
	uint64_t groups;
	int hardware, image; /* indexes into the model's types */
	int64_t count;       /* > 0 */
};

struct search_result {
	struct search_kind *kinds; /* in order of preference */
	size_t n;
};

/* model_find_largest(m) must have run. 0; 400: no solution; 422: work limit reached. err says
 * why. */
LOOM_MUST_CHECK int search_counts(const struct model *m, struct search_result *ret,
                                  struct loom_err *err);
void search_result_fini(struct search_result *r);

#endif
