/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker - the slots: each runs one task from taking to the server's answer. Loop thread only.
 *
 * A slot runs the plugins of its task one after the other, saves and reports the result, and is
 * free when the server has answered. As soon as the plugins have ended another task may run, from
 * the answer to the result or from a take; there are spare slots for that. If the server says that
 * a task is no longer ours, its process group is stopped and its result dropped; a cancelled task
 * is stopped and reported as such.
 *
 * A task runs only while its lease lasts: it does not begin if it came too late, and without a
 * renewal its plugins are stopped before the server gives it to somebody else. It is then reported
 * as lost, so that it is handed out again as soon as the server receives that. Leases are computed
 * on our own clock, from the time of the request, never from the time of the answer.
 */
#ifndef LOOM_PROVISIONER_WORKER_H
#define LOOM_PROVISIONER_WORKER_H

#include "common/net/spans.h"
#include "plugins.h"
#include "removals.h"
#include "report.h"

struct workers;

struct workers_config {
	struct loop *loop;
	struct removals *removals; /* of task folders */
	struct wire *wire;
	struct report *report;
	const struct plugins *plugins;
	const char *provisioner; /* our id */
	const char *tenant;      /* for takes */
	const char *work_dir;    /* absolute; has scratch/ and plugins/<folder>/<name>/ */
	size_t capacity;
	struct spans *spans;          /* NULL: no tracing */
	void (*on_change)(void *arg); /* a slot changed its state */
	void *arg;
};

struct workers *workers_create(const struct workers_config *config); /* borrows all of it */
/* Kills running plugins; undelivered results stay in the spool. */
void workers_destroy(struct workers *w);

size_t workers_free(const struct workers *w);    /* how many more tasks may run */
size_t workers_running(const struct workers *w); /* tasks whose plugins run */
size_t workers_busy(const struct workers *w);    /* these, and tasks whose result is not answered
                                                  * yet */
bool workers_about_to_report(const struct workers *w); /* a result is being saved */

/* The worker id for the next take: "<provisioner>.<lowest free slot>". Returns owned. */
char *workers_take_id(const struct workers *w);
/* Runs a task taken under that id, claimed not before `claimed` (monotonic ms); takes `task`.
 * Positive with err when there is no free slot, or it is malformed and could not even be
 * reported. */
LOOM_MUST_CHECK int workers_start(struct workers *w, const char *worker, int64_t claimed,
                                  struct json *task, struct loom_err *err);

/* [{"taskId","attempt"}] of the tasks whose lease we need, and {"<tenant>": n} of them. */
struct json *workers_tasks(const struct workers *w);
struct json *workers_usage(const struct workers *w);
/* Reads the answer to a heartbeat sent at `since` (monotonic ms): which leases were renewed and
 * which are no longer ours, and which tasks are to be stopped. */
void workers_heard(struct workers *w, const struct json *answer, int64_t since);
void workers_renewed_all(struct workers *w, int64_t since); /* a server that holds them says so */
void workers_lost_all(struct workers *w, const char *why);

#endif
