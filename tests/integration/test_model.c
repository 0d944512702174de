/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of common/model on a real server with Loom's schema: what is written comes back, and a
 * row that is gone is never written anew. LOOM_TEST_DB_HOST and _PORT or _SOCKET, _USER, _PASSWORD,
 * _NAME: a database that may be filled.
 */
#include "common/base/str.h"
#include "common/model/schema.h"
#include "common/model/task.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct db_pool *pool;

static char *env(const char *name, const char *def)
{
	const char *v = getenv(name);
	return loom_strdup(v ? v : def);
}

static void setup(void)
{
	LOOM_CLEANUP_STR char *port = env("LOOM_TEST_DB_PORT", "3306");
	struct db_config cfg = {
		.host = env("LOOM_TEST_DB_HOST", "127.0.0.1"),
		.socket = env("LOOM_TEST_DB_SOCKET", ""),
		.user = env("LOOM_TEST_DB_USER", "root"),
		.password = env("LOOM_TEST_DB_PASSWORD", ""),
		.name = env("LOOM_TEST_DB_NAME", "test"),
		.password_file = loom_strdup(""),
		.port = strtoll(port, NULL, 10),
		.connections = 2,
		.connect_ms = 5000,
		.statement_ms = 20000,
		.deadline_ms = 20000,
	};
	struct loom_err err;
	ck_assert_int_eq(db_pool_create(&cfg, &pool, &err), 0);
	ck_assert_msg(!db_migrate(pool, schema_migrations, 20000, &err), "%s", err.msg);
	char *const texts[] = { cfg.host,     cfg.socket, cfg.user,
		                cfg.password, cfg.name,   cfg.password_file };
	for (size_t i = 0; i < LOOM_COUNT(texts); i++)
		loom_free(texts[i]);
}

static void teardown(void)
{
	db_pool_destroy(pool);
}

static void in_tx(db_tx_fn fn)
{
	ck_assert_int_eq(db_tx(pool, fn, NULL), 0);
}

enum { CLUSTER = 7, JOB = 3, TASKS = 70 };

static int insert_some(struct db *db, void *arg LOOM_UNUSED)
{
	static char tenant[] = "t", service[] = "web";
	struct task v[TASKS];
	for (int i = 0; i < TASKS; i++) {
		v[i] = (struct task){ .cluster_id = CLUSTER,
			              .job_num = JOB,
			              .num = i + 1,
			              .tenant_id = tenant,
			              .node_num = 1000 + i,
			              .service = service,
			              .stage = i % 5,
			              .state = i % 2 ? TASK_READY : TASK_BLOCKED,
			              .unmet = i,
			              .not_before = 17 };
		snprintf(v[i].node_id, sizeof(v[i].node_id), "node-%d", i);
		snprintf(v[i].name, sizeof(v[i].name), "%s", i % 3 ? "INSTALL" : "CREATE");
	}
	int rc = db_exec(db, "DELETE FROM task", "");
	return rc ? rc : tasks_insert(db, v, TASKS, NULL, 0);
}

/* Each column that a save writes, each with a value of its own. */
static void change(struct task *t)
{
	t->state = TASK_RUNNING;
	t->unmet = 2;
	t->attempt = 3;
	t->done_attempt = 4;
	t->failures = 5;
	t->losses = 6;
	t->not_before = 7;
	t->lease_ms = 8;
	t->lease_until = 9;
	t->submit_time = 10;
	t->status_time = 11;
	t->status_code = 12;
	t->provisioner_id = loom_strdup("p");
	t->message = loom_strdup("it's \"so\"");
}

static void expect_changed(const struct task *t)
{
	const int64_t got[] = { t->unmet,       t->attempt,     t->done_attempt, t->failures,
		                t->losses,      t->not_before,  t->lease_ms,     t->lease_until,
		                t->submit_time, t->status_time, t->status_code };
	for (size_t i = 0; i < LOOM_COUNT(got); i++)
		ck_assert_int_eq(got[i], (int64_t)i + 2);
	ck_assert_int_eq((int)t->state, (int)TASK_RUNNING);
	ck_assert_str_eq(t->provisioner_id, "p");
	ck_assert_ptr_null(t->worker_id);
	ck_assert_str_eq(t->message, "it's \"so\"");
	/* What a save leaves as it is. */
	ck_assert_str_eq(t->tenant_id, "t");
	ck_assert_str_eq(t->service, "web");
	ck_assert_int_eq(t->node_num, 999 + t->num);
	ck_assert_str_eq(t->name, t->num % 3 == 1 ? "CREATE" : "INSTALL");
}

static int save_some(struct db *db, void *arg LOOM_UNUSED)
{
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	struct task *each[TASKS];
	int rc = tasks_load(db, CLUSTER, JOB, &ts);
	if (rc)
		return rc;
	ck_assert_uint_eq(ts->n, TASKS);
	ck_assert_int_eq((int)ts->v[0].state, (int)TASK_BLOCKED);
	ck_assert_int_eq(ts->v[68].unmet, 68);
	for (size_t i = 0; i < TASKS; i++) {
		each[i] = &ts->v[i];
		change(each[i]);
	}
	return tasks_save(db, each, TASKS);
}

static int look_at_some(struct db *db, void *arg LOOM_UNUSED)
{
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	int rc = tasks_load(db, CLUSTER, JOB, &ts);
	if (rc)
		return rc;
	ck_assert_uint_eq(ts->n, TASKS);
	for (size_t i = 0; i < TASKS; i++)
		expect_changed(&ts->v[i]);
	return 0;
}

START_TEST(what_is_saved_comes_back)
{
	in_tx(insert_some);
	in_tx(save_some);
	in_tx(look_at_some);
}
END_TEST

/* n tasks of which the last one has gone since it was read. */
static int save_gone(struct db *db, size_t n)
{
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	struct task *each[TASKS];
	int rc = tasks_load(db, CLUSTER, JOB, &ts);
	if (!rc)
		rc = db_exec(db, "DELETE FROM task WHERE num=?", "i", (int64_t)n);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		each[i] = &ts->v[i];
		each[i]->failures = 99;
	}
	return tasks_save(db, each, n);
}

static const size_t gone[] = { 1, 2, 5, 33, 65, TASKS };

static int save_gone_tx(struct db *db, void *arg)
{
	return save_gone(db, *(const size_t *)arg);
}

static int count(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL, "SELECT COUNT(*) FROM task WHERE failures<>99", "");
}

START_TEST(what_is_gone_is_not_written)
{
	size_t n = gone[_i];
	int64_t left = 0;
	in_tx(insert_some);
	ck_assert_int_eq(db_tx(pool, save_gone_tx, &n), DB_E_FATAL);
	ck_assert_int_eq(db_read(pool, count, &left), 0);
	ck_assert_int_eq(left, TASKS);
}
END_TEST

static int spoil(struct db *db, void *arg LOOM_UNUSED)
{
	return db_exec(db, "UPDATE task SET state='odd' WHERE num=5", "");
}

static int load(struct db *db, void *arg LOOM_UNUSED)
{
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	return tasks_load(db, CLUSTER, JOB, &ts);
}

START_TEST(unknown_words_are_refused)
{
	in_tx(insert_some);
	in_tx(spoil);
	ck_assert_int_eq(db_read(pool, load, NULL), DB_E_FATAL);
}
END_TEST

int main(void)
{
	if (!getenv("LOOM_TEST_DB_HOST") && !getenv("LOOM_TEST_DB_SOCKET")) {
		fprintf(stderr, "test_model: set LOOM_TEST_DB_HOST and LOOM_TEST_DB_PORT, or"
		                " LOOM_TEST_DB_SOCKET (and _USER, _PASSWORD, _NAME)\n");
		return 1;
	}
	TCase *t = tcase_create("rows");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_is_saved_comes_back);
	tcase_add_loop_test(t, what_is_gone_is_not_written, 0, LOOM_COUNT(gone));
	tcase_add_test(t, unknown_words_are_refused);
	return UNIT_RUN("model", t);
}
