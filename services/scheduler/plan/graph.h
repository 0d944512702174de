/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph - a plan under construction: tasks, the chain of steps on each node, and groups.
 *
 * A dependency between services always means "all nodes with service s have done step x". So each
 * pair (x, s) that tasks wait for becomes one group, and the graph stays linear in the number of
 * tasks.
 *
 * It is built in two passes: walk.c decides which tasks there are, wait.c what each of them waits
 * for. A step left out (because the service already runs, or is stopped) is passed through: its
 * successors wait for what it would have waited for.
 */
#ifndef LOOM_SCHEDULER_GRAPH_H
#define LOOM_SCHEDULER_GRAPH_H

#include "services/scheduler/plan/depend.h"
#include "services/scheduler/plan/planner.h"

#define NOTHING (-1)

struct graph_task {
	int node, service; /* service: NOTHING for a step of the node */
	enum plan_step step;
	int before;      /* the previous task on its node and service, or NOTHING */
	int waits;       /* index into graph.waits, or NOTHING */
	bool required;   /* not requested, but another service's start or stop needs it */
	bool after_stop; /* follows a STOP that was left out, so inherits its waits */
};

/* The groups that all tasks of one service and step wait for. */
struct graph_waits {
	int *groups;
	size_t n;
};

struct graph_group {
	enum plan_step step;
	int service; /* NOTHING: steps of a node */
	int *tasks;
	size_t n;
};

/* The subset of the tasks of a service and step that is in a group. */
enum graph_scope {
	SCOPE_ALL,
	SCOPE_PLANNED,  /* on nodes that are added or removed */
	SCOPE_NEEDED,   /* those, and required ones on other nodes */
	SCOPE_REQUIRED, /* required ones on other nodes */
	SCOPE_OTHER,    /* on other nodes, not required */
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
	bool *has;     /* by service and step: is the action defined? */
	bool *planned; /* services that take steps */
	bool *core;    /* of these, those that take all steps; the others are only restarted */
	bool *planned_node;
	bool *leaving_node; /* planned nodes that a resize removes; it adds the others */
	int *slots;         /* task by (node, service, step) */
	size_t *slot_base;
	struct graph_task *tasks;
	size_t n;
	struct graph_group *groups;
	size_t n_groups;
	bool *present; /* by scope, service and step: are there tasks? */
	int *group_of; /* the same: their group, or NOTHING */
	struct graph_waits *waits;
	size_t n_waits;
};

LOOM_MUST_CHECK int graph_build(struct graph *g, const struct plan_input *in, struct loom_err *err);
void graph_fini(struct graph *g);

/* The task of a node, a service (NOTHING: the node itself) and a step: created, or NOTHING if
 * absent. */
int graph_make_task(struct graph *g, int node, int service, enum plan_step step);
int graph_find_task(const struct graph *g, int node, int service, enum plan_step step);

bool graph_has_action(const struct graph *g, int service, enum plan_step step);
enum graph_state graph_state_of(const struct graph *g, int node, int service);
/* Does the action add or remove nodes while others stay? */
bool graph_is_resize(const struct graph *g);
bool graph_is_coming(const struct graph *g, int node);
bool graph_is_leaving(const struct graph *g, int node);

/* walk.c: sets g->planned, g->core, g->planned_node and g->leaving_node; then creates all tasks. */
void graph_choose(struct graph *g, const struct map *index);
void graph_walk(struct graph *g);

/* wait.c: sets g->groups, g->waits and the waits of all tasks. */
void graph_wait(struct graph *g);
/* 400 if the planned services wait for each other in a cycle. */
LOOM_MUST_CHECK int graph_check_circles(struct graph *g, struct loom_err *err);

#endif
