/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - which new nodes a cluster may get, reduced to what decides it.
 *
 * Services that must share nodes are one group (struct coexist_group): a must-coexist set is all or
 * nothing on a node, so the sets a node may hold are unions of these groups. A *kind* of node is a
 * set of groups (a bit mask) with the best hardware and image for it. Unconstrained services are on
 * every node and decide nothing.
 *
 * Any part of a permitted set of groups is permitted too: taking groups away breaks no
 * cant-coexist set and no hardware or image requirement. All of the search rests on this.
 *
 * Any thread; strings and documents are borrowed unless said otherwise.
 */
#ifndef LOOM_SCHEDULER_MODEL_H
#define LOOM_SCHEDULER_MODEL_H

#include "services/scheduler/placement/placement_state.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_GROUPS_MAX 64
#define MODEL_SETS_MAX   20000 /* largest permitted sets; more are refused */

struct model_group {
	struct coexist_group of;
	int64_t have; /* present nodes with it */
	int64_t need; /* new nodes that must have it */
	int64_t room; /* new nodes that may have it */
};

/* A hardware or image type that the request, the template and the provider allow. */
struct model_type {
	const char *name;
	uint64_t fits;            /* the groups that accept it */
	const struct json *entry; /* what the provider offers for it, as {"flavor": ".."} */
};

struct model_types {
	struct model_type *v; /* by name */
	size_t n;
};

struct model {
	const struct rules *rules;
	int64_t nodes;                               /* new ones */
	bool fresh;                                  /* there are no others */
	struct model_group groups[MODEL_GROUPS_MAX]; /* by the first name of each */
	int n;
	struct strs everywhere; /* unconstrained services; sorted, owned */
	uint64_t *cant;         /* sets of groups that may not all be on one node, as rules->cant */
	size_t n_cant;
	bool cant_empty; /* no set of groups is permitted */
	struct model_types hardware, images;
	uint64_t *largest; /* permitted sets that no other permitted set contains; sorted */
	size_t n_largest;
};

/* For `count` new nodes. 0, or 400 with err. Call model_fini() in any case; s must outlive m. */
LOOM_MUST_CHECK int model_read(struct model *m, const struct placement_state *s, int64_t count,
                               struct loom_err *err);
void model_fini(struct model *m);

/* May these groups share a node. The empty set may. */
bool model_permits(const struct model *m, uint64_t set);
/* Index of the first type that accepts the set, or -1. */
int model_best(const struct model_types *t, uint64_t set);
/* Fills m->largest. false when there are more than MODEL_SETS_MAX or finding them takes too long.
 */
LOOM_MUST_CHECK bool model_find_largest(struct model *m);

static inline uint64_t group_bit(int i)
{
	return (uint64_t)1 << i;
}

static inline uint64_t model_all(const struct model *m)
{
	return m->n == MODEL_GROUPS_MAX ? ~(uint64_t)0 : group_bit(m->n) - 1;
}

#endif
