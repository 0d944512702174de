/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - streams of news: each reads on a worker and writes on the loop, whenever it is kicked,
 * one read at a time. Nothing is read for a slow reader until it has taken what was written; one
 * that takes nothing for a minute is disconnected, and can resume. A stream ends some seconds after
 * its token expires, and within a second of its revocation (watch_tokens.c). Loop thread.
 */
#ifndef LOOM_API_WATCH_H
#define LOOM_API_WATCH_H

#include "services/api/request/auth.h"

struct watch;

struct watch_ops {
	/* Worker: reads the news. Returns a DB_E_ code; *more asks for another round at once. NULL:
	 * another module reads and writes for it (feed.c). */
	int (*read)(struct watch *w, struct db_pool *p, bool *more);
	/* Loop: writes the news. Returns the bytes not sent yet; below 0 ends the stream. */
	long (*write)(struct watch *w);
	/* Loop: adds headers when the stream begins; may be NULL. */
	void (*head)(struct watch *w);
	/* Loop: does news of this cluster concern it? NULL: only of w->cluster. */
	bool (*about)(const struct watch *w, int64_t cluster);
	/* Loop: instead of ending a stream, answers a request that has none yet. NULL: a stream. */
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
	int64_t cluster; /* the cluster whose events kick it; 0: none */
	char task[64];   /* the task whose log kicks it; "" otherwise */
	bool reading, again, ended, more;
	bool lapsed; /* its token has expired, or its permissions have changed */
	bool cut;    /* the announced data is not sent in full: end by closing the connection */
	bool behind; /* the client has not taken what was written */
	int missed;  /* heartbeats since then */
	int rc;
};

#define WATCH_HIGH (256L << 10) /* unsent bytes from which on a reader is behind */

/* On the loop: starts the stream, unless w is not one; the list owns w from here on. */
void watch_start(struct watch *w, const char *type);
void watch_start_as(struct watch *w, int status, const char *type); /* watch_start() answers 200 */
void watch_behind(struct watch *w, long unsent);
void watch_end(struct watch *w); /* frees w, at the latest when its reading is done */

/* Calls fn for all; fn may end the one that it gets. */
void watch_each(struct api *a, void (*fn)(struct watch *w, void *arg), void *arg);

/* watch_tokens.c */
struct token_checks;
struct token_checks *token_checks_create(struct api *a);
void token_checks_destroy(struct token_checks *t);

/* Parses the number of an event, 0 for text NULL; false when answered. */
bool watch_number(struct http_req *req, const char *text, int64_t *ret);
/* Can a client that knows a cluster up to event `last` go on after it? first: the oldest event
 * kept, 0: none. A client without any (last 0) starts with what there is. */
bool watch_resumes(int64_t last, int64_t first, int64_t newest);
/* The same; false when answered (410). */
bool watch_can_resume(struct http_req *req, int64_t last, int64_t first, int64_t newest);

#endif
