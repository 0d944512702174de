/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasklog - what a task's plug-in wrote, in pieces keyed by their position, so that a piece sent
 * twice is stored once. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_TASKLOG_H
#define LOOM_MODEL_TASKLOG_H

#include "common/base/buf.h"
#include "common/base/ids.h"
#include "common/db/db.h"

#define TASKLOG_MAX (1 << 20) /* bytes kept of one attempt */

struct tasklog_at {
	struct task_ref ref;
	int64_t attempt, pos;
};

struct tasklog_piece {
	const char *provisioner; /* who wrote it */
	const void *data;
	size_t len;
};

/* *ok false when the attempt is not one that this provisioner holds or held. What goes past
 * TASKLOG_MAX is dropped. */
LOOM_MUST_CHECK int tasklog_add(struct db *db, const struct tasklog_at *at,
                                const struct tasklog_piece *piece, bool *ok);
/* From a position on, about max bytes at most; *ret_pos is the position after. */
LOOM_MUST_CHECK int tasklog_read(struct db *db, const struct tasklog_at *at, size_t max,
                                 struct buf *out, int64_t *ret_pos);
LOOM_MUST_CHECK int tasklog_size(struct db *db, const struct tasklog_at *at, int64_t *ret);

#endif
