/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - streams that wait for something new: each reads on a worker and writes on the loop, again
 * whenever it is kicked, one read at a time. Loop thread.
 */
#ifndef LOOM_API_WATCH_H
#define LOOM_API_WATCH_H

#include "services/api/auth.h"

struct watch;

struct watch_ops {
	/* Worker: gets what is new. Returns a DB_E_ code; *more asks for another round at once.
	 * NULL: somebody else reads and writes for it (feed.c). */
	int (*read)(struct watch *w, struct db_pool *p, bool *more);
	/* Loop: writes it; false ends the stream. */
	bool (*write)(struct watch *w);
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
	int rc;
};

#define WATCH_BACKLOG (1 << 20) /* bytes unsent before a slow reader is cut off: it can resume */

/* On the loop: starts the stream; w is owned by the list from here on. */
void watch_start(struct watch *w, const char *type);
void watch_kick(struct watch *w);
void watch_end(struct watch *w); /* w is gone, at the latest when its reading is done */

#endif
