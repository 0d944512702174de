/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of connections, and transactions that are retried until they succeed or their deadline
 * has passed. Worker threads, blocking; the pool itself is shared under its mutex.
 */
#include "common/db/db.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/db/db_failpoint.h"
#include "common/db/db_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct db_pool {
	struct db_config cfg; /* strings owned */
	pthread_mutex_t lock;
	pthread_cond_t freed;  /* a connection came back, or the pool stops */
	pthread_cond_t halted; /* the pool stops */
	struct db *idle;
	int64_t open;
	bool stopping;
	bool away; /* the last attempt to connect failed */
	struct db_nodes nodes;
	_Atomic uint64_t runs;
	struct db_failpoints *fails;
	_Atomic int schema;     /* version that this program knows; 0: not watched */
	_Atomic int64_t looked; /* last look at the schema; monotonic ms */
	_Atomic bool too_old;   /* the schema is too new */
	db_too_old_fn on_too_old;
	void *too_old_arg;
};

enum { LOOK_MS = 1000 };

/* ---- making and ending ----------------------------------------------------------------------- */

int db_pool_create(const struct db_config *cfg, struct db_pool **ret, struct loom_err *err)
{
	struct db_pool *p = loom_calloc(1, sizeof(*p));
	pthread_condattr_t attr;
	db_library_init();
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p->freed, &attr);
	(void)pthread_cond_init(&p->halted, &attr);
	(void)pthread_condattr_destroy(&attr);
	int rc = db_config_copy(&p->cfg, cfg, err);
	if (!rc)
		rc = db_failpoints_read(&p->fails, err);
	if (rc) {
		db_pool_destroy(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void db_pool_stop(struct db_pool *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	(void)pthread_cond_broadcast(&p->freed);
	(void)pthread_cond_broadcast(&p->halted);
	(void)pthread_mutex_unlock(&p->lock);
}

void db_pool_destroy(struct db_pool *p)
{
	if (!p)
		return;
	while (p->idle) {
		struct db *db = p->idle;
		p->idle = db->next;
		p->open--;
		db_close(db);
	}
	loom_assert(p->open == 0);
	db_failpoints_free(p->fails);
	db_config_free(&p->cfg);
	(void)pthread_cond_destroy(&p->freed);
	(void)pthread_cond_destroy(&p->halted);
	(void)pthread_mutex_destroy(&p->lock);
	loom_free(p);
}

const struct db_config *db_pool_config(const struct db_pool *p)
{
	return &p->cfg;
}

/* ---- borrowing ------------------------------------------------------------------------------- */

static struct timespec timespec_of(int64_t mono_ms)
{
	return (struct timespec){ .tv_sec = mono_ms / 1000,
		                  .tv_nsec = (long)(mono_ms % 1000) * 1000000L };
}

/* Waits; false if the deadline has passed or the pool stops. The lock is held. */
static bool wait_on(struct db_pool *p, pthread_cond_t *cond, int64_t until_ms)
{
	struct timespec ts = timespec_of(until_ms);
	return !p->stopping && pthread_cond_timedwait(cond, &p->lock, &ts) != ETIMEDOUT &&
	       !p->stopping;
}

bool db_pool_pause(struct db_pool *p, int64_t ms, int64_t deadline)
{
	int64_t until = clock_mono_ms() + ms;
	if (until >= deadline)
		return false;
	(void)pthread_mutex_lock(&p->lock);
	while (wait_on(p, &p->halted, until))
		;
	bool go_on = !p->stopping;
	(void)pthread_mutex_unlock(&p->lock);
	return go_on;
}

static void count_closed(struct db_pool *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->open--;
	(void)pthread_cond_signal(&p->freed);
	(void)pthread_mutex_unlock(&p->lock);
}

static void give_back(struct db_pool *p, struct db *db)
{
	if (db->broken) {
		db_close(db);
		count_closed(p);
		return;
	}
	(void)pthread_mutex_lock(&p->lock);
	db->next = p->idle;
	p->idle = db;
	(void)pthread_cond_signal(&p->freed);
	(void)pthread_mutex_unlock(&p->lock);
}

/* Notes the node to which a new connection leads. */
static void note_node(struct db_pool *p, struct db *db)
{
	char name[DB_NODE_MAX];
	db_node_ask(db, name);
	(void)pthread_mutex_lock(&p->lock);
	db_node_seen(&p->nodes, name);
	(void)pthread_mutex_unlock(&p->lock);
}

unsigned db_pool_writer_changes(struct db_pool *p, int64_t within_ms)
{
	(void)pthread_mutex_lock(&p->lock);
	unsigned n = db_node_changes(&p->nodes, within_ms);
	(void)pthread_mutex_unlock(&p->lock);
	return n;
}

static void note_away(struct db_pool *p, bool away, const char *error)
{
	(void)pthread_mutex_lock(&p->lock);
	bool changed = p->away != away;
	p->away = away;
	(void)pthread_mutex_unlock(&p->lock);
	if (changed && away)
		log_warn("database cannot be reached", LOG_S("error", error));
	else if (changed)
		log_info("database is back");
}

/* Makes a connection, which the caller has counted in p->open. */
static int connect_one(struct db_pool *p, struct db **ret)
{
	struct db *db;
	int rc = db_connect(&p->cfg, p->cfg.statement_ms, &db);
	note_away(p, rc != 0, db_error(db));
	if (rc) {
		db_close(db);
		count_closed(p);
		return rc;
	}
	note_node(p, db);
	*ret = db;
	return 0;
}

/* DB_E_RETRY: connecting failed. DB_E_AWAY: none became free before the deadline, or stopping. */
static int borrow(struct db_pool *p, int64_t deadline, struct db **ret)
{
	(void)pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		struct db *db = p->idle;
		if (db) {
			p->idle = db->next;
			(void)pthread_mutex_unlock(&p->lock);
			if (db_alive(db)) {
				db->answered = 0;
				db->reused = true;
				db->dead = false;
				*ret = db;
				return 0;
			}
			db->broken = true;
			give_back(p, db);
			(void)pthread_mutex_lock(&p->lock);
		} else if (p->open < p->cfg.connections) {
			p->open++;
			(void)pthread_mutex_unlock(&p->lock);
			return connect_one(p, ret);
		} else if (!wait_on(p, &p->freed, deadline)) {
			break;
		}
	}
	(void)pthread_mutex_unlock(&p->lock);
	return DB_E_AWAY;
}

/* ---- transactions ---------------------------------------------------------------------------- */

/* ---- the schema may become too new for this program ------------------------------------------ */

void db_pool_on_too_old(struct db_pool *p, db_too_old_fn fn, void *arg)
{
	p->on_too_old = fn;
	p->too_old_arg = arg;
}

void db_pool_watch_schema(struct db_pool *p, int version)
{
	atomic_store(&p->looked, clock_mono_ms());
	atomic_store(&p->schema, version);
}

/* Checks once a second, on whichever connection is about to be used. */
static int look_at_schema(struct db_pool *p, struct db *db)
{
	int64_t now = clock_mono_ms(), last = atomic_load(&p->looked);
	char why[DB_WHY_MAX];
	if (atomic_load(&p->too_old))
		return DB_E_TOO_OLD;
	if (!atomic_load(&p->schema) || now - last < LOOK_MS ||
	    !atomic_compare_exchange_strong(&p->looked, &last, now))
		return 0;
	int rc = db_schema_look(db, atomic_load(&p->schema), why);
	if (rc) {
		atomic_store(&p->looked, last);
		return rc;
	}
	if (!*why)
		return 0;
	if (!atomic_exchange(&p->too_old, true)) {
		log_error("database not used any more", LOG_S("reason", why));
		if (p->on_too_old)
			p->on_too_old(why, p->too_old_arg);
	}
	return DB_E_TOO_OLD;
}

struct job {
	db_tx_fn fn;
	void *arg;
	bool transaction;
	bool doubt;    /* the outcome of a commit is unknown */
	bool silent;   /* the last run failed only because its connection had died while idle */
	char why[512]; /* error of the last run; "": no message */
};

static void roll_back(struct db *db)
{
	if (db->broken)
		return;
	db->dead = false;
	if (db_command(db, "ROLLBACK"))
		db->broken = true;
}

/* The same for the same function with the same number of statements. */
static uint64_t kind_of(const struct db *db, const struct job *j)
{
	uintptr_t fn = (uintptr_t)j->fn - (uintptr_t)db_tx_deadline; /* equal in all processes */
	return (uint64_t)fn << 16 | (db->answered & 0xffff);
}

/* Should the connection be cut? Ends the process if that is the failure. */
static bool breaks(enum db_fail what)
{
	if (what == DB_FAIL_END)
		db_fail_end();
	return what == DB_FAIL_CUT;
}

static int run_transaction(struct db_pool *p, struct db *db, struct job *j)
{
	uint64_t run = atomic_fetch_add_explicit(&p->runs, 1, memory_order_relaxed) + 1;
	int rc = db_command(db, "START TRANSACTION");
	if (rc)
		return rc;
	rc = j->fn(db, j->arg);
	if (db->dead)
		rc = DB_E_RETRY;
	if (rc) {
		roll_back(db);
		return rc;
	}
	uint64_t kind = kind_of(db, j);
	if (breaks(db_fails_at(p->fails, FAIL_BEFORE_COMMIT, run, kind)))
		db_cut(db);
	enum db_fail during = db_fails_at(p->fails, FAIL_DURING_COMMIT, run, kind);
	rc = db_commit(db, during != DB_FAIL_NOT, &j->doubt);
	(void)breaks(during);
	if (rc)
		roll_back(db);
	else if (breaks(db_fails_at(p->fails, FAIL_AFTER_COMMIT, run, kind)))
		db_cut(db);
	return rc;
}

static int run_once(struct db_pool *p, struct job *j, int64_t deadline)
{
	struct db *db = NULL;
	int rc = borrow(p, deadline, &db);
	j->silent = false;
	if (rc)
		return rc;
	rc = look_at_schema(p, db);
	if (rc) {
		if (rc == DB_E_RETRY && db->dead)
			db->broken = true;
	} else if (j->transaction) {
		rc = run_transaction(p, db, j);
	} else {
		rc = j->fn(db, j->arg);
		if (db->dead)
			rc = DB_E_RETRY;
	}
	if (rc == DB_E_RETRY)
		(void)snprintf(j->why, sizeof(j->why), "%s", db->error);
	j->silent = rc == DB_E_RETRY && db->broken && db->reused && db->answered == 0;
	give_back(p, db);
	return rc;
}

static int run_job(struct db_pool *p, struct job *j, int64_t deadline_ms)
{
	int64_t start = clock_mono_ms(), deadline = start + deadline_ms;
	int rc;
	metric_add(&db_metrics[DB_M_TRANSACTIONS], 1);
	for (unsigned tries = 0;;) {
		rc = run_once(p, j, deadline);
		/* The commit in doubt was still on its way; it has arrived by now. */
		if (rc == DB_E_DUP && j->doubt)
			rc = DB_E_RETRY;
		if (rc != DB_E_RETRY)
			break;
		if (j->silent)
			continue;
		metric_add(&db_metrics[DB_M_RETRIES], 1);
		if (!db_pool_pause(p, clock_backoff_ms(tries++, 5, 500), deadline)) {
			rc = DB_E_AWAY;
			break;
		}
	}
	/* Tells the reason as well, for example a read-only server or a full disk. */
	if (rc == DB_E_AWAY && *j->why)
		log_warn("database refused to the end", LOG_S("error", j->why),
		         LOG_I("ms", clock_mono_ms() - start));
	metric_observe_ms(&db_metrics[DB_M_TRANSACTION_MS], clock_mono_ms() - start);
	return rc == DB_E_AWAY && j->doubt ? DB_E_DOUBT : rc;
}

int db_tx_deadline(struct db_pool *p, db_tx_fn fn, void *arg, int64_t deadline_ms)
{
	struct job j = { .fn = fn, .arg = arg, .transaction = true };
	return run_job(p, &j, deadline_ms);
}

int db_tx(struct db_pool *p, db_tx_fn fn, void *arg)
{
	return db_tx_deadline(p, fn, arg, p->cfg.deadline_ms);
}

int db_read_deadline(struct db_pool *p, db_tx_fn fn, void *arg, int64_t deadline_ms)
{
	struct job j = { .fn = fn, .arg = arg };
	return run_job(p, &j, deadline_ms < p->cfg.deadline_ms ? deadline_ms : p->cfg.deadline_ms);
}

int db_read(struct db_pool *p, db_tx_fn fn, void *arg)
{
	return db_read_deadline(p, fn, arg, p->cfg.deadline_ms);
}

static int select_one(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL, "SELECT 1", "");
}

static int select_read_only(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL, "SELECT @@read_only", "");
}

bool db_pool_away(struct db_pool *p)
{
	(void)pthread_mutex_lock(&p->lock);
	bool away = p->away;
	(void)pthread_mutex_unlock(&p->lock);
	return away;
}

/* Could fn be run? Its result is in found. */
static bool answers(struct db_pool *p, db_tx_fn fn, void *found)
{
	struct job j = { .fn = fn, .arg = found };
	if (run_job(p, &j, p->cfg.connect_ms) == 0)
		return true;
	/* If all connections are busy this long, that is load, not absence. */
	(void)pthread_mutex_lock(&p->lock);
	bool busy = !p->away && !p->idle && p->open == p->cfg.connections;
	(void)pthread_mutex_unlock(&p->lock);
	return busy;
}

bool db_pool_ok(struct db_pool *p)
{
	int64_t one = 0;
	return answers(p, select_one, &one);
}

bool db_pool_ready(struct db_pool *p, struct loom_err *err)
{
	int64_t read_only = 0;
	bool ok = answers(p, select_read_only, &read_only);
	if (!ok)
		err_set(err, 503, "the database does not answer");
	else if (read_only)
		err_set(err, 503, "the database is read-only");
	return ok && !read_only;
}
