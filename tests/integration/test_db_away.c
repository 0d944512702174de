/* SPDX-License-Identifier: Apache-2.0 */
/* common/db without its server, with one that hangs, and with processes that end in the middle. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/db/db.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

static struct db_pool *pool_to_nowhere(void)
{
	struct db_config cfg = scratch_server;
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
	struct db_config cfg = scratch_server;
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
	struct db_pool *p = scratch_pool(scratch_name(), 1);

	for (int i = 0; i < 10; i++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "d%d", i);
		if (db_tx(p, scratch_count, key))
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
	int64_t n = scratch_ask(pool, "SELECT n FROM counter WHERE id = 1");
	ck_assert_int_ge(n, exit_specs[_i].counted[0]);
	ck_assert_int_le(n, exit_specs[_i].counted[1]);
	ck_assert_int_eq(scratch_ask(pool, "SELECT n - (SELECT COUNT(*) FROM ops) FROM counter"),
	                 0);
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
	ck_assert_int_eq(scratch_ask(pool, "SELECT n FROM counter WHERE id = 1"), 0);
	ck_assert_int_eq(live(fail), SIGKILL); /* after it */
	ck_assert_int_eq(scratch_ask(pool, "SELECT n FROM counter WHERE id = 1"), 1);
	/* What was counted already is another kind: it counts nothing. */
	ck_assert_int_eq(live(fail), SIGKILL);
	ck_assert_int_eq(live(fail), SIGKILL);
	ck_assert_int_eq(live(fail), 0);
	ck_assert_int_eq(scratch_ask(pool, "SELECT n FROM counter WHERE id = 1"), 10);
	ck_assert_int_eq(scratch_ask(pool, "SELECT n - (SELECT COUNT(*) FROM ops) FROM counter"),
	                 0);
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
		ck_assert_int_eq(db_pool_create(&scratch_server, &p, &err), 500);
	}
}
END_TEST

static TCase *cases(void)
{
	TCase *tc = tcase_create("db away");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_away);
	tcase_add_test(tc, test_hung_statement_is_given_up);
	tcase_add_loop_test(tc, test_failpoint_ends_the_process, 0, LOOM_COUNT(exit_specs));
	tcase_add_test(tc, test_failpoint_of_each_kind);
	tcase_add_test(tc, test_failpoint_syntax);
	return tc;
}

int main(void)
{
	return scratch_main("db away", cases);
}
