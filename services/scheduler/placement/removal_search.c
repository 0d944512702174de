/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the cheapest nodes to remove.
 * Exact, by branch and bound: a wrong choice would cost an operator the wrong node.
 */
#include "services/scheduler/placement/removal_search.h"

#include <string.h>

struct search {
	struct removal_search *p;
	int64_t best; /* cost to stay below */
	bool any, found, over;
	int64_t *now, *ret;  /* by kind */
	int64_t *drawn_from; /* by limit: nodes whose tightest limit this is */
};

/* How many nodes of a kind the limits allow to remove. */
static int64_t most_of(const struct removal_search *p, size_t kind)
{
	const struct removal_kind *k = &p->kinds[kind];
	int64_t most = k->have;
	for (size_t i = 0; i < k->n_draws; i++) {
		if (p->left[k->draws[i]] < most)
			most = p->left[k->draws[i]];
	}
	return most;
}

static size_t tightest(const struct removal_search *p, const struct removal_kind *k)
{
	size_t best = SIZE_MAX;
	for (size_t i = 0; i < k->n_draws; i++) {
		if (best == SIZE_MAX || p->left[k->draws[i]] < p->left[best])
			best = k->draws[i];
	}
	return best;
}

/*
 * Can the kinds from i on provide `want` nodes at a cost below the best? Never wrongly false: it
 * charges each kind to its tightest limit only, and for that problem taking the cheapest first is
 * optimal.
 */
static bool may_succeed(struct search *s, size_t i, int64_t want, int64_t cost)
{
	struct removal_search *p = s->p;
	memset(s->drawn_from, 0, p->n_limits * sizeof(*s->drawn_from));
	for (; i < p->n && want; i++) {
		const struct removal_kind *k = &p->kinds[i];
		const size_t limit = tightest(p, k);
		int64_t count = most_of(p, i);
		p->work -= 2 * (int64_t)k->n_draws + 1;
		if (limit != SIZE_MAX) {
			const int64_t room = p->left[limit] - s->drawn_from[limit];
			count = count < room ? count : room;
			s->drawn_from[limit] += count < want ? count : want;
		}
		count = count < want ? count : want;
		want -= count;
		cost += count * k->cost;
	}
	return !want && cost < s->best;
}

static void draw(struct removal_search *p, size_t kind, int64_t n)
{
	const struct removal_kind *k = &p->kinds[kind];
	for (size_t i = 0; i < k->n_draws; i++)
		p->left[k->draws[i]] -= n;
	p->kinds[kind].have -= n;
}

static void dive(struct search *s, size_t i, int64_t want, int64_t cost)
{
	struct removal_search *p = s->p;
	if (!want) {
		s->best = cost;
		s->found = true;
		s->over = s->any;
		memcpy(s->ret, s->now, p->n * sizeof(*s->ret));
		return;
	}
	s->over = s->over || p->work < 0;
	if (i == p->n || s->over || !may_succeed(s, i, want, cost))
		return;
	int64_t most = most_of(p, i);
	most = most < want ? most : want;
	for (int64_t n = most; n >= 0 && !s->over; n--) {
		draw(p, i, n);
		s->now[i] = n;
		dive(s, i + 1, want - n, cost + n * p->kinds[i].cost);
		s->now[i] = 0;
		draw(p, i, -n);
		/* the best may have improved meanwhile */
		if (n && s->found && !may_succeed(s, i, want, cost))
			break;
	}
}

enum removal_answer removal_find(struct removal_search *p, int64_t want, int64_t max_cost, bool any,
                                 int64_t *ret, int64_t *ret_cost)
{
	struct search s = {
		.p = p,
		.best = max_cost < INT64_MAX ? max_cost + 1 : INT64_MAX,
		.any = any,
		.now = loom_calloc(p->n + 1, sizeof(*s.now)),
		.ret = loom_calloc(p->n + 1, sizeof(*s.ret)),
		.drawn_from = loom_calloc(p->n_limits + 1, sizeof(*s.drawn_from)),
	};
	dive(&s, 0, want, 0);
	if (s.found) {
		memcpy(ret, s.ret, p->n * sizeof(*ret));
		*ret_cost = s.best;
	}
	loom_free(s.now);
	loom_free(s.ret);
	loom_free(s.drawn_from);
	if (s.found)
		return REMOVAL_YES;
	return s.over ? REMOVAL_UNKNOWN : REMOVAL_NO;
}

bool removal_take(struct removal_search *p, size_t kind)
{
	if (most_of(p, kind) < 1)
		return false;
	draw(p, kind, 1);
	return true;
}

void removal_put_back(struct removal_search *p, size_t kind)
{
	draw(p, kind, -1);
}

void removal_search_fini(struct removal_search *p)
{
	for (size_t i = 0; i < p->n; i++)
		loom_free(p->kinds[i].draws);
	loom_free(p->kinds);
	loom_free(p->left);
}
