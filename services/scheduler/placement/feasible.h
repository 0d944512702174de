/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feasible - can the services to be added all be placed on the present nodes of a cluster?
 *
 * Services that must share nodes form one group, as for new nodes. A group may go on any node that
 * accepts it, and taking a group away again never breaks a rule. So the question is a set cover
 * (set_cover.h): each group demands nodes, and each kind of node adds one demand that only its own
 * nodes can meet.
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
	size_t first; /* position of its first service in the order of placing */
	bool placed;
};

/* Nodes that are alike, both now and with the services placed so far. */
struct feasible_kind {
	const struct node_kind *from;
	bool *has;     /* by service */
	size_t *nodes; /* by nodenum; owned */
	size_t n;
	bool barred; /* not available to the group being placed */
};

struct feasible {
	const struct placement_state *s;
	struct feasible_group *groups; /* by first */
	size_t n_groups;
	struct feasible_kind *kinds;
	size_t n_kinds;
};

/* Assumes that the first n nodes of a kind have the group. */
struct feasible_trial {
	size_t kind; /* SIZE_MAX: none */
	size_t group;
	int64_t n;
};

bool feasible_accepts(const struct feasible *f, size_t kind, size_t group);
/* The number of nodes that accept the group. */
int64_t feasible_capacity(const struct feasible *f, size_t group);
/* Can the place of this group restrict other groups that are not placed yet? */
bool feasible_matters(const struct feasible *f, size_t group);
/* Can all demands (by group) be met? The group of the trial may not use barred kinds. */
enum set_cover_answer feasible_all(const struct feasible *f, const int64_t *demand,
                                   const struct feasible_trial *trial);
void feasible_fini(struct feasible *f);

#endif
