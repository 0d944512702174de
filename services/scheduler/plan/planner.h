/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner - turns an operation on a cluster into a graph of tasks.
 *
 * A task is one step of one service on one node, or one step of a whole node (service ""). Edges
 * follow the order of steps on a node and the services' dependencies between nodes (depend.h). A
 * resize also affects the remaining nodes: a service there is reconfigured if it has a configure
 * action and depends at run time on a service that gained or lost an instance. If it runs, it is
 * also restarted, after the new instances have started and before the leaving nodes are deleted.
 *
 * Stages are for display: a task's stage is its longest path from the start, split so that no node
 * has two tasks in one stage. A runner need not wait for a stage, only for a task's `after` and for
 * its node to be free.
 *
 * Pure and deterministic; any thread.
 */
#ifndef LOOM_SCHEDULER_PLANNER_H
#define LOOM_SCHEDULER_PLANNER_H

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/json/json.h"

#include <stdbool.h>

enum plan_action {
	PLAN_SOLVE_LAYOUT, /* a job without tasks */
	PLAN_CREATE,
	PLAN_DELETE,
	PLAN_ADD_SERVICES,
	PLAN_CONFIGURE,
	PLAN_CONFIGURE_WITH_RESTART,
	PLAN_STOP,
	PLAN_START,
	PLAN_RESTART,
	PLAN_REMOVE_SERVICES,
	PLAN_EXPAND,
	PLAN_SHRINK,
	PLAN_REPLACE,
	PLAN_ACTIONS_
};

/* What a task does. */
enum plan_step {
	STEP_CREATE,
	STEP_CONFIRM,
	STEP_BOOTSTRAP,
	STEP_INSTALL,
	STEP_REMOVE,
	STEP_INITIALIZE,
	STEP_CONFIGURE,
	STEP_START,
	STEP_STOP,
	STEP_DELETE,
	STEPS_
};

const char *plan_action_name(enum plan_action a); /* "cluster_create", "start_services", ... */
bool plan_action_parse(const char *name, enum plan_action *ret); /* any letter case */
/* The cluster's status after a job of this action failed: "incomplete", "inconsistent",
 * "terminated". */
const char *plan_failure_status(enum plan_action a);
/* The steps that an action may take, in order; *ret_n may be 0. */
const enum plan_step *plan_steps(enum plan_action a, size_t *ret_n);

bool plan_has_step(enum plan_action a, enum plan_step s);

/* What happens to the planned nodes: they stay or, in a resize, are added or removed. */
enum { PLAN_NODES_STAY = 0, PLAN_NODES_COME = 1, PLAN_NODES_LEAVE = 2 };
unsigned plan_moves(enum plan_action a);

const char *plan_step_name(enum plan_step s); /* "CREATE": a task's taskName */
const char *plan_step_action(
	enum plan_step s); /* "create": key of a service's actions, plugin's argument */
bool plan_step_parse(const char *name, enum plan_step *ret); /* any letter case */
bool plan_step_is_hardware(enum plan_step s); /* create, confirm, bootstrap, delete: service "" */
/* The step that undoes a failed step, and the step at which the retry starts: DELETE undoes CONFIRM
 * and the retry starts at CREATE. False: nothing to undo, retry the same step. */
bool plan_rollback(enum plan_step failed, enum plan_step *ret_undo, enum plan_step *ret_again);

struct plan_node {
	const char *id;
	int nodenum;
	const struct strs *services;
};

struct plan_input {
	enum plan_action action;
	const struct plan_node *nodes; /* all nodes of the cluster, in any order */
	size_t n_nodes;
	const struct json *services; /* array: definitions of the services on the nodes */
	/* The requested services; NULL: all. Adding, removing: the services to add or remove.
	 * Expanding, shrinking: not used. */
	const struct strs *planned_services;
	/* Ids of the requested nodes; NULL: all. In a resize: the nodes to add or remove. */
	const struct strs *planned_nodes;
	/* In a resize that both adds and removes nodes: those of planned_nodes to remove. */
	const struct strs *leaving_nodes;
	/* Configuring: the services whose configuration changed; NULL: all. With restart, services
	 * that depend on them at run time are also restarted, but not configured. */
	const struct strs *changed_services;
	/* One per node, in the order of nodes: {service: "installed", "running" or "stopped"}.
	 * Unknown if the array, an element or a service is missing. A running service is not
	 * started unless the plan stops it first; a service that does not run is not stopped. */
	const struct json *const *states;
	/* Keep "every node with service s has done step x" as a group where the edges from each of
	 * these tasks would be many. The size of the plan is then linear. */
	bool groups;
};

struct plan_task {
	int num;   /* 1.. by stage, then nodenum: tasks[i].num == i + 1 */
	int node;  /* index into plan_input.nodes */
	int stage; /* 0.. */
	enum plan_step step;
	const char *name; /* plan_step_name(step) */
	char *service;    /* "" for steps of a whole node */
	int *after;       /* nums that must be complete, ascending */
	size_t n_after;
	int *after_groups; /* indexes into plan.groups: all tasks of these must be complete */
	size_t n_after_groups;
};

struct plan_group {
	enum plan_step step; /* of most of its tasks */
	char *service;       /* "": steps of a node */
	int *tasks;          /* nums, ascending */
	size_t n_tasks;
};

struct plan {
	struct plan_task *tasks;
	size_t n;
	size_t n_later; /* tasks after these n, stored with the job but not executed by it */
	int stages;
	struct plan_group *groups; /* only with plan_input.groups */
	size_t n_groups;
};

/* 0 with *ret owned; its n may be 0: nothing to do (for example starting services without a start
 * action). 400 with err if services depend on each other in a cycle or have no definition. */
LOOM_MUST_CHECK int plan_make(const struct plan_input *in, struct plan **ret, struct loom_err *err);
void plan_free(struct plan *p);

LOOM_DEFINE_CLEANUP(struct plan *, plan_free)

#endif
