/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search - the preferred count vector of a model.
 *
 * Kinds of nodes are ordered by: more services first; then the name of the hardware type, of the
 * image type, of the services one by one. The answer is the first vector in descending
 * lexicographic order over that list which has all nodes and keeps what every group needs and has
 * room for.
 *
 * It is built greedily: take as many as possible of the first kind that still leave a solution,
 * then of the next kind, and so on. Whether a solution is left is decided exactly and without
 * looking at kinds: because any part of a permitted set is permitted, a rest is solvable if and
 * only if
 *   - no demand exceeds what the group's maximum leaves,
 *   - the demands can be covered by the nodes left (set_cover.h), and
 *   - the maxima leave enough for no node to stay empty, or nodes may stay empty.
 * (Surplus groups can be left out; a node with two groups can be split; one more of any group adds
 * at most one node.) Earlier kinds need not be excluded when deciding what is left, for using
 * one again would contradict that as many as possible of it were taken.
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

/* m has its largest sets. 0; 400 no solution; 422 the work limit was reached. err says why. */
LOOM_MUST_CHECK int search_counts(const struct model *m, struct search_result *ret,
                                  struct loom_err *err);
void search_result_fini(struct search_result *r);

#endif
