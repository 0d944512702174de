/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scratch - the server that the environment names (LOOM_TEST_DB_HOST and _PORT or _SOCKET, _USER,
 * _PASSWORD, _NAME), and on it a database of a program's own, <name>_db_<pid>, with the tables
 * `ops` (a row for each key) and `counter` (two rows, n = 0).
 *
 * Single-threaded, but for scratch_count(); a failure fails the test.
 */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include "common/db/db.h"

#include <check.h>

/* The configuration that the environment gives; false, with a message, if it names no server. */
bool server_config(struct db_config *ret, const char *program);
void server_config_fini(struct db_config *cfg);

/* A pool on the database that the environment names, with Loom's schema. */
struct db_pool *loom_database(const char *program);

extern struct db_config scratch_server; /* what the environment gives */
const char *scratch_name(void);

struct db_pool *scratch_pool(const char *name, int64_t connections);
void scratch_script(struct db_pool *p, const char *sql);
int64_t scratch_ask(struct db_pool *p, const char *sql); /* one number */
struct scratch_query {
	const char *sql;
	int64_t value;
};
int scratch_query(struct db *db, void *arg); /* in a transaction; arg: struct scratch_query */
/* Counts a key once, however often the transaction runs; arg: the key. */
int scratch_count(struct db *db, void *arg);

/* A pool on the database, whose tables are made anew. */
struct db_pool *scratch_open(void);
void scratch_close(struct db_pool *p);

/* Makes the database, runs the cases, drops it; main's exit code. */
int scratch_main(const char *program, TCase *(*cases)(void));

#endif
