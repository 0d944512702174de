/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans the rest of a failed job.
 * This file decides each task's fate; plan_graph.c decides what the kept tasks then wait for.
 */
#include "services/scheduler/plan/retry.h"

#include "common/base/str.h"
#include "services/scheduler/plan/plan_graph.h"

struct retry {
	const struct retry_input *in;
	struct plan *plan; /* all tasks of the failed job; unused numbers are empty */
	enum plan_fate *fate;
	bool *wanted;
};

static int node_index(const struct nodes *ns, const char *id)
{
	const struct node *n = nodes_find(ns, id);
	return n ? (int)(n - ns->v) : -1;
}

static void read_task(struct retry *r, const struct task *t)
{
	struct plan_task *to = &r->plan->tasks[t->num - 1];
	const int node = node_index(r->in->nodes, t->node_id);
	enum plan_step step;
	/* A deleted node has nothing left to do. */
	if (!plan_step_parse(t->name, &step) || node < 0 || t->state == TASK_COMPLETE)
		return;
	r->fate[t->num - 1] = FATE_KEEP;
	to->node = node;
	to->stage = (int)t->stage;
	to->step = step;
	to->name = plan_step_name(step);
	to->service = loom_strdup(t->service);
}

static void read_tasks(struct retry *r)
{
	const struct retry_input *in = r->in;
	struct plan *p = r->plan;
	for (size_t i = 0; i < in->tasks->n; i++) {
		if ((size_t)in->tasks->v[i].num > p->n)
			p->n = (size_t)in->tasks->v[i].num;
	}
	p->tasks = loom_calloc(p->n + 1, sizeof(*p->tasks));
	r->fate = loom_calloc(p->n + 1, sizeof(*r->fate));
	r->wanted = loom_calloc(p->n + 1, sizeof(*r->wanted));
	for (size_t i = 0; i < in->tasks->n; i++)
		read_task(r, &in->tasks->v[i]);
	for (size_t i = 0, end; i < in->n_edges; i = end) {
		struct plan_task *to = &p->tasks[in->edges[i].to - 1];
		for (end = i; end < in->n_edges && in->edges[end].to == in->edges[i].to;)
			end++;
		to->after = loom_calloc(end - i, sizeof(*to->after));
		for (; to->n_after < end - i; to->n_after++)
			to->after[to->n_after] = (int)in->edges[i + to->n_after].from;
	}
}

/* *ret: the index of the named task, if it is among the remaining ones. 0, or 400 with err. */
static int find_named(const struct retry *r, const struct json *name, size_t *ret,
                      struct loom_err *err)
{
	const struct tasks *ts = r->in->tasks;
	const char *id = json_str(name);
	struct task_ref ref;
	if (!id_parse_task(id, &ref) && ts->n && ref.cluster == ts->v[0].cluster_id &&
	    ref.job == ts->v[0].job_num && ref.task > 0 && (size_t)ref.task <= r->plan->n &&
	    r->fate[ref.task - 1] != FATE_DONE) {
		*ret = (size_t)ref.task - 1;
		return 0;
	}
	return err_set(err, 400, "'%.64s' is not a task that is left of the failed job",
	               id ? id : "?");
}

/* Marks a task and everything that it waits for as wanted. */
static void want(struct retry *r, size_t i)
{
	const struct plan_task *t = &r->plan->tasks[i];
	if (r->wanted[i])
		return;
	r->wanted[i] = true;
	if (r->fate[i] == FATE_LATER)
		r->fate[i] = FATE_KEEP;
	for (size_t k = 0; k < t->n_after; k++) {
		if (r->fate[t->after[k] - 1] != FATE_DONE)
			want(r, (size_t)t->after[k] - 1);
	}
}

static int mark_named(struct retry *r, struct loom_err *err)
{
	const struct json *skip = r->in->skip;
	const struct json *only = r->in->only;
	size_t at = 0;
	int rc = 0;
	for (size_t i = 0; i < json_len(skip) && !rc; i++) {
		rc = find_named(r, json_at(skip, i), &at, err);
		if (!rc)
			r->fate[at] = FATE_SKIP;
	}
	for (size_t i = 0; only && i < r->plan->n; i++) {
		if (r->fate[i] == FATE_KEEP)
			r->fate[i] = FATE_LATER;
	}
	for (size_t i = 0; i < json_len(only) && !rc; i++) {
		rc = find_named(r, json_at(only, i), &at, err);
		if (!rc)
			want(r, at);
	}
	return rc;
}

int retry_plan(const struct retry_input *in, struct plan **ret, struct loom_err *err)
{
	LOOM_CLEANUP(plan_free) struct plan *p = loom_calloc(1, sizeof(*p));
	struct retry r = { .in = in, .plan = p };
	read_tasks(&r);
	int rc = mark_named(&r, err);
	if (!rc) {
		plan_sift(p, r.fate);
		*ret = loom_take(p);
	}
	loom_free(r.fate);
	loom_free(r.wanted);
	return rc;
}
