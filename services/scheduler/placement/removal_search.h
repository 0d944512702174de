/* SPDX-License-Identifier: Apache-2.0 */
/*
 * removal_search - chooses a given number of nodes to remove, at the lowest cost, without
 * overdrawing any limit.
 *
 * Nodes of one kind are alike: removing one has a fixed cost and draws one from each limit of that
 * kind. The search is exact: it tries the kinds from the cheapest on, and prunes by how many nodes
 * the limits still allow and by the least possible cost of the rest. It stops at the work limit.
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
	size_t id;     /* chosen by the caller */
	int64_t have;  /* nodes */
	int64_t cost;  /* of each */
	size_t *draws; /* the limits it draws from; owned */
	size_t n_draws;
};

struct removal_search {
	struct removal_kind *kinds; /* from the cheapest on; owned */
	size_t n;
	int64_t *left; /* remaining allowance of each limit; owned */
	size_t n_limits;
	int64_t work; /* search steps left */
};

enum removal_answer { REMOVAL_NO, REMOVAL_YES, REMOVAL_UNKNOWN /* the work limit was reached */ };

/* Can `want` nodes be removed for at most max_cost (INT64_MAX: for any cost)? On REMOVAL_YES ret
 * holds the cheapest choice (one number per kind) and *ret_cost its cost; otherwise both are
 * untouched. With `any`, the first choice found is good enough. If the work limit ends the search
 * after a choice was found, the best one so far is returned. */
enum removal_answer removal_find(struct removal_search *p, int64_t want, int64_t max_cost, bool any,
                                 int64_t *ret, int64_t *ret_cost);
/* Removes one node of a kind; false, with nothing changed, if the limits forbid it. */
bool removal_take(struct removal_search *p, size_t kind);
void removal_put_back(struct removal_search *p, size_t kind);
void removal_search_fini(struct removal_search *p);

#endif
