/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The actions, the steps, and their names.
 * These two tables hold every fact about a single action or step.
 */
#include "services/scheduler/plan/planner.h"

/* ---- tables --------------------------------------------------------------------------------- */

static const struct {
	const char *name, *failure;
	enum plan_step steps[STEPS_];
	size_t n;
	unsigned moves; /* PLAN_NODES_ */
} actions[PLAN_ACTIONS_] = {
/* clang-format off */
#define S(step) STEP_##step
#define STEPS(...) { __VA_ARGS__ }, sizeof((enum plan_step[]){ __VA_ARGS__ }) / sizeof(enum plan_step)
	[PLAN_SOLVE_LAYOUT] = { "solve_layout", "terminated" },
	[PLAN_CREATE] = { "cluster_create", "incomplete",
		STEPS(S(CREATE), S(CONFIRM), S(BOOTSTRAP), S(INSTALL), S(CONFIGURE), S(INITIALIZE), S(START)) },
	[PLAN_DELETE] = { "cluster_delete", "incomplete", STEPS(S(DELETE)) },
	[PLAN_ADD_SERVICES] = { "add_services", "inconsistent",
		STEPS(S(BOOTSTRAP), S(INSTALL), S(CONFIGURE), S(INITIALIZE), S(START)) },
	[PLAN_CONFIGURE] = { "cluster_configure", "inconsistent", STEPS(S(BOOTSTRAP), S(CONFIGURE)) },
	[PLAN_CONFIGURE_WITH_RESTART] = { "cluster_configure_with_restart", "inconsistent",
		STEPS(S(BOOTSTRAP), S(STOP), S(CONFIGURE), S(START)) },
	[PLAN_STOP] = { "stop_services", "inconsistent", STEPS(S(STOP)) },
	[PLAN_START] = { "start_services", "inconsistent", STEPS(S(START)) },
	[PLAN_RESTART] = { "restart_services", "inconsistent", STEPS(S(STOP), S(START)) },
	[PLAN_REMOVE_SERVICES] = { "remove_services", "inconsistent", STEPS(S(STOP), S(REMOVE)) },
	[PLAN_EXPAND] = { "expand_cluster", "inconsistent",
		STEPS(S(CREATE), S(CONFIRM), S(BOOTSTRAP), S(INSTALL), S(CONFIGURE), S(INITIALIZE), S(STOP),
		      S(START)),
		PLAN_NODES_COME },
	[PLAN_SHRINK] = { "shrink_cluster", "inconsistent",
		STEPS(S(CONFIGURE), S(STOP), S(START), S(DELETE)), PLAN_NODES_LEAVE },
	[PLAN_REPLACE] = { "replace_node", "inconsistent",
		STEPS(S(CREATE), S(CONFIRM), S(BOOTSTRAP), S(INSTALL), S(CONFIGURE), S(INITIALIZE), S(STOP),
		      S(START), S(DELETE)),
		PLAN_NODES_COME | PLAN_NODES_LEAVE },
#undef STEPS
#undef S
	/* clang-format on */
};

static const struct {
	const char *name, *action;
	bool hardware;
} steps[STEPS_] = {
	[STEP_CREATE] = { "CREATE", "create", true },
	[STEP_CONFIRM] = { "CONFIRM", "confirm", true },
	[STEP_BOOTSTRAP] = { "BOOTSTRAP", "bootstrap", true },
	[STEP_INSTALL] = { "INSTALL", "install", false },
	[STEP_REMOVE] = { "REMOVE", "remove", false },
	[STEP_INITIALIZE] = { "INITIALIZE", "initialize", false },
	[STEP_CONFIGURE] = { "CONFIGURE", "configure", false },
	[STEP_START] = { "START", "start", false },
	[STEP_STOP] = { "STOP", "stop", false },
	[STEP_DELETE] = { "DELETE", "delete", true },
};

const char *plan_action_name(enum plan_action a)
{
	loom_assert(a < PLAN_ACTIONS_);
	return actions[a].name;
}

bool plan_action_parse(const char *name, enum plan_action *ret)
{
	for (int a = 0; a < PLAN_ACTIONS_; a++) {
		if (str_ieq(name, actions[a].name)) {
			*ret = (enum plan_action)a;
			return true;
		}
	}
	return false;
}

const char *plan_failure_status(enum plan_action a)
{
	loom_assert(a < PLAN_ACTIONS_);
	return actions[a].failure;
}

const enum plan_step *plan_steps(enum plan_action a, size_t *ret_n)
{
	loom_assert(a < PLAN_ACTIONS_);
	*ret_n = actions[a].n;
	return actions[a].steps;
}

bool plan_has_step(enum plan_action a, enum plan_step s)
{
	size_t n;
	const enum plan_step *list = plan_steps(a, &n);
	bool has = false;
	for (size_t i = 0; i < n; i++)
		has |= list[i] == s;
	return has;
}

unsigned plan_moves(enum plan_action a)
{
	loom_assert(a < PLAN_ACTIONS_);
	return actions[a].moves;
}

const char *plan_step_name(enum plan_step s)
{
	loom_assert(s < STEPS_);
	return steps[s].name;
}

const char *plan_step_action(enum plan_step s)
{
	loom_assert(s < STEPS_);
	return steps[s].action;
}

bool plan_step_parse(const char *name, enum plan_step *ret)
{
	for (int s = 0; s < STEPS_; s++) {
		if (str_ieq(name, steps[s].name)) {
			*ret = (enum plan_step)s;
			return true;
		}
	}
	return false;
}

bool plan_step_is_hardware(enum plan_step s)
{
	loom_assert(s < STEPS_);
	return steps[s].hardware;
}

bool plan_rollback(enum plan_step failed, enum plan_step *ret_undo, enum plan_step *ret_again)
{
	if (failed != STEP_CONFIRM)
		return false;
	*ret_undo = STEP_DELETE;
	*ret_again = STEP_CREATE;
	return true;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n + p->n_later; i++) {
		loom_free(p->tasks[i].service);
		loom_free(p->tasks[i].after);
		loom_free(p->tasks[i].after_groups);
	}
	for (size_t i = 0; i < p->n_groups; i++) {
		loom_free(p->groups[i].service);
		loom_free(p->groups[i].tasks);
	}
	loom_free(p->tasks);
	loom_free(p->groups);
	loom_free(p);
}
