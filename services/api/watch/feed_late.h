/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed_late - summaries waiting for a reader that has not taken what was written: the newest of
 * each cluster. Readers share the text of a summary. Loop thread, but for feed_text_create().
 */
#ifndef LOOM_API_FEED_LATE_H
#define LOOM_API_FEED_LATE_H

#include "common/base/mem.h"

#include <stdbool.h>
#include <stddef.h>

/* A summary, as JSON. */
struct feed_text;
struct feed_text *feed_text_create(const char *json, size_t len); /* owned by the caller */
void feed_text_unref(struct feed_text *t);                        /* NULL ok */
const char *feed_text_json(const struct feed_text *t);

/* The most clusters that wait for one reader: some 300 KiB, about as much as it may leave unread in
 * its connection (WATCH_HIGH). */
enum { FEED_LATE_MAX = 4096 };

struct feed_late;
struct feed_late *feed_late_create(void);
void feed_late_destroy(struct feed_late *l); /* NULL ok */
/* false: too many clusters; nothing is changed. */
LOOM_MUST_CHECK bool feed_late_put(struct feed_late *l, const char *id, struct feed_text *t);
/* Passes the summaries to fn, in the order in which their clusters were added, and drops them;
 * stops when fn returns false. json is borrowed for the call. */
void feed_late_give(struct feed_late *l, bool (*fn)(const char *json, void *arg), void *arg);

LOOM_DEFINE_CLEANUP(struct feed_text *, feed_text_unref)

#endif
