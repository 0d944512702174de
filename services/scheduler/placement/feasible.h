/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feasible - do services that are to be added fit on the machines of a cluster?
 *
 * As in the solver, services that must be on the same machines are one atom. Here an atom may go on
 * any machine that accepts it; taking one away again never breaks a rule, so that whether all can
 * be placed is a question of covering their demands (set_cover.h): each group of like machines
 * is one more demand that exactly its machines can meet.
 *
 * Any thread.
 */
#ifndef LOOM_SCHEDULER_FEASIBLE_H
#define LOOM_SCHEDULER_FEASIBLE_H

#include "services/scheduler/placement/placement_state.h"
#include "services/scheduler/placement/set_cover.h"

/* New services that must be on the same machines, none of which is tied to a present one. */
struct fit_atom {
	bool *has; /* by service */
	struct strs names;
	size_t first;                /* its earliest place in the order of placing */
	int64_t min, max;            /* machines: min >= 1 */
	const char *min_by, *max_by; /* the service that asks for it */
	bool placed;
};

/* Machines that are alike, now and after what has been placed. */
struct fit_group {
	const struct site_kind *kind;
	bool *has;     /* by service */
	size_t *nodes; /* by nodenum; owned */
	size_t n;
	bool barred; /* for the atom that is being placed */
};

struct fit {
	const struct site *s;
	struct fit_atom *atoms; /* by first */
	size_t n_atoms;
	struct fit_group *groups;
	size_t n_groups;
};

/* One group of the groups, of which the first n are taken to have an atom. */
struct fit_try {
	size_t group; /* SIZE_MAX: none */
	size_t atom;
	int64_t n;
};

bool fit_accepts(const struct fit *f, size_t group, size_t atom);
/* Machines that accept the atom. */
int64_t fit_capacity(const struct fit *f, size_t atom);
/* May it matter to other atoms that are not placed where this one is? */
bool fit_matters(const struct fit *f, size_t atom);
/* Can all demands (by atom) be met? For the atom of `try`, barred groups do not count. */
enum set_cover_answer fit_all(const struct fit *f, const int64_t *demand,
                              const struct fit_try *try);
void fit_fini(struct fit *f);

#endif
