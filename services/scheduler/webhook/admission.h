/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission - asks the targets that may veto before a job starts. On the loop,
 * since targets may be slow. One that does not answer in time has not agreed.
 */
#ifndef LOOM_SCHEDULER_ADMISSION_H
#define LOOM_SCHEDULER_ADMISSION_H

#include "common/model/job.h"
#include "common/model/node.h"
#include "services/scheduler/scheduler.h"

void admission_start(void); /* once: its metric */

/* A job that is about to start, as it would be. */
struct admission_review {
	const struct job *claimed; /* its claim is made to last */
	const struct cluster *c;   /* with documents */
	const struct nodes *nodes;
	const struct job *job; /* as it is shown: of a solved layout, its create */
};
/* Worker threads. Is there anybody who may veto? Then they are asked, and then() is called on such
 * a thread (when the pool is gone, on the loop): why NULL when nobody objects, else the reason for
 * the user; DB_E_ code in rc when the claim was lost. then() owns arg. When it cannot be known,
 * then() is called at once with the DB_E_ code. False: nobody, then() is not called. */
typedef void (*admission_cb)(void *arg, int rc, const char *why);
bool admission_ask(struct scheduler *s, const struct admission_review *st, admission_cb then,
                   void *arg);

#endif
