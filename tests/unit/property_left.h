/* SPDX-License-Identifier: Apache-2.0 */
/* property_left - what a plan that was carried out must have left, and the runs of plans. */
#ifndef LOOM_TESTS_PROPERTY_LEFT_H
#define LOOM_TESTS_PROPERTY_LEFT_H

#include "tests/unit/property_run.h"

/* Does the operation bring a service up on a machine, or take it down, or is it left as it was? */
static enum state wanted(const struct run *r, int node, int s)
{
	const struct planned *p = r->p;
	const bool starts = p->c.natures[s].acts[STEP_START];
	const bool stops = p->c.natures[s].acts[STEP_STOP];
	const enum state was = p->c.states[node][s];
	unsigned core = p->all_services ? present(&p->c) : p->services;
	bool in = false;
	if (p->action == PLAN_CONFIGURE_WITH_RESTART)
		core &= p->all_changed ? core : p->changed;
	in = core & (1u << s) || core & r->needs.all[s];
	switch (p->action) {
	case PLAN_CREATE:
	case PLAN_EXPAND:
	case PLAN_ADD_SERVICES:
		if (was != NONE)
			return was;
		return starts ? RUNNING : INSTALLED;
	case PLAN_REMOVE_SERVICES:
		return core & (1u << s) ? NONE : was;
	case PLAN_START:
		in = core & (1u << s) || users_of(r->needs.all, s) & core;
		return in && starts ? RUNNING : was;
	case PLAN_STOP:
		return in && stops && was == RUNNING ? STOPPED : was;
	case PLAN_RESTART:
	case PLAN_CONFIGURE_WITH_RESTART:
		return in && starts ? RUNNING : was;
	case PLAN_SHRINK:
	case PLAN_REPLACE:
	case PLAN_CONFIGURE:
	case PLAN_DELETE:
	case PLAN_SOLVE_LAYOUT:
	case PLAN_ACTIONS_:
		break;
	}
	return was;
}

/* Something that was started depends on it: then it was down and was started along. */
static bool was_needed(const struct run *r, int s)
{
	unsigned started = 0;
	for (int i = 0; i < r->p->c.n; i++)
		started |= r->has[STEP_START][i] | r->has[STEP_INITIALIZE][i];
	return started & users_of(r->needs.all, s);
}

static void check_left(struct run *r)
{
	const struct planned *p = r->p;
	for (int i = 0; i < p->c.n; i++) {
		const bool gone =
			(p->action == PLAN_SHRINK || p->action == PLAN_DELETE) && is_moved(r, i);
		check_that(r->is_there[i] != gone, "node %d", p->c.nodes[i].num);
		for (int s = 0; s < SERVICES && !gone; s++) {
			enum state want = wanted(r, i, s);
			if (!(p->c.nodes[i].on & (1u << s)))
				continue;
			/* without an action for it, there is no task */
			if (r->now[i][s] == NONE && want != NONE)
				r->now[i][s] = INSTALLED;
			if (want == NONE)
				r->now[i][s] = NONE;
			if (r->now[i][s] == RUNNING && want != RUNNING && was_needed(r, s))
				want = RUNNING;
			check_that(r->now[i][s] == want, "%s: %c on %d is %s, not %s",
			           plan_action_name(p->action), 'a' + s, p->c.nodes[i].num,
			           state_names[r->now[i][s]], state_names[want]);
		}
	}
}

/* Exactly those are configured that should be. */
static void check_configured(const struct run *r)
{
	const struct planned *p = r->p;
	const unsigned core = p->all_services ? present(&p->c) : p->services;
	unsigned moved = 0;
	for (int i = 0; i < p->c.n; i++)
		moved |= is_moved(r, i) ? p->c.nodes[i].on : 0;
	for (int i = 0; i < p->c.n; i++) {
		for (int s = 0; s < SERVICES; s++) {
			const bool fresh = p->c.states[i][s] == NONE;
			bool want = false;
			if (p->action == PLAN_EXPAND || p->action == PLAN_SHRINK)
				want = is_moved(r, i) ? p->action == PLAN_EXPAND
				                      : (r->needs.all[s] & moved) != 0;
			else if (p->action == PLAN_CREATE || p->action == PLAN_ADD_SERVICES)
				want = fresh;
			else if (p->action == PLAN_CONFIGURE ||
			         p->action == PLAN_CONFIGURE_WITH_RESTART)
				want = core & (p->all_changed ? core : p->changed) & (1u << s);
			want = want && p->c.nodes[i].on & (1u << s) &&
			       p->c.natures[s].acts[STEP_CONFIGURE];
			check_that(want == ((r->done[STEP_CONFIGURE][i] >> s) & 1),
			           "%s: %c on node %d", plan_action_name(p->action), 'a' + s,
			           p->c.nodes[i].num);
		}
	}
}

/* For one seed, what is planned is shown: services with their states, tasks with their edges. */
static void show(const struct planned *p)
{
	fprintf(stderr, "%s, services %x, changed %x, moved %x\n", plan_action_name(p->action),
	        p->services, p->changed, p->moved);
	for (int i = 0; i < p->c.n; i++) {
		fprintf(stderr, "node %d:", p->c.nodes[i].num);
		for (int s = 0; s < SERVICES; s++) {
			if (p->c.nodes[i].on & (1u << s))
				fprintf(stderr, " %c%c", 'a' + s, "?.+-"[p->c.states[i][s]]);
		}
		fputc('\n', stderr);
	}
	for (size_t i = 0; i < p->plan->n; i++) {
		const struct plan_task *t = &p->plan->tasks[i];
		fprintf(stderr, "  %d %s %s @%d after", t->num, t->name, t->service,
		        p->c.nodes[t->node].num);
		for (size_t k = 0; k < t->n_after; k++)
			fprintf(stderr, " %d", t->after[k]);
		fputc('\n', stderr);
	}
}

/* Plans, carries out, checks; c becomes what is left (of the machines that it has). */
static void run_plan(struct planned *p, struct farm *c)
{
	struct run r;
	make_plan(p);
	if (getenv("LOOM_SEED"))
		show(p);
	carry_out(&r, p);
	check_left(&r);
	check_configured(&r);
	plan_free(p->plan);
	for (int i = 0; i < c->n; i++) {
		const int at = index_of(&p->c, c->nodes[i].num);
		memcpy(c->states[i], r.now[at], sizeof(c->states[0]));
	}
}

#endif
