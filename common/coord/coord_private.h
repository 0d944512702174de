/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coord_private - shared within common/coord.
 *
 * coord_zk.c keeps one ZooKeeper session after the other and turns the library's callbacks, which
 * come on its own threads, into calls on the loop. The rest runs on the loop only. The end of an
 * operation is reported once; if its session ends first, it is never reported, and everything
 * starts anew.
 */
#ifndef LOOM_COORD_COORD_PRIVATE_H
#define LOOM_COORD_COORD_PRIVATE_H

#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/coord/coord.h"

#include <pthread.h>
#include <stdatomic.h>
#include <zookeeper/zookeeper.h>

enum coord_metric {
	COORD_M_CONNECTED,
	COORD_M_SESSIONS,
	COORD_M_EXPIRED,
	COORD_M_LEADING,
	COORD_M_COUNT
};
extern struct metric coord_metrics[COORD_M_COUNT];

struct coord_session;
struct coord_op;
struct coord_join;
struct coord_watching;
struct coord_election;

struct coord {
	struct loop *loop;
	char *quorum, *root;
	char *secret; /* "loom:..." in the form of ZooKeeper's digest scheme; NULL: none */
	int64_t asked_ms;
	/* the session (coord_zk.c) */
	struct coord_session *session;
	struct coord_op *ops;      /* operations under way */
	struct loop_timer *reopen; /* next try to open one */
	struct loop_timer *beat;   /* keeps last_contact fresh */
	struct loop_timer *retry;  /* after a failed operation */
	struct loop_timer *lapse;  /* when leadership ends without further contact */
	int64_t client_id, timeout_ms;
	int64_t last_contact;  /* monotonic ms when the last answered request was sent */
	atomic_bool connected; /* read by any thread */
	bool beating, lapsed, retrying;
	bool has_dirs; /* the persistent nodes exist */
	/* requested by the users of coord.h */
	struct coord_join *joins;
	struct coord_watching *watches;
	struct coord_election *elections;
};

/* ---- coord_session.c ------------------------------------------------------------------------ */

/* Shared with the library's threads and with posted messages: the last owner frees it. */
struct coord_session {
	_Atomic int refs;
	struct loop *loop;
	char *quorum;
	int asked_ms;
	watcher_fn on_event;
	loop_fn opened;
	struct coord *coord; /* loop only; NULL once closed */
	zhandle_t *zh;       /* loop only; NULL while it is opened */
	int early;           /* loop only: a state that came before zh was known */
	pthread_mutex_t lock;
	zhandle_t *made; /* under the lock, as it is known to the thread that opens it */
	int error;       /* why there is none */
	bool given_up;   /* under the lock: nothing more is posted */
};

/* Begins to open one. opened runs on the loop, with a reference of its own to the session: made is
 * NULL if there is none. */
struct coord_session *coord_session_open(struct coord *c, watcher_fn on_event, loop_fn opened);
/* Runs fn on the loop, which then has a reference to s. Any thread; false: s is closed. */
bool coord_session_post(struct coord_session *s, loop_fn fn, void *arg);
void coord_session_close(struct coord_session *s); /* nothing is posted from here on */
void coord_session_unref(struct coord_session *s);

/* ---- coord_zk.c ---------------------------------------------------------------------------- */

typedef void (*coord_op_fn)(struct coord *c, struct coord_op *op);

struct coord_op {
	struct coord_op *prev, *next;
	struct coord *coord; /* NULL: its session has ended, so it will only be freed */
	struct loop *loop;
	coord_op_fn done;
	void *target;
	size_t index;
	int64_t sent; /* monotonic ms */
	bool posted;  /* the library is finished with it */
	/* the result */
	int rc;
	struct Stat stat;
	char *data; /* NUL-terminated */
	struct strs names;
};

void coord_zk_open(struct coord *c);
void coord_zk_close(struct coord *c);
/* Refreshes everything in a second: an operation failed, and no event will follow. */
void coord_retry(struct coord *c);

/* done may be NULL. watch: coord_changed() is called once. */
void coord_exists(struct coord *c, const char *path, bool watch, coord_op_fn done, void *target);
void coord_get(struct coord *c, const char *path, coord_op_fn done, void *target, size_t index);
void coord_children(struct coord *c, const char *path, bool watch, coord_op_fn done, void *target);
void coord_create_node(struct coord *c, const char *path, const char *data, int mode,
                       coord_op_fn done, void *target);
/* Makes a persistent node; closes an existing one to others if there is a secret. */
void coord_make_dir(struct coord *c, const char *path);
void coord_delete(struct coord *c, const char *path, coord_op_fn done, void *target);
void coord_sync(struct coord *c, const char *path); /* the next read is fresh */

/* ---- coord.c ------------------------------------------------------------------------------- */

void coord_refresh(struct coord *c);                   /* connected: check everything again */
void coord_changed(struct coord *c, const char *path); /* a watch fired */
void coord_ensure(struct coord *c, const char *dir);   /* makes the persistent nodes down to dir */
/* Until when leadership can be relied on, monotonic ms. */
int64_t coord_lapse_time(const struct coord *c);

/* ---- coord_members.c ----------------------------------------------------------------------- */

void coord_members_dirs(struct coord *c);
void coord_members_refresh(struct coord *c);
void coord_members_changed(struct coord *c, const char *path);
void coord_members_reset(struct coord *c); /* the session has ended */
void coord_members_free(struct coord *c);

/* ---- coord_election.c ---------------------------------------------------------------------- */

void coord_elections_dirs(struct coord *c);
void coord_elections_refresh(struct coord *c);
void coord_elections_changed(struct coord *c, const char *path);
void coord_elections_depose(struct coord *c);
void coord_elections_reset(struct coord *c);
void coord_elections_free(struct coord *c);

#endif
