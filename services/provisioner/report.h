/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - delivers finished results to the server, whatever fails in between. Loop thread only;
 * disk work runs on the worker pool.
 *
 * A result is first written durably to the spool, then posted until the server has answered, then
 * removed from the spool. Results that an earlier process left in the spool are posted unchanged,
 * oldest first, one at a time; the server decides whether they still count (the attempt fences
 * them).
 *
 * The answer to a result of this process may bring the next tasks, if there is room for them when
 * it is sent. A lost answer loses nothing: the tasks' leases end and they are handed out again.
 */
#ifndef LOOM_PROVISIONER_REPORT_H
#define LOOM_PROVISIONER_REPORT_H

#include "common/net/pool.h"
#include "spool.h"
#include "wire.h"

struct report;
struct report_item;

enum report_event {
	REPORT_SAVED,    /* in the spool (or the disk failed, which is logged): ready to send */
	REPORT_REPLACED, /* refused because of its content: now a failure, to be sent again */
	REPORT_ACCEPTED, /* the server has it; the item is freed */
	REPORT_REFUSED,  /* the server does not want it; the item is freed */
};

typedef void (*report_fn)(struct report_item *item, enum report_event event, void *arg);

struct report_next {
	size_t asked;       /* tasks */
	const char *worker; /* worker id of the request */
	int64_t since;      /* mono ms, when they were requested */
	const struct wire_answer *answer;
};

struct report_config {
	struct loop *loop;
	struct pool *pool;
	struct wire *wire;
	struct spool *spool;
	const char *provisioner; /* our id */
	/* Called for each answer saying that the server does not know our id (any more). */
	void (*on_unregistered)(void *arg);
	/* How many tasks the answer to a result sent now may bring. */
	size_t (*ask_next)(void *arg);
	/* Called with the answer to each result that asked for tasks. */
	void (*on_next)(const struct report_next *next, void *arg);
	void *arg;
};

struct report *report_create(const struct report_config *config); /* borrows all of it */
/* Does not wait: undelivered results stay in the spool. Destroy the pool first. */
void report_destroy(struct report *r);
/* Starts sending the spool's results. Call once, before any item is made. 0 or -errno. */
LOOM_MUST_CHECK int report_resend(struct report *r);

/* Saves a result; calls fn with REPORT_SAVED and, after report_send(), with the final event. */
struct report_item *report_save(struct report *r, const char *task, int64_t attempt,
                                const struct json *finish, report_fn fn, void *arg);
void report_send(struct report_item *item);
/* Why it was replaced; valid until the item is gone. */
const char *report_refusal(const struct report_item *item);

#endif
