/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention - the elected scheduler deletes old history (model/cluster/history.h) after the
 * configured times. It uses small transactions with pauses between them, to leave the database time
 * for other work. Loop thread; worker threads do the work.
 */
#ifndef LOOM_SCHEDULER_RETENTION_H
#define LOOM_SCHEDULER_RETENTION_H

#include "services/scheduler/scheduler.h"

void retention_start(struct scheduler *s);
bool retention_idle(const struct scheduler *s);
void retention_stop(struct scheduler *s);

#endif
