/* SPDX-License-Identifier: Apache-2.0 */
/* Migrations by several at once, under kill, and of services of other versions. */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/db/db.h"
#include "common/db/db_private.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#include <signal.h>
#include <stdio.h>
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
	struct db_pool *p = scratch_pool(scratch_name(), 2);

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
	ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM applied"), 3);
	ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(*) FROM schema_migrations"), 3);
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
			struct db_pool *p = scratch_pool(scratch_name(), 2);
			_exit(db_migrate(p, slow, 20000, NULL));
		}
		(void)usleep(7000 + i * 1777 % 20000);
	}
	ck_assert_int_eq(status, 0);
	for (int i = 0; i < 3; i++)
		if (pids[i] && waitpid(pids[i], &status, 0) == pids[i])
			ck_assert_int_eq(status, 0);
	ck_assert_int_eq(scratch_ask(pool, "SELECT COUNT(more IS NULL) FROM made"), 1);
	ck_assert_int_eq(
		scratch_ask(pool, "SELECT COUNT(*) FROM schema_migrations WHERE applied_at > 0"),
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
	struct scratch_query q = { .sql = "SELECT 1" };
	struct loom_err err = { 0 };
	char told[512] = "";
	int r;

	log_set_fd(-1);
	ck_assert_int_eq(db_migrate(pool, migrations, 5000, NULL), 0);
	db_pool_on_too_old(pool, note_why, told);
	/* One that it can live with. */
	scratch_script(pool, "INSERT INTO schema_migrations VALUES (4, 'a table more', 1, 3)");
	ck_assert_int_eq(db_migrate(pool, migrations, 1000, NULL), 0);
	ck_assert_int_eq(db_read(pool, look, told), 0);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(db_read(pool, scratch_query, &q), 0);
	/* One that it cannot: found out by a program that runs, within a second ... */
	scratch_script(pool, "INSERT INTO schema_migrations VALUES (5, 'a column less', 0, 4)");
	int64_t start = clock_mono_ms();
	while (!(r = db_tx(pool, scratch_query, &q)) && clock_mono_ms() - start < 3000)
		(void)usleep(20000);
	ck_assert_int_eq(r, DB_E_TOO_OLD);
	ck_assert_int_lt(clock_mono_ms() - start, 1500);
	ck_assert_msg(strstr(told, "a column less") && strstr(told, "up to 4"), "%s", told);
	ck_assert_int_eq(db_read(pool, scratch_query, &q), DB_E_TOO_OLD);
	/* ... and by one that starts. */
	struct db_pool *p = scratch_pool(scratch_name(), 2);
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
	struct scratch_query q = { .sql = late };
	int status, r;

	log_set_fd(-1);
	ck_assert_int_eq(db_migrate(pool, migrations, 5000, NULL), 0);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct db_pool *p = scratch_pool(scratch_name(), 2);
		_exit(db_migrate(p, next, 10000, NULL));
	}
	while (!(r = db_read(pool, scratch_query, &q)) && !q.value)
		(void)usleep(20000);
	ck_assert_int_eq(r, DB_E_TOO_OLD);
	struct db_pool *p = scratch_pool(scratch_name(), 2);
	ck_assert_int_eq(scratch_ask(p, late), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(scratch_ask(p, late), 1);
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
	ck_assert_int_eq(scratch_ask(pool, "SELECT MAX(version) FROM schema_migrations"), 1);
}
END_TEST

static TCase *cases(void)
{
	TCase *tc = tcase_create("db migrate");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_migrations_by_four);
	tcase_add_test(tc, test_migrations_under_kill);
	tcase_add_test(tc, test_newer_schema);
	tcase_add_test(tc, test_migration_is_announced);
	tcase_add_test(tc, test_migration_that_fails);
	return tc;
}

int main(void)
{
	return scratch_main("db migrate", cases);
}
