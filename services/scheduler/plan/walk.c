/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which tasks an operation has.
 * A service already in the wanted state gets no task: a plan has only the necessary ones.
 */
#include "services/scheduler/plan/graph.h"

/* The steps by which services on remaining nodes learn of added or removed ones. */
static const enum plan_step refresh[] = { STEP_CONFIGURE, STEP_STOP, STEP_START };
static const enum plan_step restart[] = { STEP_STOP, STEP_START };

/* ---- which services, which nodes ------------------------------------------------------------ */

static void mark(const struct graph *g, const struct map *index, const struct strs *list, bool *ret)
{
	for (size_t s = 0; s < g->names.n; s++)
		ret[s] = !list;
	for (size_t k = 0; list && k < list->n; k++) {
		char *const *place = map_get(index, list->v[k]);
		if (place)
			ret[place - g->names.v] = true;
	}
}

/* Starting a service also starts those it depends on; stopping one also stops those that need
 * it. */
static void expand(struct graph *g)
{
	const enum plan_action a = g->in->action;
	const bool up = a == PLAN_START;
	const bool down = a == PLAN_STOP || a == PLAN_RESTART || a == PLAN_CONFIGURE_WITH_RESTART;
	for (size_t s = 0; s < g->names.n; s++) {
		g->planned[s] = g->core[s];
		for (size_t k = 0; k < g->names.n && !g->planned[s]; k++) {
			g->planned[s] = g->core[k] && ((up && depend_runtime(g->depend, k, s)) ||
			                               (down && depend_runtime(g->depend, s, k)));
		}
	}
	/* only configuring with restart gives the two kinds of services different steps */
	for (size_t s = 0; s < g->names.n && a != PLAN_CONFIGURE_WITH_RESTART; s++)
		g->core[s] = g->planned[s];
}

/* Chooses the services on added or removed nodes, and those elsewhere that must learn of the
 * change. */
static void choose_resized(struct graph *g)
{
	for (size_t s = 0; s < g->names.n; s++)
		g->core[s] = false;
	for (size_t i = 0; i < g->in->n_nodes; i++) {
		for (const int *s = g->on_node[i]; *s != NOTHING && g->planned_node[i]; s++)
			g->core[*s] = true;
	}
	for (size_t s = 0; s < g->names.n; s++) {
		g->planned[s] = false;
		for (size_t k = 0; k < g->names.n && !g->planned[s]; k++) {
			g->planned[s] = g->core[k] && depend_runtime(g->depend, s, k) &&
			                graph_has_action(g, (int)s, STEP_CONFIGURE);
		}
	}
}

/* leaving_nodes is needed only if the action both adds and removes nodes. */
static void choose_leaving(struct graph *g)
{
	const struct plan_input *in = g->in;
	const unsigned moves = plan_moves(in->action);
	LOOM_CLEANUP(map_destroy) struct map *ids = map_create(NULL);
	for (size_t k = 0; in->leaving_nodes && k < in->leaving_nodes->n; k++)
		map_set(ids, in->leaving_nodes->v[k], g);
	for (size_t i = 0; i < in->n_nodes; i++) {
		const bool named = (moves & PLAN_NODES_COME) == 0 || map_get(ids, in->nodes[i].id);
		g->leaving_node[i] = (moves & PLAN_NODES_LEAVE) && g->planned_node[i] && named;
	}
}

void graph_choose(struct graph *g, const struct map *index)
{
	const struct plan_input *in = g->in;
	const bool configures =
		in->action == PLAN_CONFIGURE || in->action == PLAN_CONFIGURE_WITH_RESTART;
	LOOM_CLEANUP(map_destroy) struct map *ids = map_create(NULL);
	bool *changed = loom_calloc(g->names.n + 1, sizeof(*changed));
	g->planned = loom_calloc(g->names.n + 1, sizeof(*g->planned));
	g->core = loom_calloc(g->names.n + 1, sizeof(*g->core));
	g->planned_node = loom_calloc(in->n_nodes + 1, sizeof(*g->planned_node));
	g->leaving_node = loom_calloc(in->n_nodes + 1, sizeof(*g->leaving_node));
	mark(g, index, in->planned_services, g->core);
	mark(g, index, configures ? in->changed_services : NULL, changed);
	for (size_t s = 0; s < g->names.n; s++)
		g->core[s] = g->core[s] && changed[s];
	for (size_t k = 0; in->planned_nodes && k < in->planned_nodes->n; k++)
		map_set(ids, in->planned_nodes->v[k], g);
	for (size_t i = 0; i < in->n_nodes; i++)
		g->planned_node[i] = !in->planned_nodes || map_get(ids, in->nodes[i].id);
	choose_leaving(g);
	if (graph_is_resize(g))
		choose_resized(g);
	else
		expand(g);
	loom_free(changed);
}

/* ---- one service on one node ---------------------------------------------------------------- */

/* Creates the chain of steps of one service on a node (NOTHING: of the node itself). */
static void walk(struct graph *g, int node, int service, const enum plan_step *list, size_t n)
{
	const enum graph_state state =
		service == NOTHING ? GRAPH_UNKNOWN : graph_state_of(g, node, service);
	bool stops = false;
	bool missed_stop = false;
	int before = NOTHING;
	for (size_t i = 0; i < n; i++) {
		const bool hardware = plan_step_is_hardware(list[i]);
		if (!hardware && (service == NOTHING || !graph_has_action(g, service, list[i])))
			continue;
		if (list[i] == STEP_STOP && state == GRAPH_DOWN) {
			missed_stop = true;
			continue;
		}
		if (list[i] == STEP_START && state == GRAPH_RUNNING && !stops)
			continue;
		int t = graph_make_task(g, node, hardware ? NOTHING : service, list[i]);
		g->tasks[t].before = before;
		g->tasks[t].after_stop = missed_stop;
		missed_stop = false;
		stops |= list[i] == STEP_STOP;
		before = t;
	}
}

/* ---- what others need ----------------------------------------------------------------------- */

/* May a step be taken on a node for which it was not requested? */
static bool may_require(const struct graph *g, int node, int service, enum plan_step step)
{
	const enum graph_state state = graph_state_of(g, node, service);
	if (step == STEP_STOP)
		return state != GRAPH_DOWN;
	if (graph_is_resize(g))
		return !g->planned_node[node] && state == GRAPH_DOWN;
	return state != GRAPH_RUNNING;
}

static void require_for(struct graph *g, int service, enum plan_step step, enum depend_relation rel)
{
	/* with known states, a running service does not imply that its own dependencies run */
	struct depend_list l = depend_nearest(g->depend, rel, (size_t)service,
	                                      depend_acts(g->depend, rel), g->in->states != NULL);
	for (size_t k = 0; k < l.n; k++) {
		for (const int *node = g->nodes_with[l.v[k]]; *node != NOTHING; node++) {
			const int other = (int)l.v[k];
			if (graph_find_task(g, *node, other, step) != NOTHING ||
			    !may_require(g, *node, other, step))
				continue;
			const int made = graph_make_task(g, *node, other, step); /* may move them */
			g->tasks[made].required = true;
		}
	}
	loom_free(l.v);
}

/*
 * A service that starts needs its dependencies running, on whatever node; a service that stops
 * needs its dependents stopped. If the states are known, this also applies to the services that are
 * started or stopped for that reason.
 */
static void require_all(struct graph *g)
{
	bool *started = loom_calloc(g->names.n + 1, sizeof(*started));
	bool *stopped = loom_calloc(g->names.n + 1, sizeof(*stopped));
	const bool stops = g->in->action == PLAN_STOP;
	/* require_for() appends to the list */
	for (size_t t = 0; t < g->n; t++) {
		const struct graph_task *task = &g->tasks[t];
		const int s = task->service;
		const bool starts = task->step == STEP_START || task->step == STEP_INITIALIZE;
		if (s == NOTHING || (task->required && !g->in->states))
			continue;
		if (starts && !started[s]) {
			started[s] = true;
			require_for(g, s, STEP_START, DEPEND_RUNTIME);
		}
		if (stops && !stopped[s]) {
			stopped[s] = true;
			require_for(g, s, STEP_STOP, DEPEND_STOP);
		}
	}
	loom_free(started);
	loom_free(stopped);
}

/* ---- operations ----------------------------------------------------------------------------- */

static void walk_asked(struct graph *g)
{
	/* a node without services is also created and deleted */
	const bool bare = g->in->action == PLAN_CREATE || g->in->action == PLAN_DELETE;
	size_t n;
	const enum plan_step *list = plan_steps(g->in->action, &n);
	for (size_t i = 0; i < g->in->n_nodes; i++) {
		if (!g->planned_node[i])
			continue;
		if (bare)
			walk(g, (int)i, NOTHING, list, n);
		for (const int *s = g->on_node[i]; *s != NOTHING; s++) {
			if (g->core[*s])
				walk(g, (int)i, *s, list, n);
			else if (g->planned[*s])
				walk(g, (int)i, *s, restart, LOOM_COUNT(restart));
		}
	}
	if (g->in->action != PLAN_REMOVE_SERVICES)
		require_all(g);
}

/* Added nodes are made as in a create; on leaving nodes the services are stopped first. */
static void walk_moved(struct graph *g)
{
	static const enum plan_step drain[] = { STEP_STOP };
	static const enum plan_step last[] = { STEP_DELETE };
	size_t n;
	const enum plan_step *make = plan_steps(PLAN_CREATE, &n);
	for (size_t i = 0; i < g->in->n_nodes; i++) {
		const bool leaves = graph_is_leaving(g, (int)i);
		if (!g->planned_node[i])
			continue;
		for (const int *s = g->on_node[i]; *s != NOTHING; s++)
			walk(g, (int)i, *s, leaves ? drain : make, leaves ? 1 : n);
		walk(g, (int)i, NOTHING, leaves ? last : make, leaves ? 1 : n);
	}
}

static void walk_refreshed(struct graph *g)
{
	for (size_t i = 0; i < g->in->n_nodes; i++) {
		for (const int *s = g->on_node[i]; *s != NOTHING && !g->planned_node[i]; s++) {
			const bool restarts = graph_state_of(g, (int)i, *s) != GRAPH_DOWN &&
			                      graph_has_action(g, *s, STEP_STOP) &&
			                      graph_has_action(g, *s, STEP_START);
			if (!g->planned[*s])
				continue;
			int required = graph_find_task(g, (int)i, *s, STEP_START);
			walk(g, (int)i, *s, refresh, restarts ? LOOM_COUNT(refresh) : 1);
			if (required != NOTHING)
				g->tasks[required].before =
					graph_find_task(g, (int)i, *s, STEP_CONFIGURE);
		}
	}
}

void graph_walk(struct graph *g)
{
	if (graph_is_resize(g)) {
		walk_moved(g);
		require_all(g);
		walk_refreshed(g);
	} else {
		walk_asked(g);
	}
}
