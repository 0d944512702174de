/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result_queue - workers' results waiting for a batch: first in, first out. Loop thread only.
 */
#ifndef LOOM_SCHEDULER_RESULT_QUEUE_H
#define LOOM_SCHEDULER_RESULT_QUEUE_H

#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "services/scheduler/dispatch/batch.h"

struct result {
	struct result *next;
	struct bus_call *call;
	struct msg_finish *finish;
	int64_t cluster;
	struct take take; /* the worker's request for further tasks; max 0: none */
	int64_t since;    /* monotonic ms: when it was made */
	bool alone;       /* was refused in a batch with others */
	bool held;        /* another transaction held its cluster before */
};

struct result_queue { /* all zero: empty */
	struct result *first, **end;
	size_t n;
	size_t places; /* tasks that their workers request */
};

void result_queue_push(struct result_queue *q, struct result *r);
struct result *result_queue_pop(struct result_queue *q); /* NULL: empty */
/* Moves the results that `fits` accepts into v, at most `most`; returns their number. */
size_t result_queue_take(struct result_queue *q,
                         bool (*fits)(const struct result *r, const void *arg), const void *arg,
                         struct result **v, size_t most);
/* The worker of this take has gone: its result still counts, but it gets no further tasks. */
void result_queue_untake(struct result_queue *q, const char *take);
/* Answers and frees a result. payloads: the next tasks for its worker, taken; NULL: none. They were
 * claimed after `claimed` (monotonic ms). */
void result_answer(struct result *r, int status, struct json *payloads, int64_t claimed);

#endif
