/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasklog - what a task's plug-in wrote, in pieces keyed by their position, so that a piece sent
 * twice is stored once. Inside db_tx() or db_read().
 *
 * Of each attempt the first TASKLOG_HEAD bytes and the last TASKLOG_TAIL are kept, to a piece's
 * length. A reader is told in a line how much is missing between two pieces.
 */
#ifndef LOOM_MODEL_TASKLOG_H
#define LOOM_MODEL_TASKLOG_H

#include "common/base/buf.h"
#include "common/base/ids.h"
#include "common/db/db.h"

#define TASKLOG_HEAD     (768 << 10)
#define TASKLOG_TAIL     (256 << 10)
#define TASKLOG_PIECE    (128 << 10) /* bytes of one piece at most */
#define TASKLOG_GRACE_MS 10000       /* after an attempt's end its log may come for so long */
#define TASKLOG_END_MAX  ((int64_t)1 << 50)

struct tasklog_at {
	struct task_ref ref;
	int64_t attempt, pos;
};

struct tasklog_piece {
	const char *provisioner; /* who wrote it */
	const char *claim;       /* the secret of its claim; NULL: it has none */
	int64_t dropped;         /* bytes before it that were not sent */
	const void *data;
	size_t len;
};

enum tasklog_writer {
	TASKLOG_OPEN,
	TASKLOG_NOT_HELD, /* the attempt is not, and was not, this provisioner's */
	TASKLOG_CLOSED,   /* it ended too long ago */
};
/* May who sends it write to the attempt's log now, and for which tenant? */
LOOM_MUST_CHECK int tasklog_writer(struct db *db, const struct tasklog_at *at,
                                   const struct tasklog_piece *piece, char tenant[65],
                                   enum tasklog_writer *ret);
/* Adds a piece that begins where the log ends, or `dropped` behind it; beyond the head, anywhere
 * behind it. One that is known is taken and not stored again. *ret_end: where the log ends now, or,
 * when the piece is out of order (*ok false), where it has to go on. */
LOOM_MUST_CHECK int tasklog_add(struct db *db, const struct tasklog_at *at,
                                const struct tasklog_piece *piece, bool *ok, int64_t *ret_end);

struct tasklog_part {
	struct buf text;
	int64_t end;   /* the position after it */
	bool mid_line; /* it does not end a line */
};
/* From a position on, about max bytes at most. mid_line: what was read before did not end a line.
 * ret's text is set up by the caller, with room for TASKLOG_PIECE and a line more. */
LOOM_MUST_CHECK int tasklog_read(struct db *db, const struct tasklog_at *at, bool mid_line,
                                 size_t max, struct tasklog_part *ret);
/* Where the last so many bytes begin; where something is missing, before that. */
LOOM_MUST_CHECK int tasklog_tail(struct db *db, const struct tasklog_at *at, int64_t bytes,
                                 int64_t *ret_pos);

#endif
