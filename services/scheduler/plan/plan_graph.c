/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes tasks from plans and joins plans.
 * Retry and rollback both use this, so that the rest of a plan is renumbered in one place.
 */
#include "services/scheduler/plan/plan_graph.h"

#include "common/base/compare.h"

#include <stdlib.h>

struct sifting {
	const struct plan *p;
	const enum plan_fate *fate;
	int *number; /* by index: the new number */
	int *seen;   /* by index: the task for which it was last visited */
};

/* Adds to `to` everything that the task at `from` waits for, passing through skipped tasks. A task
 * comes after those it waits for, so the recursion is at most as deep as the plan. */
static void collect(struct sifting *s, size_t from, int for_task, struct plan_task *to)
{
	const struct plan_task *t = &s->p->tasks[from];
	for (size_t k = 0; k < t->n_after; k++) {
		const size_t i = (size_t)t->after[k] - 1;
		if (s->seen[i] == for_task)
			continue;
		s->seen[i] = for_task;
		if (s->fate[i] == FATE_SKIP) {
			collect(s, i, for_task, to);
		} else if (s->fate[i] != FATE_DONE) {
			to->after = loom_realloc(to->after, (to->n_after + 1) * sizeof(*to->after));
			to->after[to->n_after++] = s->number[i];
		}
	}
}

/* Numbers the tasks of a fate from last + 1 on; returns the last number. */
static int number_all(struct sifting *s, enum plan_fate fate, int last)
{
	for (size_t i = 0; i < s->p->n; i++) {
		if (s->fate[i] == fate)
			s->number[i] = ++last;
	}
	return last;
}

static void move_task(struct sifting *s, size_t i, struct plan_task *to)
{
	struct plan_task *from = &s->p->tasks[i];
	*to = *from;
	to->num = s->number[i];
	to->after = NULL;
	to->n_after = 0;
	from->service = NULL;
	collect(s, i, (int)i + 1, to);
	if (to->n_after)
		qsort(to->after, to->n_after, sizeof(*to->after), compare_ints);
}

void plan_sift(struct plan *p, const enum plan_fate *fate)
{
	struct sifting s = { .p = p,
		             .fate = fate,
		             .number = loom_calloc(p->n + 1, sizeof(*s.number)),
		             .seen = loom_calloc(p->n + 1, sizeof(*s.seen)) };
	const int kept = number_all(&s, FATE_KEEP, 0);
	const int all = number_all(&s, FATE_LATER, kept);
	struct plan_task *tasks = loom_calloc((size_t)all + 1, sizeof(*tasks));
	int stages = 0;
	loom_assert(!p->n_groups && !p->n_later);
	for (size_t i = 0; i < p->n; i++) {
		if (!s.number[i])
			continue;
		move_task(&s, i, &tasks[s.number[i] - 1]);
		if (p->tasks[i].stage >= stages)
			stages = p->tasks[i].stage + 1;
	}
	for (size_t i = 0; i < p->n; i++) {
		loom_free(p->tasks[i].service);
		loom_free(p->tasks[i].after);
	}
	loom_free(p->tasks);
	loom_free(s.number);
	loom_free(s.seen);
	p->tasks = tasks;
	p->n = (size_t)kept;
	p->n_later = (size_t)(all - kept);
	p->stages = stages;
}

void plan_join(struct plan *a, struct plan *b)
{
	if (!b)
		return;
	const int offset = (int)a->n, stages = a->stages;
	a->tasks = loom_realloc(a->tasks, (a->n + b->n + 1) * sizeof(*a->tasks));
	for (size_t i = 0; i < b->n; i++) {
		struct plan_task *to = &a->tasks[a->n++];
		*to = b->tasks[i];
		to->num += offset;
		to->stage += stages;
		for (size_t k = 0; k < to->n_after; k++)
			to->after[k] += offset;
	}
	a->stages += b->stages;
	b->n = 0;
	plan_free(b);
}
