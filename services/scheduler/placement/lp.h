/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lp - a lower bound, by linear programming, on the number of sets that cover given demands.
 *
 * Maximizes demand.y with sum of y over each set <= 1, y >= 0, in floating point. The results are
 * only hints: the caller proves its conclusions with integers. Any thread.
 */
#ifndef LOOM_SCHEDULER_LP_H
#define LOOM_SCHEDULER_LP_H

#include <stddef.h>
#include <stdint.h>

struct lp {
	double *cell; /* (rows + 1) x (cols + 1) */
	int *row_var, *col_var;
	size_t cells, vars; /* allocated */
};

void lp_fini(struct lp *lp);

struct lp_problem {
	const uint64_t *sets; /* n masks over the p demands */
	size_t n;
	const int64_t *demand;
	int p;
};

/* y: the price of each demand. x: how often each set is used. Returns the number of elementary
 * operations, for the caller's work limit. */
int64_t lp_cover(struct lp *lp, const struct lp_problem *problem, double *y, double *x);

#endif
