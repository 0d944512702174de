/* SPDX-License-Identifier: Apache-2.0 */
/*
 * removal_search - taking a number of nodes away, at the least cost, while no limit is
 * overdrawn.
 *
 * Nodes of one kind are alike: taking one costs so much and draws one from each of the limits
 * that the kind is part of. Exact: the kinds are tried from the cheapest on, with bounds on how
 * many nodes the limits still let go and on what the rest costs at least. What takes longer than
 * the work limit is given up.
 *
 * Any thread.
 */
#ifndef LOOM_SCHEDULER_REMOVAL_SEARCH_H
#define LOOM_SCHEDULER_REMOVAL_SEARCH_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct removal_kind {
	size_t id;     /* the caller's */
	int64_t have;  /* nodes */
	int64_t cost;  /* of each */
	size_t *draws; /* limits; owned */
	size_t n_draws;
};

struct removal_search {
	struct removal_kind *kinds; /* from the cheapest on; owned */
	size_t n;
	int64_t *left; /* of each limit; owned */
	size_t n_limits;
	int64_t work; /* steps left */
};

enum removal_answer { REMOVAL_NO, REMOVAL_YES, REMOVAL_UNKNOWN /* the work limit was reached */ };

/* Can `want` nodes be taken for at most max_cost (INT64_MAX: for any)? The cheapest way there is
 * goes to ret (one number per kind), its cost to *ret_cost; untouched unless REMOVAL_YES. With
 * `any`, the first way that is found will do. When the work limit ends the search after a way was
 * found, the best so far is the answer. */
enum removal_answer removal_find(struct removal_search *p, int64_t want, int64_t max_cost, bool any,
                                 int64_t *ret, int64_t *ret_cost);
/* Takes one node of a kind; false, and nothing is taken, when the limits do not let it go. */
bool removal_take(struct removal_search *p, size_t kind);
void removal_put_back(struct removal_search *p, size_t kind);
void removal_search_fini(struct removal_search *p);

#endif
