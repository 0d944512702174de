/* SPDX-License-Identifier: Apache-2.0 */
/* job_lifecycle_private - what the parts of the job_lifecycle share: how tasks go on, are replaced,
 * and end. */
#ifndef LOOM_SCHEDULER_JOB_LIFECYCLE_PRIVATE_H
#define LOOM_SCHEDULER_JOB_LIFECYCLE_PRIVATE_H

#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/plan/planner.h"

/* ---- job_finish.c: what the end of a job is for its cluster ------------------------------------
 */

/* t was given up: nothing more of its job is handed out. A create that is to be rolled back is. */
LOOM_MUST_CHECK int lifecycle_fail_job(struct db *db, struct cluster_tx *tx, struct job *j,
                                       const struct task *t);
/* A failed job ends its cluster's wait once the last running task has reported. */
LOOM_MUST_CHECK int lifecycle_settle(struct db *db, struct cluster_tx *tx, const struct job *j);
/* A retry of some tasks only: when they are done, the others are still left of the failed job. */
bool lifecycle_has_more(const struct job *j);
LOOM_MUST_CHECK int lifecycle_end_part(struct db *db, struct cluster_tx *tx, struct job *j);

/* A deletion goes on without a machine that the provider does not give up, and says so at its end:
 * the machine of t is noted, and the job ended if that was its last. */
LOOM_MUST_CHECK int lifecycle_kept(struct db *db, struct cluster_tx *tx, struct job *j,
                                   const struct task *t);
LOOM_MUST_CHECK int lifecycle_end_kept(struct db *db, struct cluster_tx *tx, struct job *j);

/* ---- job_recover.c: what comes before a step that is tried again -------------------------------
 */

/* Undoes a failed step first: DELETE, then CREATE, then the step again, as new tasks before it. */
LOOM_MUST_CHECK int lifecycle_roll_back(struct db *db, struct cluster_tx *tx, struct job *j,
                                        struct task *t);
/* May another machine take the place of the one that t could not make, by what the template or the
 * operator allow? c has its documents. Pure. */
bool lifecycle_may_replace(const struct job_policy *p, const struct cluster *c, const struct job *j,
                           const struct task *t);
/* It does: the machine of t is deleted, and a new one with a number and name of its own is made for
 * the services of the old. All that was to be done there is done on the new one. */
LOOM_MUST_CHECK int lifecycle_replace(struct db *db, struct cluster_tx *tx, struct job *j,
                                      struct task *t);

#endif
