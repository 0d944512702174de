/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lays out the nodes, services and task slots that the passes of the planner fill.
 * From here on everything is an index: names are looked up only once.
 */
#include "services/scheduler/plan/graph.h"

#include "common/base/compare.h"

#include <stdlib.h>
#include <string.h>

/* ---- nodes and services --------------------------------------------------------------------- */

/* The index maps each name to its place in g->names. */
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

/* ---- tasks ---------------------------------------------------------------------------------- */

/* A node's slots: one row of steps for itself, then one for each of its services, by index. */
static int *slot_of(const struct graph *g, int node, int service, enum plan_step step)
{
	const int *on = g->on_node[node];
	size_t low = 0;
	size_t high = (g->slot_base[node + 1] - g->slot_base[node]) / STEPS_ - 1;
	if (service == NOTHING)
		return &g->slots[g->slot_base[node] + step];
	while (on[low] != service) {
		const size_t middle = low + (high - low) / 2;
		if (on[middle] <= service)
			low = middle;
		else
			high = middle;
	}
	return &g->slots[g->slot_base[node] + (low + 1) * STEPS_ + step];
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

int graph_find_task(const struct graph *g, int node, int service, enum plan_step step)
{
	return *slot_of(g, node, service, step);
}

int graph_make_task(struct graph *g, int node, int service, enum plan_step step)
{
	int *slot = slot_of(g, node, service, step);
	if (*slot != NOTHING)
		return *slot;
	g->tasks = LOOM_GROW(g->tasks, g->n);
	*slot = (int)g->n;
	g->tasks[g->n++] = (struct graph_task){
		.node = node,
		.service = service,
		.step = step,
		.before = NOTHING,
		.waits = NOTHING,
	};
	return *slot;
}

/* ---- facts ---------------------------------------------------------------------------------- */

bool graph_has_action(const struct graph *g, int service, enum plan_step step)
{
	return g->has[service * STEPS_ + (int)step];
}

static void read_actions(struct graph *g)
{
	g->has = loom_calloc((g->names.n + 1) * STEPS_, sizeof(*g->has));
	for (size_t s = 0; s < g->names.n; s++) {
		for (int step = 0; step < STEPS_; step++) {
			g->has[s * STEPS_ + (size_t)step] = depend_has_action(
				g->depend, s, plan_step_action((enum plan_step)step));
		}
	}
}

enum graph_state graph_state_of(const struct graph *g, int node, int service)
{
	const struct json *states = g->in->states ? g->in->states[node] : NULL;
	const char *state = json_get_str(states, g->names.v[service]);
	if (str_eq(state, "running"))
		return GRAPH_RUNNING;
	return str_eq(state, "installed") || str_eq(state, "stopped") ? GRAPH_DOWN : GRAPH_UNKNOWN;
}

bool graph_is_resize(const struct graph *g)
{
	return plan_moves(g->in->action) != PLAN_NODES_STAY;
}

bool graph_is_coming(const struct graph *g, int node)
{
	return graph_is_resize(g) && g->planned_node[node] && !g->leaving_node[node];
}

bool graph_is_leaving(const struct graph *g, int node)
{
	return g->leaving_node[node];
}

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

/* ---- all of it ------------------------------------------------------------------------------ */

int graph_build(struct graph *g, const struct plan_input *in, struct loom_err *err)
{
	LOOM_CLEANUP(map_destroy) struct map *docs = service_doc_map(in->services);
	LOOM_CLEANUP(map_destroy) struct map *index = NULL;
	*g = (struct graph){ .in = in };
	index = name_services(g);
	place_services(g, index);
	rank_nodes(g);
	g->depend = depend_create(&g->names, docs);
	read_actions(g);
	graph_choose(g, index);
	make_slots(g);
	int rc = check_defined(g, docs, err);
	if (!rc)
		rc = graph_check_circles(g, err);
	if (!rc) {
		graph_walk(g);
		graph_wait(g);
	}
	return rc;
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
	loom_free(g->has);
	loom_free(g->planned);
	loom_free(g->core);
	loom_free(g->planned_node);
	loom_free(g->leaving_node);
	loom_free(g->slots);
	loom_free(g->slot_base);
	loom_free(g->tasks);
	loom_free(g->groups);
	loom_free(g->present);
	loom_free(g->group_of);
	loom_free(g->waits);
	depend_destroy(g->depend);
	strs_fini(&g->names);
}
