/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans how to undo a failed or aborted job.
 * A begun task counts as done, because its outcome is unknown; undoing something twice does no
 * harm.
 */
#include "services/scheduler/plan/rollback.h"

#include "common/base/map.h"
#include "common/base/str.h"
#include "services/scheduler/plan/plan_graph.h"
#include "services/scheduler/plan/plan_nodes.h"

#define BIT(step) (1u << (step))

/* What was done to one service of a node, or to the node itself (service ""). */
struct done {
	unsigned begun, complete; /* bits of steps */
	int first, last;          /* STOP or START: the first and the last begun; -1: none */
	bool last_complete;
};

struct rolling_back {
	const struct rollback_input *in;
	struct map *done;    /* "NODE SERVICE" -> struct done */
	struct map *marked;  /* ids of nodes to add or remove */
	bool recreates;      /* must nodes be recreated? */
	struct nodes *nodes; /* with the states that the planner should assume */
	struct loom_err *err;
};

/* ---- what was done -------------------------------------------------------------------------- */

static void note_task(struct rolling_back *u, const struct task *t)
{
	LOOM_CLEANUP_STR char *key = loom_asprintf("%s %s", t->node_id, t->service);
	struct done *d = map_get(u->done, key);
	enum plan_step step;
	if (!t->attempt || !plan_step_parse(t->name, &step))
		return;
	if (!d) {
		d = loom_calloc(1, sizeof(*d));
		d->first = d->last = -1;
		map_set(u->done, key, d);
	}
	d->begun |= BIT(step);
	if (t->state == TASK_COMPLETE)
		d->complete |= BIT(step);
	if (step != STEP_STOP && step != STEP_START)
		return;
	if (d->first < 0)
		d->first = (int)step;
	d->last = (int)step;
	d->last_complete = t->state == TASK_COMPLETE;
}

static const struct done *done_to(const struct rolling_back *u, const struct node *n,
                                  const char *service)
{
	static const struct done nothing = { .first = -1, .last = -1 };
	LOOM_CLEANUP_STR char *key = loom_asprintf("%s %s", n->id, service);
	const struct done *d = map_get(u->done, key);
	return d ? d : &nothing;
}

static bool begun(const struct rolling_back *u, const struct node *n, const char *service,
                  enum plan_step step)
{
	return done_to(u, n, service)->begun & BIT(step);
}

/* The service ran before and is not known to run now. */
static bool to_start(const struct rolling_back *u, const struct node *n, const char *service)
{
	const struct done *d = done_to(u, n, service);
	return d->first == STEP_STOP && !(d->last == STEP_START && d->last_complete);
}

/* The service did not run before and is not known to be stopped now. */
static bool to_stop(const struct rolling_back *u, const struct node *n, const char *service)
{
	const struct done *d = done_to(u, n, service);
	return d->first == STEP_START && !(d->last == STEP_STOP && d->last_complete);
}

static bool was_stopped(const struct rolling_back *u, const struct node *n, const char *service)
{
	const struct done *d = done_to(u, n, service);
	return d->last == STEP_STOP && d->last_complete;
}

/* ---- planning with assumed states ----------------------------------------------------------- */

/* Returns the state of a service on a node; NULL if it is not installed there. */
typedef const char *(*assumed)(const struct rolling_back *u, const struct node *n,
                               const char *service);

static void set_states(struct rolling_back *u, assumed state)
{
	for (size_t i = 0; i < u->nodes->n; i++) {
		struct node *n = &u->nodes->v[i];
		struct json *states = json_new_obj();
		for (size_t k = 0; k < json_len(n->services); k++) {
			const char *service = json_str(json_at(n->services, k));
			const char *s = state(u, n, service);
			if (s)
				json_set_str(states, service, s);
		}
		json_free(n->states);
		n->states = states;
	}
}

typedef bool (*selects)(const struct rolling_back *u, const struct node *n, const char *service,
                        enum plan_step step);

static int plan_with(struct rolling_back *u, enum plan_action a, const struct plan_scope *scope,
                     selects keep, struct plan **ret)
{
	struct plan_scope plain = scope ? *scope : (struct plan_scope){ 0 };
	plain.plain = true; /* for plan_sift() */
	struct plan *p = NULL;
	int rc = plan_nodes(u->nodes, a, u->in->service_docs, &plain, &p, u->err);
	if (rc)
		return rc;
	enum plan_fate *fate = loom_calloc(p->n + 1, sizeof(*fate));
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_task *t = &p->tasks[i];
		const struct node *n = &u->nodes->v[t->node];
		fate[i] = keep(u, n, t->service, t->step) ? FATE_KEEP : FATE_SKIP;
	}
	plan_sift(p, fate);
	loom_free(fate);
	*ret = p;
	return 0;
}

static bool any(const struct rolling_back *u LOOM_UNUSED, const struct node *n LOOM_UNUSED,
                const char *service LOOM_UNUSED, enum plan_step step LOOM_UNUSED)
{
	return true;
}

static void services_where(const struct rolling_back *u,
                           bool (*is)(const struct rolling_back *u, const struct node *n,
                                      const char *service),
                           struct strs *ret)
{
	for (size_t i = 0; i < u->in->nodes->n; i++) {
		const struct node *n = &u->in->nodes->v[i];
		for (size_t k = 0; k < json_len(n->services); k++) {
			const char *service = json_str(json_at(n->services, k));
			if (is(u, n, service) && !strs_has(ret, service))
				strs_add(ret, service);
		}
	}
}

static void mark(struct rolling_back *u, const struct json *ids, struct strs *ret)
{
	for (size_t i = 0; i < json_len(ids); i++) {
		const char *id = json_str(json_at(ids, i));
		if (nodes_find(u->in->nodes, id)) {
			strs_add(ret, id);
			map_set(u->marked, id, u);
		}
	}
}

static bool is_marked(const struct rolling_back *u, const struct node *n)
{
	return map_get(u->marked, n->id) != NULL;
}

static void add_note(struct rollback *r, const char *fmt, ...) LOOM_PRINTF(2, 3);
static void add_note(struct rollback *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	LOOM_CLEANUP_STR char *text = loom_vasprintf(fmt, ap);
	va_end(ap);
	json_push(r->notes, json_new_str(text));
}

static bool has_action(const struct rolling_back *u, const char *service, enum plan_step step)
{
	const struct json *doc = json_get(u->in->service_docs, service);
	return json_get(json_path(doc, "provisioner/actions"), plan_step_action(step)) != NULL;
}

/* ---- create --------------------------------------------------------------------------------- */

static bool touched(const struct rolling_back *u, const struct node *n,
                    const char *service LOOM_UNUSED, enum plan_step step LOOM_UNUSED)
{
	return !strs_has(u->in->untouched, n->id);
}

static int undo_create(struct rolling_back *u, struct rollback *r)
{
	r->action = PLAN_DELETE;
	return plan_with(u, PLAN_DELETE, NULL, touched, &r->plan);
}

/* ---- start, stop, restart ------------------------------------------------------------------- */

static const char *down_if_to_start(const struct rolling_back *u, const struct node *n,
                                    const char *s)
{
	return to_start(u, n, s) ? "stopped" : "running";
}

static const char *running_if_to_stop(const struct rolling_back *u, const struct node *n,
                                      const char *s)
{
	return to_stop(u, n, s) ? "running" : "stopped";
}

static int start_again(struct rolling_back *u, struct plan **ret)
{
	LOOM_CLEANUP(strs_fini) struct strs services = { 0 };
	services_where(u, to_start, &services);
	set_states(u, down_if_to_start);
	const struct plan_scope scope = { .services = &services };
	return plan_with(u, PLAN_START, &scope, any, ret);
}

static int stop_again(struct rolling_back *u, struct plan **ret)
{
	LOOM_CLEANUP(strs_fini) struct strs services = { 0 };
	services_where(u, to_stop, &services);
	set_states(u, running_if_to_stop);
	const struct plan_scope scope = { .services = &services };
	return plan_with(u, PLAN_STOP, &scope, any, ret);
}

static int undo_running(struct rolling_back *u, struct rollback *r)
{
	LOOM_CLEANUP(plan_free) struct plan *stop = NULL;
	r->action = u->in->failed == PLAN_START ? PLAN_STOP : PLAN_START;
	int rc = start_again(u, &r->plan);
	if (!rc)
		rc = stop_again(u, &stop);
	if (!rc)
		plan_join(r->plan, loom_take(stop));
	return rc;
}

/* ---- add services --------------------------------------------------------------------------- */

static const char *running_if_begun(const struct rolling_back *u, const struct node *n,
                                    const char *s)
{
	return begun(u, n, s, STEP_START) ? "running" : "stopped";
}

static bool where_installed(const struct rolling_back *u, const struct node *n, const char *service,
                            enum plan_step step)
{
	return begun(u, n, service, step == STEP_STOP ? STEP_START : STEP_INSTALL);
}

static bool was_installed(const struct rolling_back *u, const struct node *n, const char *service)
{
	return begun(u, n, service, STEP_INSTALL);
}

static int undo_add(struct rolling_back *u, struct rollback *r)
{
	LOOM_CLEANUP(strs_fini) struct strs placed = { 0 }, installed = { 0 };
	json_read_strs(u->in->params->placed, &placed);
	r->action = PLAN_REMOVE_SERVICES;
	r->back.services = json_new_strs(&placed);
	services_where(u, was_installed, &installed);
	for (size_t i = 0; i < installed.n; i++) {
		if (strs_has(&placed, installed.v[i]) &&
		    !has_action(u, installed.v[i], STEP_REMOVE))
			add_note(r,
			         "service %s cannot be removed from its nodes (it has no remove "
			         "action): what was installed of it stays there",
			         installed.v[i]);
	}
	set_states(u, running_if_begun);
	const struct plan_scope scope = { .services = &placed };
	return plan_with(u, PLAN_REMOVE_SERVICES, &scope, where_installed, &r->plan);
}

/* ---- remove services ------------------------------------------------------------------------ */

static const char *as_removed(const struct rolling_back *u, const struct node *n, const char *s)
{
	return begun(u, n, s, STEP_REMOVE) ? NULL : to_start(u, n, s) ? "stopped" : "running";
}

static bool where_removed(const struct rolling_back *u, const struct node *n, const char *service,
                          enum plan_step step)
{
	if (step == STEP_BOOTSTRAP) {
		for (size_t k = 0; k < json_len(n->services); k++) {
			if (begun(u, n, json_str(json_at(n->services, k)), STEP_REMOVE))
				return true;
		}
		return false;
	}
	bool ran = to_start(u, n, service);
	if (!begun(u, n, service, STEP_REMOVE))
		return step == STEP_START && ran;
	/* A service that cannot be stopped was not stopped, so it may have run. */
	return step != STEP_START || ran || !has_action(u, service, STEP_STOP);
}

static bool was_removed(const struct rolling_back *u, const struct node *n, const char *service)
{
	return begun(u, n, service, STEP_REMOVE);
}

static int undo_remove(struct rolling_back *u, struct rollback *r)
{
	LOOM_CLEANUP(strs_fini) struct strs services = { 0 }, removed = { 0 };
	services_where(u, was_removed, &removed);
	services_where(u, to_start, &services);
	for (size_t i = 0; i < removed.n; i++) {
		add_note(r,
		         "service %s is installed anew where it had been removed: what it kept "
		         "there is not brought back",
		         removed.v[i]);
		if (!strs_has(&services, removed.v[i]))
			strs_add(&services, removed.v[i]);
	}
	r->action = PLAN_ADD_SERVICES;
	set_states(u, as_removed);
	const struct plan_scope scope = { .services = &services };
	return plan_with(u, PLAN_ADD_SERVICES, &scope, where_removed, &r->plan);
}

/* ---- nodes that came or were to leave -------------------------------------------------------- */

static bool is_new(const struct rolling_back *u, const struct node *n)
{
	return json_arr_has_str(u->in->params->added, n->id);
}

/* The node was to leave, and its deletion was begun. */
static bool was_deleted(const struct rolling_back *u, const struct node *n)
{
	return is_marked(u, n) && !is_new(u, n) && begun(u, n, "", STEP_DELETE);
}

static const char *as_before_resize(const struct rolling_back *u, const struct node *n,
                                    const char *s)
{
	if (is_new(u, n))
		return begun(u, n, s, STEP_START) ? "running" : "stopped";
	if (is_marked(u, n))
		return was_deleted(u, n) ? NULL : to_start(u, n, s) ? "stopped" : "running";
	return to_start(u, n, s) ? "running"
	                         : json_get_str(nodes_find(u->in->nodes, n->id)->states, s);
}

/* Reconfigure a node that stays if it was configured already for those that come or leave. */
static bool reconfigured(const struct rolling_back *u, const struct node *n, const char *service,
                         enum plan_step step)
{
	if (step == STEP_STOP && was_stopped(u, n, service))
		return false;
	return u->recreates || begun(u, n, service, STEP_CONFIGURE) ||
	       (step == STEP_START && to_start(u, n, service));
}

static bool of_resize(const struct rolling_back *u, const struct node *n, const char *service,
                      enum plan_step step)
{
	if (is_new(u, n))
		return touched(u, n, service, step);
	if (!is_marked(u, n))
		return reconfigured(u, n, service, step);
	return was_deleted(u, n) || (step == STEP_START && to_start(u, n, service));
}

/* Finds the nodes that must be recreated, with a note for each. */
static void note_deleted(struct rolling_back *u, struct rollback *r)
{
	for (size_t i = 0; i < u->in->nodes->n; i++) {
		const struct node *n = &u->in->nodes->v[i];
		if (!was_deleted(u, n))
			continue;
		u->recreates = true;
		add_note(r,
		         "node %s was deleted: a new one takes its name and number, "
		         "without what the old one kept",
		         n->hostname);
	}
}

/* A resize the other way round: added nodes leave, and nodes that were to leave come back. */
static int undo_resize(struct rolling_back *u, struct rollback *r, enum plan_action back)
{
	LOOM_CLEANUP(strs_fini) struct strs moved = { 0 }, added = { 0 };
	mark(u, u->in->params->added, &moved);
	mark(u, u->in->params->added, &added);
	if (plan_moves(back) & PLAN_NODES_COME)
		mark(u, u->in->params->leaving, &moved);
	note_deleted(u, r);
	r->action = back;
	if (plan_moves(back) & PLAN_NODES_LEAVE)
		r->back.leaving = json_new_strs(&added);
	set_states(u, as_before_resize);
	const struct plan_scope scope = { .nodes = &moved, .leaving = &added };
	return plan_with(u, back, &scope, of_resize, &r->plan);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int undo(struct rolling_back *u, struct rollback *r)
{
	switch ((int)u->in->failed) {
	case PLAN_CREATE:
		return undo_create(u, r);
	case PLAN_EXPAND:
		return undo_resize(u, r, PLAN_SHRINK);
	case PLAN_SHRINK:
		return undo_resize(u, r, PLAN_EXPAND);
	case PLAN_REPLACE:
		return undo_resize(u, r, PLAN_REPLACE);
	case PLAN_ADD_SERVICES:
		return undo_add(u, r);
	case PLAN_REMOVE_SERVICES:
		return undo_remove(u, r);
	case PLAN_START:
	case PLAN_STOP:
	case PLAN_RESTART:
		return undo_running(u, r);
	case PLAN_DELETE:
		return err_set(u->err, 409,
		               "a deletion cannot be rolled back: what it deleted is gone; delete "
		               "the cluster again");
	default:
		return err_set(u->err, 409, "a job of %s cannot be rolled back",
		               plan_action_name(u->in->failed));
	}
}

int rollback_plan(const struct rollback_input *in, struct rollback *ret, struct loom_err *err)
{
	struct rollback r = { .notes = json_new_arr() };
	struct rolling_back u = { .in = in,
		                  .done = map_create(loom_free),
		                  .marked = map_create(NULL),
		                  .nodes = nodes_copy(in->nodes),
		                  .err = err };
	for (size_t i = 0; i < in->tasks->n; i++)
		note_task(&u, &in->tasks->v[i]);
	int rc = undo(&u, &r);
	map_destroy(u.done);
	map_destroy(u.marked);
	nodes_free(u.nodes);
	if (rc)
		rollback_fini(&r);
	else
		*ret = r;
	return rc;
}

void rollback_fini(struct rollback *r)
{
	plan_free(r->plan);
	job_params_fini(&r->back);
	json_free(r->notes);
	*r = (struct rollback){ 0 };
}
