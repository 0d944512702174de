/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places new services on present nodes.
 *
 * The answer is the one the first releases would choose: service by service, on as many nodes as
 * possible; then kind by kind in order of preference, on as many nodes of each as possible.
 * "Possible" means that all later services can still be placed, which feasible.h decides exactly
 * without trying them all.
 */
#include "services/scheduler/placement/feasible.h"
#include "services/scheduler/placement/model.h"
#include "services/scheduler/placement/reason.h"
#include "services/scheduler/placement/relayout_private.h"

#include <stdlib.h>
#include <string.h>

struct add {
	const struct placement_state *s;
	struct feasible fit;
	bool *present; /* services on the cluster */
	bool *fresh;   /* the other services: those to place */
	size_t *order; /* new services in the order of placing */
	size_t *place; /* by service: its position in that order */
	size_t n;
	size_t *root;    /* by service: a representative of its coexist group */
	int64_t *demand; /* by group */
};

/* ---- what is asked -------------------------------------------------------------------------- */

static int check_asked(const struct add *a, struct loom_err *err)
{
	const struct rules *r = &a->s->rules;
	const struct strs *named = a->s->in->named;
	if (!named || !named->n)
		return err_set(err, 400, "Services to add must be specified.");
	int rc = rules_check_compatible(r, a->fresh, err);
	for (size_t i = 0; i < named->n && !rc; i++) {
		if (a->present[rules_find(r, named->v[i])]) {
			rc = err_set(err, 400, "service %s is already on the cluster", named->v[i]);
		}
	}
	rc = rc ? rc : rules_check_defined(r, a->fresh, err);
	rc = rc ? rc : rules_check_required(r, NULL, NULL, err);
	return rc ? rc : rules_check_conflicts(r, NULL, err);
}

/* ---- order and groups ----------------------------------------------------------------------- */

static int compare_order(const void *x, const void *y, void *arg)
{
	const struct rules_service *all = ((const struct rules *)arg)->services;
	const struct rules_service *a = &all[*(const size_t *)x];
	const struct rules_service *b = &all[*(const size_t *)y];
	if (a->limited != b->limited)
		return a->limited ? -1 : 1;
	if (a->limited && a->max != b->max)
		return a->max < b->max ? -1 : 1;
	if (a->limited && a->min != b->min)
		return a->min > b->min ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void find_order(struct add *a)
{
	struct rules r = a->s->rules;
	for (size_t v = 0; v < r.n_services; v++) {
		a->place[v] = SIZE_MAX;
		if (a->fresh[v])
			a->order[a->n++] = v;
	}
	qsort_r(a->order, a->n, sizeof(*a->order), compare_order, &r);
	for (size_t i = 0; i < a->n; i++)
		a->place[a->order[i]] = i;
	/* a set of present services only does not constrain the new ones */
	a->root = rules_coexist(&r, a->fresh);
}

static bool is_tied(const struct add *a, size_t service)
{
	for (size_t v = 0; v < a->s->rules.n_services; v++) {
		if (a->present[v] && a->root[v] == a->root[service])
			return true;
	}
	return false;
}

static int find_groups(struct add *a, struct loom_err *err)
{
	const struct rules *r = &a->s->rules;
	struct feasible *f = &a->fit;
	f->groups = loom_calloc(a->n + 1, sizeof(*f->groups));
	for (size_t i = 0; i < a->n; i++) {
		struct feasible_group *g = &f->groups[f->n_groups];
		bool first = true;
		for (size_t k = 0; k < i && first; k++)
			first = a->root[a->order[k]] != a->root[a->order[i]];
		if (!first || is_tied(a, a->order[i]))
			continue;
		if (f->n_groups == MODEL_GROUPS_MAX) {
			return err_set(err, 400, "more than %d services to add at once",
			               MODEL_GROUPS_MAX);
		}
		f->n_groups++;
		g->first = i;
		g->has = loom_calloc(r->n_services + 1, sizeof(bool));
		for (size_t v = 0; v < r->n_services; v++) {
			if (a->root[v] != a->root[a->order[i]])
				continue;
			g->has[v] = true;
			coexist_group_add(&g->of, &r->services[v]);
		}
	}
	return 0;
}

/* ---- kinds of nodes ------------------------------------------------------------------------- */

static void *copy_of(const void *from, size_t n, size_t size)
{
	void *to = loom_calloc(n + 1, size);
	memcpy(to, from, n * size);
	return to;
}

static void find_kinds(struct add *a)
{
	const struct placement_state *s = a->s;
	const size_t services = s->rules.n_services;
	struct feasible *f = &a->fit;
	/* placing splits kinds, but never into more kinds than nodes */
	f->kinds = loom_calloc(s->in->n_nodes + 1, sizeof(*f->kinds));
	for (; f->n_kinds < s->n_kinds; f->n_kinds++) {
		const struct node_kind *from = &s->kinds[f->n_kinds];
		struct feasible_kind *k = &f->kinds[f->n_kinds];
		*k = (struct feasible_kind){ .from = from, .n = from->n };
		k->has = copy_of(from->has, services, sizeof(*k->has));
		k->nodes = copy_of(from->nodes, from->n, sizeof(*k->nodes));
		/* new services that must join a present one */
		for (size_t i = 0; i < a->n; i++) {
			for (size_t v = 0; v < services; v++) {
				if (from->has[v] && a->root[v] == a->root[a->order[i]])
					k->has[a->order[i]] = true;
			}
		}
	}
}

/* Would the cluster obey the rules with the new services that are tied to present ones? */
static int check_tied(const struct add *a, struct loom_err *err)
{
	const struct feasible *f = &a->fit;
	struct node_kind *kinds = loom_calloc(f->n_kinds + 1, sizeof(*kinds));
	bool *on = placement_present(a->s);
	const struct placement now = { kinds, f->n_kinds, on };
	for (size_t k = 0; k < f->n_kinds; k++) {
		kinds[k] = *f->kinds[k].from;
		kinds[k].has = f->kinds[k].has;
	}
	for (size_t i = 0; i < a->n; i++)
		on[a->order[i]] = is_tied(a, a->order[i]);
	int rc = placement_check_nodes(a->s, &now, err);
	rc = rc ? rc : placement_check_counts(a->s, &now, err);
	loom_free(kinds);
	loom_free(on);
	return rc;
}

/* Orders kinds: more services first; then by hardware, image and service names. Services placed
 * after position `place` do not count yet. */
static int compare_kinds(const struct add *a, const struct feasible_kind *x,
                         const struct feasible_kind *y, size_t place)
{
	const size_t n = a->s->rules.n_services;
	int64_t more = 0;
	for (size_t v = 0; v < n; v++) {
		if (a->present[v] || a->place[v] < place)
			more += (int64_t)y->has[v] - (int64_t)x->has[v];
	}
	if (more)
		return more < 0 ? -1 : 1;
	int c = strcmp(x->from->hardware, y->from->hardware);
	c = c ? c : strcmp(x->from->image, y->from->image);
	for (size_t v = 0; v < n && !c; v++) {
		if ((a->present[v] || a->place[v] < place) && x->has[v] != y->has[v])
			c = x->has[v] ? -1 : 1;
	}
	return c ? c : (x->nodes[0] > y->nodes[0]) - (x->nodes[0] < y->nodes[0]);
}

/* ---- placing -------------------------------------------------------------------------------- */

/* Gives a group to the first n nodes of a kind; the rest become a new kind. */
static void give(struct add *a, size_t kind, size_t group, size_t n)
{
	struct feasible *f = &a->fit;
	struct feasible_kind *k = &f->kinds[kind];
	const size_t services = a->s->rules.n_services;
	if (n < k->n) {
		struct feasible_kind *rest = &f->kinds[f->n_kinds++];
		*rest = (struct feasible_kind){ .from = k->from, .n = k->n - n, .barred = true };
		rest->has = copy_of(k->has, services, sizeof(*k->has));
		rest->nodes = copy_of(k->nodes + n, rest->n, sizeof(*k->nodes));
		k->n = n;
	}
	for (size_t v = 0; v < services; v++)
		k->has[v] = k->has[v] || f->groups[group].has[v];
}

/* Finds the largest number from low (known to work) to high that still lets all groups be placed:
 * the nodes of `kind` that get the group or, if kind is SIZE_MAX, its nodes in all. False if
 * undecided within the work limit. */
static bool most_of(struct add *a, size_t group, size_t kind, int64_t low, int64_t high,
                    int64_t *ret)
{
	const int64_t asked = a->demand[group];
	while (low < high) {
		const int64_t middle = low + (high - low + 1) / 2;
		const struct feasible_trial trial = { kind, group, kind == SIZE_MAX ? 0 : middle };
		a->demand[group] = kind == SIZE_MAX ? middle : asked - middle;
		enum set_cover_answer answer = feasible_all(&a->fit, a->demand, &trial);
		a->demand[group] = asked;
		if (answer == SET_COVER_UNKNOWN)
			return false;
		if (answer == SET_COVER_YES)
			low = middle;
		else
			high = middle - 1;
	}
	*ret = low;
	return true;
}

static size_t next_kind(const struct add *a, size_t group)
{
	const struct feasible *f = &a->fit;
	const size_t place = f->groups[group].first;
	size_t best = SIZE_MAX;
	for (size_t k = 0; k < f->n_kinds; k++) {
		if (f->kinds[k].barred || !feasible_accepts(f, k, group))
			continue;
		if (best == SIZE_MAX || compare_kinds(a, &f->kinds[k], &f->kinds[best], place) < 0)
			best = k;
	}
	return best;
}

static bool place(struct add *a, size_t group)
{
	struct feasible *f = &a->fit;
	struct feasible_group *g = &f->groups[group];
	const bool matters = feasible_matters(f, group);
	const int64_t capacity = feasible_capacity(f, group);
	int64_t count = g->of.max < capacity ? g->of.max : capacity;
	size_t kind;
	if (matters && !most_of(a, group, SIZE_MAX, g->of.min, count, &count))
		return false;
	a->demand[group] = count;
	while (a->demand[group] && (kind = next_kind(a, group)) != SIZE_MAX) {
		int64_t n = (int64_t)f->kinds[kind].n;
		n = n < a->demand[group] ? n : a->demand[group];
		if (matters && !most_of(a, group, kind, 0, n, &n))
			return false;
		f->kinds[kind].barred = true;
		if (n)
			give(a, kind, group, (size_t)n);
		a->demand[group] -= n;
	}
	loom_assert(!a->demand[group]);
	g->placed = true;
	for (size_t k = 0; k < f->n_kinds; k++)
		f->kinds[k].barred = false;
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int check_before(const struct add *a, struct loom_err *err)
{
	const struct placement now = { a->s->kinds, a->s->n_kinds, a->present };
	int rc = check_asked(a, err);
	return rc ? rc : placement_check_nodes(a->s, &now, err);
}

static void report(const struct add *a, struct relayout *t)
{
	for (size_t i = 0; i < a->fit.n_kinds; i++) {
		const struct feasible_kind *k = &a->fit.kinds[i];
		for (size_t j = 0; j < k->n; j++)
			relayout_note_change(a->s, t, k->nodes[j], k->from->has, k->has);
	}
	relayout_note_services(a->s, t, NULL);
}

static int add_all(struct add *a, struct relayout *t, struct loom_err *err)
{
	int rc = check_before(a, err);
	if (rc)
		return rc;
	find_order(a);
	rc = find_groups(a, err);
	find_kinds(a);
	rc = rc ? rc : check_tied(a, err);
	rc = rc ? rc : relayout_add_possible(&a->fit, a->demand, err);
	for (size_t i = 0; i < a->fit.n_groups && !rc; i++) {
		if (!place(a, i)) {
			rc = err_set(
				err, 422,
				"the constraints are too intertwined to find the preferred nodes "
				"for service %s within the work limit; add fewer at once",
				a->fit.groups[i].of.services.v[0]);
		}
		a->demand[i] = 0;
	}
	if (!rc)
		report(a, t);
	return rc;
}

int relayout_add(const struct placement_state *s, struct relayout *t, struct loom_err *err)
{
	const size_t n = s->rules.n_services + 1;
	struct add a = { .s = s, .fit = { .s = s } };
	a.present = placement_present(s);
	a.fresh = loom_calloc(n, sizeof(*a.fresh));
	for (size_t v = 0; v + 1 < n; v++)
		a.fresh[v] = !a.present[v];
	a.order = loom_calloc(n, sizeof(*a.order));
	a.place = loom_calloc(n, sizeof(*a.place));
	a.demand = loom_calloc(n, sizeof(*a.demand));
	int rc = add_all(&a, t, err);
	feasible_fini(&a.fit);
	loom_free(a.present);
	loom_free(a.fresh);
	loom_free(a.order);
	loom_free(a.place);
	loom_free(a.root);
	loom_free(a.demand);
	return rc;
}
