/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relayout - the effect of an operation on a cluster: which nodes it adds or removes and which
 * services each node gains or loses. The planner turns the difference into tasks.
 *
 *   add services     No node is added or moved. The services are placed one after the other in the
 *                    order of the first releases (limited ones first: smallest maximum, largest
 *                    minimum, name; then the others by name), each on as many nodes as possible,
 *                    preferring nodes with more services. The search is complete: it fails only
 *                    if no placement exists. Among equal nodes the lowest number is taken.
 *   remove services  All nodes lose them. Refused if a remaining service requires one of them.
 *   expand           The new nodes are the first count vector, in the order of search.h, that
 *                    satisfies every constraint together with the present nodes. They also get
 *                    the services without constraints. The services named in `grow` all get the
 *                    same number of new instances: the largest possible one, at least one.
 *   shrink           Every service keeps max(1, its minimum) nodes. Among these choices, take one
 *                    that loses the fewest service instances in total; among those, the one that
 *                    removes the nodes with the highest numbers.
 *   sync             Changes nothing: checks the present nodes against the given template.
 *   create           Expands from no nodes: each service gets at least max(1, its minimum) nodes.
 *                    Called through solve.h.
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

/* Everything is borrowed and only read. */
struct relayout_input {
	enum relayout_operation operation;
	const struct relayout_node *nodes; /* in any order; none for create */
	size_t n_nodes;
	int last_nodenum;            /* highest number ever used; 0: take the highest of nodes */
	const struct json *template; /* of the cluster; for sync, the new template */
	const struct json *provider;
	const struct json *hardwaretypes; /* arrays: the tenant's latest documents */
	const struct json *imagetypes;
	const struct json *services;
	const struct json *service_docs; /* {name: document}: preferred, where the cluster has it */
	const struct json *request;      /* that created it: hardwaretype, imagetype, dnsSuffix */
	int64_t cluster_id;
	const char *cluster_name;

	const struct strs *named; /* services to add or to remove; create: all */
	int64_t count;            /* nodes to add or to remove; create: all */
	const struct strs *grow;  /* expand: services that must have new instances; NULL: any */
	const int64_t *nodenums;  /* shrink: exactly these nodes; count is then 0 or n_nodenums */
	size_t n_nodenums;
};

/* A node that stays while its services change. */
struct relayout_change {
	size_t node;                /* index into relayout_input.nodes */
	struct strs added, removed; /* sorted */
	struct strs services;       /* after the change; sorted */
	struct strs automators;     /* after the change; sorted */
};

struct relayout {
	struct layout added; /* the new nodes; its list of services stays empty */
	size_t *removed;     /* indexes into relayout_input.nodes, by nodenum */
	size_t n_removed;
	struct relayout_change *changed; /* by nodenum */
	size_t n_changed;
	struct strs services; /* of the cluster after the operation; sorted */
};

/* 0 with *ret owned. Otherwise err->status (400: impossible; 422: the constraints are too
 * intertwined to decide within the work limit), the reason in err->msg, and *ret untouched. */
LOOM_MUST_CHECK int relayout_find(const struct relayout_input *in, struct relayout **ret,
                                  struct loom_err *err);
void relayout_free(struct relayout *t); /* NULL is fine */

LOOM_DEFINE_CLEANUP(struct relayout *, relayout_free)

#endif
