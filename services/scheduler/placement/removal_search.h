/* SPDX-License-Identifier: Apache-2.0 */
/*
 * removal_search - taking a number of machines away, at the least cost, while no limit is
 * overdrawn.
 *
 * Machines of one kind are alike: taking one costs so much and draws one from each of the limits
 * that the kind is part of. Exact: the kinds are tried from the cheapest on, with bounds on how
 * many machines the limits still let go and on what the rest costs at least. What takes longer than
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

struct pick_kind {
	int64_t have;  /* machines */
	int64_t cost;  /* of each */
	size_t *draws; /* limits; owned */
	size_t n_draws;
};

struct pick {
	struct pick_kind *kinds; /* from the cheapest on; owned */
	size_t n;
	int64_t *left; /* of each limit; owned */
	size_t n_limits;
	int64_t work; /* steps left */
};

enum pick_answer { PICK_NO, PICK_YES, PICK_UNKNOWN /* the work limit was reached */ };

/* Can `want` machines be taken for at most max_cost (INT64_MAX: for any)? The cheapest way there is
 * goes to ret (one number per kind), its cost to *ret_cost; untouched unless PICK_YES. With `any`,
 * the first way that is found will do. When the work limit ends the search after a way was found,
 * the best so far is the answer. */
enum pick_answer pick_find(struct pick *p, int64_t want, int64_t max_cost, bool any, int64_t *ret,
                           int64_t *ret_cost);
/* Takes one machine of a kind; false, and nothing is taken, when the limits do not let it go. */
bool pick_take(struct pick *p, size_t kind);
void pick_untake(struct pick *p, size_t kind);
void pick_fini(struct pick *p);

#endif
