/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker - the slots: each runs one task from taking to the server's answer.  Loop thread only.
 *
 * A slot's task runs its plugins one after the other, is saved and reported, and leaves the slot
 * when the server has answered. As soon as its plugins have ended another task may run, which the
 * answer to the result brings, or a take; there are spare slots for that. A task that is no longer
 * ours (the server says so, or cancelled it) has its process group stopped and its result dropped.
 *
 * A task is worked on only while its lease lasts: it is not begun when it came too late, and its
 * plugins are stopped, before the server gives it to somebody else, when no renewal was heard of.
 * It is then reported as lost, so that it is given out again as soon as the server hears of it. The
 * lease is reckoned on our own clock from when it was asked for, never from when an answer came.
 */
#ifndef LOOM_PROVISIONER_WORKER_H
#define LOOM_PROVISIONER_WORKER_H

#include "common/net/spans.h"
#include "plugins.h"
#include "report.h"

struct workers;

struct workers_config {
	struct loop *loop;
	struct pool *pool;
	struct wire *wire;
	struct report *report;
	const struct plugins *plugins;
	const char *provisioner; /* our id */
	const char *tenant;      /* as used in take */
	const char *work_dir;    /* absolute; has scratch/ and plugins/<folder>/<name>/ */
	size_t capacity;
	struct spans *spans;          /* NULL: nobody is told */
	void (*on_change)(void *arg); /* a slot changed its state */
	void *arg;
};

struct workers *workers_create(const struct workers_config *config); /* borrows all of it */
/* Kills what runs; what was not delivered stays in the spool. */
void workers_destroy(struct workers *w);

size_t workers_free(const struct workers *w);    /* how many more tasks may run */
size_t workers_running(const struct workers *w); /* tasks whose plugins run */
size_t workers_busy(const struct workers *w);    /* tasks not yet answered for, those included */
bool workers_about_to_report(const struct workers *w); /* a result is being saved */

/* The worker id to take tasks with: "<provisioner>.<lowest free slot>". Returns owned. */
char *workers_take_id(const struct workers *w);
/* Runs a task as taken under that id, claimed not before `claimed` (monotonic ms); takes `task`.
 * Positive with err when there is no free slot or it is no task that could even be reported. */
LOOM_MUST_CHECK int workers_start(struct workers *w, const char *worker, int64_t claimed,
                                  struct json *task, struct loom_err *err);

/* [{"taskId","attempt"}] of the tasks whose lease we need, and {"<tenant>": n} of those. */
struct json *workers_tasks(const struct workers *w);
struct json *workers_usage(const struct workers *w);
/* The server has renewed the lease; asked for at `since` (monotonic ms). */
void workers_renewed(struct workers *w, const char *task, int64_t attempt, int64_t since);
void workers_renewed_all(struct workers *w, int64_t since);
/* The server says that this attempt is no longer ours. */
void workers_lost(struct workers *w, const char *task, int64_t attempt, const char *why);
/* Stops a task; that it was stopped is its result. */
void workers_cancel(struct workers *w, const char *task, int64_t attempt);
void workers_lost_all(struct workers *w, const char *why);

#endif
