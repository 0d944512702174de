/* SPDX-License-Identifier: Apache-2.0 */
/* layout - the new nodes of a cluster, as counts per kind and one by one. Any thread. */
#ifndef LOOM_SCHEDULER_LAYOUT_H
#define LOOM_SCHEDULER_LAYOUT_H

#include "common/base/str.h"

#define LAYOUT_FIRST_NODENUM 1000

struct layout_node {
	int nodenum;
	char *hostname, *hardwaretype, *imagetype;
	char *flavor, *image, *sshuser; /* of the chosen provider */
	struct strs services;           /* sorted */
	struct strs automators;         /* types of the services' actions; sorted */
};

struct layout_group {
	int count;
	char *hardwaretype, *imagetype;
	struct strs services; /* sorted */
};

struct layout {
	struct layout_group *groups; /* in order of preference */
	size_t n_groups;
	struct layout_node *nodes; /* by nodenum; one group after the other */
	size_t n_nodes;
	struct strs services; /* all services of the cluster; sorted */
};

void layout_fini(struct layout *l); /* frees the contents and leaves *l empty */
void layout_free(struct layout *l); /* NULL is fine */

LOOM_DEFINE_CLEANUP(struct layout *, layout_free)

#endif
