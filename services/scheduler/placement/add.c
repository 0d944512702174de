/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services for machines that are there. The answer is the first one in the order of the first
 * releases: one service after the other, on as many machines as possible, then by kinds of machines
 * in order of preference, on as many of each as possible. "Possible" means that the services behind
 * can still be placed, which is decided exactly (feasible.h) instead of by trying them all.
 */
#include "services/scheduler/placement/feasible.h"
#include "services/scheduler/placement/model.h"
#include "services/scheduler/placement/relayout_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct add {
	const struct site *s;
	struct fit fit;
	bool *present, *after; /* services */
	size_t *order;         /* new services in the order of placing */
	size_t *place;         /* by service: its place in that order */
	size_t n;
	size_t *root;    /* by service: one of those it must be together with */
	int64_t *demand; /* by atom */
};

/* ---- what is asked -------------------------------------------------------------------------- */

static int check_asked(const struct add *a, struct loom_err *err)
{
	const struct site *s = a->s;
	const struct strs *named = s->in->named;
	bool *fresh;
	int r = 0;

	if (!named || !named->n)
		return err_set(err, 400, "Services to add must be specified.");
	fresh = loom_calloc(s->n_services + 1, sizeof(*fresh));
	for (size_t i = 0; i < s->n_services; i++)
		fresh[i] = !a->present[i];
	r = site_check_compatible(s, fresh, err);
	loom_free(fresh);
	for (size_t i = 0; i < named->n && !r; i++) {
		const struct site_service *sv = &s->services[site_find(s, named->v[i])];

		if (sv->present)
			r = err_set(err, 400, "service %s is already on the cluster", sv->name);
		else if (!sv->doc)
			r = err_set(err, 400, "service %s does not exist", sv->name);
	}
	r = r ? r : site_check_required(s, a->after, err);
	return r ? r : site_check_conflicts(s, a->after, err);
}

/* ---- order and atoms ------------------------------------------------------------------------ */

static int compare_order(const void *x, const void *y, void *arg)
{
	const struct site_service *all = ((const struct site *)arg)->services;
	const struct site_service *a = &all[*(const size_t *)x];
	const struct site_service *b = &all[*(const size_t *)y];

	if (a->limited != b->limited)
		return a->limited ? -1 : 1;
	if (a->limited && a->max != b->max)
		return a->max < b->max ? -1 : 1;
	if (a->limited && a->min != b->min)
		return a->min > b->min ? -1 : 1;
	return strcmp(a->name, b->name);
}

static size_t root_of(const struct add *a, size_t service)
{
	while (a->root[service] != service)
		service = a->root[service];
	return service;
}

static void find_order(struct add *a)
{
	struct site s = *a->s;

	for (size_t v = 0; v < s.n_services; v++) {
		a->root[v] = v;
		a->place[v] = SIZE_MAX;
		if (!a->present[v])
			a->order[a->n++] = v;
	}
	qsort_r(a->order, a->n, sizeof(*a->order), compare_order, &s);
	for (size_t i = 0; i < a->n; i++)
		a->place[a->order[i]] = i;
	/* only sets that name a new service tie services together that were not */
	for (size_t i = 0; i < s.n_must; i++) {
		bool any = false;

		for (size_t k = 0; k < s.must[i].n; k++)
			any |= !a->present[s.must[i].v[k]];
		for (size_t k = 1; k < s.must[i].n && any; k++)
			a->root[root_of(a, s.must[i].v[k])] = root_of(a, s.must[i].v[0]);
	}
}

static bool is_tied(const struct add *a, size_t service)
{
	for (size_t v = 0; v < a->s->n_services; v++) {
		if (a->present[v] && root_of(a, v) == root_of(a, service))
			return true;
	}
	return false;
}

static void join_atom(struct fit_atom *atom, const struct site_service *sv, size_t service)
{
	const int64_t min = sv->min > 1 ? sv->min : 1;

	atom->has[service] = true;
	if (!atom->names.n || min > atom->min) {
		atom->min = min;
		atom->min_by = sv->name;
	}
	if (!atom->names.n || sv->max < atom->max) {
		atom->max = sv->max;
		atom->max_by = sv->name;
	}
	strs_add(&atom->names, sv->name);
}

static int find_atoms(struct add *a, struct loom_err *err)
{
	const struct site *s = a->s;
	struct fit *f = &a->fit;

	f->atoms = loom_calloc(a->n + 1, sizeof(*f->atoms));
	for (size_t i = 0; i < a->n; i++) {
		struct fit_atom *atom = &f->atoms[f->n_atoms];
		bool first = true;

		for (size_t k = 0; k < i && first; k++)
			first = root_of(a, a->order[k]) != root_of(a, a->order[i]);
		if (!first || is_tied(a, a->order[i]))
			continue;
		if (f->n_atoms == MODEL_ATOMS) {
			return err_set(err, 400, "more than %d services to add at once",
			               MODEL_ATOMS);
		}
		f->n_atoms++;
		atom->first = i;
		atom->has = loom_calloc(s->n_services + 1, sizeof(bool));
		for (size_t v = 0; v < s->n_services; v++) {
			if (root_of(a, v) == root_of(a, a->order[i]))
				join_atom(atom, &s->services[v], v);
		}
	}
	return 0;
}

/* ---- groups --------------------------------------------------------------------------------- */

static void find_groups(struct add *a)
{
	const struct site *s = a->s;
	struct fit *f = &a->fit;

	/* each atom that is placed adds at most as many groups as there are; never more than
	 * machines */
	f->groups = loom_calloc(s->in->n_nodes + 1, sizeof(*f->groups));
	for (; f->n_groups < s->n_kinds; f->n_groups++) {
		const struct site_kind *k = &s->kinds[f->n_groups];
		struct fit_group *g = &f->groups[f->n_groups];

		*g = (struct fit_group){ .kind = k, .n = k->n };
		g->has = loom_calloc(s->n_services + 1, sizeof(bool));
		g->nodes = loom_calloc(k->n, sizeof(*g->nodes));
		memcpy(g->has, k->has, s->n_services * sizeof(bool));
		memcpy(g->nodes, k->nodes, k->n * sizeof(*g->nodes));
		/* new services that must be where a present one is */
		for (size_t i = 0; i < a->n; i++) {
			for (size_t v = 0; v < s->n_services; v++) {
				if (k->has[v] && root_of(a, v) == root_of(a, a->order[i]))
					g->has[a->order[i]] = true;
			}
		}
	}
}

/* The layout with what is placed so far. The kinds are borrowed; free the array. */
static struct site_kind *kinds_now(const struct add *a)
{
	const struct fit *f = &a->fit;
	struct site_kind *kinds = loom_calloc(f->n_groups + 1, sizeof(*kinds));

	for (size_t g = 0; g < f->n_groups; g++) {
		kinds[g] = *f->groups[g].kind;
		kinds[g].has = f->groups[g].has;
		kinds[g].nodes = f->groups[g].nodes;
		kinds[g].n = f->groups[g].n;
	}
	return kinds;
}

/* Is the cluster as it should be: as it is (before), and with what is tied to present services? */
static int check_now(const struct add *a, bool before, struct loom_err *err)
{
	const struct site *s = a->s;
	struct site_kind *kinds = kinds_now(a);
	bool *on = relayout_present(s);
	const struct site_layout now = { kinds, a->fit.n_groups, on };
	int r;

	for (size_t i = 0; i < a->n && !before; i++)
		on[a->order[i]] = is_tied(a, a->order[i]);
	if (before) {
		const struct site_layout was = { s->kinds, s->n_kinds, on };

		r = site_check_nodes(s, &was, err);
	} else {
		r = site_check_nodes(s, &now, err);
		r = r ? r : site_check_counts(s, &now, err);
	}
	loom_free(kinds);
	loom_free(on);
	return r;
}

/* Of two groups, the one with more services first; then by hardware, image, names. */
static int compare_groups(const struct add *a, const struct fit_group *x, const struct fit_group *y,
                          size_t place)
{
	const size_t n = a->s->n_services;
	int64_t more = 0;
	int c;

	/* what is placed later does not count yet */
	for (size_t v = 0; v < n; v++) {
		if (a->present[v] || a->place[v] < place)
			more += (int64_t)y->has[v] - (int64_t)x->has[v];
	}
	if (more)
		return more < 0 ? -1 : 1;
	c = strcmp(x->kind->hardware, y->kind->hardware);
	c = c ? c : strcmp(x->kind->image, y->kind->image);
	for (size_t v = 0; v < n && !c; v++) {
		if ((a->present[v] || a->place[v] < place) && x->has[v] != y->has[v])
			c = x->has[v] ? -1 : 1;
	}
	return c ? c : (x->nodes[0] > y->nodes[0]) - (x->nodes[0] < y->nodes[0]);
}

/* ---- placing -------------------------------------------------------------------------------- */

/* The first n machines of a group get an atom; the rest becomes a group of its own. */
static void give(struct add *a, size_t group, size_t atom, size_t n)
{
	struct fit *f = &a->fit;
	struct fit_group *g = &f->groups[group];
	const size_t services = a->s->n_services;

	if (n < g->n) {
		struct fit_group *rest = &f->groups[f->n_groups++];

		*rest = (struct fit_group){ .kind = g->kind, .n = g->n - n, .barred = true };
		rest->has = loom_calloc(services + 1, sizeof(bool));
		rest->nodes = loom_calloc(rest->n, sizeof(*rest->nodes));
		memcpy(rest->has, g->has, services * sizeof(bool));
		memcpy(rest->nodes, g->nodes + n, rest->n * sizeof(*rest->nodes));
		g->n = n;
	}
	for (size_t v = 0; v < services; v++)
		g->has[v] = g->has[v] || f->atoms[atom].has[v];
}

/* The largest number from low (which will do) to high that leaves a way to place all. A group: that
 * many of it get the atom, SIZE_MAX: that many machines in all. false: could not be decided. */
static bool most_of(struct add *a, size_t atom, size_t group, int64_t low, int64_t high,
                    int64_t *ret)
{
	const int64_t asked = a->demand[atom];

	while (low < high) {
		const int64_t middle = low + (high - low + 1) / 2;
		const struct fit_try try = { group, atom, group == SIZE_MAX ? 0 : middle };
		enum set_cover_answer answer;

		a->demand[atom] = group == SIZE_MAX ? middle : asked - middle;
		answer = fit_all(&a->fit, a->demand, &try);
		a->demand[atom] = asked;
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

static size_t next_group(const struct add *a, size_t atom)
{
	const struct fit *f = &a->fit;
	size_t best = SIZE_MAX;

	for (size_t g = 0; g < f->n_groups; g++) {
		if (f->groups[g].barred || !fit_accepts(f, g, atom))
			continue;
		if (best == SIZE_MAX ||
		    compare_groups(a, &f->groups[g], &f->groups[best], f->atoms[atom].first) < 0)
			best = g;
	}
	return best;
}

static bool place(struct add *a, size_t atom)
{
	struct fit *f = &a->fit;
	struct fit_atom *at = &f->atoms[atom];
	const bool matters = fit_matters(f, atom);
	const int64_t capacity = fit_capacity(f, atom);
	int64_t count = at->max < capacity ? at->max : capacity;
	size_t group;

	if (matters && !most_of(a, atom, SIZE_MAX, at->min, count, &count))
		return false;
	a->demand[atom] = count;
	while (a->demand[atom] && (group = next_group(a, atom)) != SIZE_MAX) {
		int64_t n = (int64_t)f->groups[group].n;

		n = n < a->demand[atom] ? n : a->demand[atom];
		if (matters && !most_of(a, atom, group, 0, n, &n))
			return false;
		f->groups[group].barred = true;
		if (n)
			give(a, group, atom, (size_t)n);
		a->demand[atom] -= n;
	}
	loom_assert(!a->demand[atom]);
	at->placed = true;
	for (size_t g = 0; g < f->n_groups; g++)
		f->groups[g].barred = false;
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void report(const struct add *a, struct relayout *t)
{
	for (size_t i = 0; i < a->fit.n_groups; i++) {
		const struct fit_group *g = &a->fit.groups[i];

		for (size_t j = 0; j < g->n; j++)
			relayout_change(a->s, t, g->nodes[j], g->kind->has, g->has);
	}
	for (size_t v = 0; v < a->s->n_services; v++)
		strs_add(&t->services, a->s->services[v].name);
}

static int add_all(struct add *a, struct relayout *t, struct loom_err *err)
{
	int r = check_asked(a, err);

	r = r ? r : check_now(a, true, err);
	if (r)
		return r;
	find_order(a);
	r = find_atoms(a, err);
	find_groups(a);
	r = r ? r : check_now(a, false, err);
	r = r ? r : relayout_add_possible(&a->fit, a->demand, err);
	for (size_t i = 0; i < a->fit.n_atoms && !r; i++) {
		if (!place(a, i)) {
			r = err_set(
				err, 422,
				"the constraints are too intertwined to find the preferred machines "
				"for service %s within the work limit; add fewer at once",
				a->fit.atoms[i].names.v[0]);
		}
		a->demand[i] = 0;
	}
	if (!r)
		report(a, t);
	return r;
}

int relayout_add(const struct site *s, struct relayout *t, struct loom_err *err)
{
	const size_t n = s->n_services + 1;
	struct add a = { .s = s, .fit = { .s = s } };
	int r;

	a.present = relayout_present(s);
	a.after = loom_calloc(n, sizeof(*a.after));
	a.order = loom_calloc(n, sizeof(*a.order));
	a.place = loom_calloc(n, sizeof(*a.place));
	a.root = loom_calloc(n, sizeof(*a.root));
	a.demand = loom_calloc(n, sizeof(*a.demand));
	memset(a.after, true, s->n_services * sizeof(*a.after));
	r = add_all(&a, t, err);
	fit_fini(&a.fit);
	loom_free(a.present);
	loom_free(a.after);
	loom_free(a.order);
	loom_free(a.place);
	loom_free(a.root);
	loom_free(a.demand);
	return r;
}
