/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result_queue - workers' results that wait for a batch: first in, first out. Loop thread only.
 */
#ifndef LOOM_SCHEDULER_RESULT_QUEUE_H
#define LOOM_SCHEDULER_RESULT_QUEUE_H

#include "common/bus/bus.h"
#include "common/bus/messages.h"
#include "services/scheduler/dispatch/batch.h"

struct result {
	struct result *next;
	struct bus_call *call;
	struct msg_finish *said;
	int64_t cluster;
	struct take take; /* what its worker asks for with it; max 0: nothing */
	int64_t since;    /* monotonic ms: when it did */
	bool alone;       /* in a batch with others it was refused */
	bool held;        /* its cluster was somebody else's once */
};

struct result_queue { /* all zero: empty */
	struct result *first, **end;
	size_t n;
	size_t places; /* tasks that their workers ask for */
};

void result_queue_push(struct result_queue *q, struct result *r);
struct result *result_queue_pop(struct result_queue *q); /* NULL: empty */
/* Moves those that `fits` accepts into v, `most` at the most; returns how many. */
size_t result_queue_take(struct result_queue *q,
                         bool (*fits)(const struct result *r, const void *arg), const void *arg,
                         struct result **v, size_t most);
/* A worker that hands in a result and asks for more has gone: it gets nothing more. */
void result_queue_untake(struct result_queue *q, const char *take);
/* Answers and frees one. payloads: the next tasks of its worker, taken; NULL: none. They were
 * claimed after `claimed` (monotonic ms). */
void result_answer(struct result *r, int status, struct json *payloads, int64_t claimed);

#endif
