/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_private - shared within common/db: one connection and its statements.
 *
 * One thread at a time uses a connection. Functions return 0 or a DB_E_ code, with the reason in
 * db->error.
 */
#ifndef LOOM_DB_DB_PRIVATE_H
#define LOOM_DB_DB_PRIVATE_H

#include "common/base/metrics.h"
#include "common/db/db.h"

#include <mysql.h>

/* Prepared statements cached per connection, and about how many bytes they may take. Measured: with
 * 256 and 4 MiB, every tenth completion under full load prepared a statement again; with these
 * values, every thirtieth. */
#define DB_STMT_CACHE 512
#define DB_STMT_BYTES ((size_t)16 << 20)
#define DB_PARAM_MAX  64

struct db_stmt {
	uint32_t hash;
	char *sql;
	MYSQL_STMT *stmt;
	size_t bytes; /* approximate */
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
	bool reused;       /* was idle in the pool when borrowed */
	bool broken;       /* must not return to the pool */
	bool dead;         /* the transaction failed transiently and must be run again */
	unsigned code;     /* the server's or the client library's error number */
	char error[512];
};

enum db_metric {
	DB_M_TRANSACTIONS,
	DB_M_STATEMENTS,
	DB_M_RETRIES,
	DB_M_DOUBTS,
	DB_M_FULL,
	DB_M_CONNECTS,
	DB_M_CONNECT_ERRORS,
	DB_M_CONNECTIONS,
	DB_M_STMT_BYTES,
	DB_M_TRANSACTION_MS,
	DB_M_COUNT
};
extern struct metric db_metrics[DB_M_COUNT];

/* db_config.c */
/* Copies the configuration, reads the password file, and checks it: 0, or an error with err. Free
 * it either way. */
LOOM_MUST_CHECK int db_config_copy(struct db_config *to, const struct db_config *from,
                                   struct loom_err *err);
void db_config_free(struct db_config *cfg);

/* db_conn.c */
void db_library_init(void); /* once per process; any thread */
/* Makes a connection outside any pool. *ret is always set (db_error() tells why it failed) and must
 * be closed. statement_ms bounds each wait for an answer. */
LOOM_MUST_CHECK int db_connect(const struct db_config *cfg, int64_t statement_ms, struct db **ret);
void db_close(struct db *db);
bool db_alive(struct db *db); /* is this idle connection still open at the server? */
LOOM_MUST_CHECK int db_command(struct db *db, const char *sql); /* text protocol, no result kept */
/* Records the failure of the last call on the connection or statement and classifies it. */
int db_fail(struct db *db, unsigned code, const char *text, const char *sql);
/* COMMIT. Sets *doubt if the outcome is unknown; drop_answer sends it and cuts the connection. */
LOOM_MUST_CHECK int db_commit(struct db *db, bool drop_answer, bool *doubt);
void db_cut(struct db *db); /* failpoints: shuts the socket down under the library */

/* db_node.c */
#define DB_NODE_MAX     65
#define DB_NODE_CHANGES 32 /* remembered changes; further ones are not counted */
struct db_nodes {
	char last[DB_NODE_MAX];
	int64_t changed[DB_NODE_CHANGES]; /* monotonic ms of the changes */
	size_t n;
};
/* The name of the node behind a new connection; "" if it has none. */
void db_node_ask(struct db *db, char name[DB_NODE_MAX]);
void db_node_seen(struct db_nodes *nodes, const char *name);
unsigned db_node_changes(const struct db_nodes *nodes, int64_t within_ms);

/* db_stmt_cache.c: returns the prepared statement of that text, borrowed until the next call on
 * this connection; NULL with *ret_r set on failure. */
struct db_stmt *db_stmt_prepare(struct db *db, const char *sql, int *ret_r);
int db_stmt_fail(struct db *db, MYSQL_STMT *stmt, const char *sql); /* db_fail() of its error */
void db_stmt_forget_all(struct db *db);

/* db_stmt.c */
/* Adds the rows found to r; all calls for one r must have the same columns. */
LOOM_MUST_CHECK int db_select_values(struct db *db, struct db_result *r, const char *sql,
                                     const struct db_value *v, size_t n);
struct db_result *db_result_new(void);

/* db_migrate.c: checks whether the schema is too new for a program that knows it up to `version`;
 * then why is the reason, else "". */
#define DB_WHY_MAX 512
LOOM_MUST_CHECK int db_schema_look(struct db *db, int version, char why[DB_WHY_MAX]);

/* db_pool.c */
void db_pool_watch_schema(struct db_pool *p, int version); /* starts the check of db_migrate() */
const struct db_config *db_pool_config(const struct db_pool *p);
/* Sleeps; false if that would pass the deadline or the pool stops. */
bool db_pool_pause(struct db_pool *p, int64_t ms, int64_t deadline);

LOOM_DEFINE_CLEANUP(struct db *, db_close)

#endif
