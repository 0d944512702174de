/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the kinds of nodes in order of preference and takes as many of each as possible.
 * Bounds skip most kinds; search.h explains why the result is still the preferred one.
 */
#include "services/scheduler/placement/search.h"

#include "services/scheduler/placement/reason.h"
#include "services/scheduler/placement/set_cover.h"

#include <string.h>

#define UNREACHABLE (MODEL_GROUPS_MAX + 1)

struct search {
	const struct model *m;
	struct set_cover *cover;
	/* What remains to be placed. */
	int64_t nodes;
	int64_t need[MODEL_GROUPS_MAX]; /* at least */
	int64_t room[MODEL_GROUPS_MAX]; /* at most */
	/* The kinds of the current step: with this number of services, this hardware and this
	 * image. */
	int size;
	size_t hardware, image;
	int weight[MODEL_GROUPS_MAX];
	/* fewest[i][w]: the fewest groups, among those from i on, with w services in total */
	unsigned char *fewest;
	int total_weight;
	bool undecided;
	struct search_result found;
	size_t cap;
};

static int weight_of(const struct search *s, uint64_t set)
{
	int w = 0;
	for (; set; set &= set - 1)
		w += s->weight[__builtin_ctzll(set)];
	return w;
}

static int64_t room_left(const struct search *s)
{
	int64_t sum = 0;
	for (int i = 0; i < s->m->n; i++)
		sum += s->room[i];
	return sum;
}

/* How many groups the next node may have so that no later node must stay empty. */
static int64_t groups_allowed(const struct search *s)
{
	return s->m->everywhere.n ? MODEL_GROUPS_MAX : 1 + room_left(s) - s->nodes;
}

/* ---- taking nodes of one kind --------------------------------------------------------------- */

static enum set_cover_answer leaves_solution(struct search *s, uint64_t set, int64_t count)
{
	int64_t need[MODEL_GROUPS_MAX];
	for (int i = 0; i < s->m->n; i++) {
		need[i] = s->need[i] - (set & group_bit(i) ? count : 0);
		need[i] = need[i] > 0 ? need[i] : 0;
	}
	return set_cover_within(s->cover, need, s->nodes - count);
}

/* How many nodes with this set the maxima and the other nodes allow; ignores the minima. */
static int64_t most_of(const struct search *s, uint64_t set)
{
	const int groups = __builtin_popcountll(set);
	int64_t most = s->nodes;
	for (int i = 0; i < s->m->n; i++) {
		if (set & group_bit(i) && s->room[i] < most)
			most = s->room[i];
	}
	if (!s->m->everywhere.n && groups > 1) {
		const int64_t rest = (room_left(s) - s->nodes) / (groups - 1);
		most = rest < most ? rest : most;
	}
	return most;
}

/* The largest count that leaves a solution; if one count does, so does every smaller one. */
static int64_t count_of(struct search *s, uint64_t set)
{
	int64_t good = 0;
	int64_t bad = most_of(s, set) + 1;
	int64_t try = 1;
	while (good + 1 < bad) {
		const enum set_cover_answer a = leaves_solution(s, set, try);
		if (a == SET_COVER_UNKNOWN) {
			s->undecided = true;
			return 0;
		}
		if (a == SET_COVER_YES)
			good = try;
		else
			bad = try;
		/* try one, then all, then bisect */
		try = good == 1 && try == 1 ? bad - 1 : good + (bad - good) / 2;
	}
	return good;
}

static void take(struct search *s, uint64_t set)
{
	const int64_t count = count_of(s, set);
	if (!count)
		return;
	if (s->found.n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->found.kinds = loom_realloc(s->found.kinds, s->cap * sizeof(*s->found.kinds));
	}
	s->found.kinds[s->found.n++] = (struct search_kind){
		.groups = set,
		.hardware = (int)s->hardware,
		.image = (int)s->image,
		.count = count,
	};
	s->nodes -= count;
	for (int i = 0; i < s->m->n; i++) {
		if (set & group_bit(i)) {
			s->room[i] -= count;
			s->need[i] = s->need[i] > count ? s->need[i] - count : 0;
		}
	}
}

/* ---- walking the kinds in order ------------------------------------------------------------- */

/* The largest permitted sets that contain the groups chosen so far. */
struct within {
	const uint64_t *sets;
	size_t n;
};

static bool is_over(const struct search *s)
{
	return s->undecided || !s->nodes;
}

/* Can a subset of high have its best hardware and image at the current indexes? */
static bool is_best_here(const struct search *s, uint64_t high)
{
	for (size_t i = 0; i < s->hardware; i++) {
		if (!(high & ~s->m->hardware.v[i].fits))
			return false;
	}
	for (size_t i = 0; i < s->image; i++) {
		if (!(high & ~s->m->images.v[i].fits))
			return false;
	}
	return true;
}

/* Groups from i on that may still be chosen: they have room and accept this hardware and image. */
static uint64_t choices_from(const struct search *s, int i)
{
	uint64_t set = s->m->hardware.v[s->hardware].fits & s->m->images.v[s->image].fits;
	set &= i < MODEL_GROUPS_MAX ? ~(group_bit(i) - 1) : 0;
	for (int k = i; k < s->m->n; k++)
		set &= s->room[k] > 0 ? ~(uint64_t)0 : ~group_bit(k);
	return set & model_all(s->m);
}

/* Has a chosen group run out of room meanwhile? */
static bool is_spent(const struct search *s, uint64_t set)
{
	for (; set; set &= set - 1) {
		if (s->room[__builtin_ctzll(set)] <= 0)
			return true;
	}
	return false;
}

/* Is it impossible to complete chosen (weight w) to the current size with groups from i on? */
static bool is_hopeless(struct search *s, int i, uint64_t chosen, int w)
{
	const int fewest = s->fewest[i * (s->total_weight + 1) + s->size - w];
	const uint64_t high = chosen | choices_from(s, i);
	return fewest == UNREACHABLE || __builtin_popcountll(chosen) + fewest > groups_allowed(s) ||
	       !is_best_here(s, high) ||
	       set_cover_surely_not(s->cover, s->need, high, s->nodes - 1);
}

/* Keeps the sets of `in` that contain `must` and can complete the choice to the current size. */
static size_t narrow(const struct search *s, const struct within *in, uint64_t must, uint64_t high,
                     uint64_t *out)
{
	size_t n = 0;
	for (size_t k = 0; k < in->n; k++) {
		if (!(must & ~in->sets[k]) && weight_of(s, in->sets[k] & high) >= s->size)
			out[n++] = in->sets[k];
	}
	return n;
}

/*
 * Visits all permitted sets of the current size that contain chosen (groups before i), ordered by
 * names: a set with group i comes before one without it.
 */
static void walk(struct search *s, int i, uint64_t chosen, int w, const struct within *in)
{
	struct within next;
	uint64_t *sets;
	if (w == s->size) {
		if (is_best_here(s, chosen))
			take(s, chosen);
		return;
	}
	if (!set_cover_spend(s->cover, (int64_t)(in->n + 1) * 40)) {
		s->undecided = true;
		return;
	}
	if (i == s->m->n || is_hopeless(s, i, chosen, w))
		return;
	sets = loom_malloc((in->n + 1) * sizeof(*sets));
	if (choices_from(s, i) & group_bit(i) && w + s->weight[i] <= s->size) {
		const uint64_t with = chosen | group_bit(i);
		next.n = narrow(s, in, with, with | choices_from(s, i + 1), sets);
		next.sets = sets;
		if (next.n)
			walk(s, i + 1, with, w + s->weight[i], &next);
	}
	if (!is_over(s) && !is_spent(s, chosen)) {
		next.n = narrow(s, in, chosen, chosen | choices_from(s, i + 1), sets);
		next.sets = sets;
		if (next.n)
			walk(s, i + 1, chosen, w, &next);
	}
	loom_free(sets);
}

static void walk_types(struct search *s)
{
	const struct within all = { s->m->largest, s->m->n_largest };
	for (s->hardware = 0; s->hardware < s->m->hardware.n; s->hardware++) {
		for (s->image = 0; s->image < s->m->images.n && !is_over(s); s->image++)
			walk(s, 0, 0, 0, &all);
	}
}

/* ---- start ---------------------------------------------------------------------------------- */

static void fill_fewest(struct search *s)
{
	const int n = s->m->n;
	const int w1 = s->total_weight + 1;
	const size_t size = (size_t)(n + 1) * (size_t)w1;
	s->fewest = loom_malloc(size);
	memset(s->fewest, UNREACHABLE, size);
	s->fewest[(size_t)n * (size_t)w1] = 0;
	for (int i = n - 1; i >= 0; i--) {
		for (int w = 0; w < w1; w++) {
			const int without = s->fewest[(i + 1) * w1 + w];
			const int with = w < s->weight[i]
			                         ? UNREACHABLE
			                         : s->fewest[(i + 1) * w1 + w - s->weight[i]];
			s->fewest[i * w1 + w] =
				(unsigned char)(with < without ? with + 1 : without);
		}
	}
}

static int check_solvable(struct search *s, struct loom_err *err)
{
	if (groups_allowed(s) < 1)
		return reason_too_many_nodes(s->m, err);
	switch (set_cover_within(s->cover, s->need, s->nodes)) {
	case SET_COVER_NO:
		return reason_too_few_nodes(s->m, s->cover, err);
	case SET_COVER_UNKNOWN:
		s->undecided = true;
		break;
	case SET_COVER_YES:
		break;
	}
	return 0;
}

static int search_all(struct search *s, struct loom_err *err)
{
	int largest = 0;
	int rc = check_solvable(s, err);
	if (rc)
		return rc;
	for (size_t k = 0; k < s->m->n_largest; k++) {
		const int w = weight_of(s, s->m->largest[k]);
		largest = w > largest ? w : largest;
	}
	for (s->size = largest; s->size > 0 && !is_over(s); s->size--)
		walk_types(s);
	s->hardware = 0;
	s->image = 0;
	if (!is_over(s) && s->m->everywhere.n)
		take(s, 0);
	if (s->undecided || s->nodes) {
		return err_set(
			err, 422,
			"the constraints are too intertwined to find the preferred layout of %lld nodes "
			"within the work limit; fewer cantcoexist sets or fewer services "
			"with constraints help",
			(long long)s->m->nodes);
	}
	return 0;
}

int search_counts(const struct model *m, struct search_result *ret, struct loom_err *err)
{
	LOOM_CLEANUP(set_cover_destroy)
	struct set_cover *cover = set_cover_create(m->largest, m->n_largest, m->n);
	struct search s = { .m = m, .cover = cover, .nodes = m->nodes };
	for (int i = 0; i < m->n; i++) {
		s.need[i] = m->groups[i].need;
		s.room[i] = m->groups[i].room;
		s.weight[i] = (int)m->groups[i].of.services.n;
		s.total_weight += s.weight[i];
	}
	fill_fewest(&s);
	int rc = search_all(&s, err);
	loom_free(s.fewest);
	if (rc) {
		search_result_fini(&s.found);
		return rc;
	}
	*ret = s.found;
	return 0;
}

void search_result_fini(struct search_result *r)
{
	loom_free(r->kinds);
	*r = (struct search_result){ 0 };
}
