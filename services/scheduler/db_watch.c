/* SPDX-License-Identifier: Apache-2.0 */
/* db_watch - asks the database on one connection, and notices as well when the question hangs. */
#include "services/scheduler/db_watch.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/pool.h"

enum {
	LOOK_MS = 500,
	LATE_MS = 1000, /* for an answer; 20 times what a loaded database takes */
};

struct db_watch {
	struct loop *loop;
	struct db_pool *db;
	struct pool *thread;
	struct loop_timer *timer;
	db_watch_fn fn;
	void *arg;
	int64_t asked; /* monotonic ms of the question under way; 0: none */
	int64_t away;  /* monotonic ms since when it is; 0: it is not */
	bool ok;       /* the last answer; used by the thread while it is asked */
	struct loom_err err;
};

enum { M_REACHED, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_REACHED] = { "loom_scheduler_database_reached",
	                "Can this scheduler write to the database, by its own way: 1, or 0.",
	                METRIC_GAUGE },
};

static void set_away(struct db_watch *w, bool away, const char *why)
{
	if (away == (w->away != 0))
		return;
	w->away = away ? clock_mono_ms() : 0;
	metric_set(&metrics[M_REACHED], !away);
	if (away)
		log_warn("database not reached: other schedulers are asked", LOG_S("reason", why));
	else
		log_info("database reached again");
}

static void ask(void *arg)
{
	struct db_watch *w = arg;
	w->ok = db_pool_ready(w->db, &w->err);
}

static void answered(void *arg)
{
	struct db_watch *w = arg;
	w->asked = 0;
	set_away(w, !w->ok, w->err.msg);
}

static void look(void *arg)
{
	struct db_watch *w = arg;
	if (w->asked && clock_mono_ms() - w->asked > LATE_MS)
		set_away(w, true, "it does not answer in time");
	else if (!w->asked && !pool_submit(w->thread, ask, answered, w))
		w->asked = clock_mono_ms();
	w->fn(w->arg);
}

struct db_watch *db_watch_create(struct loop *l, const struct db_config *cfg, db_watch_fn fn,
                                 void *arg, struct loom_err *err)
{
	struct db_watch *w = loom_calloc(1, sizeof(*w));
	struct db_config own = *cfg;
	own.connections = 1;
	own.statement_ms = own.statement_ms < LATE_MS ? own.statement_ms : LATE_MS;
	*w = (struct db_watch){ .loop = l, .fn = fn, .arg = arg };
	if (db_pool_create(&own, &w->db, err)) {
		loom_free(w);
		return NULL;
	}
	metrics_register(metrics, M_COUNT);
	metric_set(&metrics[M_REACHED], 1);
	w->thread = pool_create(l, 1, 1);
	w->timer = loop_timer_create(l, "database watch", look, w);
	loop_timer_every(w->timer, LOOK_MS);
	return w;
}

void db_watch_destroy(struct db_watch *w)
{
	if (!w)
		return;
	loop_timer_destroy(w->timer);
	db_pool_stop(w->db);
	pool_destroy(w->thread);
	loop_flush(w->loop);
	db_pool_destroy(w->db);
	loom_free(w);
}

int64_t db_watch_away_ms(const struct db_watch *w)
{
	return w && w->away ? clock_mono_ms() - w->away + 1 : 0;
}
