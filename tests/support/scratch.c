/* SPDX-License-Identifier: Apache-2.0 */
/* scratch - databases that come with the first test of a program and go with its last. */
#include "tests/support/scratch.h"

#include "common/base/str.h"
#include "common/model/schema.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct db_config scratch_server;
static char scratch[128];

static char *env(const char *name, const char *def)
{
	const char *v = getenv(name);
	return loom_strdup(v ? v : def);
}

bool server_config(struct db_config *ret, const char *program)
{
	LOOM_CLEANUP_STR char *port = env("LOOM_TEST_DB_PORT", "3306");
	int64_t number;
	if ((!getenv("LOOM_TEST_DB_HOST") && !getenv("LOOM_TEST_DB_SOCKET")) ||
	    str_to_int(port, &number)) {
		(void)fprintf(stderr,
		              "%s: set LOOM_TEST_DB_HOST and LOOM_TEST_DB_PORT, or"
		              " LOOM_TEST_DB_SOCKET (and _USER, _PASSWORD, _NAME)\n",
		              program);
		return false;
	}
	*ret = (struct db_config){
		.host = env("LOOM_TEST_DB_HOST", "127.0.0.1"),
		.socket = env("LOOM_TEST_DB_SOCKET", ""),
		.user = env("LOOM_TEST_DB_USER", "root"),
		.password = env("LOOM_TEST_DB_PASSWORD", ""),
		.name = env("LOOM_TEST_DB_NAME", "test"),
		.password_file = loom_strdup(""),
		.port = number,
		.connections = 8,
		.connect_ms = 1000,
		.statement_ms = 5000,
		.deadline_ms = 15000,
	};
	return true;
}

void server_config_fini(struct db_config *cfg)
{
	char *const texts[] = { cfg->host,     cfg->socket, cfg->user,
		                cfg->password, cfg->name,   cfg->password_file };
	for (size_t i = 0; i < LOOM_COUNT(texts); i++)
		loom_free(texts[i]);
	*cfg = (struct db_config){ 0 };
}

struct db_pool *loom_database(const char *program)
{
	struct db_pool *p = NULL;
	struct db_config cfg;
	struct loom_err err;
	ck_assert(server_config(&cfg, program));
	cfg.connections = 2;
	cfg.connect_ms = 5000;
	cfg.statement_ms = cfg.deadline_ms = 20000;
	ck_assert_int_eq(db_pool_create(&cfg, &p, &err), 0);
	ck_assert_msg(!db_migrate(p, schema_migrations, 20000, &err), "%s", err.msg);
	server_config_fini(&cfg);
	return p;
}

const char *scratch_name(void)
{
	return scratch;
}

struct db_pool *scratch_pool(const char *name, int64_t connections)
{
	struct db_config cfg = scratch_server;
	struct db_pool *p = NULL;
	struct loom_err err;

	cfg.name = (char[128]){ 0 };
	(void)snprintf(cfg.name, 128, "%s", name);
	cfg.connections = connections;
	ck_assert_int_eq(db_pool_create(&cfg, &p, &err), 0);
	return p;
}

static int run_script(struct db *db, void *arg)
{
	return db_script(db, arg);
}

void scratch_script(struct db_pool *p, const char *sql)
{
	union {
		const char *in;
		void *out;
	} view = { .in = sql };

	ck_assert_int_eq(db_read(p, run_script, view.out), 0);
}

int scratch_query(struct db *db, void *arg)
{
	struct scratch_query *q = arg;

	return db_select_int(db, &q->value, NULL, q->sql, "");
}

int64_t scratch_ask(struct db_pool *p, const char *sql)
{
	struct scratch_query q = { .sql = sql, .value = -1 };

	ck_assert_int_eq(db_read(p, scratch_query, &q), 0);
	return q.value;
}

static void drop_tables(struct db_pool *p)
{
	static const char *const names[] = { "ops",   "counter",     "kinds",
		                             "words", "schema_lock", "schema_migrations",
		                             "made",  "applied",     "late" };

	for (size_t i = 0; i < LOOM_COUNT(names); i++) {
		LOOM_CLEANUP_STR char *sql = loom_asprintf("DROP TABLE IF EXISTS %s", names[i]);

		scratch_script(p, sql);
	}
}
/* Idempotent by its key: counts once however often it is run. */
int scratch_count(struct db *db, void *arg)
{
	int r = db_exec(db, "INSERT INTO ops (op) VALUES (?)", "s", arg);

	if (r == DB_E_DUP)
		return 0;
	if (!r)
		r = db_exec(db, "UPDATE counter SET n = n + 1 WHERE id = 1", "");
	return r;
}

struct db_pool *scratch_open(void)
{
	unsetenv("LOOM_DB_FAIL");
	struct db_pool *p = scratch_pool(scratch, 8);
	drop_tables(p);
	scratch_script(p, "CREATE TABLE ops (op VARCHAR(64) NOT NULL PRIMARY KEY) ENGINE=InnoDB");
	scratch_script(p, "CREATE TABLE counter (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)"
	                  " ENGINE=InnoDB");
	scratch_script(p, "INSERT INTO counter (id, n) VALUES (1, 0), (2, 0)");
	return p;
}

void scratch_close(struct db_pool *p)
{
	db_pool_destroy(p);
	unsetenv("LOOM_DB_FAIL");
}

static void on_server(const char *verb)
{
	LOOM_CLEANUP_STR char *sql = loom_asprintf("%s DATABASE %s", verb, scratch);
	struct db_pool *p = NULL;
	loom_assert(db_pool_create(&scratch_server, &p, NULL) == 0);
	loom_assert(db_read(p, run_script, sql) == 0);
	db_pool_destroy(p);
}

int scratch_main(const char *program, TCase *(*cases)(void))
{
	if (!server_config(&scratch_server, program))
		return 1;
	(void)snprintf(scratch, sizeof(scratch), "%s_db_%d", scratch_server.name, (int)getpid());
	on_server("CREATE");
	int rc = UNIT_RUN(program, cases());
	on_server("DROP");
	server_config_fini(&scratch_server);
	return rc;
}
