/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasklog - the output of a task's plug-in, in pieces identified by their position, so that a piece
 * sent twice is stored once. Inside db_tx() or db_read().
 *
 * Of each attempt the first TASKLOG_HEAD bytes and the last TASKLOG_TAIL are kept, rounded to
 * pieces. A reader sees a line that says how much is missing between two pieces.
 */
#ifndef LOOM_MODEL_TASKLOG_H
#define LOOM_MODEL_TASKLOG_H

#include "common/base/buf.h"
#include "common/base/ids.h"
#include "common/db/db.h"

#define TASKLOG_HEAD     (768 << 10)
#define TASKLOG_TAIL     (256 << 10)
#define TASKLOG_PIECE    (128 << 10) /* maximum bytes of a piece */
#define TASKLOG_GRACE_MS 10000       /* output may arrive for this long after an attempt's end */
#define TASKLOG_END_MAX  ((int64_t)1 << 50)

struct tasklog_at {
	struct task_ref ref;
	int64_t attempt, pos;
};

struct tasklog_piece {
	const char *provisioner; /* the sender */
	const char *claim;       /* the claim's secret; NULL: none */
	int64_t dropped;         /* bytes before it that were not sent */
	const void *data;
	size_t len;
};

enum tasklog_writer {
	TASKLOG_OPEN,
	TASKLOG_NOT_HELD, /* this provisioner does not hold the attempt, and never did */
	TASKLOG_CLOSED,   /* it ended too long ago */
};
/* May the sender write to the attempt's log now, and for which tenant? */
LOOM_MUST_CHECK int tasklog_writer(struct db *db, const struct tasklog_at *at,
                                   const struct tasklog_piece *piece, char tenant[65],
                                   enum tasklog_writer *ret);
/* Adds a piece that starts at the log's end, or `dropped` bytes after it; beyond the head, anywhere
 * after it. A piece that is stored already is accepted and ignored. *ret_end: the new end of the
 * log or, when the piece is out of order (*ok false), where the next must start. */
LOOM_MUST_CHECK int tasklog_add(struct db *db, const struct tasklog_at *at,
                                const struct tasklog_piece *piece, bool *ok, int64_t *ret_end);

struct tasklog_part {
	struct buf text;
	int64_t end;   /* the position after it */
	bool mid_line; /* the text does not end with a line feed */
};
/* Reads about max bytes from a position on. mid_line: the part before did not end with a line feed.
 * The caller sets up ret's text, with room for TASKLOG_PIECE and a line more. */
LOOM_MUST_CHECK int tasklog_read(struct db *db, const struct tasklog_at *at, bool mid_line,
                                 size_t max, struct tasklog_part *ret);
/* Where the last `bytes` bytes start; earlier, if some are missing. */
LOOM_MUST_CHECK int tasklog_tail(struct db *db, const struct tasklog_at *at, int64_t bytes,
                                 int64_t *ret_pos);

#endif
