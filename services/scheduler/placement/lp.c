/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Primal simplex on a condensed tableau. Written here, not taken from a library, because the same
 * input must give the same output on every machine and with every library version.
 *
 * Row i is the slack of set i, column j the price of demand j; the start (all prices 0) is
 * feasible. Variables are numbered: price j is j, slack i is p + i.
 *
 * All limits are 1, so at the start every row ties and plain simplex would stall. Column p
 * therefore holds slightly different limits, which choose the pivots; column p + 1 holds the true
 * ones, which give the answer.
 */
#include "services/scheduler/placement/lp.h"

#include "common/base/mem.h"

#include <math.h>

#define EPS    1e-9
#define NUDGE  1e-6
#define SPREAD 65521 /* a prime, so that neighbouring rows get distant limits */

void lp_fini(struct lp *lp)
{
	loom_free(lp->cell);
	loom_free(lp->row_var);
	loom_free(lp->col_var);
	*lp = (struct lp){ 0 };
}

static void reserve(struct lp *lp, size_t n, size_t p)
{
	const size_t cells = (n + 1) * (p + 2);
	const size_t vars = n + p + 2;
	if (lp->cells < cells) {
		lp->cell = loom_realloc(lp->cell, cells * sizeof(*lp->cell));
		lp->cells = cells;
	}
	if (lp->vars < vars) {
		lp->row_var = loom_realloc(lp->row_var, vars * sizeof(*lp->row_var));
		lp->col_var = loom_realloc(lp->col_var, vars * sizeof(*lp->col_var));
		lp->vars = vars;
	}
}

static void fill(struct lp *lp, const struct lp_problem *problem)
{
	const size_t n = problem->n;
	const size_t p = (size_t)problem->p;
	const size_t w = p + 2;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < p; j++)
			lp->cell[i * w + j] = (double)((problem->sets[i] >> j) & 1);
		lp->cell[i * w + p] = 1 + NUDGE * (double)((i * 40503 + 1) % SPREAD) / SPREAD;
		lp->cell[i * w + p + 1] = 1;
		lp->row_var[i] = (int)(p + i);
	}
	for (size_t j = 0; j < p; j++) {
		lp->cell[n * w + j] = -(double)problem->demand[j];
		lp->col_var[j] = (int)j;
	}
	lp->cell[n * w + p] = 0;
	lp->cell[n * w + p + 1] = 0;
}

/* Entering column: the steepest, or if careful the lowest variable, which prevents cycles. -1:
 * optimal. */
static int choose_col(const struct lp *lp, size_t n, size_t p, int careful)
{
	const double *obj = lp->cell + n * (p + 2);
	int best = -1;
	for (size_t j = 0; j < p; j++) {
		if (obj[j] >= -EPS)
			continue;
		if (best < 0 || (careful ? lp->col_var[j] < lp->col_var[best] : obj[j] < obj[best]))
			best = (int)j;
	}
	return best;
}

static int choose_row(const struct lp *lp, size_t n, size_t p, int col)
{
	const size_t w = p + 2;
	double least = INFINITY;
	int best = -1;
	for (size_t i = 0; i < n; i++) {
		const double a = lp->cell[i * w + (size_t)col];
		if (a <= EPS)
			continue;
		double ratio = lp->cell[i * w + p] / a;
		if (ratio < least) {
			least = ratio;
			best = (int)i;
		}
	}
	return best;
}

static void pivot(struct lp *lp, size_t n, size_t p, size_t r, size_t c)
{
	const size_t w = p + 2;
	double *row = lp->cell + r * w;
	const double inv = 1 / row[c];
	const int var = lp->row_var[r];
	for (size_t j = 0; j < w; j++)
		row[j] *= inv;
	row[c] = inv;
	for (size_t i = 0; i <= n; i++) {
		double *other = lp->cell + i * w;
		const double f = other[c];
		if (i == r || (f < 1e-12 && f > -1e-12))
			continue;
		for (size_t j = 0; j < w; j++)
			other[j] -= f * row[j];
		other[c] = -f * inv;
	}
	lp->row_var[r] = lp->col_var[c];
	lp->col_var[c] = var;
}

/* Clamps rounding errors: NaN and negatives become 0, large values 1e12. */
static double positive(double v)
{
	if (!(v > 0))
		return 0;
	return v < 1e12 ? v : 1e12;
}

int64_t lp_cover(struct lp *lp, const struct lp_problem *problem, double *y, double *x)
{
	const size_t n = problem->n;
	const int p = problem->p;
	const size_t cols = (size_t)p;
	const size_t w = cols + 2;
	const int patience = 40 + 4 * p;
	int64_t work = (int64_t)((n + 1) * w);
	reserve(lp, n, cols);
	fill(lp, problem);
	for (int step = 0; step < 4 * patience; step++) {
		const int c = choose_col(lp, n, cols, step > patience);
		const int rc = c < 0 ? -1 : choose_row(lp, n, cols, c);
		if (rc < 0)
			break;
		pivot(lp, n, cols, (size_t)rc, (size_t)c);
		work += (int64_t)((n + 1) * w);
	}
	for (size_t j = 0; j < cols; j++)
		y[j] = 0;
	for (size_t i = 0; i < n; i++)
		x[i] = 0;
	for (size_t i = 0; i < n; i++) {
		if (lp->row_var[i] < p)
			y[lp->row_var[i]] = positive(lp->cell[i * w + cols + 1]);
	}
	for (size_t j = 0; j < cols; j++) {
		if (lp->col_var[j] >= p)
			x[lp->col_var[j] - p] = positive(lp->cell[n * w + j]);
	}
	return work;
}
