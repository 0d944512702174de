/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_watch - can this scheduler reach the database? Its own way there (a proxy, a link) may be
 * broken while those of other schedulers are not. Then the APIs ask the others, and one of them is
 * elected. Loop thread.
 */
#ifndef LOOM_SCHEDULER_DB_WATCH_H
#define LOOM_SCHEDULER_DB_WATCH_H

#include "common/db/db.h"
#include "common/net/loop.h"

struct db_watch;

/* Called after each look. */
typedef void (*db_watch_fn)(void *arg);

/* Looks at once and twice a second, on a thread and a connection of its own, so that nothing else
 * delays it. cfg: of the scheduler's pool. NULL with err filled on error. */
struct db_watch *db_watch_create(struct loop *l, const struct db_config *cfg, db_watch_fn fn,
                                 void *arg, struct loom_err *err);
/* Joins the thread, which may be at a connection for a second. NULL ok. */
void db_watch_destroy(struct db_watch *w);

/* For how long it has not answered, or has been read-only, ms; 0: it can be written to, or w is
 * NULL. */
int64_t db_watch_away_ms(const struct db_watch *w);

#endif
