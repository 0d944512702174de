/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions that run again: deadlocks, lost connections, commits in doubt; nothing is lost or
 * done twice. */
#include "common/base/log.h"
#include "common/db/db.h"
#include "common/db/db_private.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct db_pool *pool;

static void setup(void)
{
	pool = scratch_open();
}

static void teardown(void)
{
	scratch_close(pool);
}

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
	ck_assert_int_eq(scratch_ask(pool, "SELECT SUM(n) FROM counter WHERE n = 2"), 4);
	(void)pthread_barrier_destroy(&barrier);
}
END_TEST

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
		loom_assert(db_tx(c->pool, scratch_count, key) == 0);
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
	struct db_pool *p = scratch_pool(scratch_name(), 4); /* fewer connections than threads */
	for (int i = 0; i < THREADS; i++) {
		c[i] = (struct counting){ .pool = p, .thread = i, .n = EACH };
		ck_assert_int_eq(pthread_create(&t[i], NULL, count_thread, &c[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	db_pool_destroy(p);
	ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM ops"), THREADS * EACH);
	ck_assert_int_eq(scratch_ask(pool, "SELECT n FROM counter WHERE id = 1"), THREADS * EACH);
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
	struct db_pool *p = scratch_pool(scratch_name(), 1);
	ck_assert_int_eq(db_tx(p, count_late, &l), 0);
	db_pool_destroy(p);
	ck_assert_int_eq(l.runs, 3);
	ck_assert_int_eq(scratch_ask(pool, "SELECT n FROM counter WHERE id = 1"), 1);
}
END_TEST

START_TEST(test_doubt_is_reported)
{
	log_set_fd(-1);
	setenv("LOOM_DB_FAIL", "during_commit:/1", 1);
	struct db_pool *p = scratch_pool(scratch_name(), 1);
	/* Each run commits, or finds that it has, and no answer ever comes. */
	ck_assert_int_eq(db_tx_deadline(p, scratch_count, (char[]){ "doubtful" }, 300), DB_E_DOUBT);
	db_pool_destroy(p);
	ck_assert_int_eq(db_tx(pool, scratch_count, (char[]){ "doubtful" }), 0);
	ck_assert_int_eq(scratch_ask(pool, "SELECT n FROM counter WHERE id = 1"), 1);
}
END_TEST

static int connection_id(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL, "SELECT CONNECTION_ID()", "");
}

static void kill_connection(int64_t id)
{
	struct db_pool *other = scratch_pool(scratch_server.name, 1);
	char sql[160];

	(void)snprintf(sql, sizeof(sql), "KILL %lld", (long long)id);
	scratch_script(other, sql);
	(void)snprintf(sql, sizeof(sql),
	               "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %lld",
	               (long long)id);
	while (scratch_ask(other, sql) != 0)
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
	ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM ops"), 1);
	ck_assert_int_eq(scratch_ask(pool, "SELECT n FROM counter WHERE id = 1"), 1);
}
END_TEST

START_TEST(test_idle_connection_killed)
{
	struct db_pool *p = scratch_pool(scratch_name(), 1);
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

static TCase *cases(void)
{
	TCase *tc = tcase_create("db retries");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_deadlock_is_retried);
	tcase_add_loop_test(tc, test_nothing_lost_or_doubled, 0, LOOM_COUNT(fail_specs));
	tcase_add_test(tc, test_commit_that_arrives_late);
	tcase_add_test(tc, test_doubt_is_reported);
	tcase_add_test(tc, test_killed_in_mid_transaction);
	tcase_add_test(tc, test_idle_connection_killed);
	return tc;
}

int main(void)
{
	return scratch_main("db retries", cases);
}
