/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph - a plan in the making: tasks, the chain of steps on each node, and groups.
 *
 * A dependency between services is always "all nodes that have service s did step x", so each pair
 * (x, s) that something waits for is one group, and the graph stays linear in the number of tasks.
 *
 * Made in two passes: walk.c decides which tasks there are, wait.c what each of
 * them waits for. What is left out (because it runs already, or is stopped) is passed through: who
 * would have waited for it waits for what it would have waited for.
 */
#ifndef LOOM_SCHEDULER_GRAPH_H
#define LOOM_SCHEDULER_GRAPH_H

#include "services/scheduler/plan/depend.h"
#include "services/scheduler/plan/planner.h"

#define NOTHING (-1)

struct graph_task {
	int node, service; /* service: NOTHING for a step of the node */
	enum plan_step step;
	int before;      /* the task ahead of it on its node and service, or NOTHING */
	int waits;       /* index into graph.waits, or NOTHING */
	bool required;   /* not asked for, but another service's start or stop needs it */
	bool after_stop; /* stands behind a STOP that was left out: waits for what that would */
};

/* What all tasks of one service and step wait for. */
struct graph_waits {
	int *groups;
	size_t n;
};

struct graph_group {
	enum plan_step step;
	int service; /* NOTHING: of a node */
	int *tasks;
	size_t n;
};

/* Which of the tasks of a service and step are in a group. */
enum graph_scope {
	SCOPE_ALL,
	SCOPE_PLANNED,  /* on nodes that come or go */
	SCOPE_NEEDED,   /* those, and required ones elsewhere */
	SCOPE_REQUIRED, /* required ones elsewhere */
	SCOPE_OTHER,    /* elsewhere, not required */
	SCOPES_
};

enum graph_state { GRAPH_UNKNOWN, GRAPH_DOWN, GRAPH_RUNNING };

struct graph {
	const struct plan_input *in;
	struct strs names; /* all services on the nodes, sorted; a service is an index here */
	int **on_node;     /* services of each node, sorted, ended by NOTHING */
	int **nodes_with;  /* nodes of each service, ended by NOTHING */
	int *rank;         /* nodes in order of nodenum: rank[node] */
	struct depend *depend;
	bool *has;     /* by service and step: is the action defined */
	bool *planned; /* services that take steps */
	bool *core;    /* of these, those that take all steps; the others are only restarted */
	bool *planned_node;
	bool *leaving_node; /* of these, those that leave; of a resize the others come */
	int *slots;         /* task by (node, service, step) */
	size_t *slot_base;
	struct graph_task *tasks;
	size_t n;
	struct graph_group *groups;
	size_t n_groups;
	bool *present; /* by scope, service and step: are there tasks */
	int *group_of; /* the same: their group, or NOTHING */
	struct graph_waits *waits;
	size_t n_waits;
};

LOOM_MUST_CHECK int graph_build(struct graph *g, const struct plan_input *in, struct loom_err *err);
void graph_fini(struct graph *g);

/* The task of a node, a service (NOTHING: the node's own) and a step; made, or NOTHING. */
int graph_make_task(struct graph *g, int node, int service, enum plan_step step);
int graph_find_task(const struct graph *g, int node, int service, enum plan_step step);

bool graph_has_action(const struct graph *g, int service, enum plan_step step);
enum graph_state graph_state_of(const struct graph *g, int node, int service);
/* Are there nodes that come or leave, and others that stay? */
bool graph_is_resize(const struct graph *g);
bool graph_is_coming(const struct graph *g, int node);
bool graph_is_leaving(const struct graph *g, int node);

/* walk.c: g->planned, g->core and g->planned_node; then all tasks. */
void graph_choose(struct graph *g, const struct map *index);
void graph_walk(struct graph *g);

/* wait.c: g->groups, g->waits and the waits of all tasks. */
void graph_wait(struct graph *g);
/* 400 when the plan runs into services that wait for each other in a circle. */
LOOM_MUST_CHECK int graph_check_circles(struct graph *g, struct loom_err *err);

#endif
