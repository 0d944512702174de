/* SPDX-License-Identifier: Apache-2.0 */
/* common/db against a real server (scratch.h): values, statements, errors. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/db/db.h"
#include "common/db/db_private.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct db_pool *pool;

static void setup(void)
{
	pool = scratch_open();
}

static void teardown(void)
{
	scratch_close(pool);
}

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
		ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM counter WHERE n=id+1"), n);
		ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM counter"), n);
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
	ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM counter WHERE n = 0"), 2);
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
	ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM ops"), 2);
	log_set_fd(-1);
	ck_assert_int_eq(db_tx(pool, wrong, (char[]){ "INSERT INTO nowhere VALUES (1)" }),
	                 DB_E_FATAL);
	ck_assert_int_eq(db_tx(pool, wrong, (char[]){ "SELEKT 1" }), DB_E_FATAL);
	ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM ops"), 2);
	ck_assert(db_pool_ok(pool));
}
END_TEST

/* Numbers of the server, as a statement of a user's may raise them. */
static const struct {
	const char *sql;
	int rc;
} raised[] = {
	{ "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1114", DB_E_FULL },
	{ "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1021", DB_E_FULL },
	{ "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1026", DB_E_FULL },
	{ "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1038", DB_E_FULL },
	{ "SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO=1062", DB_E_DUP },
	{ "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO=1146", DB_E_FATAL },
};

static int raise_number(struct db *db, void *arg)
{
	return db_script(db, arg);
}

START_TEST(test_numbers_of_errors)
{
	log_set_fd(-1);
	char sql[64];
	(void)snprintf(sql, sizeof(sql), "%s", raised[_i].sql);
	ck_assert_int_eq(db_tx(pool, raise_number, sql), raised[_i].rc);
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
	tcase_add_loop_test(tc, test_numbers_of_errors, 0, LOOM_COUNT(raised));
	tcase_add_test(tc, test_session_is_set_up);
	return tc;
}

int main(void)
{
	return scratch_main("db", cases);
}
