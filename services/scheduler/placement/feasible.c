/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/placement/feasible.h"

#include "services/scheduler/placement/model.h"

#include <string.h>

/* ---- one atom ------------------------------------------------------------------------------- */

bool fit_accepts(const struct fit *f, size_t group, size_t atom)
{
	const struct fit_group *g = &f->groups[group];
	const struct fit_atom *a = &f->atoms[atom];

	for (size_t v = 0; v < f->s->n_services; v++) {
		if (a->has[v] && (!site_accepts(f->s->services[v].hardware, g->kind->hardware) ||
		                  !site_accepts(f->s->services[v].images, g->kind->image)))
			return false;
	}
	for (size_t i = 0; i < f->s->n_cant; i++) {
		if (site_contains(&f->s->cant[i], g->has, a->has))
			return false;
	}
	return true;
}

int64_t fit_capacity(const struct fit *f, size_t atom)
{
	int64_t n = 0;

	for (size_t g = 0; g < f->n_groups; g++) {
		if (!f->groups[g].barred && fit_accepts(f, g, atom))
			n += (int64_t)f->groups[g].n;
	}
	return n;
}

static bool names_atom(const struct site_set *set, const struct fit_atom *a)
{
	for (size_t i = 0; i < set->n; i++) {
		if (a->has[set->v[i]])
			return true;
	}
	return false;
}

bool fit_matters(const struct fit *f, size_t atom)
{
	for (size_t i = 0; i < f->s->n_cant; i++) {
		if (!names_atom(&f->s->cant[i], &f->atoms[atom]))
			continue;
		for (size_t k = 0; k < f->n_atoms; k++) {
			if (k != atom && !f->atoms[k].placed &&
			    names_atom(&f->s->cant[i], &f->atoms[k]))
				return true;
		}
	}
	return false;
}

/* ---- all atoms ------------------------------------------------------------------------------ */

/* Machines to which the same is permitted. */
struct class
{
	uint64_t accepts;
	uint64_t *cant; /* sets of atoms they may not all have */
	size_t n_cant;
	int64_t machines;
};

struct question {
	const struct fit *f;
	size_t atoms[MODEL_ATOMS]; /* those with a demand */
	int64_t demand[MODEL_ATOMS];
	int n;
	bool placing; /* the first atom is the one that is being placed */
	struct class *classes;
	size_t n_classes;
};

static bool has_service(const struct fit_group *g, const struct fit_atom *more, size_t service)
{
	return g->has[service] || (more && more->has[service]);
}

/* The atoms that a cant-coexist set forbids together on machines like these; 0: it does not. */
static uint64_t reduce(const struct question *q, const struct fit_group *g,
                       const struct fit_atom *more, const struct site_set *set)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < set->n; i++) {
		int at = 0;

		if (has_service(g, more, set->v[i]))
			continue;
		while (at < q->n && !q->f->atoms[q->atoms[at]].has[set->v[i]])
			at++;
		if (at == q->n)
			return 0;
		mask |= atom_bit(at);
	}
	return mask;
}

static void add_class(struct question *q, const struct class *c)
{
	for (size_t i = 0; i < q->n_classes; i++) {
		struct class *k = &q->classes[i];

		if (k->accepts == c->accepts && k->n_cant == c->n_cant &&
		    !memcmp(k->cant, c->cant, c->n_cant * sizeof(*c->cant))) {
			k->machines += c->machines;
			loom_free(c->cant);
			return;
		}
	}
	q->classes[q->n_classes++] = *c;
}

/* machines of a group, as if they had the atom `more`, too (SIZE_MAX: none). */
static void classify(struct question *q, size_t group, size_t more, int64_t machines)
{
	const struct fit *f = q->f;
	const struct fit_group *g = &f->groups[group];
	const struct fit_atom *extra = more == SIZE_MAX ? NULL : &f->atoms[more];
	struct class c = { .machines = machines };

	if (!machines)
		return;
	c.cant = loom_calloc(f->s->n_cant + 1, sizeof(*c.cant));
	for (int i = 0; i < q->n; i++) {
		const bool barred = q->atoms[i] == more || (g->barred && q->placing && i == 0);

		if (!barred && fit_accepts(f, group, q->atoms[i]))
			c.accepts |= atom_bit(i);
	}
	for (size_t i = 0; i < f->s->n_cant; i++) {
		const uint64_t mask = reduce(q, g, extra, &f->s->cant[i]);

		if (!(mask & (mask - 1)))
			c.accepts &= ~mask;
		else if (!(mask & ~c.accepts))
			c.cant[c.n_cant++] = mask;
	}
	add_class(q, &c);
}

/* The largest sets that a class may have, each marked as one of this class. */
static bool add_sets(const struct class *c, int n, uint64_t mark, uint64_t **sets, size_t *n_sets)
{
	struct model_type hardware = { "", c->accepts };
	struct model_type image = { "", ~(uint64_t)0 };
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

static enum set_cover_answer decide(struct question *q)
{
	LOOM_CLEANUP(set_cover_destroy) struct set_cover *cover = NULL;
	int64_t demand[MODEL_ATOMS];
	int64_t machines = 0;
	uint64_t *sets = NULL;
	size_t n_sets = 0;
	bool known = (size_t)q->n + q->n_classes <= MODEL_ATOMS;
	enum set_cover_answer a = SET_COVER_UNKNOWN;

	memcpy(demand, q->demand, sizeof(demand));
	for (size_t i = 0; i < q->n_classes && known; i++) {
		const int mark = q->n + (int)i;

		demand[mark] = q->classes[i].machines;
		machines += q->classes[i].machines;
		known = add_sets(&q->classes[i], q->n, atom_bit(mark), &sets, &n_sets);
	}
	if (known) {
		cover = set_cover_create(sets, n_sets, q->n + (int)q->n_classes);
		a = set_cover_within(cover, demand, machines);
	}
	loom_free(sets);
	return a;
}

/* Can each demand be met by itself? */
static bool is_plain_no(const struct question *q)
{
	for (int i = 0; i < q->n; i++) {
		int64_t sum = 0;

		for (size_t k = 0; k < q->n_classes; k++)
			sum += q->classes[k].accepts & atom_bit(i) ? q->classes[k].machines : 0;
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

enum set_cover_answer fit_all(const struct fit *f, const int64_t *demand, const struct fit_try *try)
{
	struct question q = { .f = f };
	enum set_cover_answer a;

	q.placing = try && demand[try->atom] > 0;
	if (q.placing)
		q.atoms[q.n++] = try->atom;
	for (size_t i = 0; i < f->n_atoms && q.n < MODEL_ATOMS; i++) {
		if (demand[i] > 0 && !(try && i == try->atom))
			q.atoms[q.n++] = i;
	}
	for (int i = 0; i < q.n; i++)
		q.demand[i] = demand[q.atoms[i]];
	q.classes = loom_calloc(f->n_groups + 2, sizeof(*q.classes));
	for (size_t g = 0; g < f->n_groups; g++) {
		const int64_t n = (int64_t)f->groups[g].n;
		const int64_t taken = try && try->group == g ? try->n : 0;

		classify(&q, g, SIZE_MAX, n - taken);
		if (taken)
			classify(&q, g, try->atom, taken);
	}
	if (is_plain_no(&q))
		a = SET_COVER_NO;
	else
		a = is_independent(&q) ? SET_COVER_YES : decide(&q);
	for (size_t k = 0; k < q.n_classes; k++)
		loom_free(q.classes[k].cant);
	loom_free(q.classes);
	return a;
}

void fit_fini(struct fit *f)
{
	for (size_t i = 0; i < f->n_atoms; i++) {
		loom_free(f->atoms[i].has);
		strs_fini(&f->atoms[i].names);
	}
	for (size_t i = 0; i < f->n_groups; i++) {
		loom_free(f->groups[i].has);
		loom_free(f->groups[i].nodes);
	}
	loom_free(f->atoms);
	loom_free(f->groups);
}
