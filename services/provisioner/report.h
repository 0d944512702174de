/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - gets finished results to the server, whatever happens in between.  Loop thread only; the
 * disk is used on the worker pool.
 *
 * A result is first written durably to the spool, then posted until the server has answered, then
 * removed from the spool. What an earlier process left in the spool is posted as it is, oldest
 * first, one at a time; whether it still counts is the server's decision (the attempt fences it).
 *
 * The answer to a result of ours may bring the next tasks, if there is room for them when it is
 * sent. An answer that is lost loses nothing: the tasks' leases end and they are given out again.
 */
#ifndef LOOM_PROVISIONER_REPORT_H
#define LOOM_PROVISIONER_REPORT_H

#include "common/net/pool.h"
#include "spool.h"
#include "wire.h"

struct report;
struct report_item;

enum report_event {
	REPORT_SAVED,    /* in the spool (or the disk failed, which is logged): may be sent now */
	REPORT_REPLACED, /* refused for what it says: it is a failure now, to be sent again */
	REPORT_ACCEPTED, /* the server has it; the item is gone */
	REPORT_REFUSED,  /* the server does not want it; the item is gone */
};

typedef void (*report_fn)(struct report_item *item, enum report_event event, void *arg);

struct report_next {
	size_t asked;       /* tasks */
	const char *worker; /* id that they were asked for with */
	int64_t since;      /* mono ms, when they were asked for */
	const struct wire_answer *answer;
};

struct report_config {
	struct loop *loop;
	struct pool *pool;
	struct wire *wire;
	struct spool *spool;
	const char *provisioner; /* our id */
	/* The server does not know our id (any more); called for each such answer. */
	void (*on_unregistered)(void *arg);
	/* How many tasks a result that is sent now may bring. */
	size_t (*ask_next)(void *arg);
	/* What came of it, for each that asked for some. */
	void (*on_next)(const struct report_next *next, void *arg);
	void *arg;
};

struct report *report_create(const struct report_config *config); /* borrows all of it */
/* Waits for nothing: what is still open stays in the spool. The pool must be gone already. */
void report_destroy(struct report *r);
/* Starts sending what the spool holds. Call once, before any item is made. 0 or -errno. */
LOOM_MUST_CHECK int report_resend(struct report *r);

/* Saves a result; fn is called with REPORT_SAVED, then, after report_send(), with its fate. */
struct report_item *report_save(struct report *r, const char *task, int64_t attempt,
                                const struct json *finish, report_fn fn, void *arg);
void report_send(struct report_item *item);
/* Why it was replaced; valid until the item is gone. */
const char *report_refusal(const struct report_item *item);

#endif
