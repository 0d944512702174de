/* SPDX-License-Identifier: Apache-2.0 */
/*
 * property_run - plans carried out task by task, by a machine that knows what must not happen; some
 * of them fail half way and are retried.
 */
#ifndef LOOM_TESTS_PROPERTY_RUN_H
#define LOOM_TESTS_PROPERTY_RUN_H

#include "services/scheduler/plan/retry.h"
#include "tests/unit/property_world.h"

/* ---- dependencies, once more ---------------------------------------------------------------- */

struct needs {
	unsigned direct[SERVICES], all[SERVICES];  /* at run time: what a service depends on */
	unsigned install[SERVICES], any[SERVICES]; /* through; any: in either way */
};

static void close_over(unsigned *all)
{
	for (int again = 0; again < SERVICES; again++) {
		for (int s = 0; s < SERVICES; s++) {
			for (int k = 0; k < SERVICES; k++)
				all[s] |= all[s] & (1u << k) ? all[k] : 0;
		}
	}
}

static struct needs find_needs(const struct farm *c, unsigned on)
{
	struct needs d = { 0 };
	for (int s = 0; s < SERVICES; s++) {
		const struct nature *n = &c->natures[s];
		if (!(on & (1u << s)))
			continue;
		d.direct[s] = n->runtime_requires | n->runtime_uses;
		for (int k = 0; k < SERVICES; k++)
			d.direct[s] |= k != s && c->natures[k].provides & n->needs ? 1u << k : 0;
		d.direct[s] &= on;
		d.all[s] = d.direct[s];
		d.install[s] = n->install_requires & on;
		d.any[s] = d.all[s] | d.install[s];
	}
	close_over(d.all);
	close_over(d.install);
	close_over(d.any);
	return d;
}

/* The nearest that s depends on which have a start action. */
static unsigned nearest(const struct farm *c, const struct needs *d, int s)
{
	unsigned found = 0;
	for (int k = 0; k < SERVICES; k++) {
		if (d->direct[s] & (1u << k))
			found |= c->natures[k].acts[STEP_START] ? 1u << k : nearest(c, d, k);
	}
	return found;
}

/* ---- planning ------------------------------------------------------------------------------- */

struct planned {
	enum plan_action action;
	struct farm c;  /* all machines and services, also those that come or go */
	unsigned moved; /* machines that come or go, or get services */
	unsigned services, changed;
	bool all_services, all_changed, all_nodes;
	struct plan *plan;
};

static const char *const state_names[] = { NULL, "installed", "running", "stopped" };

static void make_plan(struct planned *p)
{
	LOOM_CLEANUP(json_free) struct json *docs = services_of(&p->c);
	struct json *states[NODES] = { 0 };
	struct plan_node nodes[NODES];
	struct strs on[NODES] = { 0 };
	struct strs moved = { 0 };
	struct strs services = { 0 };
	struct strs changed = { 0 };
	char ids[NODES][8];
	struct loom_err err = { 0 };
	struct plan_input in = {
		.action = p->action,
		.nodes = nodes,
		.n_nodes = (size_t)p->c.n,
		.services = docs,
		.planned_services = p->all_services ? NULL : &services,
		.planned_nodes = p->all_nodes ? NULL : &moved,
		.changed_services = p->all_changed ? NULL : &changed,
		.states = (const struct json *const *)states,
		.groups = pick(2),
	};
	strs_of(p->services, &services);
	strs_of(p->changed, &changed);
	for (int i = 0; i < p->c.n; i++) {
		snprintf(ids[i], 8, "n%d", p->c.nodes[i].num);
		strs_of(p->c.nodes[i].on, &on[i]);
		nodes[i] = (struct plan_node){ ids[i], p->c.nodes[i].num, &on[i] };
		states[i] = json_new_obj();
		for (int s = 0; s < SERVICES; s++) {
			const char name[] = { (char)('a' + s), '\0' };
			json_set_str(states[i], name, state_names[p->c.states[i][s]]);
		}
		if (p->moved & (1u << i))
			strs_add(&moved, ids[i]);
	}
	check_that(!plan_make(&in, &p->plan, &err), "%s", err.msg);
	for (int i = 0; i < p->c.n; i++) {
		json_free(states[i]);
		strs_fini(&on[i]);
	}
	strs_fini(&moved);
	strs_fini(&services);
	strs_fini(&changed);
}

/* ---- carrying it out ------------------------------------------------------------------------ */

struct run {
	const struct planned *p;
	struct needs needs;
	enum state now[NODES][SERVICES];
	bool is_there[NODES];
	/* tasks that the plan has, and that are done, by step: masks of services */
	unsigned has[STEPS_][NODES], done[STEPS_][NODES];
};

static bool is_moved(const struct run *r, int node)
{
	return r->p->moved & (1u << node);
}

/* All tasks of a step and of these services, on machines that are moved (1), stay (0), or any (-1),
 * are done. */
static bool all_done(const struct run *r, enum plan_step step, unsigned services, int moved)
{
	for (int i = 0; i < r->p->c.n; i++) {
		if (moved >= 0 && is_moved(r, i) != moved)
			continue;
		if (r->has[step][i] & services & ~r->done[step][i])
			return false;
	}
	return true;
}

static unsigned users_of(const unsigned *needs, int s)
{
	unsigned users = 0;
	for (int k = 0; k < SERVICES; k++)
		users |= needs[k] & (1u << s) ? 1u << k : 0;
	return users;
}

/* Is this START the second half of a restart of a service on a machine that stays? */
static bool is_refresh(const struct run *r, int node, int s)
{
	const enum plan_action a = r->p->action;
	return (a == PLAN_EXPAND || a == PLAN_SHRINK) && !is_moved(r, node) &&
	       r->has[STEP_STOP][node] & (1u << s);
}

static void check_start(const struct run *r, int node, int s)
{
	const struct farm *c = &r->p->c;
	const unsigned parents = nearest(c, &r->needs, s);
	const bool refresh = is_refresh(r, node, s);
	check_that(r->now[node][s] != RUNNING, "%c runs on %d", 'a' + s, c->nodes[node].num);
	for (int i = 0; i < c->n; i++) {
		const unsigned wants = parents & c->nodes[i].on;
		for (int k = 0; k < SERVICES; k++) {
			/* what was down before is not the matter of a refresh */
			if (!(wants & (1u << k)) || (refresh && c->states[i][k] != RUNNING))
				continue;
			if (r->p->action == PLAN_SHRINK && is_moved(r, i))
				continue;
			check_that(r->now[i][k] == RUNNING, "%c starts on %d, %c is down on %d",
			           'a' + s, c->nodes[node].num, 'a' + k, c->nodes[i].num);
		}
	}
}

static void check_stop(const struct run *r, int node, int s)
{
	const bool resize = r->p->action == PLAN_EXPAND || r->p->action == PLAN_SHRINK;
	check_that(r->now[node][s] == RUNNING, "%c does not run on %d", 'a' + s,
	           r->p->c.nodes[node].num);
	check_that(
		all_done(r, STEP_STOP, users_of(r->needs.all, s), resize ? is_moved(r, node) : -1),
		"%c stops on %d before what uses it", 'a' + s, r->p->c.nodes[node].num);
}

static void check_configure(const struct run *r, int node, int s)
{
	const enum plan_action a = r->p->action;
	const unsigned needs = r->needs.all[s];
	if (r->p->c.natures[s].acts[STEP_INSTALL])
		check_that(r->now[node][s] != NONE, "%c is not installed", 'a' + s);
	if (is_moved(r, node))
		return;
	if (a == PLAN_EXPAND)
		check_that(all_done(r, STEP_START, needs, 1) &&
		                   all_done(r, STEP_CONFIGURE, needs, 1),
		           "%c is configured too early", 'a' + s);
	if (a == PLAN_SHRINK)
		check_that(all_done(r, STEP_STOP, needs, 1), "%c is configured too early", 'a' + s);
}

static void check_delete(const struct run *r, int node)
{
	const struct farm *c = &r->p->c;
	check_that(r->is_there[node] && is_moved(r, node), "node %d", c->nodes[node].num);
	if (r->p->action != PLAN_SHRINK)
		return;
	for (int s = 0; s < SERVICES; s++) {
		const unsigned users = users_of(r->needs.all, s);
		if (!(c->nodes[node].on & (1u << s)))
			continue;
		check_that(r->now[node][s] != RUNNING || !c->natures[s].acts[STEP_STOP],
		           "%c runs on node %d", 'a' + s, c->nodes[node].num);
		check_that(all_done(r, STEP_CONFIGURE, users, 0) &&
		                   all_done(r, STEP_START, users, 0),
		           "node %d goes before those that use it know", c->nodes[node].num);
	}
}

static void take_step(struct run *r, const struct plan_task *t)
{
	const int s = *t->service ? t->service[0] - 'a' : -1;
	const int node = t->node;
	enum state *now = s < 0 ? NULL : &r->now[node][s];
	check_that((t->step == STEP_CREATE) != r->is_there[node], "%s on node %d", t->name,
	           r->p->c.nodes[node].num);
	switch (t->step) {
	case STEP_CREATE:
		r->is_there[node] = true;
		break;
	case STEP_DELETE:
		check_delete(r, node);
		r->is_there[node] = false;
		break;
	case STEP_INSTALL:
		check_that(*now == NONE, "%c is installed", 'a' + s);
		check_that(all_done(r, STEP_INSTALL, r->needs.install[s], -1),
		           "%c is installed too early", 'a' + s);
		*now = INSTALLED;
		break;
	case STEP_REMOVE:
		check_that(*now != RUNNING || !r->p->c.natures[s].acts[STEP_STOP], "%c runs",
		           'a' + s);
		check_that(all_done(r, STEP_REMOVE, users_of(r->needs.any, s), -1) &&
		                   all_done(r, STEP_STOP, users_of(r->needs.all, s), -1),
		           "%c is removed before what uses it", 'a' + s);
		*now = NONE;
		break;
	case STEP_CONFIGURE:
		check_configure(r, node, s);
		*now = *now == NONE ? INSTALLED : *now;
		break;
	case STEP_START:
		check_start(r, node, s);
		*now = RUNNING;
		break;
	case STEP_STOP:
		check_stop(r, node, s);
		*now = STOPPED;
		break;
	case STEP_INITIALIZE:
	case STEP_CONFIRM:
	case STEP_BOOTSTRAP:
	case STEPS_:
		break;
	}
	if (s >= 0)
		r->done[t->step][node] |= 1u << s;
}

static bool all_of(const int *nums, size_t n, const bool *done)
{
	for (size_t k = 0; k < n; k++) {
		if (!done[nums[k] - 1])
			return false;
	}
	return true;
}

static bool is_ready(const struct plan *p, const struct plan_task *t, const bool *done)
{
	for (size_t k = 0; k < t->n_after_groups; k++) {
		const struct plan_group *g = &p->groups[t->after_groups[k]];
		if (!all_of(g->tasks, g->n_tasks, done))
			return false;
	}
	return !done[t->num - 1] && all_of(t->after, t->n_after, done);
}

static void check_stages(const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		for (size_t k = 0; k < t->n_after; k++)
			check_that(p->tasks[t->after[k] - 1].stage < t->stage, "stages");
		for (size_t k = 0; k < t->n_after_groups; k++) {
			const struct plan_group *g = &p->groups[t->after_groups[k]];
			for (size_t m = 0; m < g->n_tasks; m++)
				check_that(p->tasks[g->tasks[m] - 1].stage < t->stage, "stages");
		}
	}
}

/* Takes so many tasks one by one in a random order that keeps what they wait for. */
static void advance(struct run *r, const struct plan *p, size_t count, bool *done)
{
	while (count--) {
		const size_t start = (size_t)pick((int)p->n);
		size_t i = 0;
		while (i < p->n && !is_ready(p, &p->tasks[(start + i) % p->n], done))
			i++;
		check_that(i < p->n, "a circle");
		i = (start + i) % p->n;
		take_step(r, &p->tasks[i]);
		done[i] = true;
	}
}

/* As the database keeps them: by `to`. */
static struct task_edge *edges_of(const struct plan *p, size_t *ret_n)
{
	struct task_edge *edges = loom_calloc(p->n * p->n + 1, sizeof(*edges));
	bool *before = loom_calloc(p->n + 1, sizeof(*before));
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		memset(before, 0, p->n + 1);
		for (size_t k = 0; k < t->n_after; k++)
			before[t->after[k]] = true;
		for (size_t k = 0; k < t->n_after_groups; k++) {
			const struct plan_group *g = &p->groups[t->after_groups[k]];
			for (size_t m = 0; m < g->n_tasks; m++)
				before[g->tasks[m]] = true;
		}
		for (size_t from = 1; from <= p->n; from++) {
			if (before[from])
				edges[n++] = (struct task_edge){ (int64_t)from, t->num };
		}
	}
	loom_free(before);
	*ret_n = n;
	return edges;
}

/* What is left of a plan of which these tasks are done, for the same machines. */
static struct plan *left_of(const struct planned *p, const bool *done)
{
	const struct plan *plan = p->plan;
	struct node nodes[NODES] = { 0 };
	const struct nodes all = { nodes, (size_t)p->c.n };
	struct tasks tasks = { loom_calloc(plan->n + 1, sizeof(*tasks.v)), plan->n };
	struct retry_input in = { .tasks = &tasks, .nodes = &all };
	struct task_edge *edges = edges_of(plan, &in.n_edges);
	struct plan *left = NULL;
	struct loom_err err = { 0 };
	in.edges = edges;
	for (int i = 0; i < p->c.n; i++)
		snprintf(nodes[i].id, sizeof(nodes[i].id), "n%d", p->c.nodes[i].num);
	for (size_t i = 0; i < plan->n; i++) {
		const struct plan_task *t = &plan->tasks[i];
		tasks.v[i] = (struct task){ .cluster_id = 1,
			                    .job_num = 2,
			                    .num = t->num,
			                    .stage = t->stage,
			                    .service = t->service,
			                    .state = done[i]   ? TASK_COMPLETE
			                             : pick(2) ? TASK_DROPPED
			                                       : TASK_FAILED };
		snprintf(tasks.v[i].name, sizeof(tasks.v[i].name), "%s", t->name);
		snprintf(tasks.v[i].node_id, sizeof(tasks.v[i].node_id), "%s", nodes[t->node].id);
	}
	check_that(!retry_plan(&in, &left, &err), "%s", err.msg);
	loom_free(tasks.v);
	loom_free(edges);
	return left;
}

/* Sometimes it fails, once or again, and what is left is retried. */
static void carry_out(struct run *r, struct planned *p)
{
	const size_t n = p->plan->n;
	bool *done = loom_calloc(n + 1, sizeof(*done));
	size_t count = pick(3) ? n : (size_t)pick((int)n + 1);
	*r = (struct run){ .p = p, .needs = find_needs(&p->c, present(&p->c)) };
	memcpy(r->now, p->c.states, sizeof(r->now));
	for (int i = 0; i < p->c.n; i++)
		r->is_there[i] =
			!((p->action == PLAN_EXPAND || p->action == PLAN_CREATE) && is_moved(r, i));
	for (size_t i = 0; i < n; i++) {
		const struct plan_task *t = &p->plan->tasks[i];
		if (*t->service)
			r->has[t->step][t->node] |= 1u << (t->service[0] - 'a');
	}
	check_stages(p->plan);
	advance(r, p->plan, count, done);
	if (count < n) {
		struct plan *left = left_of(p, done);
		bool *then = loom_calloc(n + 1, sizeof(*then));
		check_that(left->n == n - count, "%zu tasks are left, not %zu", left->n, n - count);
		check_stages(left);
		advance(r, left, left->n, then);
		plan_free(left);
		loom_free(then);
	}
	loom_free(done);
}

#endif
