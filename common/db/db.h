/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db - connections to the one logical MariaDB, statements, and transactions that retry.
 *
 * A transaction is a function that may be run again: db_tx() runs it between START TRANSACTION and
 * COMMIT on a borrowed connection. It retries the whole, with backoff, until its deadline, if there
 * was a deadlock, a lock wait timeout, a certification failure (1213), a server that is not primary
 * (1047, 1180), or a lost connection (2006, 2013, 2027). A commit whose answer was lost is
 * "in doubt". Functions are idempotent by a natural key, so db_tx() runs them again, and returns
 * DB_E_DOUBT only if the deadline ends in that state. Such a commit may arrive between the reads
 * and the writes of the next run, so a DB_E_DUP is then retried as well.
 *
 * No session state outlives a transaction (a proxy may move sessions): no user variables, no
 * GET_LOCK, no temporary tables. All times are epoch milliseconds of the database's own clock.
 * Every connection gets the same settings right after connecting: utf8mb4, strict SQL mode, READ
 * COMMITTED (no gap locks: rows on which a decision rests are read FOR UPDATE), and lock waits
 * shorter than the client's own read timeout.
 *
 * Blocking: worker threads only. Connections do not reconnect: a broken one is dropped, and one
 * that died while idle is replaced without the function noticing.
 */
#ifndef LOOM_DB_DB_H
#define LOOM_DB_DB_H

#include "common/base/config.h"

struct db; /* one connection, borrowed, used by one thread at a time */
struct db_pool;
struct db_result;

struct db_config {
	char *host, *socket, *user, *password, *password_file, *name;
	char *tls_ca, *tls_certificate, *tls_key; /* files in PEM; NULL or "": none */
	int64_t port, connections, connect_ms, statement_ms, deadline_ms;
};
extern const struct config_key db_config_keys[]; /* db_host db_port db_socket ... */

/* Opens connections lazily; an absent server is no error. */
LOOM_MUST_CHECK int db_pool_create(const struct db_config *cfg, struct db_pool **ret,
                                   struct loom_err *err);
void db_pool_destroy(struct db_pool *p); /* no connection may be borrowed; NULL ok */
/* Ends all waiting and retrying, now and from now on (DB_E_AWAY or DB_E_DOUBT), to shut down while
 * the database is away. Any thread. */
void db_pool_stop(struct db_pool *p);
bool db_pool_ok(struct db_pool *p); /* does a connection answer SELECT 1? (blocking) */
/* db_pool_ok(), and is the database writable? For readiness checks; false with err. */
bool db_pool_ready(struct db_pool *p, struct loom_err *err);
bool db_pool_away(struct db_pool *p); /* the last attempt to connect failed; any thread */
/* How often, within that time, another node of the database's group became the one in use, as far
 * as this pool's connections show. Counts up to 32. Any thread. */
unsigned db_pool_writer_changes(struct db_pool *p, int64_t within_ms);

typedef int (*db_tx_fn)(struct db *db, void *arg);

/* Runs fn as described above. 0 from fn commits, DB_E_RETRY retries. Any other value rolls back and
 * is returned as it is (so a refusal of err.h means "no change"). After a statement failed with
 * DB_E_RETRY, all later ones of that run fail as well, and the run is retried whatever fn returns.
 * Deadline passed: DB_E_AWAY (nothing was done) or DB_E_DOUBT. */
LOOM_MUST_CHECK int db_tx(struct db_pool *p, db_tx_fn fn, void *arg);
LOOM_MUST_CHECK int db_tx_deadline(struct db_pool *p, db_tx_fn fn, void *arg, int64_t deadline_ms);
/* The same without a transaction: for single consistent reads, with the same retries. */
LOOM_MUST_CHECK int db_read(struct db_pool *p, db_tx_fn fn, void *arg);
/* With this deadline, or the pool's own if that is sooner. */
LOOM_MUST_CHECK int db_read_deadline(struct db_pool *p, db_tx_fn fn, void *arg,
                                     int64_t deadline_ms);

/*
 * Statements, prepared once per connection and text. types: one letter per '?':
 *   i int64_t   s const char * (NULL is NULL)   b const void *, size_t   n nothing (NULL)
 * 0 or a DB_E_ code.
 */
LOOM_MUST_CHECK int db_exec(struct db *db, const char *sql, const char *types, ...);
/* Rows that the last db_exec inserted or deleted, or that an UPDATE *matched* (CLIENT_FOUND_ROWS):
 * a guarded UPDATE that writes the values already there counts as applied. INSERT ... ON DUPLICATE
 * KEY UPDATE counts 1 for an insert or an unchanged row, 2 for a changed one. */
int64_t db_affected(const struct db *db);
LOOM_MUST_CHECK int db_select(struct db *db, struct db_result **ret, const char *sql,
                              const char *types, ...);
size_t db_rows(const struct db_result *r);
bool db_is_null(const struct db_result *r, size_t row, unsigned col);
const char *db_str(const struct db_result *r, size_t row, unsigned col); /* NULL for NULL */
size_t db_len(const struct db_result *r, size_t row, unsigned col);
int64_t db_int(const struct db_result *r, size_t row, unsigned col); /* 0 for NULL */
void db_result_free(struct db_result *r);
/* First column of the only row; without a row *ret is untouched and *found (may be NULL) false. */
LOOM_MUST_CHECK int db_select_int(struct db *db, int64_t *ret, bool *found, const char *sql,
                                  const char *types, ...);
/* Prepares this statement again at its next use. For statements that get a worse plan when executed
 * again: MariaDB 10.11 does no loose index scan (one entry per group) on a table that the
 * connection has updated meanwhile. */
void db_unprepare(struct db *db, const char *sql);
/* Statements with values in an array, of any number. */
struct db_value {
	char type; /* i, s or n */
	int64_t i;
	const char *s; /* borrowed */
};
static inline struct db_value db_i(int64_t i)
{
	return (struct db_value){ 'i', i, NULL };
}
static inline struct db_value db_s(const char *s)
{
	return (struct db_value){ 's', 0, s };
}

/*
 * One statement for many rows: head, then `row` once per row with sep in between, then tail. values
 * holds per_row values for each row. Long lists become several statements, with few different
 * lengths, so that each is prepared once.
 */
struct db_many {
	const char *head, *row, *sep, *tail;
	size_t per_row;
};
/* One statement with its values in an array. */
LOOM_MUST_CHECK int db_exec_values(struct db *db, const char *sql, const struct db_value *v,
                                   size_t n);
LOOM_MUST_CHECK int db_exec_many(struct db *db, const struct db_many *m,
                                 const struct db_value *values, size_t rows);
/* db_exec_many() for rows that may be written twice, which takes fewer statements. */
LOOM_MUST_CHECK int db_upsert_many(struct db *db, const struct db_many *m,
                                   const struct db_value *values, size_t rows);
/* The number of rows inserted (not updated) by the last db_upsert_many() of INSERT ... ON DUPLICATE
 * KEY UPDATE; -1 if the server did not tell. */
int64_t db_inserted(const struct db *db);
/* All rows found, in one result, in the statement's order among each DB_MANY requested ones. The
 * last row is requested several times: suitable for IN and OR, not for joins. */
#define DB_MANY 64
LOOM_MUST_CHECK int db_select_many(struct db *db, struct db_result **ret, const struct db_many *m,
                                   const struct db_value *values, size_t rows);
/* The database's clock, epoch ms. Constant within one statement; ask once per transaction. */
LOOM_MUST_CHECK int db_now(struct db *db, int64_t *ret_ms);
/* Runs a text outside prepared statements: DDL of migrations. */
LOOM_MUST_CHECK int db_script(struct db *db, const char *sql);
const char *db_error(const struct db *db); /* of the last failure */

/*
 * Numbered migrations, applied once even if several services start together or die midway.
 *
 * Services of two versions use one database while machines are upgraded one by one. So a migration
 * leaves existing things as they are: it adds tables, and columns with defaults. A migration with
 * which older services cannot work (one that drops a column) names the oldest schema version that
 * services must know. It is announced first: older services stop using the database within a
 * second, and refuse to start, with a message that says why. Only then is it applied.
 */
struct db_migration {
	int version; /* 1, 2, 3 ... without gaps; ends with 0 */
	const char *name;
	const char *const *statements; /* NULL-terminated; each safe to run again */
	int oldest; /* schema version that services must know to run beside it; 0: any */
};
/* Waits for the database up to deadline_ms. 0 or a DB_E_ code with err filled. A schema newer than
 * the table is accepted unless it demands newer services: DB_E_TOO_OLD. From then on the pool
 * checks that once a second when it is used. */
LOOM_MUST_CHECK int db_migrate(struct db_pool *p, const struct db_migration *m, int64_t deadline_ms,
                               struct loom_err *err);
/* Called once, on the thread that finds out, when the schema has become too new for this program.
 * Set it before others use the pool. why is borrowed. */
typedef void (*db_too_old_fn)(const char *why, void *arg);
void db_pool_on_too_old(struct db_pool *p, db_too_old_fn fn, void *arg);

/* Failpoints for tests: LOOM_DB_FAIL="before_commit:1" closes the server connection at that point
 * of the n-th transaction run (read when the pool is made): before_commit, during_commit (commit
 * sent, answer dropped), after_commit. "after_commit:/5" means every fifth; commas join several.
 * "exit_before_commit:1" and so on end the process there, as kill -9 does. "exit_each:FILE" ends it
 * once before and once after the commit of each kind of transaction (the same function with the
 * same number of statements); FILE remembers the kinds already done. */

LOOM_DEFINE_CLEANUP(struct db_result *, db_result_free)

#endif
