/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides whether all services to be added can be placed.
 * add.c asks this for every choice it makes. So nodes with the same permissions form one class, and
 * easy cases skip the search.
 */
#include "services/scheduler/placement/feasible.h"

#include "services/scheduler/placement/model.h"

#include <string.h>

/* ---- one group ------------------------------------------------------------------------------ */

bool feasible_accepts(const struct feasible *f, size_t kind, size_t group)
{
	const struct rules *r = &f->s->rules;
	const struct feasible_kind *k = &f->kinds[kind];
	const bool *has = f->groups[group].has;
	for (size_t v = 0; v < r->n_services; v++) {
		if (has[v] && (!rules_accepts(r->services[v].hardware, k->from->hardware) ||
		               !rules_accepts(r->services[v].images, k->from->image)))
			return false;
	}
	for (size_t i = 0; i < r->n_cant; i++) {
		if (rules_contains(&r->cant[i], k->has, has))
			return false;
	}
	return true;
}

int64_t feasible_capacity(const struct feasible *f, size_t group)
{
	int64_t n = 0;
	for (size_t k = 0; k < f->n_kinds; k++) {
		if (!f->kinds[k].barred && feasible_accepts(f, k, group))
			n += (int64_t)f->kinds[k].n;
	}
	return n;
}

static bool names_group(const struct rules_set *set, const struct feasible_group *g)
{
	for (size_t i = 0; i < set->n; i++) {
		if (g->has[set->v[i]])
			return true;
	}
	return false;
}

bool feasible_matters(const struct feasible *f, size_t group)
{
	const struct rules *r = &f->s->rules;
	for (size_t i = 0; i < r->n_cant; i++) {
		if (!names_group(&r->cant[i], &f->groups[group]))
			continue;
		for (size_t k = 0; k < f->n_groups; k++) {
			if (k != group && !f->groups[k].placed &&
			    names_group(&r->cant[i], &f->groups[k]))
				return true;
		}
	}
	return false;
}

/* ---- all groups ----------------------------------------------------------------------------- */

/* Nodes with the same permissions. Groups are bits, in the order of struct question. */
struct class
{
	uint64_t accepts;
	uint64_t *cant; /* sets of groups that may not all share a node */
	size_t n_cant;
	int64_t nodes;
};

struct question {
	const struct feasible *f;
	size_t groups[MODEL_GROUPS_MAX]; /* those with a demand */
	int64_t demand[MODEL_GROUPS_MAX];
	int n;
	bool placing; /* the first group is the one being placed */
	struct class *classes;
	size_t n_classes;
};

/* The groups that a cant-coexist set forbids on a node that already has `has` and `more`, as a
 * mask; 0: none. */
static uint64_t forbids(const struct question *q, const bool *has, const bool *more,
                        const struct rules_set *set)
{
	uint64_t mask = 0;
	for (size_t i = 0; i < set->n; i++) {
		int at = 0;
		if (has[set->v[i]] || (more && more[set->v[i]]))
			continue;
		while (at < q->n && !q->f->groups[q->groups[at]].has[set->v[i]])
			at++;
		if (at == q->n)
			return 0;
		mask |= group_bit(at);
	}
	return mask;
}

/* Takes c. */
static void add_class(struct question *q, const struct class *c)
{
	for (size_t i = 0; i < q->n_classes; i++) {
		struct class *k = &q->classes[i];
		if (k->accepts == c->accepts && k->n_cant == c->n_cant &&
		    !memcmp(k->cant, c->cant, c->n_cant * sizeof(*c->cant))) {
			k->nodes += c->nodes;
			loom_free(c->cant);
			return;
		}
	}
	q->classes[q->n_classes++] = *c;
}

/* Adds the class of a kind's nodes, as if they also had the group `more` (SIZE_MAX: none). */
static void classify(struct question *q, size_t kind, size_t more, int64_t nodes)
{
	const struct feasible *f = q->f;
	const struct feasible_kind *k = &f->kinds[kind];
	const bool *extra = more == SIZE_MAX ? NULL : f->groups[more].has;
	struct class c = { .nodes = nodes };
	if (!nodes)
		return;
	c.cant = loom_calloc(f->s->rules.n_cant + 1, sizeof(*c.cant));
	for (int i = 0; i < q->n; i++) {
		const bool barred = q->groups[i] == more || (k->barred && q->placing && i == 0);
		if (!barred && feasible_accepts(f, kind, q->groups[i]))
			c.accepts |= group_bit(i);
	}
	for (size_t i = 0; i < f->s->rules.n_cant; i++) {
		const uint64_t mask = forbids(q, k->has, extra, &f->s->rules.cant[i]);
		if (!(mask & (mask - 1)))
			c.accepts &= ~mask;
		else if (!(mask & ~c.accepts))
			c.cant[c.n_cant++] = mask;
	}
	add_class(q, &c);
}

/* Appends the largest sets that nodes of a class may have, each marked with the class's bit. */
static bool add_sets(const struct class *c, int n, uint64_t mark, uint64_t **sets, size_t *n_sets)
{
	struct model_type hardware = { "", c->accepts, NULL };
	struct model_type image = { "", ~(uint64_t)0, NULL };
	struct model m = {
		.n = n,
		.cant = c->cant,
		.n_cant = c->n_cant,
		.hardware = { &hardware, 1 },
		.images = { &image, 1 },
	};
	const bool found = model_find_largest(&m);
	if (found) {
		*sets = loom_realloc(*sets, (*n_sets + m.n_largest) * sizeof(**sets));
		for (size_t i = 0; i < m.n_largest; i++)
			(*sets)[(*n_sets)++] = m.largest[i] | mark;
	}
	loom_free(m.largest);
	return found;
}

static enum set_cover_answer decide(const struct question *q)
{
	LOOM_CLEANUP(set_cover_destroy) struct set_cover *cover = NULL;
	int64_t demand[MODEL_GROUPS_MAX];
	int64_t nodes = 0;
	uint64_t *sets = NULL;
	size_t n_sets = 0;
	bool known = (size_t)q->n + q->n_classes <= MODEL_GROUPS_MAX;
	enum set_cover_answer a = SET_COVER_UNKNOWN;
	memcpy(demand, q->demand, sizeof(demand));
	for (size_t i = 0; i < q->n_classes && known; i++) {
		const int mark = q->n + (int)i;
		demand[mark] = q->classes[i].nodes;
		nodes += q->classes[i].nodes;
		known = add_sets(&q->classes[i], q->n, group_bit(mark), &sets, &n_sets);
	}
	if (known) {
		cover = set_cover_create(sets, n_sets, q->n + (int)q->n_classes);
		a = set_cover_within(cover, demand, nodes);
	}
	loom_free(sets);
	return a;
}

/* Is there a demand that cannot be met even on its own? */
static bool is_plain_no(const struct question *q)
{
	for (int i = 0; i < q->n; i++) {
		int64_t sum = 0;
		for (size_t k = 0; k < q->n_classes; k++)
			sum += q->classes[k].accepts & group_bit(i) ? q->classes[k].nodes : 0;
		if (sum < q->demand[i])
			return true;
	}
	return false;
}

static bool is_independent(const struct question *q)
{
	for (size_t k = 0; k < q->n_classes; k++) {
		if (q->classes[k].n_cant)
			return false;
	}
	return true;
}

static void read_question(struct question *q, const int64_t *demand,
                          const struct feasible_trial *trial)
{
	const struct feasible *f = q->f;
	q->placing = trial && demand[trial->group] > 0;
	if (q->placing)
		q->groups[q->n++] = trial->group;
	for (size_t i = 0; i < f->n_groups && q->n < MODEL_GROUPS_MAX; i++) {
		if (demand[i] > 0 && !(trial && i == trial->group))
			q->groups[q->n++] = i;
	}
	for (int i = 0; i < q->n; i++)
		q->demand[i] = demand[q->groups[i]];
	q->classes = loom_calloc(f->n_kinds + 2, sizeof(*q->classes));
	for (size_t k = 0; k < f->n_kinds; k++) {
		const int64_t taken = trial && trial->kind == k ? trial->n : 0;
		classify(q, k, SIZE_MAX, (int64_t)f->kinds[k].n - taken);
		if (taken)
			classify(q, k, trial->group, taken);
	}
}

enum set_cover_answer feasible_all(const struct feasible *f, const int64_t *demand,
                                   const struct feasible_trial *trial)
{
	struct question q = { .f = f };
	enum set_cover_answer a;
	read_question(&q, demand, trial);
	if (is_plain_no(&q))
		a = SET_COVER_NO;
	else
		a = is_independent(&q) ? SET_COVER_YES : decide(&q);
	for (size_t k = 0; k < q.n_classes; k++)
		loom_free(q.classes[k].cant);
	loom_free(q.classes);
	return a;
}

void feasible_fini(struct feasible *f)
{
	for (size_t i = 0; i < f->n_groups; i++) {
		loom_free(f->groups[i].has);
		strs_fini(&f->groups[i].of.services);
	}
	for (size_t i = 0; i < f->n_kinds; i++) {
		loom_free(f->kinds[i].has);
		loom_free(f->kinds[i].nodes);
	}
	loom_free(f->groups);
	loom_free(f->kinds);
}
