/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasklog - one attempt's log on its way to the server.  Loop thread only.
 *
 * Lines of both streams are joined whole where possible, batched for 200 ms, cleaned to valid UTF-8
 * and sent as chunks with their offset. A chunk whose fate is unknown is sent again unchanged, so
 * the server stores each byte once.
 *
 * At most TASKLOG_PENDING bytes wait: the first half of them is what comes next, the other half is
 * the newest; what does not fit is dropped between the two. Offsets count what was dropped, and the
 * chunk after it says how much that was, so that the server can tell readers. Beyond the head of a
 * log a chunk a second is sent, so that a flood costs the server little; its end comes whole.
 */
#ifndef LOOM_PROVISIONER_TASKLOG_H
#define LOOM_PROVISIONER_TASKLOG_H

#include "runner.h"
#include "wire.h"

#define TASKLOG_PENDING (256u << 10)
#define TASKLOG_CHUNK   (32u << 10)
#define TASKLOG_UNPACED (768 << 10) /* the head: sent as it comes */

struct tasklog;

struct tasklog_id {
	const char *task, *provisioner, *worker, *claim; /* copied; claim may be NULL */
	int64_t attempt;
};

struct tasklog *tasklog_create(struct loop *l, struct wire *w, const struct tasklog_id *id);
void tasklog_destroy(struct tasklog *t); /* drops what was not sent; NULL ok */
void tasklog_add(struct tasklog *t, enum run_stream stream, const char *data, size_t len);
/* A line of our own. */
void tasklog_note(struct tasklog *t, const char *text);
/* Nothing is added after this. done(arg) is called once, from the loop: when all is sent, when the
 * server refuses more, or after limit_ms; what remains goes on being sent until destroy. */
void tasklog_close(struct tasklog *t, int64_t limit_ms, loop_fn done, void *arg);

/* After tasklog_close() has called back: more may be added. */
void tasklog_reopen(struct tasklog *t);

/* Copies at most max bytes of data as valid UTF-8 without NULs to out and returns how many bytes of
 * data were used: fewer when the last character is not yet complete and `more` is to come. */
size_t tasklog_clean(const char *data, size_t len, size_t max, bool more, struct buf *out);

#endif
