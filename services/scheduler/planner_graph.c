/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/planner_graph.h"

#include <stdlib.h>
#include <string.h>

/* Which step must be done before which, for services that depend on each other. */
static const struct {
	enum plan_step from, to;
	enum depend_relation rel;
} orders[] = {
	{ STEP_INSTALL, STEP_INSTALL, DEPEND_INSTALL },
	{ STEP_START, STEP_INITIALIZE, DEPEND_RUNTIME },
	{ STEP_START, STEP_START, DEPEND_RUNTIME },
	{ STEP_STOP, STEP_STOP, DEPEND_STOP },
};

/* ---- nodes and services --------------------------------------------------------------------- */

/* The index holds, for each name, its place in g->names. */
static int index_of(const struct graph *g, const struct map *index, const char *name)
{
	char *const *place = map_get(index, name);

	return place ? (int)(place - g->names.v) : NOTHING;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Collects the names of all services, sorted, and an index of them. */
static struct map *name_services(struct graph *g)
{
	struct map *index = map_create(NULL);

	for (size_t i = 0; i < g->in->n_nodes; i++) {
		const struct strs *list = g->in->nodes[i].services;

		for (size_t k = 0; list && k < list->n; k++) {
			if (!map_get(index, list->v[k])) {
				map_set(index, list->v[k], g);
				strs_add(&g->names, list->v[k]);
			}
		}
	}
	if (g->names.n)
		qsort(g->names.v, g->names.n, sizeof(*g->names.v), compare_names);
	for (size_t i = 0; i < g->names.n; i++)
		map_set(index, g->names.v[i], &g->names.v[i]);
	return index;
}

static int compare_ints(const void *a, const void *b)
{
	const int x = *(const int *)a;
	const int y = *(const int *)b;

	return (x > y) - (x < y);
}

static void place_services(struct graph *g, const struct map *index)
{
	int *count = loom_calloc(g->names.n + 1, sizeof(*count));

	g->on_node = loom_calloc(g->in->n_nodes + 1, sizeof(*g->on_node));
	g->nodes_with = loom_calloc(g->names.n + 1, sizeof(*g->nodes_with));
	for (size_t i = 0; i < g->in->n_nodes; i++) {
		const struct strs *list = g->in->nodes[i].services;
		const size_t n = list ? list->n : 0;
		int *on = loom_calloc(n + 1, sizeof(*on));
		size_t out = 0;

		for (size_t k = 0; k < n; k++)
			on[k] = index_of(g, index, list->v[k]);
		qsort(on, n, sizeof(*on), compare_ints);
		for (size_t k = 0; k < n; k++) {
			if (!out || on[out - 1] != on[k])
				on[out++] = on[k];
		}
		on[out] = NOTHING;
		for (size_t k = 0; k < out; k++)
			count[on[k]]++;
		g->on_node[i] = on;
	}
	for (size_t s = 0; s < g->names.n; s++) {
		g->nodes_with[s] = loom_calloc((size_t)count[s] + 1, sizeof(int));
		count[s] = 0;
	}
	for (size_t i = 0; i < g->in->n_nodes; i++) {
		for (const int *s = g->on_node[i]; *s != NOTHING; s++)
			g->nodes_with[*s][count[*s]++] = (int)i;
	}
	for (size_t s = 0; s < g->names.n; s++)
		g->nodes_with[s][count[s]] = NOTHING;
	loom_free(count);
}

static int compare_nodes(const void *a, const void *b, void *arg)
{
	const struct plan_node *nodes = ((const struct graph *)arg)->in->nodes;
	const int x = *(const int *)a;
	const int y = *(const int *)b;

	if (nodes[x].nodenum != nodes[y].nodenum)
		return nodes[x].nodenum < nodes[y].nodenum ? -1 : 1;
	return (x > y) - (x < y);
}

static void rank_nodes(struct graph *g)
{
	const size_t n = g->in->n_nodes;
	int *order = loom_calloc(n + 1, sizeof(*order));

	g->rank = loom_calloc(n + 1, sizeof(*g->rank));
	for (size_t i = 0; i < n; i++)
		order[i] = (int)i;
	qsort_r(order, n, sizeof(*order), compare_nodes, g);
	for (size_t i = 0; i < n; i++)
		g->rank[order[i]] = (int)i;
	loom_free(order);
}

/* ---- what is planned ------------------------------------------------------------------------ */

/* A service that starts needs those that it depends on; stopping one stops those that need it. */
static void expand(struct graph *g, const bool *asked)
{
	const bool up = g->in->action == PLAN_START;
	const bool down = g->in->action == PLAN_STOP || g->in->action == PLAN_RESTART;

	for (size_t a = 0; a < g->names.n; a++) {
		g->planned[a] = asked[a];
		for (size_t b = 0; b < g->names.n && !g->planned[a]; b++) {
			g->planned[a] = asked[b] && ((up && depend_runtime(g->depend, b, a)) ||
			                             (down && depend_runtime(g->depend, a, b)));
		}
	}
}

static void choose(struct graph *g, const struct map *index)
{
	const struct plan_input *in = g->in;
	bool *asked = loom_calloc(g->names.n + 1, sizeof(*asked));

	g->planned = loom_calloc(g->names.n + 1, sizeof(*g->planned));
	g->planned_node = loom_calloc(in->n_nodes + 1, sizeof(*g->planned_node));
	for (size_t s = 0; s < g->names.n; s++)
		asked[s] = !in->planned_services;
	for (size_t k = 0; in->planned_services && k < in->planned_services->n; k++) {
		const int s = index_of(g, index, in->planned_services->v[k]);

		if (s != NOTHING)
			asked[s] = true;
	}
	for (size_t i = 0; i < in->n_nodes; i++) {
		g->planned_node[i] =
			!in->planned_nodes || strs_has(in->planned_nodes, in->nodes[i].id);
	}
	expand(g, asked);
	loom_free(asked);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static int *slot_of(struct graph *g, int node, int service, enum plan_step step)
{
	size_t place = 0;

	if (service != NOTHING) {
		while (g->on_node[node][place] != service)
			place++;
		place++;
	}
	return &g->slots[g->slot_base[node] + place * STEPS_ + step];
}

static void make_slots(struct graph *g)
{
	const size_t n = g->in->n_nodes;

	g->slot_base = loom_calloc(n + 1, sizeof(*g->slot_base));
	for (size_t i = 0; i < n; i++) {
		size_t places = 1;

		for (const int *s = g->on_node[i]; *s != NOTHING; s++)
			places++;
		g->slot_base[i + 1] = g->slot_base[i] + places * STEPS_;
	}
	g->slots = loom_malloc((g->slot_base[n] + 1) * sizeof(*g->slots));
	memset(g->slots, 0xff, (g->slot_base[n] + 1) * sizeof(*g->slots)); /* NOTHING */
}

static int task_at(struct graph *g, int node, int service, enum plan_step step)
{
	int *slot = slot_of(g, node, service, step);

	if (*slot != NOTHING)
		return *slot;
	if (g->n == g->cap) {
		g->cap = g->cap ? 2 * g->cap : 256;
		g->tasks = loom_realloc(g->tasks, g->cap * sizeof(*g->tasks));
	}
	*slot = (int)g->n;
	g->tasks[g->n++] = (struct graph_task){
		.node = node,
		.service = service,
		.step = step,
		.before = NOTHING,
		.waits = NOTHING,
		.group = NOTHING,
	};
	return *slot;
}

/* ---- dependencies between services ---------------------------------------------------------- */

/* The group of all nodes' (step, service); its tasks come to be if they are not there. */
static int group_at(struct graph *g, int service, enum plan_step step)
{
	int *of = &g->group_of[service * STEPS_ + (int)step];
	struct graph_group *gr;
	size_t n = 0;

	if (*of != NOTHING)
		return *of;
	*of = (int)g->n_groups;
	gr = &g->groups[g->n_groups++];
	while (g->nodes_with[service][n] != NOTHING)
		n++;
	*gr = (struct graph_group){ .step = step, .service = service };
	gr->tasks = loom_calloc(n + 1, sizeof(*gr->tasks));
	for (gr->n = 0; gr->n < n; gr->n++) {
		const int t = task_at(g, g->nodes_with[service][gr->n], service, step);

		gr->tasks[gr->n] = t;
		g->tasks[t].group = *of;
	}
	return *of;
}

/* What (step, service) waits for, as an index into g->waits. */
static int waits_at(struct graph *g, int service, enum plan_step step)
{
	int *of = &g->waits_of[service * STEPS_ + (int)step];
	struct graph_waits *w = &g->waits[g->n_waits];

	if (*of != NOTHING)
		return *of;
	for (size_t o = 0; o < LOOM_COUNT(orders); o++) {
		struct depend_list l;

		if (orders[o].to != step)
			continue;
		l = depend_on(g->depend, orders[o].rel, (size_t)service);
		w->groups = loom_realloc(w->groups, (w->n + l.n + 1) * sizeof(*w->groups));
		for (size_t k = 0; k < l.n; k++) {
			/* what is not being installed now is installed already */
			if (orders[o].rel == DEPEND_INSTALL && !g->planned[l.v[k]])
				continue;
			w->groups[w->n++] = group_at(g, (int)l.v[k], orders[o].from);
		}
	}
	*of = (int)g->n_waits++;
	return *of;
}

/* ---- walking -------------------------------------------------------------------------------- */

/* The steps of one service on one node (NOTHING: of the node alone), one after the other. */
static void walk(struct graph *g, int node, int service)
{
	size_t n;
	const enum plan_step *list = plan_steps(g->in->action, &n);
	int before = NOTHING;

	for (size_t i = 0; i < n; i++) {
		const bool hardware = plan_step_is_hardware(list[i]);
		int t;

		if (!hardware &&
		    (service == NOTHING ||
		     !depend_has_action(g->depend, (size_t)service, plan_step_action(list[i]))))
			continue;
		t = task_at(g, node, hardware ? NOTHING : service, list[i]);
		g->tasks[t].before = before;
		if (!hardware) {
			const int waits = waits_at(g, service, list[i]);

			g->tasks[t].waits = waits;
		}
		before = t;
	}
}

static void walk_all(struct graph *g)
{
	/* a machine without services is made and deleted, too */
	const bool bare = g->in->action == PLAN_CREATE || g->in->action == PLAN_DELETE;

	for (size_t i = 0; i < g->in->n_nodes; i++) {
		if (!g->planned_node[i])
			continue;
		if (bare)
			walk(g, (int)i, NOTHING);
		for (const int *s = g->on_node[i]; *s != NOTHING; s++) {
			if (g->planned[*s])
				walk(g, (int)i, *s);
		}
	}
}

/* ---- checks --------------------------------------------------------------------------------- */

static int check_defined(const struct graph *g, const struct map *docs, struct loom_err *err)
{
	size_t n;
	const enum plan_step *list = plan_steps(g->in->action, &n);
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= !plan_step_is_hardware(list[i]);
	for (size_t s = 0; any && s < g->names.n; s++) {
		if (!map_get(docs, g->names.v[s]))
			return err_set(err, 400, "service %s has no definition", g->names.v[s]);
	}
	return 0;
}

/* Only services that take a step which waits for others can be in the way. */
static int check_circles(struct graph *g, struct loom_err *err)
{
	size_t n;
	const enum plan_step *list = plan_steps(g->in->action, &n);
	bool *start = loom_calloc(g->names.n + 1, sizeof(*start));
	int r = 0;

	for (size_t o = 0; o < LOOM_COUNT(orders) && !r; o++) {
		bool taken = false;

		for (size_t i = 0; i < n; i++)
			taken |= list[i] == orders[o].to;
		for (size_t s = 0; s < g->names.n; s++) {
			start[s] = g->planned[s] &&
			           depend_has_action(g->depend, s, plan_step_action(orders[o].to));
		}
		if (taken)
			r = depend_check(g->depend, orders[o].rel, start, err);
	}
	loom_free(start);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void make_tables(struct graph *g)
{
	const size_t pairs = (g->names.n + 1) * STEPS_;

	g->groups = loom_calloc(pairs, sizeof(*g->groups));
	g->waits = loom_calloc(pairs, sizeof(*g->waits));
	g->group_of = loom_malloc(pairs * sizeof(*g->group_of));
	g->waits_of = loom_malloc(pairs * sizeof(*g->waits_of));
	memset(g->group_of, 0xff, pairs * sizeof(*g->group_of));
	memset(g->waits_of, 0xff, pairs * sizeof(*g->waits_of));
}

int graph_build(struct graph *g, const struct plan_input *in, struct loom_err *err)
{
	LOOM_CLEANUP(map_destroy) struct map *docs = service_map(in->services);
	LOOM_CLEANUP(map_destroy) struct map *index = NULL;
	int r;

	*g = (struct graph){ .in = in };
	index = name_services(g);
	place_services(g, index);
	rank_nodes(g);
	g->depend = depend_create(&g->names, docs);
	choose(g, index);
	make_slots(g);
	make_tables(g);
	r = check_defined(g, docs, err);
	if (!r)
		r = check_circles(g, err);
	if (!r)
		walk_all(g);
	return r;
}

void graph_fini(struct graph *g)
{
	for (size_t i = 0; i < g->in->n_nodes; i++)
		loom_free(g->on_node[i]);
	for (size_t s = 0; s < g->names.n; s++)
		loom_free(g->nodes_with[s]);
	for (size_t i = 0; i < g->n_groups; i++)
		loom_free(g->groups[i].tasks);
	for (size_t i = 0; i < g->n_waits; i++)
		loom_free(g->waits[i].groups);
	loom_free(g->on_node);
	loom_free(g->nodes_with);
	loom_free(g->rank);
	loom_free(g->planned);
	loom_free(g->planned_node);
	loom_free(g->slots);
	loom_free(g->slot_base);
	loom_free(g->tasks);
	loom_free(g->groups);
	loom_free(g->group_of);
	loom_free(g->waits);
	loom_free(g->waits_of);
	depend_destroy(g->depend);
	strs_fini(&g->names);
}
