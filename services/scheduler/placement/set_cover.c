/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides exactly whether a number of nodes can cover a demand.
 * Linear programming only guides the search: integers prove every "no", a cover proves every "yes".
 */
#include "services/scheduler/placement/set_cover.h"

#include "services/scheduler/placement/lp.h"
#include "services/scheduler/placement/model.h"

#include <stdlib.h>
#include <string.h>

/* Using it up takes 0.6 s (measured by gives_up in tests/unit/test_scheduler_set_cover.c). */
#define WORK_LIMIT 800000000
#define SCALE      (1 << 24) /* prices are kept as integers */
/* Measured with random templates like those of `tangled` in tests/unit/test_scheduler_solve.c, with
 * 32 services of which 200 pairs may not share a node: one price took an eighth longer than eight;
 * 96 took as long as eight. */
#define PRICES 8
/* Up to this number of sets, drop those contained in another: at most 2 million comparisons.
 * Measured by `tangled`: 512 took a quarter longer, 20,000 took as long. */
#define THIN_OUT 2048

/*
 * Any prices >= 0 prove a bound: if the groups of no set cost more than `dearest` in total, m nodes
 * cover demands worth at most m * dearest.
 */
struct price {
	int64_t of[MODEL_GROUPS_MAX];
	int64_t dearest;
};

struct set_cover {
	const uint64_t *sets;
	size_t n_sets;
	int n;
	int64_t work;
	struct price prices[PRICES];
	size_t n_prices, next_price;
	struct lp lp;
};

/* One question: the non-zero demands, packed, and the sets reduced to them. */
struct question {
	struct set_cover *c;
	int p;
	int group[MODEL_GROUPS_MAX];
	uint64_t *sets;
	size_t n_sets;
	double *x;
};

struct set_cover *set_cover_create(const uint64_t *sets, size_t n_sets, int n)
{
	struct set_cover *c = loom_calloc(1, sizeof(*c));
	*c = (struct set_cover){ .sets = sets, .n_sets = n_sets, .n = n, .work = WORK_LIMIT };
	return c;
}

void set_cover_destroy(struct set_cover *c)
{
	if (!c)
		return;
	lp_fini(&c->lp);
	loom_free(c);
}

bool set_cover_spend(struct set_cover *c, int64_t n)
{
	c->work -= n;
	return c->work > 0;
}

bool set_cover_surely_not(const struct set_cover *c, const int64_t *demand, uint64_t spare,
                          int64_t limit)
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

/* Drops duplicates and, if there are few enough sets, those contained in another. */
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

static void pack(struct question *q, struct set_cover *c, const int64_t *demand, int64_t *packed)
{
	*q = (struct question){ .c = c, .n_sets = c->n_sets };
	for (int i = 0; i < c->n; i++) {
		if (demand[i] > 0) {
			packed[q->p] = demand[i];
			q->group[q->p++] = i;
		}
	}
	q->sets = loom_calloc(c->n_sets + 1, sizeof(*q->sets));
	q->x = loom_calloc(c->n_sets + 1, sizeof(*q->x));
	for (size_t k = 0; k < c->n_sets; k++) {
		for (int j = 0; j < q->p; j++)
			q->sets[k] |= ((c->sets[k] >> q->group[j]) & 1) << j;
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

/* The set that covers most of the remaining demand; 0 if none covers any. */
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

/* Uses a set until one of its demands is covered. Returns the number of uses. */
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

/* The number of nodes in a greedy cover; INT64_MAX if none is found within limit. Consumes d. */
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

/* The bound proven by the prices y, in integers. */
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

/* Keeps prices that were proven against all sets, for set_cover_surely_not(). */
static void remember(struct question *q, const struct price *packed)
{
	struct set_cover *c = q->c;
	struct price *pr = &c->prices[c->next_price];
	*pr = (struct price){ .dearest = packed->dearest };
	for (int j = 0; j < q->p; j++)
		pr->of[q->group[j]] = packed->of[j];
	c->next_price = (c->next_price + 1) % PRICES;
	c->n_prices += c->n_prices < PRICES;
}

/* Rounds the linear solution down and completes it greedily. */
static int64_t rounded(struct question *q, const uint64_t *sets, size_t n, const double *x,
                       const int64_t *d, int64_t limit)
{
	int64_t left[MODEL_GROUPS_MAX];
	int64_t used = 0;
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
	int64_t more = greedy(q, sets, n, left, limit - used);
	return more == INT64_MAX ? more : used + more;
}

/* ---- branching ------------------------------------------------------------------------------ */

/* A refusal by prices also tells about neighbouring choices, see conclude(). */
enum verdict { NO_BY_PRICES, NO_BY_SEARCH, YES, UNKNOWN };

/* Fills proof for NO_BY_PRICES. */
static enum verdict decide(struct question *q, uint64_t *sets, size_t n, const int64_t *d,
                           int64_t limit, struct price *proof);

/* The set whose number of uses is farthest from an integer; if all are integers, the most used. */
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

/* One branching on the number of uses of a set, and the directions still worth trying. */
struct branching {
	struct question *q;
	uint64_t *sets; /* n sets, followed by the one with the given number of uses */
	size_t n;
	const int64_t *d;
	int64_t limit;
	bool up, down; /* may more or fewer uses still succeed? */
};

/*
 * The refusal for `times` uses of a set has prices that ignore this set. They also bound the cost
 * of t uses: dearest * t + sum over j of price[j] * max(0, d[j] - t * [j in the set]). This is
 * convex in t, so in a direction in which it does not fall, all further numbers of uses are refused
 * as well.
 */
static void conclude(struct branching *b, int64_t times, const struct price *proof)
{
	const uint64_t set = b->sets[b->n];
	int64_t saved_above = 0;
	int64_t saved_below = 0;
	for (int j = 0; j < b->q->p; j++) {
		if (!((set >> j) & 1))
			continue;
		saved_above += b->d[j] > times ? proof->of[j] : 0;
		saved_below += b->d[j] >= times ? proof->of[j] : 0;
	}
	b->up = b->up && saved_above > proof->dearest;
	b->down = b->down && saved_below < proof->dearest;
}

static enum verdict branch(struct branching *b, int64_t times)
{
	int64_t left[MODEL_GROUPS_MAX];
	struct price proof;
	for (int j = 0; j < b->q->p; j++) {
		left[j] = b->d[j] - ((b->sets[b->n] >> j) & 1 ? times : 0);
		left[j] = left[j] > 0 ? left[j] : 0;
	}
	enum verdict v = decide(b->q, b->sets, b->n, left, b->limit - times, &proof);
	if (v == NO_BY_PRICES)
		conclude(b, times, &proof);
	return v;
}

/* Tries every number of uses of the last set, starting from the linear solution's. */
static enum verdict branch_all(struct branching *b, double x)
{
	const int64_t start = x < (double)b->limit ? (int64_t)x : b->limit;
	b->up = b->down = true;
	for (int64_t step = 0; b->up || b->down; step++) {
		const int64_t high = start + 1 + step;
		const int64_t low = start - step;
		enum verdict v = NO_BY_SEARCH;
		b->down = b->down && low >= 0;
		if (b->down)
			v = branch(b, low);
		if (v >= YES)
			return v;
		b->up = b->up && high <= b->limit;
		if (b->up)
			v = branch(b, high);
		if (v >= YES)
			return v;
	}
	return NO_BY_SEARCH;
}

/*
 * The easy cases: too few nodes for one demand, a demand that no set has, or one node for each
 * demanded instance. The prices that prove a refusal are on that one demand; if no set has it, its
 * price is limit + 1.
 */
static bool is_plain(const struct question *q, const struct lp_problem *problem, int64_t limit,
                     enum verdict *ret, struct price *proof)
{
	const int64_t *d = problem->demand;
	uint64_t reach = 0;
	int64_t sum = 0;
	for (size_t k = 0; k < problem->n; k++)
		reach |= problem->sets[k];
	for (int j = 0; j < q->p; j++) {
		const bool none = d[j] > 0 && !((reach >> j) & 1);
		sum += d[j];
		if (d[j] > limit || none) {
			*ret = NO_BY_PRICES;
			*proof = (struct price){ .dearest = 1 };
			proof->of[j] = none ? limit + 1 : 1;
			return true;
		}
	}
	*ret = YES;
	return sum <= limit;
}

/* Decides what easy cases and bounds left open, by branching on the uses of one set. */
static enum verdict search(struct question *q, uint64_t *sets, size_t n, const int64_t *d,
                           int64_t limit)
{
	struct branching b = { .q = q, .sets = sets, .n = n - 1, .d = d, .limit = limit };
	const size_t k = choose_set(q->x, n);
	const uint64_t set = sets[k];
	sets[k] = sets[n - 1];
	sets[n - 1] = set;
	enum verdict v = branch_all(&b, q->x[k]);
	sets[n - 1] = sets[k];
	sets[k] = set;
	return v;
}

static enum verdict decide(struct question *q, uint64_t *sets, size_t n, const int64_t *d,
                           int64_t limit, struct price *proof)
{
	const struct lp_problem problem = { sets, n, d, q->p };
	double y[MODEL_GROUPS_MAX];
	int64_t left[MODEL_GROUPS_MAX];
	enum verdict v;
	if (is_plain(q, &problem, limit, &v, proof))
		return v;
	if (q->c->work < 0)
		return UNKNOWN;
	memcpy(left, d, (size_t)q->p * sizeof(*left));
	if (greedy(q, sets, n, left, limit) <= limit)
		return YES;
	q->c->work -= lp_cover(&q->c->lp, &problem, y, q->x);
	if (proven(sets, n, d, q->p, y, proof) > limit)
		return NO_BY_PRICES;
	if (rounded(q, sets, n, q->x, d, limit) <= limit)
		return YES;
	return search(q, sets, n, d, limit);
}

enum set_cover_answer set_cover_within(struct set_cover *c, const int64_t *demand, int64_t limit)
{
	int64_t packed[MODEL_GROUPS_MAX];
	struct price proof;
	struct question q;
	int64_t sum = 0;
	if (limit < 0)
		return SET_COVER_NO;
	for (int i = 0; i < c->n; i++) {
		sum += demand[i];
		if (demand[i] > limit)
			return SET_COVER_NO;
	}
	if (sum <= limit)
		return SET_COVER_YES;
	if (set_cover_surely_not(c, demand, 0, limit))
		return SET_COVER_NO;
	pack(&q, c, demand, packed);
	enum verdict v = decide(&q, q.sets, q.n_sets, packed, limit, &proof);
	if (v == NO_BY_PRICES)
		remember(&q, &proof);
	loom_free(q.sets);
	loom_free(q.x);
	if (v == UNKNOWN)
		return SET_COVER_UNKNOWN;
	return v == YES ? SET_COVER_YES : SET_COVER_NO;
}
