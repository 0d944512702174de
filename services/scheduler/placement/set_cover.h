/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set_cover - can so many nodes hold so many instances of each group?
 *
 * A demand d is covered by m nodes when there are m permitted sets (with repetition) such that
 * each group i is in at least d[i] of them. Only the largest permitted sets matter. The answer is
 * exact; it is found by bounds that are proven with integers, by greedy and rounded covers, and by
 * branching on the linear solution where those leave a gap.
 *
 * Any thread, one at a time.
 */
#ifndef LOOM_SCHEDULER_SET_COVER_H
#define LOOM_SCHEDULER_SET_COVER_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stdint.h>

enum set_cover_answer {
	SET_COVER_NO,
	SET_COVER_YES,
	SET_COVER_UNKNOWN /* the work limit was reached */
};

struct set_cover;

/* sets: the largest permitted sets over n groups, each group in at least one; kept by reference. */
struct set_cover *set_cover_create(const uint64_t *sets, size_t n_sets, int n);
void set_cover_destroy(struct set_cover *c);

/* Are limit nodes enough for demand (n values >= 0)? */
enum set_cover_answer set_cover_within(struct set_cover *c, const int64_t *demand, int64_t limit);

/* A quick, one-sided answer: true when it is already known that limit nodes are too few, however
 * the demand of the groups in `spare` may fall by one. */
bool set_cover_surely_not(const struct set_cover *c, const int64_t *demand, uint64_t spare,
                          int64_t limit);

/* Takes n steps from the work limit that all of a solve shares; false when it is used up. */
bool set_cover_spend(struct set_cover *c, int64_t n);

LOOM_DEFINE_CLEANUP(struct set_cover *, set_cover_destroy)

#endif
