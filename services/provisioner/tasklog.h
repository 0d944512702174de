/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasklog - sends the log of an attempt to the server. Loop thread only.
 *
 * Lines of the two streams are kept whole if possible, batched for 200 ms, cleaned to valid UTF-8
 * and sent as chunks with their offset. A chunk whose result is unknown is sent again unchanged, so
 * the server stores each byte once.
 *
 * At most TASKLOG_PENDING bytes wait: half of them are the next to be sent, half are the newest;
 * text that does not fit is dropped between the two. Offsets count dropped bytes, and the chunk
 * after a gap gives its size, so that the server can show it. After the first part of a log one
 * chunk is sent per second, so that a flood costs the server little; its end is sent completely.
 */
#ifndef LOOM_PROVISIONER_TASKLOG_H
#define LOOM_PROVISIONER_TASKLOG_H

#include "runner.h"
#include "wire.h"

#define TASKLOG_PENDING (256u << 10)
#define TASKLOG_CHUNK   (32u << 10)
#define TASKLOG_UNPACED (768 << 10) /* the first part: sent without delay */

struct tasklog;

struct tasklog_id {
	const char *task, *provisioner, *worker, *claim; /* copied; claim may be NULL */
	int64_t attempt;
};

struct tasklog *tasklog_create(struct loop *l, struct wire *w, const struct tasklog_id *id);
void tasklog_destroy(struct tasklog *t); /* drops what was not sent; NULL ok */
void tasklog_add(struct tasklog *t, enum run_stream stream, const char *data, size_t len);
/* Adds a line of our own. */
void tasklog_note(struct tasklog *t, const char *text);
/* Nothing can be added after this. Calls done(arg) once, from the loop: when all is sent, when the
 * server refuses more, or after limit_ms; the rest is still sent until destroy. */
void tasklog_close(struct tasklog *t, int64_t limit_ms, loop_fn done, void *arg);

/* After tasklog_close() has called done: text may be added again. */
void tasklog_reopen(struct tasklog *t);

/* Copies at most max bytes of data to out as valid UTF-8 without NULs and returns how many bytes of
 * data were used: fewer if the last character is incomplete and `more` data will follow. */
size_t tasklog_clean(const char *data, size_t len, size_t max, bool more, struct buf *out);

#endif
