/* SPDX-License-Identifier: Apache-2.0 */
/*
 * successors - who waits for whom in jobs under way, kept in memory: a job's edges change only when
 * tasks are added to it, so they are read once per job and number of tasks.
 *
 * One thread at a time.
 */
#ifndef LOOM_SCHEDULER_SUCCESSORS_H
#define LOOM_SCHEDULER_SUCCESSORS_H

#include "common/model/task.h"

struct successors;

struct successors *successors_create(void);
void successors_destroy(struct successors *s);

/* The numbers that the edges of `from` (a task; below 0 a group) lead to, borrowed until the next
 * call. The job as it is in this transaction. */
LOOM_MUST_CHECK int successors_get(struct successors *s, struct db *db, const struct job *j,
                                   int64_t from, const int64_t **ret, size_t *ret_n);

LOOM_DEFINE_CLEANUP(struct successors *, successors_destroy)

#endif
