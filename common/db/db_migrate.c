/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migrations.
 * DDL commits implicitly, so the migrating service holds a row lock in a transaction on one
 * connection while it works on another; the rest wait for that row. The lock dies with its service.
 * If it is lost midway, everything is checked again: each statement is safe to run again. (With
 * Galera it is lost if one statement takes longer than idle_transaction_timeout; the next service
 * then runs the same statement after this one, without effect.) Start-up thread, blocking.
 */
#include "common/db/db.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/db/db_private.h"

#include <inttypes.h>
#include <mysqld_error.h>
#include <stdio.h>

enum {
	STATEMENT_MS = 600000, /* changing a big table takes its time */
	ANNOUNCE_MS = 3000,    /* older programs look once a second, then finish their work */
};

struct migration_run {
	struct db_pool *pool;
	const struct db_migration *list;
	int64_t deadline;
	struct db *work;      /* runs the statements */
	struct db *lock;      /* holds the row lock */
	char why[DB_WHY_MAX]; /* last failure */
};

static void remember(struct migration_run *m, const struct db *db)
{
	(void)snprintf(m->why, sizeof(m->why), "%s", db_error(db));
}

/* Never creates the lock table again while somebody may hold its row: with Galera, DDL on a table
 * aborts the transactions on it. */
static int ensure_tables(struct db *db)
{
	static const char *const make[] = {
		"CREATE TABLE IF NOT EXISTS schema_lock (id INT NOT NULL PRIMARY KEY) "
		"ENGINE=InnoDB",
		"CREATE TABLE IF NOT EXISTS schema_migrations (version INT NOT NULL PRIMARY KEY,"
		" name VARCHAR(255) NOT NULL, applied_at BIGINT NOT NULL) ENGINE=InnoDB"
		" DEFAULT CHARSET=utf8mb4",
		"ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS oldest INT NOT NULL"
		" DEFAULT 0",
		"INSERT IGNORE INTO schema_lock (id) VALUES (1)",
	};
	int64_t n = 0;
	int rc =
		db_select_int(db, &n, NULL,
	                      "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema ="
	                      " DATABASE() AND ((table_name = 'schema_lock' AND column_name = 'id')"
	                      " OR (table_name = 'schema_migrations' AND column_name = 'oldest'))",
	                      "");

	if (!rc && n == 2)
		rc = db_select_int(db, &n, NULL, "SELECT COUNT(*) + 2 FROM schema_lock", "");
	if (rc || n == 3)
		return rc;
	for (size_t i = 0; !rc && i < LOOM_COUNT(make); i++)
		rc = db_script(db, make[i]);
	return rc;
}

/* The first migration not applied yet; its version is 0 if all are. */
static int next_migration(struct db *db, const struct db_migration *list,
                          const struct db_migration **ret)
{
	LOOM_CLEANUP(db_result_free) struct db_result *done = NULL;
	int rc = db_select(db, &done, "SELECT version FROM schema_migrations WHERE applied_at > 0",
	                   "");

	if (rc)
		return rc;
	for (*ret = list; (*ret)->version; (*ret)++) {
		size_t i = 0;
		while (i < db_rows(done) && db_int(done, i, 0) != (*ret)->version)
			i++;
		if (i == db_rows(done))
			break;
	}
	return 0;
}

static int newest(const struct db_migration *list)
{
	int version = 0;
	for (; list->version; list++)
		version = list->version;
	return version;
}

int db_schema_look(struct db *db, int version, char why[DB_WHY_MAX])
{
	LOOM_CLEANUP(db_result_free) struct db_result *found = NULL;
	int rc = db_select(db, &found,
	                   "SELECT version, name, oldest FROM schema_migrations WHERE oldest > ?"
	                   " ORDER BY oldest DESC, version LIMIT 1",
	                   "i", (int64_t)version);

	*why = '\0';
	if (!rc && db_rows(found))
		(void)snprintf(why, DB_WHY_MAX,
		               "the database has schema %" PRId64
		               " (%s), which services must know up to %" PRId64
		               " at least; this one knows it up to %d: install a newer Loom here",
		               db_int(found, 0, 0), db_str(found, 0, 1), db_int(found, 0, 2),
		               version);
	return rc;
}

static int take_lock(struct db *db)
{
	int64_t id;
	int rc = db_command(db, "START TRANSACTION");
	if (!rc)
		rc = db_select_int(db, &id, NULL,
		                   "SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE", "");
	return rc;
}

static int still_locked(struct db *db)
{
	int64_t id;
	return db_select_int(db, &id, NULL, "SELECT id FROM schema_lock WHERE id = 1", "");
}

/* Announces the migration to older programs and gives them time to end. A fresh database has
 * none. */
static int announce(struct migration_run *m, const struct db_migration *one)
{
	int64_t applied = 0;
	int rc = db_select_int(m->work, &applied, NULL,
	                       "SELECT COUNT(*) FROM schema_migrations WHERE applied_at > 0", "");

	if (!rc)
		rc = db_exec(
			m->work,
			"INSERT IGNORE INTO schema_migrations (version, name, applied_at, oldest)"
			" VALUES (?, ?, 0, ?)",
			"isi", (int64_t)one->version, one->name, (int64_t)one->oldest);
	if (rc || !applied)
		return rc;
	log_warn("database migration begins: services of older schemas end now",
	         LOG_I("version", one->version), LOG_S("name", one->name),
	         LOG_I("oldest", one->oldest));
	return db_pool_pause(m->pool, ANNOUNCE_MS, INT64_MAX) ? 0 : DB_E_RETRY;
}

static int apply(struct migration_run *m, const struct db_migration *one)
{
	int64_t start = clock_mono_ms(), now = 0;
	int rc = one->oldest ? announce(m, one) : 0;
	for (size_t i = 0; !rc && one->statements[i]; i++) {
		rc = still_locked(m->lock);
		if (rc) {
			remember(m, m->lock);
			return rc;
		}
		rc = db_script(m->work, one->statements[i]);
	}
	if (!rc)
		rc = db_now(m->work, &now);
	if (!rc)
		rc = db_exec(m->work,
		             "INSERT INTO schema_migrations (version, name, applied_at, oldest)"
		             " VALUES (?, ?, ?, ?) ON DUPLICATE KEY UPDATE"
		             " applied_at = IF(applied_at > 0, applied_at, VALUES(applied_at))",
		             "isii", (int64_t)one->version, one->name, now, (int64_t)one->oldest);
	if (rc)
		remember(m, m->work);
	else
		log_info("database migration applied", LOG_I("version", one->version),
		         LOG_S("name", one->name), LOG_I("ms", clock_mono_ms() - start));
	return rc;
}

static int migrate_connected(struct migration_run *m)
{
	const struct db_migration *next;
	int rc = ensure_tables(m->work);
	if (!rc)
		rc = db_schema_look(m->work, newest(m->list), m->why);
	if (!rc && *m->why)
		return DB_E_TOO_OLD;
	if (!rc)
		rc = next_migration(m->work, m->list, &next);
	if (rc) {
		remember(m, m->work);
		return rc;
	}
	if (!next->version)
		return 0;
	rc = take_lock(m->lock);
	if (rc) {
		remember(m, m->lock);
		if (m->lock->code == ER_LOCK_WAIT_TIMEOUT)
			(void)snprintf(m->why, sizeof(m->why), "another service migrates it");
		return rc;
	}
	while (!(rc = next_migration(m->work, m->list, &next)) && next->version) {
		rc = apply(m, next);
		if (rc)
			return rc;
	}
	if (rc)
		remember(m, m->work);
	return rc;
}

/* One attempt, on two separate connections. */
static int migrate_once(struct migration_run *m)
{
	const struct db_config *cfg = db_pool_config(m->pool);
	int rc = db_connect(cfg, STATEMENT_MS, &m->work);
	if (rc) {
		remember(m, m->work);
	} else {
		rc = db_connect(cfg, cfg->statement_ms, &m->lock);
		if (rc)
			remember(m, m->lock);
		else
			rc = migrate_connected(m);
		db_close(m->lock);
	}
	db_close(m->work);
	return rc;
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
		int rc = migrate_once(&run);
		if (!rc) {
			db_pool_watch_schema(p, newest(m));
			return 0;
		}
		if (rc == DB_E_TOO_OLD) {
			(void)err_set(err, 500, "%s", run.why);
			return rc;
		}
		if (rc != DB_E_RETRY) {
			(void)err_set(err, 500, "database schema cannot be migrated: %s", run.why);
			return rc;
		}
		if (!said)
			log_info("waiting for the database", LOG_S("error", run.why));
		said = true;
		if (!db_pool_pause(p, clock_backoff_ms(tries, 50, 500), run.deadline)) {
			(void)err_set(err, 503, "database cannot be used: %s", run.why);
			return DB_E_AWAY;
		}
	}
}
