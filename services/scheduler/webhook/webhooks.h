/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhooks - tells the targets what the outbox holds for them, and asks those that may veto before
 * a job starts. Threads of its own, since targets may be slow. Each message is claimed for a while
 * (so a killed scheduler's are told by others), told again with growing waits until it was answered
 * with 2xx, and put aside as dead after so many tries.
 */
#ifndef LOOM_SCHEDULER_WEBHOOKS_H
#define LOOM_SCHEDULER_WEBHOOKS_H

#include "common/model/job.h"
#include "common/model/node.h"
#include "services/scheduler/scheduler.h"

/* Loop thread. */
LOOM_MUST_CHECK int webhooks_start(struct scheduler *s, struct loom_err *err);
void webhooks_drain(struct scheduler *s); /* begins nothing new */
void webhooks_stop(struct scheduler *s);  /* waits for what is under way */
void webhooks_kick(struct scheduler *s);  /* there may be something to tell */
void webhooks_poll(struct scheduler *s);  /* regularly: what others left, or is due again */

/* A job that is about to start, as it would be. */
struct admission_review {
	const struct job *claimed; /* its claim is made to last */
	const struct cluster *c;   /* with documents */
	const struct nodes *nodes;
	const struct job *job; /* as it is shown: of a solved layout, its create */
};
/* Worker threads. Is there anybody who may veto? Then they are asked on another thread, and then()
 * is called there: why NULL when nobody objects, else the reason for the user; DB_E_ code in rc
 * when the claim was lost. then() owns arg. When it cannot be known, then() is
 * called at once with the DB_E_ code. False: nobody, then() is not called. */
typedef void (*admission_cb)(void *arg, int rc, const char *why);
bool admission_ask(struct scheduler *s, const struct admission_review *st, admission_cb then,
                   void *arg);

#endif
