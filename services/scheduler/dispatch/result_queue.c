/* SPDX-License-Identifier: Apache-2.0 */
/* result_queue - results in the order of arrival. */
#include "services/scheduler/dispatch/result_queue.h"

#include "common/base/str.h"

void result_queue_push(struct result_queue *q, struct result *r)
{
	if (!q->first)
		q->end = &q->first;
	r->next = NULL;
	*q->end = r;
	q->end = &r->next;
	q->places += (size_t)r->take.max;
	q->n++;
}

struct result *result_queue_pop(struct result_queue *q)
{
	struct result *r = q->first;
	if (r) {
		q->first = r->next;
		q->places -= (size_t)r->take.max;
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

void result_queue_untake(struct result_queue *q, const char *take)
{
	for (struct result *r = q->n ? q->first : NULL; r; r = r->next) {
		if (!str_eq(r->take.id, take))
			continue;
		q->places -= (size_t)r->take.max;
		r->take.max = 0;
	}
}

void result_answer(struct result *r, int status, struct json *payloads, int64_t claimed)
{
	const struct msg_answer m = { .status = status,
		                      .tasks = payloads,
		                      .held_ms = claimed > r->since ? claimed - r->since : 0 };
	bus_answer(r->call, &m);
	json_free(payloads);
	message_free(r->finish);
	loom_free(r);
}
