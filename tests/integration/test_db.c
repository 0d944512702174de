/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/db against a real server: LOOM_TEST_DB_HOST and _PORT or _SOCKET, _USER, _PASSWORD, _NAME.
 * Works in a scratch database of its own, <name>_db_<pid>.
 */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/db/db.h"
#include "common/db/db_private.h"
#include "tests/support/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct db_config server; /* as given by the environment */
static char scratch[128];

static char *env(const char *name, const char *def)
{
	const char *v = getenv(name);

	return loom_strdup(v ? v : def);
}

static struct db_pool *make_pool(const char *name, int64_t connections)
{
	struct db_config cfg = server;
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

static void script(struct db_pool *p, const char *sql)
{
	union {
		const char *in;
		void *out;
	} view = { .in = sql };

	ck_assert_int_eq(db_read(p, run_script, view.out), 0);
}

struct query {
	const char *sql;
	int64_t value;
};

static int run_query(struct db *db, void *arg)
{
	struct query *q = arg;

	return db_select_int(db, &q->value, NULL, q->sql, "");
}

static int64_t ask(struct db_pool *p, const char *sql)
{
	struct query q = { .sql = sql, .value = -1 };

	ck_assert_int_eq(db_read(p, run_query, &q), 0);
	return q.value;
}

static void drop_tables(struct db_pool *p)
{
	static const char *const names[] = { "ops",   "counter",     "kinds",
		                             "words", "schema_lock", "schema_migrations",
		                             "made",  "applied",     "late" };

	for (size_t i = 0; i < LOOM_COUNT(names); i++) {
		LOOM_CLEANUP_STR char *sql = loom_asprintf("DROP TABLE IF EXISTS %s", names[i]);

		script(p, sql);
	}
}

static struct db_pool *pool;

static void setup(void)
{
	unsetenv("LOOM_DB_FAIL");
	pool = make_pool(scratch, 8);
	drop_tables(pool);
	script(pool, "CREATE TABLE ops (op VARCHAR(64) NOT NULL PRIMARY KEY) ENGINE=InnoDB");
	script(pool, "CREATE TABLE counter (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)"
	             " ENGINE=InnoDB");
	script(pool, "INSERT INTO counter (id, n) VALUES (1, 0), (2, 0)");
}

static void teardown(void)
{
	db_pool_destroy(pool);
	unsetenv("LOOM_DB_FAIL");
}

/* ---- values ---------------------------------------------------------------------------------- */

enum { BIG = 1 << 20 };

static int write_kinds(struct db *db, void *arg)
{
	const char *big = arg;
	static const char sql[] = "INSERT INTO kinds (id, i, u, s, b, t) VALUES (?, ?, ?, ?, ?, ?)";
	int r = db_script(db, "CREATE TABLE kinds (id INT PRIMARY KEY, i BIGINT, u BIGINT UNSIGNED,"
	                      " s VARCHAR(200) CHARACTER SET utf8mb4, b LONGBLOB, t LONGTEXT)");

	if (!r)
		r = db_exec(db, sql, "iiisbs", INT64_C(1), INT64_MIN, INT64_C(0),
		            "gr\xc3\xbc\xc3\x9f \xf0\x9f\xa7\xb5", "a\0b\0", (size_t)4, "");
	if (!r)
		r = db_exec(db, sql, "iiisbs", INT64_C(2), INT64_MAX, INT64_C(1), NULL, NULL,
		            (size_t)0, NULL);
	if (!r)
		r = db_exec(db, sql, "innnbn", INT64_C(3), big, (size_t)BIG);
	if (!r)
		r = db_exec(db, sql, "innsbs", INT64_C(4), "x", "", (size_t)0, "y");
	return r;
}

static int read_kinds(struct db *db, void *arg)
{
	LOOM_CLEANUP(db_result_free) struct db_result *res = NULL;
	const char *big = arg;
	int r = db_select(db, &res, "SELECT id, i, u, s, b, t FROM kinds ORDER BY id", "");

	if (r)
		return r;
	ck_assert_uint_eq(db_rows(res), 4);
	ck_assert(db_int(res, 0, 1) == INT64_MIN);
	ck_assert_str_eq(db_str(res, 0, 1), "-9223372036854775808");
	ck_assert_str_eq(db_str(res, 0, 3), "gr\xc3\xbc\xc3\x9f \xf0\x9f\xa7\xb5");
	ck_assert_uint_eq(db_len(res, 0, 4), 4);
	ck_assert_mem_eq(db_str(res, 0, 4), "a\0b\0", 5);
	ck_assert(!db_is_null(res, 0, 5));
	ck_assert_str_eq(db_str(res, 0, 5), "");
	ck_assert(db_int(res, 1, 1) == INT64_MAX);
	ck_assert(db_is_null(res, 1, 3) && !db_str(res, 1, 3) && db_len(res, 1, 3) == 0);
	ck_assert(db_is_null(res, 1, 4) && db_is_null(res, 1, 5));
	ck_assert(db_is_null(res, 2, 1) && db_int(res, 2, 1) == 0);
	ck_assert_uint_eq(db_len(res, 2, 4), BIG);
	ck_assert(memcmp(db_str(res, 2, 4), big, BIG) == 0);
	ck_assert(!db_is_null(res, 3, 4) && db_len(res, 3, 4) == 0);
	ck_assert_str_eq(db_str(res, 3, 3), "x");
	return 0;
}

START_TEST(test_values)
{
	LOOM_CLEANUP_STR char *big = loom_malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)(i * 31 % 251);
	ck_assert_int_eq(db_read(pool, write_kinds, big), 0);
	ck_assert_int_eq(db_read(pool, read_kinds, big), 0);
}
END_TEST

static int odd_columns(struct db *db, void *arg)
{
	LOOM_CLEANUP(db_result_free) struct db_result *res = NULL;
	LOOM_CLEANUP(db_result_free) struct db_result *none = NULL;
	int64_t n = 77, now = 0;
	bool found = true;
	int r = db_select(db, &res,
	                  "SELECT CAST(18446744073709551615 AS UNSIGNED), SUM(3), 1.5,"
	                  " REPEAT('a', 63), REPEAT('b', 64), REPEAT('c', 65), CAST('2024-02-03"
	                  " 04:05:06' AS DATETIME), YEAR('2024-01-01'), TRUE",
	                  "");

	(void)arg;
	ck_assert_int_eq(r, 0);
	ck_assert_str_eq(db_str(res, 0, 0), "18446744073709551615");
	ck_assert_int_eq(db_int(res, 0, 1), 3);
	ck_assert_str_eq(db_str(res, 0, 2), "1.5");
	for (unsigned c = 3; c < 6; c++) {
		ck_assert_uint_eq(db_len(res, 0, c), 60 + c);
		ck_assert_uint_eq(strspn(db_str(res, 0, c), (char[]){ (char)('a' + c - 3), 0 }),
		                  60 + c);
	}
	ck_assert_str_eq(db_str(res, 0, 6), "2024-02-03 04:05:06");
	ck_assert_int_eq(db_int(res, 0, 7), 2024);
	ck_assert_int_eq(db_int(res, 0, 8), 1);
	ck_assert_int_eq(
		db_select(db, &none, "SELECT id FROM counter WHERE id = ?", "i", INT64_C(99)), 0);
	ck_assert_uint_eq(db_rows(none), 0);
	ck_assert_int_eq(db_select_int(db, &n, &found, "SELECT n FROM counter WHERE id = ?", "i",
	                               INT64_C(99)),
	                 0);
	ck_assert(!found && n == 77);
	ck_assert_int_eq(db_now(db, &now), 0);
	ck_assert_int_lt(llabs(now - clock_wall_ms()), 60000);
	return 0;
}

START_TEST(test_columns)
{
	ck_assert_int_eq(db_read(pool, odd_columns, NULL), 0);
}
END_TEST

static int many_texts(struct db *db, void *arg)
{
	char sql[64];

	for (int64_t round = 0; round < 2; round++) {
		for (int64_t i = 0; i < 2 * DB_STMT_CACHE + 10; i++) {
			int64_t got = 0;

			(void)snprintf(sql, sizeof(sql), "SELECT %d + ?", (int)i);
			int r = db_select_int(db, &got, NULL, sql, "i", round);
			if (r)
				return r;
			ck_assert_int_eq(got, i + round);
			ck_assert_uint_le(db->cached, DB_STMT_CACHE);
		}
	}
	(void)arg;
	return 0;
}

START_TEST(test_statement_cache_is_bounded)
{
	ck_assert_int_eq(db_read(pool, many_texts, NULL), 0);
}
END_TEST

enum { MOST = 2 * DB_MANY + 9 };

/* Rows 1 to n are inserted, written again with other values, and selected. */
static int write_many(struct db *db, void *arg)
{
	static const struct db_many fresh = { "INSERT INTO counter (id, n) VALUES ", "(?,?)", ",",
		                              "", 2 };
	static const struct db_many again = { "INSERT INTO counter (id, n) VALUES ", "(?,?)", ",",
		                              " ON DUPLICATE KEY UPDATE n=VALUES(n)", 2 };
	static const struct db_many some = { "SELECT id FROM counter WHERE n=id+1 AND id IN (", "?",
		                             ",", ")", 1 };
	LOOM_CLEANUP(db_result_free) struct db_result *found = NULL;
	int64_t n = *(int64_t *)arg;
	struct db_value v[2 * MOST], ids[MOST];

	for (int64_t i = 0; i < n; i++) {
		v[2 * i] = ids[i] = db_i(i + 1);
		v[2 * i + 1] = db_i(n);
	}
	int r = db_exec(db, "DELETE FROM counter", "");
	if (!r)
		r = db_exec_many(db, &fresh, v, (size_t)n);
	for (int64_t i = 0; i < n; i++)
		v[2 * i + 1] = db_i(i + 2);
	if (!r)
		r = db_upsert_many(db, &again, v, (size_t)n);
	if (!r)
		ck_assert_int_eq(db_inserted(db), 0);
	if (!r)
		r = db_select_many(db, &found, &some, ids, (size_t)n);
	if (!r)
		ck_assert_uint_eq(db_rows(found), (size_t)n);
	return r;
}

START_TEST(test_many_rows)
{
	for (int64_t n = 1; n <= MOST; n++) {
		ck_assert_int_eq(db_tx(pool, write_many, &n), 0);
		ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM counter WHERE n=id+1"), n);
		ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM counter"), n);
	}
}
END_TEST

/* The third of five rows is gone, and what is in the others is written again unchanged. */
static int upsert_gone(struct db *db, void *arg)
{
	static const struct db_many many = { "INSERT INTO counter (id, n) VALUES ", "(?,?)", ",",
		                             " ON DUPLICATE KEY UPDATE n=VALUES(n)", 2 };
	struct db_value v[10];

	(void)arg;
	for (int64_t i = 0; i < 5; i++) {
		v[2 * i] = db_i(i + 1);
		v[2 * i + 1] = db_i(7);
	}
	ck_assert_int_eq(db_exec(db, "DELETE FROM counter", ""), 0);
	ck_assert_int_eq(db_upsert_many(db, &many, v, 5), 0);
	ck_assert_int_eq(db_inserted(db), 5);
	ck_assert_int_eq(db_exec(db, "DELETE FROM counter WHERE id=3", ""), 0);
	ck_assert_int_eq(db_upsert_many(db, &many, v, 5), 0);
	ck_assert_int_eq(db_inserted(db), 1);
	ck_assert_int_eq(db_upsert_many(db, &many, v + 8, 1), 0);
	ck_assert_int_eq(db_inserted(db), 0);
	ck_assert_int_eq(db_exec(db, "DELETE FROM counter WHERE id=5", ""), 0);
	ck_assert_int_eq(db_upsert_many(db, &many, v + 8, 1), 0);
	ck_assert_int_eq(db_inserted(db), 1);
	return 0;
}

START_TEST(test_upsert_tells_what_was_not_there)
{
	ck_assert_int_eq(db_tx(pool, upsert_gone, NULL), 0);
}
END_TEST

static int affected_counts(struct db *db, void *arg)
{
	(void)arg;
	ck_assert_int_eq(db_exec(db, "UPDATE counter SET n = 5 WHERE id = 1", ""), 0);
	ck_assert_int_eq(db_affected(db), 1);
	ck_assert_int_eq(db_exec(db, "UPDATE counter SET n = 5 WHERE id = 1", ""), 0);
	ck_assert_int_eq(db_affected(db), 1); /* matched, not changed */
	ck_assert_int_eq(db_exec(db, "UPDATE counter SET n = 5 WHERE id = 1 AND n = 4", ""), 0);
	ck_assert_int_eq(db_affected(db), 0);
	ck_assert_int_eq(db_exec(db, "DELETE FROM counter", ""), 0);
	ck_assert_int_eq(db_affected(db), 2);
	return 409;
}

START_TEST(test_affected_and_refusal_rolls_back)
{
	ck_assert_int_eq(db_tx(pool, affected_counts, NULL), 409);
	ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM counter WHERE n = 0"), 2);
}
END_TEST

static int duplicate(struct db *db, void *arg)
{
	(void)arg;
	ck_assert_int_eq(db_exec(db, "INSERT INTO ops (op) VALUES (?)", "s", "one"), 0);
	ck_assert_int_eq(db_exec(db, "INSERT INTO ops (op) VALUES (?)", "s", "one"), DB_E_DUP);
	ck_assert(strstr(db_error(db), "one"));
	return db_exec(db, "INSERT INTO ops (op) VALUES (?)", "s", "two");
}

static int wrong(struct db *db, void *arg)
{
	return db_exec(db, arg, "");
}

START_TEST(test_duplicate_and_fatal)
{
	ck_assert_int_eq(db_tx(pool, duplicate, NULL), 0);
	ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM ops"), 2);
	log_set_fd(-1);
	ck_assert_int_eq(db_tx(pool, wrong, (char[]){ "INSERT INTO nowhere VALUES (1)" }),
	                 DB_E_FATAL);
	ck_assert_int_eq(db_tx(pool, wrong, (char[]){ "SELEKT 1" }), DB_E_FATAL);
	ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM ops"), 2);
	ck_assert(db_pool_ok(pool));
}
END_TEST

static int isolation(struct db *db, void *arg)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;

	(void)arg;
	ck_assert_int_eq(
		db_select(db, &r, "SELECT @@tx_isolation, @@character_set_client, 'a' = 'a '", ""),
		0);
	ck_assert_str_eq(db_str(r, 0, 0), "READ-COMMITTED");
	ck_assert_str_eq(db_str(r, 0, 1), "utf8mb4");
	return 0;
}

START_TEST(test_session_is_set_up)
{
	ck_assert_int_eq(db_tx(pool, isolation, NULL), 0);
}
END_TEST

/* ---- retries --------------------------------------------------------------------------------- */

struct crossing {
	pthread_barrier_t *barrier;
	int64_t first, second;
	int runs;
};

static int cross(struct db *db, void *arg)
{
	struct crossing *c = arg;
	int r = db_exec(db, "UPDATE counter SET n = n + 1 WHERE id = ?", "i", c->first);

	if (r)
		return r;
	if (c->runs++ == 0)
		(void)pthread_barrier_wait(c->barrier);
	/* What a function makes of a failed statement does not matter: it is run again. */
	r = db_exec(db, "UPDATE counter SET n = n + 1 WHERE id = ?", "i", c->second);
	return r == DB_E_RETRY ? 500 : r;
}

static void *cross_thread(void *arg)
{
	loom_assert(db_tx(pool, cross, arg) == 0);
	return NULL;
}

START_TEST(test_deadlock_is_retried)
{
	pthread_barrier_t barrier;
	struct crossing c[2] = { { .barrier = &barrier, .first = 1, .second = 2 },
		                 { .barrier = &barrier, .first = 2, .second = 1 } };
	pthread_t t[2];
	int64_t retries = db_metrics[DB_M_RETRIES].value;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, cross_thread, &c[i]), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	ck_assert_int_ge(db_metrics[DB_M_RETRIES].value - retries, 1);
	ck_assert_int_eq(ask(pool, "SELECT SUM(n) FROM counter WHERE n = 2"), 4);
	(void)pthread_barrier_destroy(&barrier);
}
END_TEST

/* Idempotent by its key: counts once however often it is run. */
static int count_once(struct db *db, void *arg)
{
	int r = db_exec(db, "INSERT INTO ops (op) VALUES (?)", "s", arg);

	if (r == DB_E_DUP)
		return 0;
	if (!r)
		r = db_exec(db, "UPDATE counter SET n = n + 1 WHERE id = 1", "");
	return r;
}

struct counting {
	struct db_pool *pool;
	int thread, n;
};

static void *count_thread(void *arg)
{
	const struct counting *c = arg;
	char key[64];

	for (int i = 0; i < c->n; i++) {
		(void)snprintf(key, sizeof(key), "%d-%d", c->thread, i);
		loom_assert(db_tx(c->pool, count_once, key) == 0);
	}
	return NULL;
}

static const char *const fail_specs[] = {
	"before_commit:/3", "during_commit:/3",
	"after_commit:/3",  "before_commit:/5,during_commit:/3,after_commit:/4",
	"during_commit:/2",
};

START_TEST(test_nothing_lost_or_doubled)
{
	enum { THREADS = 6, EACH = 40 };
	struct counting c[THREADS];
	pthread_t t[THREADS];
	int64_t doubts = db_metrics[DB_M_DOUBTS].value;

	log_set_fd(-1);
	setenv("LOOM_DB_FAIL", fail_specs[_i], 1);
	struct db_pool *p = make_pool(scratch, 4); /* fewer connections than threads */
	for (int i = 0; i < THREADS; i++) {
		c[i] = (struct counting){ .pool = p, .thread = i, .n = EACH };
		ck_assert_int_eq(pthread_create(&t[i], NULL, count_thread, &c[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	db_pool_destroy(p);
	ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM ops"), THREADS * EACH);
	ck_assert_int_eq(ask(pool, "SELECT n FROM counter WHERE id = 1"), THREADS * EACH);
	if (!strstr(fail_specs[_i], "during"))
		return;
	ck_assert_int_ge(db_metrics[DB_M_DOUBTS].value - doubts, THREADS * EACH / 4);
}
END_TEST

struct late {
	int runs;
};

/* Its second run reads as if the first one's commit had not arrived yet, and then it does. */
static int count_late(struct db *db, void *arg)
{
	struct late *l = arg;
	bool found = false;
	int64_t n;
	int r = ++l->runs == 2
	                ? 0
	                : db_select_int(db, &n, &found, "SELECT 1 FROM ops WHERE op='late'", "");

	if (r || found)
		return r;
	r = db_exec(db, "INSERT INTO ops (op) VALUES ('late')", "");
	return r ? r : db_exec(db, "UPDATE counter SET n = n + 1 WHERE id = 1", "");
}

START_TEST(test_commit_that_arrives_late)
{
	struct late l = { 0 };

	log_set_fd(-1);
	setenv("LOOM_DB_FAIL", "during_commit:1", 1);
	struct db_pool *p = make_pool(scratch, 1);
	ck_assert_int_eq(db_tx(p, count_late, &l), 0);
	db_pool_destroy(p);
	ck_assert_int_eq(l.runs, 3);
	ck_assert_int_eq(ask(pool, "SELECT n FROM counter WHERE id = 1"), 1);
}
END_TEST

START_TEST(test_doubt_is_reported)
{
	log_set_fd(-1);
	setenv("LOOM_DB_FAIL", "during_commit:/1", 1);
	struct db_pool *p = make_pool(scratch, 1);
	/* Each run commits, or finds that it has, and no answer ever comes. */
	ck_assert_int_eq(db_tx_deadline(p, count_once, (char[]){ "doubtful" }, 300), DB_E_DOUBT);
	db_pool_destroy(p);
	ck_assert_int_eq(db_tx(pool, count_once, (char[]){ "doubtful" }), 0);
	ck_assert_int_eq(ask(pool, "SELECT n FROM counter WHERE id = 1"), 1);
}
END_TEST

static int connection_id(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL, "SELECT CONNECTION_ID()", "");
}

static void kill_connection(int64_t id)
{
	struct db_pool *other = make_pool(server.name, 1);
	char sql[160];

	(void)snprintf(sql, sizeof(sql), "KILL %lld", (long long)id);
	script(other, sql);
	(void)snprintf(sql, sizeof(sql),
	               "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %lld",
	               (long long)id);
	while (ask(other, sql) != 0)
		(void)usleep(1000);
	db_pool_destroy(other);
}

static int killed_in_the_middle(struct db *db, void *arg)
{
	int *runs = arg;
	int64_t id = 0;
	int r = db_exec(db, "INSERT INTO ops (op) VALUES ('k')", "");

	if (!r)
		r = connection_id(db, &id);
	if (r)
		return r;
	if ((*runs)++ == 0)
		kill_connection(id);
	return db_exec(db, "UPDATE counter SET n = n + 1 WHERE id = 1", "");
}

START_TEST(test_killed_in_mid_transaction)
{
	int runs = 0;

	ck_assert_int_eq(db_tx(pool, killed_in_the_middle, &runs), 0);
	ck_assert_int_eq(runs, 2);
	ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM ops"), 1);
	ck_assert_int_eq(ask(pool, "SELECT n FROM counter WHERE id = 1"), 1);
}
END_TEST

START_TEST(test_idle_connection_killed)
{
	struct db_pool *p = make_pool(scratch, 1);
	int64_t id = 0, again = 0;

	ck_assert_int_eq(db_tx(p, connection_id, &id), 0);
	ck_assert_int_eq(db_tx(p, connection_id, &again), 0);
	ck_assert_int_eq(id, again);
	kill_connection(id);
	int64_t retries = db_metrics[DB_M_RETRIES].value;
	ck_assert_int_eq(db_tx(p, connection_id, &again), 0);
	ck_assert_int_ne(id, again);
	ck_assert_int_eq(db_metrics[DB_M_RETRIES].value, retries);
	db_pool_destroy(p);
}
END_TEST

/* ---- away ------------------------------------------------------------------------------------ */

static struct db_pool *pool_to_nowhere(void)
{
	struct db_config cfg = server;
	struct db_pool *p = NULL;

	cfg.socket = (char[]){ "" };
	cfg.host = (char[]){ "127.0.0.1" };
	cfg.port = 1;
	ck_assert_int_eq(db_pool_create(&cfg, &p, NULL), 0);
	return p;
}

static int never(struct db *db, void *arg)
{
	(void)db;
	(void)arg;
	ck_abort_msg("there is no database to run on");
}

static void *stop_soon(void *arg)
{
	(void)usleep(50000);
	db_pool_stop(arg);
	return NULL;
}

static const struct db_migration nothing[] = {
	{ 1, "nothing", (const char *const[]){ NULL }, 0 },
	{ 0 },
};

START_TEST(test_away)
{
	pthread_t t;
	int64_t start = clock_mono_ms();
	struct loom_err err = { 0 };

	log_set_fd(-1);
	struct db_pool *p = pool_to_nowhere();
	ck_assert_int_eq(db_tx_deadline(p, never, NULL, 200), DB_E_AWAY);
	ck_assert(!db_pool_ok(p));
	ck_assert_int_eq(db_migrate(p, nothing, 100, &err), DB_E_AWAY);
	ck_assert_msg(strstr(err.msg, "127.0.0.1"), "%s", err.msg);
	ck_assert_int_eq(pthread_create(&t, NULL, stop_soon, p), 0);
	ck_assert_int_eq(db_tx(p, never, NULL), DB_E_AWAY);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	ck_assert_int_lt(clock_mono_ms() - start, 5000);
	db_pool_destroy(p);
}
END_TEST

static int sleepy(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL, "SELECT SLEEP(6)", "");
}

START_TEST(test_hung_statement_is_given_up)
{
	struct db_config cfg = server;
	struct db_pool *p = NULL;
	int64_t n, start = clock_mono_ms();

	cfg.statement_ms = 1000;
	ck_assert_int_eq(db_pool_create(&cfg, &p, NULL), 0);
	ck_assert_int_eq(db_tx_deadline(p, sleepy, &n, 900), DB_E_AWAY);
	ck_assert_int_lt(clock_mono_ms() - start, 5000);
	db_pool_destroy(p);
}
END_TEST

static const struct {
	const char *spec;
	int64_t counted[2]; /* transactions that may have come through */
} exit_specs[] = {
	{ "exit_before_commit:3", { 2, 2 } },
	{ "exit_during_commit:3", { 2, 3 } },
	{ "exit_after_commit:/3", { 3, 3 } },
};

static int count_until_dead(void)
{
	struct db_pool *p = make_pool(scratch, 1);

	for (int i = 0; i < 10; i++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "d%d", i);
		if (db_tx(p, count_once, key))
			return 1;
	}
	return 0;
}

START_TEST(test_failpoint_ends_the_process)
{
	int status = 0;

	setenv("LOOM_DB_FAIL", exit_specs[_i].spec, 1);
	pid_t child = fork();
	if (child == 0)
		_exit(count_until_dead());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	int64_t n = ask(pool, "SELECT n FROM counter WHERE id = 1");
	ck_assert_int_ge(n, exit_specs[_i].counted[0]);
	ck_assert_int_le(n, exit_specs[_i].counted[1]);
	ck_assert_int_eq(ask(pool, "SELECT n - (SELECT COUNT(*) FROM ops) FROM counter"), 0);
}
END_TEST

/* One life of those that share the memory: 0 when it came through, else the signal. */
static int live(const char *fail)
{
	int status = 0;

	setenv("LOOM_DB_FAIL", fail, 1);
	pid_t child = fork();
	if (child == 0)
		_exit(count_until_dead());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

START_TEST(test_failpoint_of_each_kind)
{
	char path[] = "/tmp/loom-failpoint-XXXXXX", fail[64];
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	(void)snprintf(fail, sizeof(fail), "exit_each:%s", path);
	ck_assert_int_eq(live(fail), SIGKILL); /* before the first commit */
	ck_assert_int_eq(ask(pool, "SELECT n FROM counter WHERE id = 1"), 0);
	ck_assert_int_eq(live(fail), SIGKILL); /* after it */
	ck_assert_int_eq(ask(pool, "SELECT n FROM counter WHERE id = 1"), 1);
	/* What was counted already is another kind: it counts nothing. */
	ck_assert_int_eq(live(fail), SIGKILL);
	ck_assert_int_eq(live(fail), SIGKILL);
	ck_assert_int_eq(live(fail), 0);
	ck_assert_int_eq(ask(pool, "SELECT n FROM counter WHERE id = 1"), 10);
	ck_assert_int_eq(ask(pool, "SELECT n - (SELECT COUNT(*) FROM ops) FROM counter"), 0);
	(void)unlink(path);
}
END_TEST

START_TEST(test_failpoint_syntax)
{
	static const char *const bad[] = { "x:1",
		                           "exit_:1",
		                           "exit_exit_before_commit:1",
		                           "exit_each",
		                           "before_commit",
		                           "before_commit:",
		                           "after_commit:0",
		                           "after_commit:1x",
		                           "before_commit:1;after_commit:1" };
	struct db_pool *p = NULL;
	struct loom_err err;

	for (size_t i = 0; i < LOOM_COUNT(bad); i++) {
		setenv("LOOM_DB_FAIL", bad[i], 1);
		ck_assert_int_eq(db_pool_create(&server, &p, &err), 500);
	}
}
END_TEST

/* ---- migrations ------------------------------------------------------------------------------ */

static const struct db_migration migrations[] = {
	{ 1, "tables",
	  (const char *const[]){ "CREATE TABLE made (id INT PRIMARY KEY)",
	                         "CREATE TABLE applied (n INT AUTO_INCREMENT PRIMARY KEY, v INT)",
	                         "INSERT INTO applied (v) VALUES (1)", NULL },
	  0 },
	{ 2, "a column",
	  (const char *const[]){ "ALTER TABLE made ADD COLUMN name VARCHAR(20)",
	                         "INSERT INTO applied (v) VALUES (2)", NULL },
	  0 },
	{ 3, "more", (const char *const[]){ "INSERT INTO applied (v) VALUES (3)", NULL }, 0 },
	{ 0 },
};

static int migrate_child(int go)
{
	char c;
	struct loom_err err = { 0 };
	struct db_pool *p = make_pool(scratch, 2);

	if (read(go, &c, 1) != 0) /* end of file starts all at once */
		return 9;
	int r = db_migrate(p, migrations, 10000, &err);
	if (r)
		(void)fprintf(stderr, "%s: %s\n", err_name(r), err.msg);
	db_pool_destroy(p);
	return r ? 1 : 0;
}

START_TEST(test_migrations_by_four)
{
	pid_t pids[4];
	int go[2], status;

	ck_assert_int_eq(pipe(go), 0);
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0) {
			(void)close(go[1]);
			_exit(migrate_child(go[0]));
		}
	}
	(void)close(go[0]);
	(void)close(go[1]);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM applied"), 3);
	ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM schema_migrations"), 3);
}
END_TEST

/* Services that start are killed all the time; one of them gets through in the end. */
START_TEST(test_migrations_under_kill)
{
	const struct db_migration slow[] = {
		{ 1, "slow",
		  (const char *const[]){
			  "CREATE TABLE IF NOT EXISTS made (id INT PRIMARY KEY)", "DO SLEEP(0.02)",
			  "ALTER TABLE made ADD COLUMN IF NOT EXISTS name INT", "DO SLEEP(0.02)",
			  "INSERT IGNORE INTO made VALUES (1, 1)", "DO SLEEP(0.02)", NULL },
		  0 },
		{ 2, "more",
		  (const char *const[]){ "ALTER TABLE made ADD COLUMN IF NOT EXISTS more INT",
		                         NULL },
		  0 },
		{ 0 },
	};
	pid_t pids[3] = { 0 };
	int status, done = 0;

	for (unsigned i = 0; !done; i++) {
		pid_t *one = &pids[i % 3];
		if (*one) {
			(void)kill(*one, i < 40 ? SIGKILL : 0);
			ck_assert_int_eq(waitpid(*one, &status, 0), *one);
			done = WIFEXITED(status);
		}
		*one = fork();
		ck_assert_int_ge(*one, 0);
		if (*one == 0) {
			struct db_pool *p = make_pool(scratch, 2);
			_exit(db_migrate(p, slow, 20000, NULL));
		}
		(void)usleep(7000 + i * 1777 % 20000);
	}
	ck_assert_int_eq(status, 0);
	for (int i = 0; i < 3; i++)
		if (pids[i] && waitpid(pids[i], &status, 0) == pids[i])
			ck_assert_int_eq(status, 0);
	ck_assert_int_eq(ask(pool, "SELECT COUNT(more IS NULL) FROM made"), 1);
	ck_assert_int_eq(ask(pool, "SELECT COUNT(*) FROM schema_migrations WHERE applied_at > 0"),
	                 2);
}
END_TEST

static void note_why(const char *why, void *arg)
{
	(void)snprintf(arg, 512, "%s", why);
}

/* What a program looks at each second. */
static int look(struct db *db, void *arg)
{
	return db_schema_look(db, 3, arg);
}

/* A program beside a schema that is newer than what it knows. */
START_TEST(test_newer_schema)
{
	struct query q = { .sql = "SELECT 1" };
	struct loom_err err = { 0 };
	char told[512] = "";
	int r;

	log_set_fd(-1);
	ck_assert_int_eq(db_migrate(pool, migrations, 5000, NULL), 0);
	db_pool_on_too_old(pool, note_why, told);
	/* One that it can live with. */
	script(pool, "INSERT INTO schema_migrations VALUES (4, 'a table more', 1, 3)");
	ck_assert_int_eq(db_migrate(pool, migrations, 1000, NULL), 0);
	ck_assert_int_eq(db_read(pool, look, told), 0);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(db_read(pool, run_query, &q), 0);
	/* One that it cannot: found out by a program that runs, within a second ... */
	script(pool, "INSERT INTO schema_migrations VALUES (5, 'a column less', 0, 4)");
	int64_t start = clock_mono_ms();
	while (!(r = db_tx(pool, run_query, &q)) && clock_mono_ms() - start < 3000)
		(void)usleep(20000);
	ck_assert_int_eq(r, DB_E_TOO_OLD);
	ck_assert_int_lt(clock_mono_ms() - start, 1500);
	ck_assert_msg(strstr(told, "a column less") && strstr(told, "up to 4"), "%s", told);
	ck_assert_int_eq(db_read(pool, run_query, &q), DB_E_TOO_OLD);
	/* ... and by one that starts. */
	struct db_pool *p = make_pool(scratch, 2);
	ck_assert_int_eq(db_migrate(p, migrations, 1000, &err), DB_E_TOO_OLD);
	ck_assert_str_eq(err.msg, told);
	db_pool_destroy(p);
}
END_TEST

/* What older programs cannot live with begins when they have had the time to end. */
START_TEST(test_migration_is_announced)
{
	const struct db_migration next[] = {
		{ 1, "tables", (const char *const[]){ "DO 1", NULL }, 0 },
		{ 2, "a column", (const char *const[]){ "DO 1", NULL }, 0 },
		{ 3, "more", (const char *const[]){ "DO 1", NULL }, 0 },
		{ 4, "a column less",
		  (const char *const[]){ "CREATE TABLE IF NOT EXISTS late (id INT)", NULL }, 4 },
		{ 0 },
	};
	static const char late[] = "SELECT COUNT(*) FROM information_schema.tables WHERE"
				   " table_schema = DATABASE() AND table_name = 'late'";
	struct query q = { .sql = late };
	int status, r;

	log_set_fd(-1);
	ck_assert_int_eq(db_migrate(pool, migrations, 5000, NULL), 0);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct db_pool *p = make_pool(scratch, 2);
		_exit(db_migrate(p, next, 10000, NULL));
	}
	while (!(r = db_read(pool, run_query, &q)) && !q.value)
		(void)usleep(20000);
	ck_assert_int_eq(r, DB_E_TOO_OLD);
	struct db_pool *p = make_pool(scratch, 2);
	ck_assert_int_eq(ask(p, late), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(ask(p, late), 1);
	db_pool_destroy(p);
}
END_TEST

static const struct db_migration failing[] = {
	{ 1, "good", (const char *const[]){ "CREATE TABLE made (id INT PRIMARY KEY)", NULL }, 0 },
	{ 2, "bad", (const char *const[]){ "ALTER TABLE nowhere ADD COLUMN x INT", NULL }, 0 },
	{ 0 },
};

START_TEST(test_migration_that_fails)
{
	struct loom_err err = { 0 };

	log_set_fd(-1);
	ck_assert_int_eq(db_migrate(pool, failing, 5000, &err), DB_E_FATAL);
	ck_assert_msg(strstr(err.msg, "nowhere"), "%s", err.msg);
	ck_assert_int_eq(ask(pool, "SELECT MAX(version) FROM schema_migrations"), 1);
}
END_TEST

/* ---- running --------------------------------------------------------------------------------- */

static bool read_environment(void)
{
	int64_t port = 3306;
	LOOM_CLEANUP_STR char *text = env("LOOM_TEST_DB_PORT", "3306");

	if (!getenv("LOOM_TEST_DB_HOST") && !getenv("LOOM_TEST_DB_SOCKET"))
		return false;
	if (str_to_int(text, &port))
		return false;
	server = (struct db_config){
		.host = env("LOOM_TEST_DB_HOST", "127.0.0.1"),
		.socket = env("LOOM_TEST_DB_SOCKET", ""),
		.user = env("LOOM_TEST_DB_USER", "root"),
		.password = env("LOOM_TEST_DB_PASSWORD", ""),
		.name = env("LOOM_TEST_DB_NAME", "test"),
		.port = port,
		.connections = 8,
		.connect_ms = 1000,
		.statement_ms = 5000,
		.deadline_ms = 15000,
	};
	(void)snprintf(scratch, sizeof(scratch), "%s_db_%d", server.name, (int)getpid());
	return true;
}

static void on_server(const char *verb)
{
	LOOM_CLEANUP_STR char *sql = loom_asprintf("%s DATABASE %s", verb, scratch);
	struct db_pool *p = NULL;

	loom_assert(db_pool_create(&server, &p, NULL) == 0);
	loom_assert(db_read(p, run_script, sql) == 0);
	db_pool_destroy(p);
}

static TCase *cases(void)
{
	TCase *tc = tcase_create("db");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_values);
	tcase_add_test(tc, test_columns);
	tcase_add_test(tc, test_statement_cache_is_bounded);
	tcase_add_test(tc, test_many_rows);
	tcase_add_test(tc, test_upsert_tells_what_was_not_there);
	tcase_add_test(tc, test_affected_and_refusal_rolls_back);
	tcase_add_test(tc, test_duplicate_and_fatal);
	tcase_add_test(tc, test_session_is_set_up);
	tcase_add_test(tc, test_deadlock_is_retried);
	tcase_add_loop_test(tc, test_nothing_lost_or_doubled, 0, LOOM_COUNT(fail_specs));
	tcase_add_test(tc, test_commit_that_arrives_late);
	tcase_add_test(tc, test_doubt_is_reported);
	tcase_add_test(tc, test_killed_in_mid_transaction);
	tcase_add_test(tc, test_idle_connection_killed);
	tcase_add_test(tc, test_away);
	tcase_add_test(tc, test_hung_statement_is_given_up);
	tcase_add_loop_test(tc, test_failpoint_ends_the_process, 0, LOOM_COUNT(exit_specs));
	tcase_add_test(tc, test_failpoint_of_each_kind);
	tcase_add_test(tc, test_failpoint_syntax);
	tcase_add_test(tc, test_migrations_by_four);
	tcase_add_test(tc, test_migrations_under_kill);
	tcase_add_test(tc, test_newer_schema);
	tcase_add_test(tc, test_migration_is_announced);
	tcase_add_test(tc, test_migration_that_fails);
	return tc;
}

int main(void)
{
	if (!read_environment()) {
		(void)fprintf(stderr, "test_db: set LOOM_TEST_DB_HOST and LOOM_TEST_DB_PORT, or"
		                      " LOOM_TEST_DB_SOCKET (and _USER, _PASSWORD, _NAME)\n");
		return 1;
	}
	on_server("CREATE");
	int rc = UNIT_RUN("db", cases());
	on_server("DROP");
	loom_free(server.host);
	loom_free(server.socket);
	loom_free(server.user);
	loom_free(server.password);
	loom_free(server.name);
	return rc;
}
