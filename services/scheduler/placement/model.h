/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - a layout problem, reduced to what decides it.
 *
 * Services that must be on the same machines are one *atom*: a must-coexist set is all or nothing
 * on a machine, so the sets a machine may hold are unions of the connected components of these
 * sets. A *kind* of machine is a set of atoms (a bit mask) with the best hardware and image for it.
 * Unconstrained services are on every machine and decide nothing.
 *
 * Any part of a permitted set of atoms is permitted too: taking atoms away breaks no cant-coexist
 * set and no hardware or image requirement. All of the solver rests on this.
 *
 * Any thread; strings are borrowed from the documents unless said otherwise.
 */
#ifndef LOOM_SCHEDULER_MODEL_H
#define LOOM_SCHEDULER_MODEL_H

#include "common/base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_ATOMS    64
#define MODEL_SETS_MAX 20000 /* largest permitted sets; more are refused */

struct model_atom {
	struct strs services;        /* sorted, owned */
	int64_t min, max;            /* machines: min >= 1 */
	const char *min_by, *max_by; /* the service that asks for it */
};

/* A hardware or image type that the request, the template and the provider allow. */
struct model_type {
	const char *name;
	uint64_t fits; /* the atoms that accept it */
};

struct model_types {
	struct model_type *v; /* by name */
	size_t n;
};

struct model {
	int64_t machines;
	struct model_atom atoms[MODEL_ATOMS]; /* by the first name of each */
	int n;
	struct strs everywhere; /* unconstrained services; sorted */
	uint64_t *cant;         /* sets of atoms that may not all be on one machine */
	struct strs *cant_by;   /* the services of each, as the template names them */
	size_t n_cant;
	bool cant_empty; /* the template has an empty cant-coexist set: it forbids every set */
	struct model_types hardware, images;
	uint64_t *largest; /* permitted sets that no other permitted set contains; sorted */
	size_t n_largest;
};

void model_fini(struct model *m);

/* May these atoms share a machine. The empty set may. */
bool model_permits(const struct model *m, uint64_t set);
/* Index of the first type that accepts the set, or -1. */
int model_best(const struct model_types *t, uint64_t set);
/* Fills m->largest. false when there are more than MODEL_SETS_MAX or finding them takes too long.
 */
LOOM_MUST_CHECK bool model_find_largest(struct model *m);

static inline uint64_t atom_bit(int i)
{
	return (uint64_t)1 << i;
}

static inline uint64_t model_all(const struct model *m)
{
	return m->n == MODEL_ATOMS ? ~(uint64_t)0 : atom_bit(m->n) - 1;
}

#endif
