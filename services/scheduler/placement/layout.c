/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frees layouts.
 * expand.c makes them; the scheduler plans and stores them later.
 */
#include "services/scheduler/placement/layout.h"

static void node_fini(struct layout_node *n)
{
	loom_free(n->hostname);
	loom_free(n->hardwaretype);
	loom_free(n->imagetype);
	loom_free(n->flavor);
	loom_free(n->image);
	loom_free(n->sshuser);
	strs_fini(&n->services);
	strs_fini(&n->automators);
}

static void group_fini(struct layout_group *g)
{
	loom_free(g->hardwaretype);
	loom_free(g->imagetype);
	strs_fini(&g->services);
}

void layout_fini(struct layout *l)
{
	for (size_t i = 0; i < l->n_groups; i++)
		group_fini(&l->groups[i]);
	for (size_t i = 0; i < l->n_nodes; i++)
		node_fini(&l->nodes[i]);
	loom_free(l->groups);
	loom_free(l->nodes);
	strs_fini(&l->services);
	*l = (struct layout){ 0 };
}

void layout_free(struct layout *l)
{
	if (!l)
		return;
	layout_fini(l);
	loom_free(l);
}
