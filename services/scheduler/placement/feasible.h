/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feasible - do services that are to be added fit on the nodes of a cluster?
 *
 * As for new nodes, services that must share nodes are one group. Here a group may go on any node
 * that accepts it; taking one away again never breaks a rule, so that whether all can be placed is
 * a question of covering their demands (set_cover.h): each kind of node is one more demand that
 * exactly its nodes can meet.
 *
 * Any thread.
 */
#ifndef LOOM_SCHEDULER_FEASIBLE_H
#define LOOM_SCHEDULER_FEASIBLE_H

#include "services/scheduler/placement/placement_state.h"
#include "services/scheduler/placement/set_cover.h"

/* New services that must share nodes, none of which is tied to a present one. */
struct feasible_group {
	struct coexist_group of;
	bool *has;    /* by service */
	size_t first; /* its earliest place in the order of placing */
	bool placed;
};

/* Nodes that are alike, now and after what has been placed. */
struct feasible_kind {
	const struct node_kind *from;
	bool *has;     /* by service */
	size_t *nodes; /* by nodenum; owned */
	size_t n;
	bool barred; /* for the group that is being placed */
};

struct feasible {
	const struct placement_state *s;
	struct feasible_group *groups; /* by first */
	size_t n_groups;
	struct feasible_kind *kinds;
	size_t n_kinds;
};

/* The first n nodes of a kind are taken to have a group. */
struct feasible_trial {
	size_t kind; /* SIZE_MAX: none */
	size_t group;
	int64_t n;
};

bool feasible_accepts(const struct feasible *f, size_t kind, size_t group);
/* Nodes that accept the group. */
int64_t feasible_capacity(const struct feasible *f, size_t group);
/* May it matter to other groups that are not placed where this one is? */
bool feasible_matters(const struct feasible *f, size_t group);
/* Can all demands (by group) be met? For the group of the trial, barred kinds do not count. */
enum set_cover_answer feasible_all(const struct feasible *f, const int64_t *demand,
                                   const struct feasible_trial *trial);
void feasible_fini(struct feasible *f);

#endif
