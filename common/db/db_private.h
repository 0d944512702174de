/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_private - what the sources of common/db share: one connection and its statements.
 *
 * A connection is used by one thread at a time. Functions return 0 or a DB_E_ code, and leave the
 * reason in db->error.
 */
#ifndef LOOM_DB_DB_PRIVATE_H
#define LOOM_DB_DB_PRIVATE_H

#include "common/base/metrics.h"
#include "common/db/db.h"

#include <mysql.h>

/* Prepared statements kept per connection, and about how much they may take. Measured: with 256 and
 * 4 MiB a statement was prepared anew for each tenth completion under full load, with these for
 * each thirtieth. */
#define DB_STMT_CACHE 512
#define DB_STMT_BYTES ((size_t)16 << 20)
#define DB_PARAM_MAX  64

struct db_stmt {
	uint32_t hash;
	char *sql;
	MYSQL_STMT *stmt;
	size_t bytes; /* about */
	uint64_t used;
};

struct db {
	MYSQL *mysql;
	struct db *next; /* idle list of the pool */
	struct db_stmt cache[DB_STMT_CACHE];
	size_t cached, cached_bytes;
	uint64_t ticks;
	int64_t affected, inserted;
	uint64_t answered; /* statements the server answered since the connection was borrowed */
	bool reused;       /* not fresh from connecting when borrowed */
	bool broken;       /* must not go back to the pool */
	bool dead;         /* the transaction met a transient failure and must be run again */
	unsigned code;     /* the server's or the client library's error number */
	char error[512];
};

enum db_metric {
	DB_M_TRANSACTIONS,
	DB_M_STATEMENTS,
	DB_M_RETRIES,
	DB_M_DOUBTS,
	DB_M_CONNECTS,
	DB_M_CONNECT_ERRORS,
	DB_M_CONNECTIONS,
	DB_M_TRANSACTION_MS,
	DB_M_COUNT
};
extern struct metric db_metrics[DB_M_COUNT];

/* db_conn.c */
void db_library_init(void); /* once per process; any thread */
/* A connection of its own, outside any pool. db is always made (db_error() tells why it failed) and
 * must be closed. statement_ms bounds each wait for an answer. */
LOOM_MUST_CHECK int db_connect(const struct db_config *cfg, int64_t statement_ms, struct db **ret);
void db_close(struct db *db);
bool db_alive(struct db *db); /* an idle connection that the server has not closed */
LOOM_MUST_CHECK int db_command(struct db *db, const char *sql); /* text protocol, no result kept */
/* Notes the failure of the last call on the connection or statement and classifies it. */
int db_fail(struct db *db, unsigned code, const char *text, const char *sql);
/* COMMIT. *doubt is set when the outcome is unknown; drop_answer sends it and cuts the connection.
 */
LOOM_MUST_CHECK int db_commit(struct db *db, bool drop_answer, bool *doubt);
void db_cut(struct db *db); /* failpoints: shuts the socket down under the library */

/* db_stmt_cache.c: the statement of that text, borrowed until the next call on this connection;
 * NULL with *ret_r set when it failed. */
struct db_stmt *db_stmt_prepare(struct db *db, const char *sql, int *ret_r);
int db_stmt_fail(struct db *db, MYSQL_STMT *stmt, const char *sql); /* db_fail() of its error */
void db_stmt_forget_all(struct db *db);

/* db_stmt.c */
/* Adds the rows found to r, which all calls fill with the same columns. */
LOOM_MUST_CHECK int db_select_values(struct db *db, struct db_result *r, const char *sql,
                                     const struct db_value *v, size_t n);
struct db_result *db_result_new(void);

/* db_migrate.c: whether the schema has gone beyond a program that knows it up to `version`; then
 * why says so, else it is empty. */
#define DB_WHY_MAX 512
LOOM_MUST_CHECK int db_schema_look(struct db *db, int version, char why[DB_WHY_MAX]);

/* db_pool.c */
void db_pool_watch_schema(struct db_pool *p, int version); /* from now on, as db_migrate() says */
const struct db_config *db_pool_config(const struct db_pool *p);
/* Sleeps; false when that would pass the deadline or the pool stops. */
bool db_pool_pause(struct db_pool *p, int64_t ms, int64_t deadline);

LOOM_DEFINE_CLEANUP(struct db *, db_close)

#endif
