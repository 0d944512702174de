/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_recover - inserts steps before a retry: a node that did not come up is deleted and created
 * again, and one that used up its tries is replaced by another.
 */
#include "services/scheduler/job/job_lifecycle.h"

#include "common/base/str.h"
#include "services/scheduler/placement/hostname.h"
#include "services/scheduler/plan/plan_nodes.h"
#include "services/scheduler/plan/planner.h"

#include <stdio.h>

/* DELETE of the old node, CREATE and CONFIRM: BOOTSTRAP is the last step that may replace a
 * node. */
#define MOST_ADDED 3

struct added {
	struct task v[MOST_ADDED];
	size_t n;
};

/* Adds a step of t's node, to be done before t. */
static void add_step(struct added *a, const struct job *j, const struct task *t,
                     enum plan_step step)
{
	static char no_service[1];
	struct task *nt = &a->v[a->n++];
	*nt = (struct task){ .cluster_id = t->cluster_id,
		             .job_num = t->job_num,
		             .num = j->tasks_total + (int64_t)a->n,
		             .tenant_id = t->tenant_id,
		             .node_num = t->node_num,
		             .service = no_service,
		             .stage = t->stage,
		             .state = TASK_BLOCKED,
		             .unmet = a->n > 1 };
	snprintf(nt->node_id, sizeof(nt->node_id), "%s", t->node_id);
	snprintf(nt->name, sizeof(nt->name), "%s", plan_step_name(step));
}

static struct json *plan_event(const struct job *j, const struct added *a)
{
	char id[ID_MAX];
	id_job(id, j->cluster_id, j->num);
	struct json *e = json_set_str(json_new_obj(), "jobId", id);
	json_set_str(e, "action", j->action);
	json_set(e, "nodes", json_new_arr());
	struct json *tasks = json_new_arr();
	for (size_t i = 0; i < a->n; i++) {
		const struct task *t = &a->v[i];
		id_task(id, t->cluster_id, t->job_num, t->num);
		struct json *o = json_set_str(json_new_obj(), "taskId", id);
		json_set_str(o, "taskName", t->name);
		json_set_str(o, "nodeId", t->node_id);
		json_set_int(o, "nodenum", t->node_num);
		json_set_str(o, "service", "");
		json_set_int(o, "stage", t->stage);
		struct json *after = json_new_arr();
		if (i) {
			id_task(id, t->cluster_id, t->job_num, t->num - 1);
			json_push(after, json_new_str(id));
		}
		json_push(tasks, json_set(o, "after", after));
	}
	return json_set(e, "tasks", tasks);
}

/* Inserts the added steps, one after the other, before t, which waits for nothing else. */
static void insert(struct unit *u, struct unit_job *j, struct task *t, const struct added *a)
{
	unit_insert_tasks(u, j, a->v, a->n, t);
	cluster_event(unit_held(u, t->cluster_id)->tx.c, "plan", plan_event(&j->job, a), u->now);
}

int lifecycle_roll_back(struct unit *u, struct unit_job *j, struct task *t)
{
	enum plan_step step, undo, again;
	struct added a = { 0 };
	if (!plan_step_parse(t->name, &step) || !plan_rollback(step, &undo, &again))
		return DB_E_FATAL;
	add_step(&a, &j->job, t, undo);
	add_step(&a, &j->job, t, again);
	a.v[0].not_before = t->not_before;
	t->unmet = 1;
	insert(u, j, t, &a);
	unit_move_task(u, t, TASK_BLOCKED);
	unit_freed(u, t, t->node_id);
	return 0;
}

/* ---- another node ---------------------------------------------------------------------------- */

bool lifecycle_may_replace(const struct job_policy *p, const struct cluster *c, const struct job *j,
                           const struct task *t)
{
	enum plan_action a;
	enum plan_step step;
	if (!plan_action_parse(j->action, &a) || !plan_step_parse(t->name, &step))
		return false;
	int64_t most = json_get_int(json_get(c->template, "administration"), "replacements",
	                            p->replacements);
	return plan_has_step(a, STEP_CREATE) &&
	       (step == STEP_CREATE || step == STEP_CONFIRM || step == STEP_BOOTSTRAP) &&
	       j->params.replacements < most;
}

static void renew(struct cluster *c, struct node *n)
{
	n->num = ++c->last_node;
	id_uuid(n->id);
	loom_free(n->hostname);
	n->hostname = hostname_make(c->name, c->id, (int)n->num,
	                            hostname_suffix(c->request, c->template));
	lifecycle_forget_node(n);
}

/* Records both nodes with the job: the old one leaves as in a shrink, the new one counts as
 * added. */
static void note(struct unit_job *uj, const char *old, const char *new)
{
	struct job_params *p = &uj->job.params;
	p->replacements++;
	if (!p->leaving)
		p->leaving = json_new_arr();
	json_push(p->leaving, json_new_str(old));
	if (p->added)
		json_push(p->added, json_new_str(new));
	uj->changed = true;
}

/* Moves the blocked tasks of the old node to the new one, with their tries reset; returns their
 * ids. */
static struct json *move_waiting(struct unit *u, const struct task *of, const struct node *old,
                                 const struct node *new)
{
	char id[ID_MAX];
	struct json *moved = json_new_arr();
	for (size_t i = 0; i < u->n_items; i++) {
		struct unit_task *it = &u->items[i];
		struct task *t = it->t;
		if (t->cluster_id != of->cluster_id || t->job_num != of->job_num ||
		    t->state != TASK_BLOCKED || !str_eq(t->node_id, old->id))
			continue;
		snprintf(t->node_id, sizeof(t->node_id), "%s", new->id);
		t->node_num = new->num;
		t->failures = t->losses = 0;
		it->changed = it->placed = true;
		id_task(id, t->cluster_id, t->job_num, t->num);
		json_push(moved, json_new_str(id));
	}
	return moved;
}

/* Inserts the steps: delete the old node, then make the new one up to t, which runs there. */
static int insert_steps(struct unit *u, struct unit_job *j, struct task *t, const struct node *old)
{
	struct added a = { 0 };
	enum plan_step step;
	if (!plan_step_parse(t->name, &step))
		return DB_E_FATAL;
	add_step(&a, &j->job, t, STEP_DELETE);
	snprintf(a.v[0].node_id, sizeof(a.v[0].node_id), "%s", old->id);
	a.v[0].node_num = old->num;
	a.v[0].not_before = u->now;
	for (int s = STEP_CREATE; s < (int)step && a.n < MOST_ADDED; s++)
		add_step(&a, &j->job, t, (enum plan_step)s);
	insert(u, j, t, &a);
	return 0;
}

static struct node *copy_of(const struct node *n)
{
	struct node one = *n;
	struct nodes *copy = nodes_copy(&(struct nodes){ &one, 1 });
	struct node *v = copy->v;
	loom_free(copy);
	return v;
}

int lifecycle_replace(struct unit *u, struct unit_job *j, struct task *t)
{
	int64_t cluster = t->cluster_id;
	struct cluster *c = unit_held(u, cluster)->tx.c;
	int rc = unit_load_nodes(u, &cluster, 1);
	if (!rc)
		rc = unit_load_open(u, &j->job);
	const struct node *at = rc ? NULL : unit_node(u, t);
	if (!at)
		return rc ? rc : DB_E_FATAL;
	struct node *old = copy_of(at), *new = copy_of(at);
	renew(c, new);
	unit_add_node(u, cluster, new);
	note(j, old->id, new->id);
	t->unmet = 1;
	t->not_before = u->now;
	unit_move_task(u, t, TASK_BLOCKED);
	char id[ID_MAX];
	id_job(id, t->cluster_id, t->job_num);
	struct json *e = json_set_str(plan_node_shown(old), "jobId", id);
	json_set_str(e, "message", t->message);
	json_set(e, "by", plan_node_shown(new));
	cluster_event(c, "replace", json_set(e, "moved", move_waiting(u, t, old, new)), u->now);
	rc = insert_steps(u, j, t, old);
	unit_freed(u, t, old->id);
	loom_free(new); /* the unit took its contents */
	node_fini(old);
	loom_free(old);
	return rc;
}
