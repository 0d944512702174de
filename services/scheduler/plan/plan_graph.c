/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/plan/plan_graph.h"

#include <stdlib.h>

struct pruning {
	struct plan *p;
	const bool *keep;
	int *number; /* new number of those kept, by index */
	int *seen;   /* by index: for which task it was met last */
};

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Adds to list what the task at `from` waits for, seen through those left out. Tasks come after
 * those they wait for, so the depth is that of the plan. */
static void collect(struct pruning *pr, size_t from, int for_task, struct plan_task *to)
{
	const struct plan_task *t = &pr->p->tasks[from];
	for (size_t k = 0; k < t->n_after; k++) {
		const size_t i = (size_t)t->after[k] - 1;
		if (pr->seen[i] == for_task)
			continue;
		pr->seen[i] = for_task;
		if (!pr->keep[i]) {
			collect(pr, i, for_task, to);
			continue;
		}
		to->after = loom_realloc(to->after, (to->n_after + 1) * sizeof(*to->after));
		to->after[to->n_after++] = pr->number[i];
	}
}

void plan_prune(struct plan *p, const bool *keep)
{
	struct pruning pr = { .p = p,
		              .keep = keep,
		              .number = loom_calloc(p->n + 1, sizeof(int)),
		              .seen = loom_calloc(p->n + 1, sizeof(int)) };
	struct plan_task *kept = loom_calloc(p->n + 1, sizeof(*kept));
	size_t n = 0;
	int stages = 0;
	loom_assert(!p->n_groups);
	for (size_t i = 0; i < p->n; i++)
		if (keep[i])
			pr.number[i] = (int)++n;
	n = 0;
	for (size_t i = 0; i < p->n; i++) {
		if (!keep[i])
			continue;
		struct plan_task *to = &kept[n++];
		*to = p->tasks[i];
		to->num = (int)n;
		to->service = loom_strdup(p->tasks[i].service);
		to->after = NULL;
		to->n_after = 0;
		collect(&pr, i, (int)i + 1, to);
		if (to->n_after)
			qsort(to->after, to->n_after, sizeof(*to->after), by_number);
		if (to->stage >= stages)
			stages = to->stage + 1;
	}
	for (size_t i = 0; i < p->n; i++) {
		loom_free(p->tasks[i].service);
		loom_free(p->tasks[i].after);
	}
	loom_free(p->tasks);
	loom_free(pr.number);
	loom_free(pr.seen);
	p->tasks = kept;
	p->n = n;
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
