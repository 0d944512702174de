/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relayout - what an operation makes of a cluster: which nodes come or go and which services each
 * node gains or loses. The planner turns the difference into tasks.
 *
 *   add services     No node is added or moved. The services are placed one after the other in the
 *                    order of the first releases (limited ones first: smallest maximum, largest
 *                    minimum, name; then the others by name), each on as many nodes as possible,
 *                    preferring nodes with more services. The search is complete: no answer means
 *                    that there is none. Among equal nodes the lowest number is taken.
 *   remove services  All nodes lose them. Refused when a service that stays requires one.
 *   expand           The new nodes are the first count vector, in the order of search.h, that keeps
 *                    every constraint together with the present nodes. They get the services
 *                    without constraints, too. Services named in `grow` get as many instances on
 *                    the new nodes as all of them can have alike, at least one.
 *   shrink           Every service keeps max(1, its minimum) nodes. Among the choices that do, one
 *                    that loses the fewest instances of services in all; of those, the one that
 *                    takes the nodes with the highest numbers.
 *   sync             Nothing changes: says whether the present nodes obey the given template.
 *   create           Expands from no nodes: each service gets max(1, its minimum) nodes at least.
 *                    solve.h is its front.
 *
 * Pure: no I/O, no clock, no shared state; any thread. The same input gives the same output.
 */
#ifndef LOOM_SCHEDULER_RELAYOUT_H
#define LOOM_SCHEDULER_RELAYOUT_H

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/json/json.h"
#include "services/scheduler/placement/layout.h"

#include <stdint.h>

enum relayout_operation {
	RELAYOUT_ADD_SERVICES,
	RELAYOUT_REMOVE_SERVICES,
	RELAYOUT_EXPAND,
	RELAYOUT_SHRINK,
	RELAYOUT_SYNC,
	RELAYOUT_CREATE,
	RELAYOUT_OPERATIONS_
};

/* A node of the cluster. Everything is borrowed. */
struct relayout_node {
	const char *id;
	int nodenum;
	const char *hardwaretype, *imagetype;
	struct strs services; /* in any order */
};

/* All is borrowed, and only read. */
struct relayout_input {
	enum relayout_operation operation;
	const struct relayout_node *nodes; /* in any order; none for create */
	size_t n_nodes;
	int last_nodenum;            /* highest number ever used; 0: the highest of nodes */
	const struct json *template; /* of the cluster; for sync the new one */
	const struct json *provider;
	const struct json *hardwaretypes; /* arrays: the tenant's latest documents */
	const struct json *imagetypes;
	const struct json *services;
	const struct json *service_docs; /* {name: document}: win for services on the cluster */
	const struct json *request;      /* of the cluster: hardwaretype, imagetype, dnsSuffix */
	int64_t cluster_id;
	const char *cluster_name;

	const struct strs *named; /* services to add or to remove; create: all */
	int64_t count;            /* nodes to add or to remove; create: all */
	const struct strs *grow;  /* expand: services that must have new instances; NULL: any */
	const int *nodenums;      /* shrink: just these nodes; then count is 0 or n_nodenums */
	size_t n_nodenums;
};

/* A present node that stays and whose services change. */
struct relayout_change {
	size_t node;                /* index into relayout_input.nodes */
	struct strs added, removed; /* sorted */
	struct strs services;       /* after; sorted */
	struct strs automators;     /* after; sorted */
};

struct relayout {
	struct layout added; /* the nodes that come; its services are not filled */
	size_t *removed;     /* indexes into relayout_input.nodes, by nodenum */
	size_t n_removed;
	struct relayout_change *changed; /* by nodenum */
	size_t n_changed;
	struct strs services; /* of the cluster after; sorted */
};

/* 0 with *ret owned; else err->status (400 it cannot be done, 422 too intertwined to decide within
 * the work limit) with the reason in err->msg; *ret is untouched then. */
LOOM_MUST_CHECK int relayout_find(const struct relayout_input *in, struct relayout **ret,
                                  struct loom_err *err);
void relayout_free(struct relayout *t); /* NULL is fine */

LOOM_DEFINE_CLEANUP(struct relayout *, relayout_free)

#endif
