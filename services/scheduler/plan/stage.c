/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns the graph into a plan: levels, stages, numbers, edges.
 * Linear in tasks and waits, because a group stands for all edges between two sets of tasks.
 */
#include "services/scheduler/plan/graph.h"

#include "common/base/compare.h"

#include <stdlib.h>
#include <string.h>

/* ---- levels --------------------------------------------------------------------------------- */

/* Lists of tasks, one per key. */
struct lists {
	int *v;
	size_t *first;
};

/* Groups tasks by key(task); tasks with key NOTHING are left out. */
static struct lists list_tasks(const struct graph *g, size_t keys,
                               int (*key)(const struct graph_task *t))
{
	struct lists l = {
		.v = loom_calloc(g->n + 1, sizeof(*l.v)),
		.first = loom_calloc(keys + 2, sizeof(*l.first)),
	};
	for (size_t t = 0; t < g->n; t++) {
		if (key(&g->tasks[t]) != NOTHING)
			l.first[key(&g->tasks[t]) + 2]++;
	}
	for (size_t k = 0; k < keys; k++)
		l.first[k + 2] += l.first[k + 1];
	for (size_t t = 0; t < g->n; t++) {
		if (key(&g->tasks[t]) != NOTHING)
			l.v[l.first[key(&g->tasks[t]) + 1]++] = (int)t;
	}
	return l;
}

static void lists_fini(struct lists *l)
{
	loom_free(l->v);
	loom_free(l->first);
}

static int key_before(const struct graph_task *t)
{
	return t->before;
}

static int key_waits(const struct graph_task *t)
{
	return t->waits;
}

struct levels {
	const struct graph *g;
	int *level;   /* of each task, from 0 */
	int *open;    /* by task: number of waits still open */
	size_t *left; /* by group: tasks not done yet */
	int *next;    /* queue of tasks without open waits */
	size_t n_next;
	struct lists after, waiting; /* successors of a task; tasks that share a wait */
	struct lists waits_on;       /* waits (not tasks) that contain a group */
	struct lists groups_of;      /* groups that contain a task */
};

static void arrive(struct levels *l, int task, int level)
{
	if (l->level[task] < level)
		l->level[task] = level;
	if (!--l->open[task])
		l->next[l->n_next++] = task;
}

/* The whole group is done: release every task that waits for it. */
static void group_done(struct levels *l, int group, int level)
{
	const struct lists *w = &l->waits_on;
	for (size_t i = w->first[group]; i < w->first[group + 1]; i++) {
		const int waits = w->v[i];
		for (size_t k = l->waiting.first[waits]; k < l->waiting.first[waits + 1]; k++)
			arrive(l, l->waiting.v[k], level);
	}
}

static struct lists list_waits(const struct graph *g)
{
	struct lists l = { .first = loom_calloc(g->n_groups + 2, sizeof(*l.first)) };
	size_t total = 0;
	for (size_t w = 0; w < g->n_waits; w++) {
		total += g->waits[w].n;
		for (size_t i = 0; i < g->waits[w].n; i++)
			l.first[g->waits[w].groups[i] + 2]++;
	}
	for (size_t k = 0; k < g->n_groups; k++)
		l.first[k + 2] += l.first[k + 1];
	l.v = loom_calloc(total + 1, sizeof(*l.v));
	for (size_t w = 0; w < g->n_waits; w++) {
		for (size_t i = 0; i < g->waits[w].n; i++)
			l.v[l.first[g->waits[w].groups[i] + 1]++] = (int)w;
	}
	return l;
}

static struct lists list_groups(const struct graph *g)
{
	struct lists l = { .first = loom_calloc(g->n + 2, sizeof(*l.first)) };
	size_t total = 0;
	for (size_t k = 0; k < g->n_groups; k++) {
		total += g->groups[k].n;
		for (size_t i = 0; i < g->groups[k].n; i++)
			l.first[g->groups[k].tasks[i] + 2]++;
	}
	for (size_t t = 0; t < g->n; t++)
		l.first[t + 2] += l.first[t + 1];
	l.v = loom_calloc(total + 1, sizeof(*l.v));
	for (size_t k = 0; k < g->n_groups; k++) {
		for (size_t i = 0; i < g->groups[k].n; i++)
			l.v[l.first[g->groups[k].tasks[i] + 1]++] = (int)k;
	}
	return l;
}

/* The levels of all tasks: 0, or one more than the highest level it waits for. Owned. */
static int *find_levels(const struct graph *g)
{
	struct levels l = {
		.g = g,
		.level = loom_calloc(g->n + 1, sizeof(*l.level)),
		.open = loom_calloc(g->n + 1, sizeof(*l.open)),
		.next = loom_calloc(g->n + 1, sizeof(*l.next)),
		.left = loom_calloc(g->n_groups + 1, sizeof(*l.left)),
		.after = list_tasks(g, g->n, key_before),
		.waiting = list_tasks(g, g->n_waits, key_waits),
		.waits_on = list_waits(g),
		.groups_of = list_groups(g),
	};
	for (size_t k = 0; k < g->n_groups; k++)
		l.left[k] = g->groups[k].n;
	for (size_t t = 0; t < g->n; t++) {
		const struct graph_task *task = &g->tasks[t];
		l.open[t] = (task->before != NOTHING) +
		            (task->waits != NOTHING ? (int)g->waits[task->waits].n : 0);
		if (!l.open[t])
			l.next[l.n_next++] = (int)t;
	}
	/* the last task of a group to leave the queue has the group's highest level */
	for (size_t i = 0; i < l.n_next; i++) {
		const int t = l.next[i];
		for (size_t k = l.after.first[t]; k < l.after.first[t + 1]; k++)
			arrive(&l, l.after.v[k], l.level[t] + 1);
		for (size_t k = l.groups_of.first[t]; k < l.groups_of.first[t + 1]; k++) {
			if (!--l.left[l.groups_of.v[k]])
				group_done(&l, l.groups_of.v[k], l.level[t] + 1);
		}
	}
	loom_assert(l.n_next == g->n); /* graph_check_circles() refused cycles */
	loom_free(l.open);
	loom_free(l.next);
	loom_free(l.left);
	lists_fini(&l.after);
	lists_fini(&l.waiting);
	lists_fini(&l.waits_on);
	lists_fini(&l.groups_of);
	return l.level;
}

/* ---- stages --------------------------------------------------------------------------------- */

struct placed {
	int task, level, rank, order, service, stage;
};

static int compare_by_node(const void *a, const void *b)
{
	const struct placed *x = a;
	const struct placed *y = b;
	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->service > y->service) - (x->service < y->service);
}

static int compare_by_stage(const void *a, const void *b)
{
	const struct placed *x = a;
	const struct placed *y = b;
	if (x->stage != y->stage)
		return x->stage < y->stage ? -1 : 1;
	return (x->rank > y->rank) - (x->rank < y->rank);
}

static int order_of(enum plan_action action, enum plan_step step)
{
	size_t n;
	const enum plan_step *list = plan_steps(action, &n);
	for (size_t i = 0; i < n; i++) {
		if (list[i] == step)
			return (int)i;
	}
	return (int)n;
}

/* All tasks with their stages, in the order of their numbers. Owned. */
static struct placed *place_tasks(const struct graph *g, int *ret_stages)
{
	struct placed *all = loom_calloc(g->n + 1, sizeof(*all));
	int *level = find_levels(g);
	int base = 0; /* first stage of the level */
	int most = 0; /* stages that the level needs */
	int nth = 0;  /* position among the tasks of this node in this level */

	for (size_t t = 0; t < g->n; t++) {
		const struct graph_task *task = &g->tasks[t];
		all[t] = (struct placed){
			.task = (int)t,
			.level = level[t],
			.rank = g->rank[task->node],
			.order = order_of(g->in->action, task->step),
			.service = task->service,
		};
	}
	qsort(all, g->n, sizeof(*all), compare_by_node);
	for (size_t i = 0; i < g->n; i++) {
		const bool new_level = i && all[i].level != all[i - 1].level;
		nth = i && !new_level && all[i].rank == all[i - 1].rank ? nth + 1 : 0;
		base += new_level ? most : 0;
		most = new_level || nth + 1 > most ? nth + 1 : most;
		all[i].stage = base + nth;
	}
	qsort(all, g->n, sizeof(*all), compare_by_stage);
	*ret_stages = base + most;
	loom_free(level);
	return all;
}

/* ---- the plan ------------------------------------------------------------------------------- */

/* How the groups of the graph appear in the plan. */
struct numbered {
	int **numbers; /* group -> numbers of its tasks, ascending */
	int *place;    /* group -> index in the plan, or NOTHING: edges instead */
	size_t n_kept;
};

/* group -> numbers of its tasks, ascending; num: of each task of the graph */
static int **number_groups(const struct graph *g, const int *num)
{
	int **numbers = loom_calloc(g->n_groups + 1, sizeof(*numbers));
	for (size_t k = 0; k < g->n_groups; k++) {
		const struct graph_group *gr = &g->groups[k];
		numbers[k] = loom_calloc(gr->n + 1, sizeof(**numbers));
		for (size_t i = 0; i < gr->n; i++)
			numbers[k][i] = num[gr->tasks[i]];
		qsort(numbers[k], gr->n, sizeof(**numbers), compare_ints);
	}
	return numbers;
}

/* Maps each group to its place in the plan, or to NOTHING if edges from each of its tasks replace
 * it because they are few. Owned. */
static int *keep_groups(const struct graph *g, size_t *ret_n)
{
	int *place = loom_calloc(g->n_groups + 1, sizeof(*place));
	size_t *waiting = loom_calloc(g->n_groups + 1, sizeof(*waiting));
	for (size_t t = 0; t < g->n; t++) {
		const struct graph_waits *w =
			g->tasks[t].waits == NOTHING ? NULL : &g->waits[g->tasks[t].waits];
		for (size_t i = 0; w && i < w->n; i++)
			waiting[w->groups[i]]++;
	}
	*ret_n = 0;
	for (size_t k = 0; k < g->n_groups; k++) {
		const size_t m = g->groups[k].n;
		const bool kept = g->in->groups && m * waiting[k] > 2 * (m + waiting[k]);
		place[k] = kept ? (int)(*ret_n)++ : NOTHING;
	}
	loom_free(waiting);
	return place;
}

/* Inserts a number into an ascending list that has room for it. */
static void put_in_order(struct plan_task *out, int number)
{
	size_t at = 0;
	while (at < out->n_after && out->after[at] < number)
		at++;
	memmove(out->after + at + 1, out->after + at, (out->n_after - at) * sizeof(*out->after));
	out->after[at] = number;
	out->n_after++;
}

static void fill_after(const struct graph *g, const struct graph_task *task, const int *num,
                       const struct numbered *nd, struct plan_task *out)
{
	static const struct graph_waits none = { 0 };
	const struct graph_waits *w = task->waits == NOTHING ? &none : &g->waits[task->waits];
	size_t n = task->before != NOTHING, n_groups = 0;
	for (size_t i = 0; i < w->n; i++) {
		if (nd->place[w->groups[i]] == NOTHING)
			n += g->groups[w->groups[i]].n;
		else
			n_groups++;
	}
	out->after = loom_calloc(n + 1, sizeof(*out->after));
	out->after_groups = n_groups ? loom_calloc(n_groups, sizeof(*out->after_groups)) : NULL;
	for (size_t i = 0; i < w->n; i++) {
		const int k = w->groups[i];
		if (nd->place[k] != NOTHING) {
			loom_assert(out->after_groups);
			out->after_groups[out->n_after_groups++] = nd->place[k];
			continue;
		}
		memcpy(out->after + out->n_after, nd->numbers[k],
		       g->groups[k].n * sizeof(*out->after));
		out->n_after += g->groups[k].n;
	}
	if (w->n > 1 && out->n_after)
		qsort(out->after, out->n_after, sizeof(*out->after), compare_ints);
	if (out->n_after_groups > 1)
		qsort(out->after_groups, out->n_after_groups, sizeof(*out->after_groups),
		      compare_ints);
	if (task->before != NOTHING)
		put_in_order(out, num[task->before]);
}

static const char *name_of(const struct graph *g, int service)
{
	return service == NOTHING ? "" : g->names.v[service];
}

static void fill_groups(const struct graph *g, struct numbered *nd, struct plan *p)
{
	p->groups = loom_calloc(nd->n_kept + 1, sizeof(*p->groups));
	for (size_t k = 0; k < g->n_groups; k++) {
		const struct graph_group *gr = &g->groups[k];
		if (nd->place[k] == NOTHING)
			continue;
		p->groups[p->n_groups++] = (struct plan_group){
			.step = gr->step,
			.service = loom_strdup(name_of(g, gr->service)),
			.tasks = loom_take(nd->numbers[k]),
			.n_tasks = gr->n,
		};
	}
}

static struct plan *make_plan(const struct graph *g)
{
	struct plan *p = loom_calloc(1, sizeof(*p));
	struct placed *all = place_tasks(g, &p->stages);
	int *num = loom_calloc(g->n + 1, sizeof(*num));
	struct numbered nd = { .place = NULL };
	for (size_t i = 0; i < g->n; i++)
		num[all[i].task] = (int)i + 1;
	nd.numbers = number_groups(g, num);
	nd.place = keep_groups(g, &nd.n_kept);
	p->tasks = loom_calloc(g->n + 1, sizeof(*p->tasks));
	for (; p->n < g->n; p->n++) {
		const struct graph_task *task = &g->tasks[all[p->n].task];
		p->tasks[p->n] = (struct plan_task){
			.num = (int)p->n + 1,
			.node = task->node,
			.stage = all[p->n].stage,
			.step = task->step,
			.name = plan_step_name(task->step),
			.service = loom_strdup(name_of(g, task->service)),
		};
		fill_after(g, task, num, &nd, &p->tasks[p->n]);
	}
	fill_groups(g, &nd, p);
	for (size_t k = 0; k < g->n_groups; k++)
		loom_free(nd.numbers[k]);
	loom_free(nd.numbers);
	loom_free(nd.place);
	loom_free(num);
	loom_free(all);
	return p;
}

int plan_make(const struct plan_input *in, struct plan **ret, struct loom_err *err)
{
	struct graph g;
	int rc = graph_build(&g, in, err);
	if (!rc)
		*ret = make_plan(&g);
	graph_fini(&g);
	return rc;
}
