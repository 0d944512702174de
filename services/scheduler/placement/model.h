/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - the new nodes that a cluster may get, reduced to the facts that decide the search.
 *
 * Services that must share nodes form one group (struct coexist_group): a node has all services of
 * a must-coexist set or none, so the permitted sets of services are unions of groups. A *kind* of
 * node is a set of groups (a bit mask) with the best hardware and image for it. Unconstrained
 * services go on every node and do not affect the search.
 *
 * Every subset of a permitted set of groups is permitted: removing groups breaks no cant-coexist
 * set and no hardware or image requirement. The whole search relies on this.
 *
 * Any thread; strings and documents are borrowed unless said otherwise.
 */
#ifndef LOOM_SCHEDULER_MODEL_H
#define LOOM_SCHEDULER_MODEL_H

#include "services/scheduler/placement/placement_state.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_GROUPS_MAX 64
#define MODEL_SETS_MAX   20000 /* most maximal permitted sets; a model with more is refused */

struct model_group {
	struct coexist_group of;
	int64_t have; /* present nodes that have the group */
	int64_t need; /* new nodes that must have it */
	int64_t room; /* new nodes that may have it */
};

/* A hardware or image type that the request, the template and the provider allow. */
struct model_type {
	const char *name;
	uint64_t fits;            /* the groups that accept it */
	const struct json *entry; /* what the provider offers for this type, as {"flavor": ".."} */
};

struct model_types {
	struct model_type *v; /* by name */
	size_t n;
};

struct model {
	const struct rules *rules;
	int64_t nodes;                               /* number of new nodes */
	bool fresh;                                  /* the cluster has no nodes yet */
	struct model_group groups[MODEL_GROUPS_MAX]; /* by the first service name of each */
	int n;
	struct strs everywhere; /* unconstrained services; sorted, owned */
	uint64_t *cant;         /* groups that may not all share a node; one mask per rules->cant */
	size_t n_cant;
	bool cant_empty; /* no set of groups is permitted */
	struct model_types hardware, images;
	uint64_t *largest; /* permitted sets that are in no larger permitted set; sorted */
	size_t n_largest;
};

/* Reads the model of `count` new nodes. 0, or 400 with err. Call model_fini() in any case; s must
 * outlive m. */
LOOM_MUST_CHECK int model_read(struct model *m, const struct placement_state *s, int64_t count,
                               struct loom_err *err);
void model_fini(struct model *m);

/* May these groups share a node? The empty set may. */
bool model_permits(const struct model *m, uint64_t set);
/* Index of the first type that accepts the set, or -1. */
int model_best(const struct model_types *t, uint64_t set);
/* Fills m->largest. False if there are more than MODEL_SETS_MAX or the search takes too long. */
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
