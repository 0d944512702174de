/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set_cover - are this many nodes enough to hold the required instances of each group?
 *
 * m nodes cover a demand d if there are m permitted sets (with repetition) such that each group i
 * is in at least d[i] of them. Only the largest permitted sets matter. The answer is exact: bounds
 * proven with integers, greedy and rounded covers, and branching on the linear solution where these
 * leave a gap.
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

/* A quick, one-sided test: true if limit nodes are certainly too few, even if the demand of every
 * group in `spare` falls by one. */
bool set_cover_surely_not(const struct set_cover *c, const int64_t *demand, uint64_t spare,
                          int64_t limit);

/* Takes n steps from the work limit shared by the whole solve; false if it is used up. */
bool set_cover_spend(struct set_cover *c, int64_t n);

LOOM_DEFINE_CLEANUP(struct set_cover *, set_cover_destroy)

#endif
