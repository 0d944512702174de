/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner_graph - a plan in the making: tasks, the chain of steps on each node, and groups.
 *
 * A dependency between services is always "all nodes that have service s did step x", so each pair
 * (x, s) that something waits for is one group, and the graph stays linear in the number of tasks.
 */
#ifndef LOOM_SCHEDULER_PLANNER_GRAPH_H
#define LOOM_SCHEDULER_PLANNER_GRAPH_H

#include "services/scheduler/depend.h"
#include "services/scheduler/planner.h"

#define NOTHING (-1)

struct graph_task {
	int node, service; /* service: NOTHING for a step of the node */
	enum plan_step step;
	int before; /* the task ahead of it on its node and service, or NOTHING */
	int waits;  /* index into graph.waits, or NOTHING */
	int group;  /* the group it is in, or NOTHING */
};

/* What all tasks of one service and step wait for. */
struct graph_waits {
	int *groups;
	size_t n;
};

struct graph_group {
	enum plan_step step;
	int service;
	int *tasks;
	size_t n;
};

struct graph {
	const struct plan_input *in;
	struct strs names; /* all services on the nodes, sorted; a service is an index here */
	int **on_node;     /* services of each node, sorted, ended by NOTHING */
	int **nodes_with;  /* nodes of each service, ended by NOTHING */
	int *rank;         /* nodes in order of nodenum: rank[node] */
	struct depend *depend;
	bool *planned; /* services */
	bool *planned_node;
	int *slots; /* task by (node, service, step), see slot_of() */
	size_t *slot_base;
	struct graph_task *tasks;
	size_t n, cap;
	struct graph_group *groups;
	size_t n_groups;
	int *group_of; /* by service and step, or NOTHING */
	struct graph_waits *waits;
	size_t n_waits;
	int *waits_of; /* by service and step, or NOTHING */
};

LOOM_MUST_CHECK int graph_build(struct graph *g, const struct plan_input *in, struct loom_err *err);
void graph_fini(struct graph *g);

#endif
