/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/plan/retry.h"

#include "common/base/str.h"

#include <stdlib.h>

enum fate { DONE, SKIPPED, LATER, LEFT };

struct retry {
	const struct retry_input *in;
	size_t most;     /* highest task number */
	enum fate *fate; /* by number */
	int *number;     /* new number of those left, by old number */
	int64_t *seen;   /* by number: for which task it was met last */
	size_t *first;   /* by number: its first edge, as they are sorted by `to` */
};

static bool is_left(const struct task *t)
{
	return t->state != TASK_COMPLETE;
}

/* The number of a task that is named and left, or 0 with err. */
static int64_t named(const struct retry *r, const struct json *name, struct loom_err *err)
{
	const struct tasks *ts = r->in->tasks;
	const char *id = json_str(name);
	struct task_ref ref;
	bool ours = !id_parse_task(id, &ref) && ts->n && ref.cluster == ts->v[0].cluster_id &&
	            ref.job == ts->v[0].job_num && (size_t)ref.task <= r->most &&
	            r->fate[ref.task] != DONE;
	if (ours)
		return ref.task;
	(void)err_set(err, 400, "'%.64s' is not a task that is left of the failed job",
	              id ? id : "?");
	return 0;
}

static int mark_skipped(struct retry *r, struct loom_err *err)
{
	for (size_t i = 0; i < json_len(r->in->skip); i++) {
		int64_t num = named(r, json_at(r->in->skip, i), err);
		if (!num)
			return 400;
		r->fate[num] = SKIPPED;
	}
	return 0;
}

/* A task is to be done, and before it what it waits for. */
static void want(struct retry *r, int64_t num)
{
	if (r->seen[num])
		return;
	r->seen[num] = 1;
	if (r->fate[num] == LATER)
		r->fate[num] = LEFT;
	for (size_t i = r->first[num]; i < r->first[num + 1]; i++)
		if (r->fate[r->in->edges[i].from] != DONE)
			want(r, r->in->edges[i].from);
}

static int mark_wanted(struct retry *r, struct loom_err *err)
{
	int rc = 0;
	for (size_t num = 1; r->in->only && num <= r->most; num++)
		if (r->fate[num] == LEFT)
			r->fate[num] = LATER;
	for (size_t i = 0; !rc && i < json_len(r->in->only); i++) {
		int64_t num = named(r, json_at(r->in->only, i), err);
		if (num)
			want(r, num);
		rc = num ? 0 : 400;
	}
	for (size_t num = 0; num <= r->most; num++)
		r->seen[num] = 0;
	return rc;
}

/* What a task waits for, seen through those that are skipped. */
static void collect(struct retry *r, int64_t num, int64_t for_task, struct plan_task *to)
{
	for (size_t i = r->first[num]; i < r->first[num + 1]; i++) {
		int64_t from = r->in->edges[i].from;
		if (r->seen[from] == for_task)
			continue;
		r->seen[from] = for_task;
		if (r->fate[from] == SKIPPED) {
			collect(r, from, for_task, to);
		} else if (r->fate[from] != DONE) {
			to->after = loom_realloc(to->after, (to->n_after + 1) * sizeof(*to->after));
			to->after[to->n_after++] = r->number[from];
		}
	}
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int node_index(const struct nodes *ns, const char *id)
{
	const struct node *n = nodes_find(ns, id);
	return n ? (int)(n - ns->v) : -1;
}

static void fill_one(struct retry *r, const struct task *t, enum plan_step step, struct plan *p)
{
	int num = r->number[t->num];
	struct plan_task *to = &p->tasks[num - 1];
	*to = (struct plan_task){ .num = num,
		                  .node = node_index(r->in->nodes, t->node_id),
		                  .stage = (int)t->stage,
		                  .step = step,
		                  .name = plan_step_name(step),
		                  .service = loom_strdup(t->service) };
	collect(r, t->num, t->num, to);
	if (to->n_after)
		qsort(to->after, to->n_after, sizeof(*to->after), by_number);
	if (to->stage >= p->stages)
		p->stages = to->stage + 1;
}

static void fill(struct retry *r, struct plan *p)
{
	for (size_t i = 0; i < r->in->tasks->n; i++) {
		const struct task *t = &r->in->tasks->v[i];
		enum plan_step step;
		if (r->number[t->num] && plan_step_parse(t->name, &step))
			fill_one(r, t, step, p);
	}
}

/* Those of a fate are numbered from `last` on; returns the last number. */
static int number_all(struct retry *r, enum fate fate, int last)
{
	for (size_t num = 1; num <= r->most; num++)
		if (r->fate[num] == fate)
			r->number[num] = ++last;
	return last;
}

int retry_plan(const struct retry_input *in, struct plan **ret, struct loom_err *err)
{
	struct retry r = { .in = in };
	for (size_t i = 0; i < in->tasks->n; i++)
		if ((size_t)in->tasks->v[i].num > r.most)
			r.most = (size_t)in->tasks->v[i].num;
	r.fate = loom_calloc(r.most + 1, sizeof(*r.fate));
	r.number = loom_calloc(r.most + 1, sizeof(*r.number));
	r.seen = loom_calloc(r.most + 1, sizeof(*r.seen));
	for (size_t i = 0; i < in->tasks->n; i++) {
		const struct task *t = &in->tasks->v[i];
		/* A machine that is gone has nothing left to do. */
		if (is_left(t) && node_index(in->nodes, t->node_id) >= 0)
			r.fate[t->num] = LEFT;
	}
	r.first = loom_calloc(r.most + 2, sizeof(*r.first));
	for (size_t i = 0, num = 0; num <= r.most + 1; num++) {
		while (i < in->n_edges && in->edges[i].to < (int64_t)num)
			i++;
		r.first[num] = i;
	}
	int rc = mark_skipped(&r, err);
	if (!rc)
		rc = mark_wanted(&r, err);
	if (!rc) {
		struct plan *p = loom_calloc(1, sizeof(*p));
		p->tasks = loom_calloc(in->tasks->n + 1, sizeof(*p->tasks));
		int n = number_all(&r, LEFT, 0);
		p->n = (size_t)n;
		p->n_later = (size_t)(number_all(&r, LATER, n) - n);
		fill(&r, p);
		*ret = p;
	}
	loom_free(r.fate);
	loom_free(r.number);
	loom_free(r.seen);
	loom_free(r.first);
	return rc;
}
