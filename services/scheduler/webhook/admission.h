/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission - asks the targets with a veto before a job starts. On the loop, since targets may be
 * slow. A target that does not answer in time counts as a refusal.
 */
#ifndef LOOM_SCHEDULER_ADMISSION_H
#define LOOM_SCHEDULER_ADMISSION_H

#include "common/model/cluster/job.h"
#include "common/model/cluster/node.h"
#include "services/scheduler/scheduler.h"

void admission_start(void); /* once: its metric */

/* A job that is about to start, as it would be. */
struct admission_review {
	const struct job *claimed; /* its claim is extended while targets are asked */
	const struct cluster *c;   /* with documents */
	const struct nodes *nodes;
	const struct job *job; /* the job to show: for a solved layout, its create */
};
/* Worker threads. True if a target has a veto: the targets are asked, and then() is called on a
 * worker thread (on the loop, once the pool is gone) with why NULL if none objects, else the reason
 * for the user; or with a DB_E_ code in rc if the claim was lost. then() owns arg. If the targets
 * cannot be read, then() is called at once with the DB_E_ code. False: no target has a veto; then()
 * is not called. */
typedef void (*admission_cb)(void *arg, int rc, const char *why);
bool admission_ask(struct scheduler *s, const struct admission_review *st, admission_cb then,
                   void *arg);

#endif
