/* SPDX-License-Identifier: Apache-2.0 */
/* result_queue - results in the order in which they came. */
#include "services/scheduler/dispatch/result_queue.h"

void result_queue_push(struct result_queue *q, struct result *r)
{
	if (!q->first)
		q->end = &q->first;
	r->next = NULL;
	*q->end = r;
	q->end = &r->next;
	q->n++;
}

struct result *result_queue_pop(struct result_queue *q)
{
	struct result *r = q->first;
	if (r) {
		q->first = r->next;
		q->n--;
	}
	return r;
}

size_t result_queue_take(struct result_queue *q,
                         bool (*fits)(const struct result *r, const void *arg), const void *arg,
                         struct result **v, size_t most)
{
	struct result_queue rest = { 0 };
	size_t n = 0;
	for (struct result *r = result_queue_pop(q); r; r = result_queue_pop(q)) {
		if (n < most && fits(r, arg))
			v[n++] = r;
		else
			result_queue_push(&rest, r);
	}
	*q = rest;
	return n;
}

void result_answer(struct result *r, int status)
{
	bus_answer(r->call, &(struct msg_answer){ .status = status });
	message_free(r->said);
	loom_free(r);
}
