/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_recover - what comes before a step that is tried again: a machine that did not come up is
 * deleted and made once more, and one that used up its tries is replaced by another.
 */
#include "services/scheduler/job/job_lifecycle_private.h"

#include "common/base/str.h"
#include "services/scheduler/placement/hostname.h"

#include <stdio.h>

#define MOST_ADDED 3

struct added {
	struct task v[MOST_ADDED];
	size_t n;
};

/* A step of a machine, put before t. */
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

/* The added steps one after the other, then t, which waits for nothing else. */
static int insert(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t,
                  const struct added *a)
{
	struct task_edge edges[MOST_ADDED];
	for (size_t i = 0; i < a->n; i++)
		edges[i] =
			(struct task_edge){ a->v[i].num, i + 1 < a->n ? a->v[i + 1].num : t->num };
	int rc = tasks_insert(db, a->v, a->n, edges, a->n);
	t->unmet = 1;
	j->tasks_total += (int64_t)a->n;
	return rc ? rc : cluster_event(db, tx->c, "plan", plan_event(j, a), tx->now);
}

int lifecycle_roll_back(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t)
{
	enum plan_step step, undo, again;
	struct added a = { 0 };
	if (!plan_step_parse(t->name, &step) || !plan_rollback(step, &undo, &again))
		return DB_E_FATAL;
	add_step(&a, j, t, undo);
	add_step(&a, j, t, again);
	a.v[0].not_before = t->not_before;
	int rc = insert(db, tx, j, t, &a);
	if (!rc)
		rc = task_set_state(db, tx->c, t, TASK_BLOCKED, tx->now);
	if (!rc)
		rc = task_promote(db, tx->c, j->num, t->node_id, tx->now, &tx->ready);
	return rc ? rc : job_save_progress(db, tx->c, j, tx->now);
}

/* ---- another machine ---------------------------------------------------------------------------
 */

bool lifecycle_may_replace(const struct job_policy *p, const struct cluster *c, const struct job *j,
                           const struct task *t)
{
	enum plan_action a;
	enum plan_step step;
	if (!plan_action_parse(j->action, &a) || !plan_step_parse(t->name, &step))
		return false;
	int64_t most = json_get_int(json_get(c->template, "administration"), "replacements",
	                            p->replacements);
	return (a == PLAN_CREATE || a == PLAN_EXPAND) &&
	       (step == STEP_CREATE || step == STEP_CONFIRM || step == STEP_BOOTSTRAP) &&
	       json_get_int(j->params, "replacements", 0) < most;
}

static void renew(struct cluster *c, struct node *n)
{
	const char *dns = json_get_str(c->request, "dnsSuffix");
	if (str_blank(dns))
		dns = json_get_str(json_get(c->template, "defaults"), "dnsSuffix");
	n->num = ++c->last_node;
	id_uuid(n->id);
	loom_free(n->hostname);
	n->hostname = hostname_make(c->name, c->id, (int)n->num, dns);
	struct json **all[] = { &n->results, &n->ipaddresses, &n->states };
	for (size_t i = 0; i < LOOM_COUNT(all); i++) {
		json_free(*all[i]);
		*all[i] = json_new_obj();
	}
}

/* The old machine goes with the job, as those that a shrink takes; both are what the job has added.
 */
static int note(struct db *db, struct job *j, const char *old, const char *new)
{
	if (!j->params)
		j->params = json_new_obj();
	json_set_int(j->params, "replacements", json_get_int(j->params, "replacements", 0) + 1);
	if (!json_get(j->params, "leaving"))
		json_set(j->params, "leaving", json_new_arr());
	json_push(json_get(j->params, "leaving"), json_new_str(old));
	if (json_get(j->params, "added"))
		json_push(json_get(j->params, "added"), json_new_str(new));
	return job_save_params(db, j);
}

static struct json *machine(const struct node *n)
{
	struct json *o = json_set_str(json_new_obj(), "nodeId", n->id);
	json_set_int(o, "nodenum", n->num);
	json_set_str(o, "hostname", n->hostname);
	json_set_str(o, "hardwaretype", n->hardwaretype);
	json_set_str(o, "imagetype", n->imagetype);
	return json_set(o, "services", json_copy(n->services));
}

/* Which machine is replaced by which, why, and which tasks are done there instead. */
static int tell(struct db *db, struct cluster_tx *tx, const struct task *t, const struct node *old,
                const struct node *new)
{
	LOOM_CLEANUP(tasks_free) struct tasks *all = NULL;
	int rc = tasks_load(db, t->cluster_id, t->job_num, &all);
	char id[ID_MAX];
	id_job(id, t->cluster_id, t->job_num);
	struct json *e = json_set_str(machine(old), "jobId", id);
	json_set_str(e, "message", t->message);
	json_set(e, "by", machine(new));
	struct json *moved = json_new_arr();
	for (size_t i = 0; !rc && i < all->n; i++) {
		const struct task *m = &all->v[i];
		if (m->state != TASK_BLOCKED || !str_eq(m->node_id, old->id))
			continue;
		id_task(id, m->cluster_id, m->job_num, m->num);
		json_push(moved, json_new_str(id));
	}
	json_set(e, "moved", moved);
	if (!rc)
		return cluster_event(db, tx->c, "replace", e, tx->now);
	json_free(e);
	return rc;
}

/* The old machine is deleted first, then the new one made as far as t, which is done there. */
static int insert_steps(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t,
                        const struct node *old)
{
	struct added a = { 0 };
	enum plan_step step;
	if (!plan_step_parse(t->name, &step))
		return DB_E_FATAL;
	add_step(&a, j, t, STEP_DELETE);
	snprintf(a.v[0].node_id, sizeof(a.v[0].node_id), "%s", old->id);
	a.v[0].node_num = old->num;
	a.v[0].not_before = tx->now;
	for (int s = STEP_CREATE; s < (int)step && a.n < MOST_ADDED; s++)
		add_step(&a, j, t, (enum plan_step)s);
	return insert(db, tx, j, t, &a);
}

int lifecycle_replace(struct db *db, struct cluster_tx *tx, struct job *j, struct task *t)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	LOOM_CLEANUP(nodes_free) struct nodes *fresh = NULL;
	int rc = node_load(db, t->node_id, &ns);
	if (rc || !ns->n)
		return rc ? rc : DB_E_FATAL;
	const struct node *old = &ns->v[0];
	fresh = nodes_copy(ns);
	renew(tx->c, &fresh->v[0]);
	rc = nodes_insert(db, tx->c->id, fresh);
	if (!rc)
		rc = note(db, j, old->id, fresh->v[0].id);
	t->unmet = 1;
	t->not_before = tx->now;
	if (!rc)
		rc = task_set_state(db, tx->c, t, TASK_BLOCKED, tx->now);
	if (!rc)
		rc = tell(db, tx, t, old, &fresh->v[0]);
	if (!rc)
		rc = tasks_move(db, t, fresh->v[0].id, fresh->v[0].num);
	snprintf(t->node_id, sizeof(t->node_id), "%s", fresh->v[0].id);
	t->node_num = fresh->v[0].num;
	t->failures = t->losses = 0;
	if (!rc)
		rc = insert_steps(db, tx, j, t, old);
	if (!rc)
		rc = task_promote(db, tx->c, j->num, old->id, tx->now, &tx->ready);
	return rc ? rc : job_save_progress(db, tx->c, j, tx->now);
}
