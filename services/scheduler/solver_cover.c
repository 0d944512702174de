/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/solver_cover.h"

#include "services/scheduler/solver_lp.h"
#include "services/scheduler/solver_model.h"

#include <stdlib.h>
#include <string.h>

#define WORK_LIMIT INT64_C(2500000000) /* well under a second */
#define SCALE      (1 << 24)           /* prices are kept as integers */
#define PRICES     24
#define THIN_OUT   512 /* sets up to which contained ones are dropped */

/*
 * Any prices >= 0 prove a bound: if no set's atoms cost more than `dearest` together, m machines
 * cover demands worth at most m * dearest.
 */
struct price {
	int64_t of[MODEL_ATOMS];
	int64_t dearest;
};

struct cover {
	const uint64_t *sets;
	size_t n_sets;
	int n;
	int64_t work;
	struct price prices[PRICES];
	size_t n_prices, next_price;
	struct lp lp;
};

/* One question: demands that are not zero, packed, and the sets cut down to them. */
struct question {
	struct cover *c;
	int p;
	int atom[MODEL_ATOMS];
	uint64_t *sets;
	size_t n_sets;
	double *x;
};

struct cover *cover_create(const uint64_t *sets, size_t n_sets, int n)
{
	struct cover *c = loom_calloc(1, sizeof(*c));

	*c = (struct cover){ .sets = sets, .n_sets = n_sets, .n = n, .work = WORK_LIMIT };
	return c;
}

void cover_destroy(struct cover *c)
{
	if (!c)
		return;
	lp_fini(&c->lp);
	loom_free(c);
}

bool cover_spend(struct cover *c, int64_t n)
{
	c->work -= n;
	return c->work > 0;
}

bool cover_surely_not(const struct cover *c, const int64_t *demand, uint64_t spare, int64_t limit)
{
	for (size_t k = 0; k < c->n_prices; k++) {
		const struct price *pr = &c->prices[k];
		int64_t worth = 0;

		for (int i = 0; i < c->n; i++) {
			const int64_t left = demand[i] - (int64_t)((spare >> i) & 1);

			worth += left > 0 ? left * pr->of[i] : 0;
		}
		if (worth > limit * pr->dearest)
			return true;
	}
	return false;
}

/* ---- packing -------------------------------------------------------------------------------- */

static int compare_down(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;
	const int sx = __builtin_popcountll(x);
	const int sy = __builtin_popcountll(y);

	return sx != sy ? sy - sx : (x > y) - (x < y);
}

/* Drops doubles and, when there are few enough, sets that another one contains. */
static void thin_out(struct question *q)
{
	size_t out = 0;

	qsort(q->sets, q->n_sets, sizeof(*q->sets), compare_down);
	for (size_t i = 0; i < q->n_sets; i++) {
		const size_t first = q->n_sets <= THIN_OUT ? 0 : out ? out - 1 : 0;
		bool contained = !q->sets[i];

		for (size_t j = first; j < out && !contained; j++) {
			contained = q->n_sets <= THIN_OUT ? !(q->sets[i] & ~q->sets[j])
			                                  : q->sets[i] == q->sets[j];
		}
		if (!contained)
			q->sets[out++] = q->sets[i];
	}
	q->n_sets = out;
}

static void pack(struct question *q, struct cover *c, const int64_t *demand, int64_t *packed)
{
	*q = (struct question){ .c = c, .n_sets = c->n_sets };
	for (int i = 0; i < c->n; i++) {
		if (demand[i] > 0) {
			packed[q->p] = demand[i];
			q->atom[q->p++] = i;
		}
	}
	q->sets = loom_calloc(c->n_sets + 1, sizeof(*q->sets));
	q->x = loom_calloc(c->n_sets + 1, sizeof(*q->x));
	for (size_t k = 0; k < c->n_sets; k++) {
		for (int j = 0; j < q->p; j++)
			q->sets[k] |= ((c->sets[k] >> q->atom[j]) & 1) << j;
	}
	c->work -= (int64_t)c->n_sets * (q->p + 8);
	thin_out(q);
}

/* ---- bounds --------------------------------------------------------------------------------- */

static int64_t value_of(uint64_t set, const int64_t *value, int p)
{
	int64_t sum = 0;

	for (int j = 0; j < p; j++)
		sum += (set >> j) & 1 ? value[j] : 0;
	return sum;
}

/* The set that covers most of what is left; 0 when none covers any. */
static uint64_t most_useful(const struct question *q, const uint64_t *sets, size_t n,
                            const int64_t *d)
{
	int64_t best = 0;
	uint64_t pick = 0;

	for (size_t k = 0; k < n; k++) {
		const int64_t v = value_of(sets[k], d, q->p);

		if (v > best) {
			best = v;
			pick = sets[k];
		}
	}
	q->c->work -= (int64_t)n * q->p;
	return pick;
}

/* Uses a set until it has covered one of its demands. Returns how often. */
static int64_t use_up(const struct question *q, uint64_t set, int64_t *d)
{
	int64_t times = INT64_MAX;

	for (int j = 0; j < q->p; j++) {
		if ((set >> j) & 1 && d[j] > 0 && d[j] < times)
			times = d[j];
	}
	for (int j = 0; j < q->p; j++) {
		if ((set >> j) & 1 && d[j] > 0)
			d[j] -= times;
	}
	return times;
}

/* Machines that a simple cover needs, INT64_MAX if it finds none within limit. d is used up. */
static int64_t greedy(struct question *q, const uint64_t *sets, size_t n, int64_t *d, int64_t limit)
{
	int64_t used = 0;

	while (used <= limit) {
		const uint64_t pick = most_useful(q, sets, n, d);

		if (!pick)
			break;
		used += use_up(q, pick, d);
	}
	for (int j = 0; j < q->p; j++) {
		if (d[j] > 0)
			return INT64_MAX;
	}
	return used;
}

/* The bound that the prices y prove, in integers. */
static int64_t proven(const uint64_t *sets, size_t n, const int64_t *d, int p, const double *y,
                      struct price *ret)
{
	int64_t worth = 0;

	*ret = (struct price){ .dearest = 1 };
	for (int j = 0; j < p; j++) {
		ret->of[j] = y[j] < 2 ? (int64_t)(y[j] * SCALE + 0.5) : 2 * (int64_t)SCALE;
		worth += ret->of[j] * d[j];
	}
	for (size_t k = 0; k < n; k++) {
		const int64_t v = value_of(sets[k], ret->of, p);

		ret->dearest = v > ret->dearest ? v : ret->dearest;
	}
	return (worth + ret->dearest - 1) / ret->dearest;
}

/* Keeps prices that hold for all sets, for cover_surely_not(). */
static void remember(struct question *q, const struct price *packed)
{
	struct cover *c = q->c;
	struct price *pr = &c->prices[c->next_price];

	*pr = (struct price){ .dearest = packed->dearest };
	for (int j = 0; j < q->p; j++)
		pr->of[q->atom[j]] = packed->of[j];
	c->next_price = (c->next_price + 1) % PRICES;
	c->n_prices += c->n_prices < PRICES;
}

/* The linear solution rounded down and completed greedily. */
static int64_t rounded(struct question *q, const uint64_t *sets, size_t n, const double *x,
                       const int64_t *d, int64_t limit)
{
	int64_t left[MODEL_ATOMS];
	int64_t used = 0;
	int64_t more;

	memcpy(left, d, (size_t)q->p * sizeof(*left));
	for (size_t k = 0; k < n; k++) {
		const int64_t times = (int64_t)(x[k] + 1e-6);

		for (int j = 0; j < q->p && times; j++)
			left[j] -= (sets[k] >> j) & 1 ? times : 0;
		used += times;
	}
	if (used > limit)
		return INT64_MAX;
	for (int j = 0; j < q->p; j++)
		left[j] = left[j] > 0 ? left[j] : 0;
	more = greedy(q, sets, n, left, limit - used);
	return more == INT64_MAX ? more : used + more;
}

/* ---- branching ------------------------------------------------------------------------------ */

/* A refusal by the linear bound says more than one by trying: see branch_all(). */
enum verdict { NO_BY_BOUND, NO_BY_SEARCH, YES, UNKNOWN };

static enum verdict decide(struct question *q, uint64_t *sets, size_t n, const int64_t *d,
                           int64_t limit, bool root);

/* The set whose use is farthest from a whole number; if all are whole, the most used. */
static size_t choose_set(const double *x, size_t n)
{
	size_t best = 0;
	double far = -1;

	for (size_t k = 0; k < n; k++) {
		const double frac = x[k] - (double)(int64_t)x[k];
		const double off = frac < 0.5 ? frac : 1 - frac;
		const double score = off > 1e-6 ? 1 + off : x[k] * 1e-9;

		if (score > far) {
			far = score;
			best = k;
		}
	}
	return best;
}

/* Uses set number n (behind the others) exactly `times` times. */
static enum verdict branch(struct question *q, uint64_t *sets, size_t n, const int64_t *d,
                           int64_t limit, int64_t times)
{
	int64_t left[MODEL_ATOMS];

	for (int j = 0; j < q->p; j++) {
		left[j] = d[j] - ((sets[n] >> j) & 1 ? times : 0);
		left[j] = left[j] > 0 ? left[j] : 0;
	}
	return decide(q, sets, n, left, limit - times, false);
}

/*
 * The linear bound on how many machines are needed is convex in the times one set is used, with its
 * least at x: so going away from x, the first refusal by the bound ends the search on that side.
 * Within 0.5 of x nothing is concluded, for x is only an approximation.
 */
static enum verdict branch_all(struct question *q, uint64_t *sets, size_t n, const int64_t *d,
                               int64_t limit, double x)
{
	const int64_t start = (int64_t)x;
	bool up = true;
	bool down = true;

	for (int64_t step = 0; up || down; step++) {
		const int64_t high = start + 1 + step;
		const int64_t low = start - step;
		enum verdict v;

		down = down && low >= 0;
		if (down) {
			v = branch(q, sets, n, d, limit, low);
			if (v >= YES)
				return v;
			down = v != NO_BY_BOUND || (double)low > x - 0.5;
		}
		up = up && high <= limit;
		if (up) {
			v = branch(q, sets, n, d, limit, high);
			if (v >= YES)
				return v;
			up = v != NO_BY_BOUND || (double)high < x + 0.5;
		}
	}
	return NO_BY_SEARCH;
}

/* Trivial answers: nothing to cover, too few machines for one demand, a demand no set has. */
static bool is_plain(const struct question *q, const uint64_t *sets, size_t n, const int64_t *d,
                     int64_t limit, enum verdict *ret)
{
	uint64_t reach = 0;
	int64_t sum = 0;

	for (size_t k = 0; k < n; k++)
		reach |= sets[k];
	for (int j = 0; j < q->p; j++) {
		sum += d[j];
		if (d[j] > limit || (d[j] > 0 && !((reach >> j) & 1))) {
			*ret = NO_BY_BOUND;
			return true;
		}
	}
	*ret = YES;
	return sum <= limit;
}

static enum verdict decide(struct question *q, uint64_t *sets, size_t n, const int64_t *d,
                           int64_t limit, bool root)
{
	double y[MODEL_ATOMS];
	int64_t left[MODEL_ATOMS];
	enum verdict v;
	struct price price;
	uint64_t swap;
	size_t k;
	double use;

	if (limit < 0)
		return NO_BY_BOUND;
	if (is_plain(q, sets, n, d, limit, &v))
		return v;
	if (q->c->work < 0)
		return UNKNOWN;
	memcpy(left, d, (size_t)q->p * sizeof(*left));
	if (greedy(q, sets, n, left, limit) <= limit)
		return YES;
	q->c->work -= lp_cover(&q->c->lp, &(struct lp_problem){ sets, n, d, q->p }, y, q->x);
	if (proven(sets, n, d, q->p, y, &price) > limit) {
		if (root)
			remember(q, &price);
		return NO_BY_BOUND;
	}
	if (rounded(q, sets, n, q->x, d, limit) <= limit)
		return YES;
	k = choose_set(q->x, n);
	use = q->x[k];
	swap = sets[k];
	sets[k] = sets[n - 1];
	sets[n - 1] = swap;
	v = branch_all(q, sets, n - 1, d, limit, use);
	sets[n - 1] = sets[k];
	sets[k] = swap;
	return v;
}

enum cover_answer cover_within(struct cover *c, const int64_t *demand, int64_t limit)
{
	int64_t packed[MODEL_ATOMS];
	enum verdict v;
	struct question q;
	int64_t sum = 0;

	if (limit < 0)
		return COVER_NO;
	for (int i = 0; i < c->n; i++) {
		sum += demand[i];
		if (demand[i] > limit)
			return COVER_NO;
	}
	if (sum <= limit)
		return COVER_YES;
	if (cover_surely_not(c, demand, 0, limit))
		return COVER_NO;
	pack(&q, c, demand, packed);
	v = decide(&q, q.sets, q.n_sets, packed, limit, true);
	loom_free(q.sets);
	loom_free(q.x);
	if (v == UNKNOWN)
		return COVER_UNKNOWN;
	return v == YES ? COVER_YES : COVER_NO;
}
