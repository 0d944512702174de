/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - streams that wait for something new: each reads on a worker and writes on the loop, again
 * whenever it is kicked, one read at a time. A slow reader is not read for until it has taken what
 * was written, and is cut off when it takes nothing for a minute: it can resume. Loop thread.
 */
#ifndef LOOM_API_WATCH_H
#define LOOM_API_WATCH_H

#include "services/api/auth.h"

struct watch;

struct watch_ops {
	/* Worker: gets what is new. Returns a DB_E_ code; *more asks for another round at once.
	 * NULL: somebody else reads and writes for it (feed.c). */
	int (*read)(struct watch *w, struct db_pool *p, bool *more);
	/* Loop: writes it. Returns the bytes not sent yet; below 0 ends the stream. */
	long (*write)(struct watch *w);
	/* Loop: does the cluster concern it? NULL: if it is w->cluster. */
	bool (*about)(const struct watch *w, int64_t cluster);
	/* Loop: answers where nothing was begun, in place of the stream's end. NULL: a stream. */
	void (*let_go)(struct watch *w);
	void (*free)(struct watch *w);
};

/* Embedded first in each kind's own struct. */
struct watch {
	struct watch *next;
	const struct watch_ops *ops;
	struct api *a;
	struct http_req *req;
	struct identity who;
	bool sse;        /* gets heartbeats */
	int64_t cluster; /* kicked by its events; 0: by none */
	char task[64];   /* kicked by this log; "" otherwise */
	bool reading, again, gone, more;
	bool behind; /* has not taken what was written */
	int missed;  /* heartbeats since then */
	int rc;
};

#define WATCH_HIGH (256L << 10) /* bytes unsent with which a reader is behind */

/* On the loop: starts the stream, unless it is none; w is owned by the list from here on. */
void watch_start(struct watch *w, const char *type);
void watch_start_as(struct watch *w, int status, const char *type); /* 200 is the other's */
void watch_kick(struct watch *w);
void watch_behind(struct watch *w, long unsent);
void watch_end(struct watch *w); /* w is gone, at the latest when its reading is done */

/* The number of an event, text NULL: 0; false when answered. */
bool watch_number(struct http_req *req, const char *text, int64_t *ret);
/* Is there an event `last`, for one who knows the cluster up to it? false when answered (410). */
bool watch_can_resume(struct http_req *req, int64_t last, int64_t newest);

#endif
