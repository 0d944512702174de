/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migrations. DDL commits implicitly, so the starter that migrates holds a row lock in a
 * transaction on one connection while it works on another; the rest wait for that row. It dies
 * with its starter. Should the lock be lost in between, everything is looked at again: each
 * statement is safe to run again. Start-up thread, blocking.
 */
#include "common/db/db.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/db/db_private.h"

#include <inttypes.h>
#include <stdio.h>

enum { STATEMENT_MS = 600000 }; /* changing a big table takes its time */

struct migration_run {
	struct db_pool *pool;
	const struct db_migration *list;
	int64_t deadline;
	struct db *work; /* runs the statements */
	struct db *lock; /* holds the row lock */
	char why[512];   /* last failure */
};

static void remember(struct migration_run *m, const struct db *db)
{
	(void)snprintf(m->why, sizeof(m->why), "%s", db_error(db));
}

/* The lock table is never created again while somebody may hold its row: with Galera, DDL on a
 * table aborts the transactions on it. */
static int ensure_tables(struct db *db)
{
	static const char *const make[] = {
		"CREATE TABLE IF NOT EXISTS schema_lock (id INT NOT NULL PRIMARY KEY) "
		"ENGINE=InnoDB",
		"CREATE TABLE IF NOT EXISTS schema_migrations (version INT NOT NULL PRIMARY KEY,"
		" name VARCHAR(255) NOT NULL, applied_at BIGINT NOT NULL) ENGINE=InnoDB"
		" DEFAULT CHARSET=utf8mb4",
		"INSERT IGNORE INTO schema_lock (id) VALUES (1)",
	};
	int64_t n = 0;
	int r = db_select_int(db, &n, NULL,
	                      "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema ="
	                      " DATABASE() AND table_name IN ('schema_lock', 'schema_migrations')",
	                      "");

	if (!r && n == 2)
		r = db_select_int(db, &n, NULL, "SELECT COUNT(*) + 2 FROM schema_lock", "");
	if (r || n == 3)
		return r;
	for (size_t i = 0; !r && i < LOOM_COUNT(make); i++)
		r = db_script(db, make[i]);
	return r;
}

/* The first migration that is not applied yet; its version 0 when all are. */
static int next_migration(struct db *db, const struct db_migration *list,
                          const struct db_migration **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *done = NULL;
	int r = db_select(db, &done, "SELECT version FROM schema_migrations", "");

	if (r)
		return r;
	for (*ret = list; (*ret)->version; (*ret)++) {
		size_t i = 0;

		while (i < db_rows(done) && db_int(done, i, 0) != (*ret)->version)
			i++;
		if (i == db_rows(done))
			break;
	}
	return 0;
}

static int take_lock(struct db *db)
{
	int64_t id;
	int r = db_command(db, "START TRANSACTION");

	if (!r)
		r = db_select_int(db, &id, NULL,
		                  "SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE", "");
	return r;
}

static int still_locked(struct db *db)
{
	int64_t id;

	return db_select_int(db, &id, NULL, "SELECT id FROM schema_lock WHERE id = 1", "");
}

static int apply(struct migration_run *m, const struct db_migration *one)
{
	int64_t start = clock_mono_ms(), now = 0;
	int r = 0;

	for (size_t i = 0; !r && one->statements[i]; i++) {
		r = still_locked(m->lock);
		if (r) {
			remember(m, m->lock);
			return r;
		}
		r = db_script(m->work, one->statements[i]);
	}
	if (!r)
		r = db_now(m->work, &now);
	if (!r)
		r = db_exec(m->work,
		            "INSERT INTO schema_migrations (version, name, applied_at)"
		            " VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE applied_at = applied_at",
		            "isi", (int64_t)one->version, one->name, now);
	if (r)
		remember(m, m->work);
	else
		log_info("database migration applied", LOG_I("version", one->version),
		         LOG_S("name", one->name), LOG_I("ms", clock_mono_ms() - start));
	return r;
}

static int migrate_connected(struct migration_run *m)
{
	const struct db_migration *next;
	int r = ensure_tables(m->work);

	if (!r)
		r = next_migration(m->work, m->list, &next);
	if (r) {
		remember(m, m->work);
		return r;
	}
	if (!next->version)
		return 0;
	r = take_lock(m->lock);
	if (r) {
		remember(m, m->lock);
		return r;
	}
	while (!(r = next_migration(m->work, m->list, &next)) && next->version) {
		r = apply(m, next);
		if (r)
			return r;
	}
	if (r)
		remember(m, m->work);
	return r;
}

/* One attempt on two connections of its own. */
static int migrate_once(struct migration_run *m)
{
	const struct db_config *cfg = db_pool_config(m->pool);
	int r = db_connect(cfg, STATEMENT_MS, &m->work);

	if (r) {
		remember(m, m->work);
	} else {
		r = db_connect(cfg, cfg->statement_ms, &m->lock);
		if (r)
			remember(m, m->lock);
		else
			r = migrate_connected(m);
		db_close(m->lock);
	}
	db_close(m->work);
	return r;
}

int db_migrate(struct db_pool *p, const struct db_migration *m, int64_t deadline_ms,
               struct loom_err *err)
{
	struct migration_run run = { .pool = p,
		                     .list = m,
		                     .deadline = clock_mono_ms() + deadline_ms };
	bool said = false;

	for (int i = 0; m[i].version; i++)
		loom_assert(m[i].version == i + 1);
	for (unsigned tries = 0;; tries++) {
		int r = migrate_once(&run);

		if (!r)
			return 0;
		if (r != DB_E_RETRY) {
			(void)err_set(err, 500, "database schema cannot be migrated: %s", run.why);
			return r;
		}
		if (!said)
			log_info("waiting for the database", LOG_S("error", run.why));
		said = true;
		if (!db_pool_pause(p, clock_backoff_ms(tries, 50, 500), run.deadline)) {
			(void)err_set(err, 503, "database is away: %s", run.why);
			return DB_E_AWAY;
		}
	}
}
