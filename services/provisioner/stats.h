/* SPDX-License-Identifier: Apache-2.0 */
/* stats - the provisioner's metrics.  Any thread. */
#ifndef LOOM_PROVISIONER_STATS_H
#define LOOM_PROVISIONER_STATS_H

#include "common/base/metrics.h"

enum {
	STAT_TASKS_RUNNING,
	STAT_TASKS_TAKEN,
	STAT_TASKS_DONE,
	STAT_TASKS_FAILED,
	STAT_TASKS_LOST,
	STAT_TASK_MS,
	STAT_CALLS_FAILED,
	STAT_RESULTS_WAITING,
	STAT_RESULTS_OVERDUE,
	STAT_LOG_DROPPED,
	STAT_QUARANTINED,
	STATS_
};

extern struct metric stats[STATS_];

#endif
