/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides what each task waits for.
 * Only the nearest dependencies count: the waits of these imply the rest.
 */
#include "services/scheduler/plan/graph.h"

#include <string.h>

/* Which step must precede which, between services that depend on each other. */
static const struct {
	enum plan_step from, to;
	enum depend_relation rel;
	bool checked; /* cycles are possible and refused */
} orders[] = {
	{ STEP_INSTALL, STEP_INSTALL, DEPEND_INSTALL, true },
	{ STEP_START, STEP_INITIALIZE, DEPEND_RUNTIME, true },
	{ STEP_START, STEP_START, DEPEND_RUNTIME, true },
	{ STEP_STOP, STEP_STOP, DEPEND_STOP, true },
	{ STEP_STOP, STEP_REMOVE, DEPEND_STOP, false },
	{ STEP_REMOVE, STEP_REMOVE, DEPEND_REMOVE, false },
};

/* ---- groups --------------------------------------------------------------------------------- */

static bool is_in(const struct graph *g, int task, enum graph_scope scope)
{
	const bool planned = g->planned_node[g->tasks[task].node];
	const bool required = g->tasks[task].required;
	switch (scope) {
	case SCOPE_PLANNED:
		return planned;
	case SCOPE_NEEDED:
		return planned || required;
	case SCOPE_REQUIRED:
		return !planned && required;
	case SCOPE_OTHER:
		return !planned && !required;
	case SCOPE_ALL:
	case SCOPES_:
		break;
	}
	return true;
}

static size_t place_of(const struct graph *g, int service, enum plan_step step,
                       enum graph_scope scope)
{
	return ((size_t)scope * g->names.n + (size_t)service) * STEPS_ + step;
}

static void find_present(struct graph *g)
{
	const size_t n = (size_t)SCOPES_ * g->names.n * STEPS_;
	g->present = loom_calloc(n + 1, sizeof(*g->present));
	g->group_of = loom_malloc((n + 1) * sizeof(*g->group_of));
	memset(g->group_of, 0xff, (n + 1) * sizeof(*g->group_of)); /* NOTHING */
	for (size_t t = 0; t < g->n; t++) {
		const struct graph_task *task = &g->tasks[t];
		for (int scope = 0; scope < SCOPES_ && task->service != NOTHING; scope++) {
			if (is_in(g, (int)t, (enum graph_scope)scope))
				g->present[place_of(g, task->service, task->step,
				                    (enum graph_scope)scope)] = true;
		}
	}
}

static bool is_present(const struct graph *g, size_t service, enum plan_step step,
                       enum graph_scope scope)
{
	return g->present[place_of(g, (int)service, step, scope)];
}

/* Takes tasks. NOTHING if there are none. */
static int add_group(struct graph *g, enum plan_step step, int service, int *tasks, size_t n)
{
	if (!n) {
		loom_free(tasks);
		return NOTHING;
	}
	g->groups = LOOM_GROW(g->groups, g->n_groups);
	g->groups[g->n_groups] = (struct graph_group){ step, service, tasks, n };
	return (int)g->n_groups++;
}

static size_t count_nodes(const int *nodes)
{
	size_t n = 0;
	while (nodes[n] != NOTHING)
		n++;
	return n;
}

/* The tasks of a service and step within a scope; NOTHING if there are none. */
static int group_at(struct graph *g, int service, enum plan_step step, enum graph_scope scope)
{
	const size_t at = place_of(g, service, step, scope);
	const int *nodes = g->nodes_with[service];
	size_t n = 0;
	int *tasks;
	if (!g->present[at] || g->group_of[at] != NOTHING)
		return g->group_of[at];
	tasks = loom_calloc(count_nodes(nodes) + 1, sizeof(*tasks));
	for (; *nodes != NOTHING; nodes++) {
		const int t = graph_find_task(g, *nodes, service, step);
		if (t != NOTHING && is_in(g, t, scope))
			tasks[n++] = t;
	}
	g->group_of[at] = add_group(g, step, service, tasks, n);
	return g->group_of[at];
}

/* ---- waits ---------------------------------------------------------------------------------- */

static void add_wait(struct graph_waits *w, int group)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->groups[i] == group)
			return;
	}
	if (group == NOTHING)
		return;
	w->groups = loom_realloc(w->groups, (w->n + 1) * sizeof(*w->groups));
	w->groups[w->n++] = group;
}

/* Takes the contents of w. NOTHING if it is empty. */
static int keep_waits(struct graph *g, struct graph_waits *w)
{
	if (!w->n)
		return NOTHING;
	g->waits = LOOM_GROW(g->waits, g->n_waits);
	g->waits[g->n_waits] = *w;
	return (int)g->n_waits++;
}

/* Adds the steps, within a scope, that must be done before a service takes a step. */
static void wait_in_order(struct graph *g, int service, enum plan_step step, enum graph_scope scope,
                          struct graph_waits *w)
{
	for (size_t o = 0; o < LOOM_COUNT(orders); o++) {
		bool *acts;
		if (orders[o].to != step)
			continue;
		acts = loom_calloc(g->names.n + 1, sizeof(*acts));
		for (size_t s = 0; s < g->names.n; s++)
			acts[s] = is_present(g, s, orders[o].from, scope);
		struct depend_list l =
			depend_nearest(g->depend, orders[o].rel, (size_t)service, acts, false);
		for (size_t k = 0; k < l.n; k++)
			add_wait(w, group_at(g, (int)l.v[k], orders[o].from, scope));
		loom_free(l.v);
		loom_free(acts);
	}
}

/* The last step that brings a service up. */
static enum plan_step last_step(const struct graph *g, int service)
{
	static const enum plan_step list[] = { STEP_START, STEP_INITIALIZE, STEP_CONFIGURE };
	for (size_t i = 0; i < LOOM_COUNT(list); i++) {
		if (graph_has_action(g, service, list[i]))
			return list[i];
	}
	return STEP_INSTALL;
}

/* Is the wait for `by` implied by the wait for another service, which starts only after `by`? */
static bool is_transitive_start(struct graph *g, int service, size_t by)
{
	for (size_t k = 0; k < g->names.n; k++) {
		if (k != by && depend_runtime(g->depend, (size_t)service, k) &&
		    is_present(g, k, STEP_START, SCOPE_PLANNED) &&
		    is_present(g, by, STEP_START, SCOPE_PLANNED) &&
		    depend_runtime(g->depend, k, by) && !depend_runtime(g->depend, by, k))
			return true;
	}
	return false;
}

/* Likewise for removal: does another service stop only after `by`? */
static bool is_transitive_stop(struct graph *g, int service, size_t by)
{
	for (size_t k = 0; k < g->names.n; k++) {
		if (k != by && depend_runtime(g->depend, (size_t)service, k) &&
		    is_present(g, k, STEP_STOP, SCOPE_PLANNED) &&
		    depend_runtime(g->depend, by, k) && !depend_runtime(g->depend, k, by))
			return true;
	}
	return false;
}

/* A remaining service is reconfigured after its new dependencies have come up and its leaving ones
 * have stopped. */
static void wait_for_moved(struct graph *g, int service, struct graph_waits *w)
{
	const unsigned moves = plan_moves(g->in->action);
	for (size_t k = 0; k < g->names.n; k++) {
		if (!g->core[k] || !depend_runtime(g->depend, (size_t)service, k))
			continue;
		if ((moves & PLAN_NODES_COME) && !is_transitive_start(g, service, k))
			add_wait(w, group_at(g, (int)k, last_step(g, (int)k), SCOPE_PLANNED));
		if ((moves & PLAN_NODES_LEAVE) && !is_transitive_stop(g, service, k))
			add_wait(w, group_at(g, (int)k, STEP_STOP, SCOPE_PLANNED));
	}
}

/* A leaving instance serves until its successor is up. Exception: if starting the successor
 * requires a service on a remaining node, that start waits for the leaving instances, so waiting
 * for the successor would be a deadlock. */
static void wait_for_successors(struct graph *g, int service, struct graph_waits *w)
{
	for (size_t t = 0; t < g->n; t++) {
		if (g->tasks[t].required)
			return;
	}
	add_wait(w, group_at(g, service, last_step(g, service), SCOPE_PLANNED));
}

/* Does not stop a running service while new services that need it are starting. */
static void wait_for_users(struct graph *g, int service, struct graph_waits *w)
{
	for (size_t k = 0; k < g->names.n; k++) {
		bool implied = false;
		if (!is_present(g, k, STEP_START, SCOPE_NEEDED) ||
		    !depend_runtime(g->depend, k, (size_t)service))
			continue;
		/* a later-starting user implies this one */
		for (size_t j = 0; j < g->names.n && !implied; j++) {
			implied = j != k && is_present(g, j, STEP_START, SCOPE_NEEDED) &&
			          depend_runtime(g->depend, j, k) &&
			          !depend_runtime(g->depend, k, j);
		}
		if (!implied)
			add_wait(w, group_at(g, (int)k, STEP_START, SCOPE_NEEDED));
	}
}

/* ---- classes: tasks of a service and step with the same waits ------------------------------- */

enum wait_class { CLASS_REQUESTED, CLASS_ADDED, CLASS_REMOVED, CLASS_RECONFIGURED, CLASSES_ };

static enum wait_class class_of(const struct graph *g, const struct graph_task *t)
{
	if (!graph_is_resize(g))
		return CLASS_REQUESTED;
	if (graph_is_leaving(g, t->node))
		return CLASS_REMOVED;
	return graph_is_coming(g, t->node) || (t->required && t->step == STEP_START)
	               ? CLASS_ADDED
	               : CLASS_RECONFIGURED;
}

static void wait_in_class(struct graph *g, int service, enum plan_step step, enum wait_class class,
                          struct graph_waits *w)
{
	static const enum graph_scope scope[CLASSES_] = {
		[CLASS_REQUESTED] = SCOPE_ALL,
		[CLASS_ADDED] = SCOPE_NEEDED,
		[CLASS_REMOVED] = SCOPE_PLANNED,
		[CLASS_RECONFIGURED] = SCOPE_OTHER,
	};
	const unsigned moves = plan_moves(g->in->action);
	wait_in_order(g, service, step, scope[class], w);
	if (class == CLASS_REMOVED && step == STEP_STOP && (moves & PLAN_NODES_COME))
		wait_for_successors(g, service, w);
	if (class != CLASS_RECONFIGURED)
		return;
	if (step == STEP_START)
		wait_in_order(g, service, step, SCOPE_REQUIRED, w);
	if (step == STEP_STOP && (moves & PLAN_NODES_COME))
		wait_for_users(g, service, w);
	if (step == STEP_CONFIGURE)
		wait_for_moved(g, service, w);
}

static void wait_services(struct graph *g)
{
	const size_t n = (size_t)CLASSES_ * 2 * g->names.n * STEPS_;
	int *known = loom_calloc(n + 1, sizeof(*known)); /* 2 + waits; 0: not made yet */
	for (size_t i = 0; i < g->n; i++) {
		struct graph_task *t = &g->tasks[i];
		struct graph_waits w = { 0 };
		if (t->service == NOTHING)
			continue;
		enum wait_class class = class_of(g, t);
		size_t at =
			(((size_t) class * 2 + t->after_stop) * g->names.n + (size_t)t->service) *
				STEPS_ +
			t->step;
		if (!known[at]) {
			wait_in_class(g, t->service, t->step, class, &w);
			if (t->after_stop)
				wait_in_class(g, t->service, STEP_STOP, class, &w);
			known[at] = 2 + keep_waits(g, &w);
		}
		t->waits = known[at] - 2;
	}
	loom_free(known);
}

/* ---- nodes that go -------------------------------------------------------------------------- */

/* The last step of a service on each of the remaining nodes. */
static int last_refreshed(struct graph *g, int service)
{
	static const enum plan_step list[] = { STEP_START, STEP_CONFIGURE };
	const int *nodes = g->nodes_with[service];
	int *tasks = loom_calloc(count_nodes(nodes) + 1, sizeof(*tasks));
	size_t n = 0;
	for (; *nodes != NOTHING; nodes++) {
		int t = NOTHING;
		for (size_t i = 0; i < LOOM_COUNT(list) && t == NOTHING && !g->planned_node[*nodes];
		     i++)
			t = graph_find_task(g, *nodes, service, list[i]);
		if (t != NOTHING)
			tasks[n++] = t;
	}
	return add_group(g, STEP_CONFIGURE, service, tasks, n);
}

static int stops_of_node(struct graph *g, int node)
{
	int *tasks = loom_calloc(g->names.n + 1, sizeof(*tasks));
	size_t n = 0;
	for (const int *s = g->on_node[node]; *s != NOTHING; s++) {
		const int t = graph_find_task(g, node, *s, STEP_STOP);
		if (t != NOTHING)
			tasks[n++] = t;
	}
	return add_group(g, STEP_STOP, NOTHING, tasks, n);
}

/* Does a service depend on a service of this node? */
static bool needs_node(struct graph *g, size_t service, int node)
{
	for (const int *s = g->on_node[node]; *s != NOTHING; s++) {
		if (depend_runtime(g->depend, service, (size_t)*s))
			return true;
	}
	return false;
}

/* A node is deleted after its services have stopped and the services that used them were told. */
static void wait_nodes(struct graph *g)
{
	const bool comes = plan_moves(g->in->action) & PLAN_NODES_COME;
	int *last = loom_calloc(g->names.n + 1, sizeof(*last));
	for (size_t s = 0; s < g->names.n; s++)
		last[s] = g->planned[s] ? last_refreshed(g, (int)s) : NOTHING;
	for (size_t i = 0; i < g->in->n_nodes; i++) {
		const int t = graph_find_task(g, (int)i, NOTHING, STEP_DELETE);
		struct graph_waits w = { 0 };
		if (t == NOTHING)
			continue;
		add_wait(&w, stops_of_node(g, (int)i));
		for (const int *s = g->on_node[i]; comes && *s != NOTHING; s++)
			wait_for_successors(g, *s, &w);
		for (size_t s = 0; s < g->names.n; s++) {
			if (last[s] != NOTHING && needs_node(g, s, (int)i))
				add_wait(&w, last[s]);
		}
		g->tasks[t].waits = keep_waits(g, &w);
	}
	loom_free(last);
}

void graph_wait(struct graph *g)
{
	find_present(g);
	wait_services(g);
	if (plan_moves(g->in->action) & PLAN_NODES_LEAVE)
		wait_nodes(g);
}

/* ---- circles -------------------------------------------------------------------------------- */

/* Only a service that takes a step that waits for others can be part of a deadlock. */
int graph_check_circles(struct graph *g, struct loom_err *err)
{
	size_t n;
	const enum plan_step *list = plan_steps(g->in->action, &n);
	bool *start = loom_calloc(g->names.n + 1, sizeof(*start));
	int rc = 0;
	for (size_t o = 0; o < LOOM_COUNT(orders) && !rc; o++) {
		bool taken = false;
		for (size_t i = 0; i < n && orders[o].checked; i++)
			taken |= list[i] == orders[o].to;
		for (size_t s = 0; s < g->names.n; s++) {
			start[s] = (g->planned[s] || g->core[s]) &&
			           graph_has_action(g, (int)s, orders[o].to);
		}
		if (taken)
			rc = depend_check(g->depend, orders[o].rel, start, err);
	}
	loom_free(start);
	return rc;
}
