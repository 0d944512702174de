/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history - deletes old data: events and logs of finished jobs, jobs of living clusters, clusters
 * that have ended. It visits jobs in the order in which they ended, each once per kind, and
 * remembers its position in a counter; so data that is kept costs nothing.
 *
 * A finished job of an active cluster is deleted if it neither created nor deleted a node and is
 * not the newest: the other jobs tell which nodes exist. An incomplete cluster keeps its jobs, for
 * a retry or rollback. Inside db_tx(); worker threads.
 */
#ifndef LOOM_MODEL_HISTORY_H
#define LOOM_MODEL_HISTORY_H

#include "common/db/db.h"

enum history {
	HISTORY_EVENTS,   /* of a cluster, up to the end of the job */
	HISTORY_LOGS,     /* of a job's tasks */
	HISTORY_JOBS,     /* with their tasks */
	HISTORY_CLUSTERS, /* with everything that belongs to them */
	HISTORY_N,
};
const char *history_name(enum history h); /* "events" */

struct history_job {
	int64_t cluster, num, end_time;
};

/* Up to `max` jobs that ended more than `kept_ms` ago, after `seen`, and were not visited yet. */
struct history_from {
	int64_t kept_ms, seen;
};
LOOM_MUST_CHECK int history_due(struct db *db, enum history h, const struct history_from *from,
                                struct history_job *ret, size_t max, size_t *ret_n);
/* Deletes data of one job, at most a few hundred rows per table. *ret_rows: how many; 0: nothing is
 * left. */
LOOM_MUST_CHECK int history_let_go(struct db *db, enum history h, const struct history_job *j,
                                   int64_t *ret_rows);
/* All jobs that ended up to then have been visited. */
LOOM_MUST_CHECK int history_done(struct db *db, enum history h, int64_t end_time);

/* The oldest remaining event of a cluster; 0: none. */
LOOM_MUST_CHECK int history_first_event(struct db *db, int64_t cluster, int64_t *ret);

#endif
