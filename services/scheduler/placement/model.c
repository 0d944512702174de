/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/placement/model.h"

#include <stdlib.h>

/* Steps that finding the largest sets may take. */
#define LARGEST_WORK 50000000

void model_fini(struct model *m)
{
	for (int i = 0; i < m->n; i++)
		strs_fini(&m->atoms[i].services);
	strs_fini(&m->everywhere);
	for (size_t i = 0; i < m->n_cant; i++)
		strs_fini(&m->cant_by[i]);
	loom_free(m->cant);
	loom_free(m->cant_by);
	loom_free(m->hardware.v);
	loom_free(m->images.v);
	loom_free(m->largest);
	*m = (struct model){ 0 };
}

int model_best(const struct model_types *t, uint64_t set)
{
	for (size_t i = 0; i < t->n; i++) {
		if (!(set & ~t->v[i].fits))
			return (int)i;
	}
	return -1;
}

bool model_permits(const struct model *m, uint64_t set)
{
	if (!set)
		return true;
	if (m->cant_empty)
		return false;
	for (size_t i = 0; i < m->n_cant; i++) {
		if (!(m->cant[i] & ~set))
			return false;
	}
	return model_best(&m->hardware, set) >= 0 && model_best(&m->images, set) >= 0;
}

struct finder {
	struct model *m;
	size_t cap;
	long work;
	bool too_many;
};

static bool is_largest(const struct model *m, uint64_t set)
{
	for (int i = 0; i < m->n; i++) {
		if (!(set & atom_bit(i)) && model_permits(m, set | atom_bit(i)))
			return false;
	}
	return true;
}

static void keep(struct finder *f, uint64_t set)
{
	struct model *m = f->m;

	if (!is_largest(m, set))
		return;
	if (m->n_largest == MODEL_SETS_MAX) {
		f->too_many = true;
		return;
	}
	if (m->n_largest == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 64;
		m->largest = loom_realloc(m->largest, f->cap * sizeof(*m->largest));
	}
	m->largest[m->n_largest++] = set;
}

/*
 * All largest permitted subsets of set that contain kept. Takes a violated cant-coexist set and
 * leaves out one of its atoms in each branch, keeping those left out before, so that no two
 * branches find the same set.
 */
static void find(struct finder *f, uint64_t set, uint64_t kept)
{
	const struct model *m = f->m;
	uint64_t broken = 0;

	f->work -= (long)m->n_cant + 1;
	if (f->work < 0)
		f->too_many = true;
	if (f->too_many)
		return;
	for (size_t i = 0; i < m->n_cant && !broken; i++) {
		if (!(m->cant[i] & ~set))
			broken = m->cant[i];
	}
	if (!broken) {
		keep(f, set);
		return;
	}
	for (int i = 0; i < m->n; i++) {
		if (!(broken & atom_bit(i)) || (kept & atom_bit(i)))
			continue;
		find(f, set & ~atom_bit(i), kept);
		kept |= atom_bit(i);
	}
}

static int compare_sets(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Is what type i of the list accepts also accepted by an earlier one. */
static bool is_covered(const struct model_types *t, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (!(t->v[i].fits & ~t->v[j].fits))
			return true;
	}
	return false;
}

bool model_find_largest(struct model *m)
{
	struct finder f = { .m = m, .work = LARGEST_WORK };
	size_t out = 0;

	if (m->cant_empty)
		return true;
	for (size_t h = 0; h < m->hardware.n; h++) {
		if (is_covered(&m->hardware, h))
			continue;
		for (size_t i = 0; i < m->images.n; i++) {
			if (!is_covered(&m->images, i))
				find(&f, m->hardware.v[h].fits & m->images.v[i].fits, 0);
		}
	}
	if (f.too_many)
		return false;
	if (m->n_largest)
		qsort(m->largest, m->n_largest, sizeof(*m->largest), compare_sets);
	for (size_t i = 0; i < m->n_largest; i++) {
		if (!out || m->largest[out - 1] != m->largest[i])
			m->largest[out++] = m->largest[i];
	}
	m->n_largest = out;
	return true;
}
