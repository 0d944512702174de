/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of common/model on a real server with Loom's schema: what is written comes back, and a
 * row that is gone is never written anew. LOOM_TEST_DB_HOST and _PORT or _SOCKET, _USER, _PASSWORD,
 * _NAME: a database that may be filled.
 */
#include "common/base/str.h"
#include "common/model/callback.h"
#include "common/model/job.h"
#include "common/model/node.h"
#include "common/model/schema.h"
#include "common/model/task.h"
#include "tests/support/unit.h"

#include <inttypes.h>
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

/* ---- clusters, jobs, nodes ------------------------------------------------------------------- */

static int insert_cluster(struct db *db, void *arg LOOM_UNUSED)
{
	struct cluster *c = loom_calloc(1, sizeof(*c));
	int64_t job = 0;
	c->id = CLUSTER;
	c->tenant_id = loom_strdup("superadmin");
	c->owner_id = loom_strdup("me");
	c->name = loom_strdup("c");
	c->create_time = 5;
	c->asked_nodes = 2;
	c->next_job = 1;
	c->brief = unit_json("{'provider':{'name':'p'}}");
	c->services = json_new_arr();
	c->request = unit_json("{'a':1}");
	c->template = unit_json("{'name':'t1'}");
	c->provider = unit_json("{'name':'p'}");
	c->config = unit_json("{}");
	int rc = db_exec(db, "DELETE FROM cluster", "");
	if (!rc)
		rc = db_exec(db, "DELETE FROM job", "");
	if (!rc)
		rc = db_exec(db, "DELETE FROM node", "");
	if (!rc)
		rc = db_exec(db, "DELETE FROM event", "");
	if (!rc)
		rc = cluster_insert(db, c, &(struct quota){ 0 });
	if (!rc)
		rc = job_add(db, c, "cluster_create", NULL, 6, &job);
	if (!rc)
		rc = cluster_save(db, c);
	ck_assert_int_eq(job, 1);
	cluster_free(c);
	return rc;
}

static int change_cluster(struct db *db, void *arg LOOM_UNUSED)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	LOOM_CLEANUP(json_free) struct json *docs = unit_json("{'web':{'name':'web'}}");
	LOOM_CLEANUP(json_free) struct json *template = unit_json("{'name':'t2'}");
	LOOM_CLEANUP(json_free) struct json *config = unit_json("{'port':80}");
	int rc = cluster_lock(db, CLUSTER, &c);
	if (rc)
		return rc;
	ck_assert_int_eq(c->event_seq, 1);
	ck_assert_int_eq(c->latest_job, 1);
	ck_assert_int_gt(c->now, 1000000);
	ck_assert_ptr_null(c->description);
	c->expire_time = 77;
	c->num_nodes = 3;
	c->last_node = 1002;
	json_push(c->services, json_new_str("web"));
	json_set(c->brief, "clusterTemplate", unit_json("{'name':'t2'}"));
	cluster_transition(c, CLUSTER_ACTIVE, "well", 8);
	rc = cluster_save(db, c);
	if (!rc)
		rc = cluster_save_service_docs(db, c, docs);
	if (!rc)
		rc = cluster_save_template(db, c, template);
	return rc ? rc : cluster_save_config(db, c, config);
}

static int look_at_cluster(struct db *db, void *arg LOOM_UNUSED)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	int rc = cluster_get(db, CLUSTER, &c);
	if (!rc)
		rc = cluster_load_docs(db, c);
	if (rc)
		return rc;
	ck_assert_str_eq(c->tenant_id, "superadmin");
	ck_assert_str_eq(c->owner_id, "me");
	ck_assert_str_eq(c->message, "well");
	ck_assert_int_eq((int)c->status, (int)CLUSTER_ACTIVE);
	ck_assert_int_eq(c->create_time, 5);
	ck_assert_int_eq(c->expire_time, 77);
	ck_assert_int_eq(c->num_nodes, 3);
	ck_assert_int_eq(c->asked_nodes, 2);
	ck_assert_int_eq(c->last_node, 1002);
	ck_assert_int_eq(c->next_job, 2);
	ck_assert_int_eq(c->event_seq, 2);
	LOOM_CLEANUP_STR char *all = loom_asprintf(
		"%s %s %s %s %s %s", json_str(json_at(c->services, 0)),
		json_str(json_path(c->brief, "clusterTemplate/name")),
		json_str(json_path(c->request, "a")), json_str(json_path(c->template, "name")),
		json_str(json_path(c->service_docs, "web/name")),
		json_str(json_path(c->config, "port")));
	ck_assert_str_eq(all, "web t2 1 t2 web 80");
	return 0;
}

static int change_job(struct db *db, void *arg LOOM_UNUSED)
{
	LOOM_CLEANUP(cluster_free) struct cluster *c = NULL;
	struct job j = { 0 };
	bool found = false;
	int rc = cluster_lock(db, CLUSTER, &c);
	if (!rc)
		rc = job_lock(db, CLUSTER, 1, &j, &found);
	if (rc)
		return rc;
	ck_assert(found && !j.params.was && !j.end_time);
	ck_assert_str_eq(j.phase, "plan");
	ck_assert_str_eq(j.action, "cluster_create");
	j.params.was = loom_strdup("active");
	j.waits = loom_calloc(2, sizeof(*j.waits));
	j.waits[0] = 4;
	j.waits[1] = 5;
	j.n_waits = 2;
	j.tasks_total = 9;
	struct job *const each[] = { &j };
	rc = job_save_params(db, &j);
	if (!rc)
		rc = jobs_save_progress(db, each, 1);
	j.tasks_done = 7;
	job_set_cancelled(&j, "cluster_delete");
	job_transition(c, &j, JOB_RUNNING, NULL, 10);
	job_transition(c, &j, JOB_FAILED, "broken", 11);
	if (!rc)
		rc = job_save(db, &j);
	job_fini(&j);
	return rc ? rc : cluster_save(db, c);
}

static int look_at_job(struct db *db, void *arg LOOM_UNUSED)
{
	struct job j = { 0 };
	bool found = false;
	int rc = job_get(db, CLUSTER, 1, &j, &found);
	if (rc)
		return rc;
	ck_assert(found);
	ck_assert_str_eq(j.phase, "end");
	ck_assert_str_eq(j.message, "broken");
	ck_assert_str_eq(j.params.was, "active");
	ck_assert_uint_eq(j.n_waits, 2);
	ck_assert_int_eq(j.waits[1], 5);
	ck_assert_int_eq(j.tasks_total, 9);
	ck_assert_int_eq(j.tasks_done, 7);
	ck_assert_int_eq(j.cancel, 1);
	ck_assert_str_eq(j.then_action, "cluster_delete");
	ck_assert_int_eq(j.end_time, 11);
	ck_assert_int_eq(j.create_time, 6);
	job_fini(&j);
	return 0;
}

START_TEST(clusters_and_jobs)
{
	in_tx(insert_cluster);
	in_tx(change_cluster);
	in_tx(look_at_cluster);
	in_tx(change_job);
	in_tx(look_at_job);
}
END_TEST

static struct node new_node(const char *id, int64_t num)
{
	struct node n = { .num = num };
	char **const texts[] = { &n.hostname, &n.hardwaretype, &n.imagetype,
		                 &n.flavor,   &n.image,        &n.sshuser };
	for (size_t i = 0; i < LOOM_COUNT(texts); i++)
		*texts[i] = loom_asprintf("%s-%zu", id, i);
	snprintf(n.id, sizeof(n.id), "%s", id);
	n.services = unit_json("['web']");
	n.automators = unit_json("['shell']");
	return n;
}

static int insert_nodes(struct db *db, void *arg LOOM_UNUSED)
{
	struct nodes *ns = loom_calloc(1, sizeof(*ns));
	ns->v = loom_calloc(2, sizeof(*ns->v));
	ns->v[0] = new_node("a", 1001);
	ns->v[1] = new_node("b", 1002);
	ns->n = 2;
	int rc = nodes_insert(db, CLUSTER, ns);
	nodes_free(ns);
	return rc;
}

static int change_nodes(struct db *db, void *arg)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	int rc = nodes_load(db, CLUSTER, &ns);
	if (rc)
		return rc;
	ck_assert_uint_eq(ns->n, 2);
	struct node *const each[] = { &ns->v[0], &ns->v[1] };
	json_set_str(ns->v[1].ipaddresses, "access_v4", "10.0.0.1");
	loom_free(ns->v[1].hardwaretype);
	ns->v[1].hardwaretype = loom_strdup("a save leaves this");
	json_push(ns->v[1].services, json_new_str("db"));
	rc = arg ? node_delete(db, "b") : 0;
	return rc ? rc : nodes_save(db, each, 2);
}

static int look_at_nodes(struct db *db, void *arg LOOM_UNUSED)
{
	LOOM_CLEANUP(nodes_free) struct nodes *ns = NULL;
	int rc = nodes_load(db, CLUSTER, &ns);
	if (rc)
		return rc;
	ck_assert_uint_eq(ns->n, 2);
	LOOM_CLEANUP(nodes_free) struct nodes *copy = nodes_copy(ns);
	const struct node *n = &copy->v[1];
	ck_assert_int_eq(n->cluster_id, CLUSTER);
	ck_assert_int_eq(n->num, 1002);
	ck_assert_str_eq(n->hostname, "b-0");
	ck_assert_str_eq(n->hardwaretype, "b-1");
	ck_assert_str_eq(n->sshuser, "b-5");
	ck_assert_str_eq(json_get_str(n->ipaddresses, "access_v4"), "10.0.0.1");
	ck_assert(json_is(n->states, JSON_OBJECT) && !json_len(n->states));
	ck_assert_uint_eq(json_len(n->services), 2);
	return 0;
}

START_TEST(nodes)
{
	int gone_too = 1;
	in_tx(insert_cluster);
	in_tx(insert_nodes);
	in_tx(change_nodes);
	in_tx(look_at_nodes);
	ck_assert_int_eq(db_tx(pool, change_nodes, &gone_too), DB_E_FATAL);
	in_tx(look_at_nodes);
}
END_TEST

/* ---- whose job is planned next --------------------------------------------------------------- */

static const char *const waiting[] = { "a", "a", "a", "b", "c" };

static int insert_waiting(struct db *db, void *arg LOOM_UNUSED)
{
	int rc = db_exec(db, "DELETE FROM job", "");
	for (size_t i = 0; !rc && i < LOOM_COUNT(waiting); i++) {
		LOOM_CLEANUP_STR char *tenant = loom_strdup(waiting[i]);
		struct cluster c = { .id = 100 + (int64_t)i, .tenant_id = tenant, .next_job = 1 };
		struct job j;
		job_new(&c, "solve_layout", NULL, 1000 + (int64_t)i, &j);
		rc = job_insert(db, &c, &j);
		job_fini(&j);
		for (size_t k = 0; k < c.n_unsaved; k++)
			loom_free(c.unsaved[k].data);
		loom_free(c.unsaved);
	}
	/* b's is paused, and a's oldest is another's for the next minute */
	if (!rc)
		rc = db_exec(db, "UPDATE job SET status='paused' WHERE tenant_id='b'", "");
	return rc ? rc
	          : db_exec(db,
	                    "UPDATE job SET lease_until=CAST(UNIX_TIMESTAMP(NOW(3))*1000+60000 AS"
	                    " SIGNED) WHERE cluster_id=100",
	                    "");
}

/* After whose turn whose comes, and the job that is claimed then; 0: none. In order. */
static const struct {
	const char *after, *next;
	int64_t cluster;
} turns[] = {
	{ "", "a", 101 }, { "a", "c", 104 }, { "c", "a", 102 },
	{ "a", NULL, 0 }, { "", NULL, 0 },   { "zz", NULL, 0 },
};

START_TEST(tenants_take_turns)
{
	in_tx(insert_waiting);
	for (size_t i = 0; i < LOOM_COUNT(turns); i++) {
		char tenant[65];
		bool found;
		ck_assert_int_eq(job_turn(pool, turns[i].after, tenant, sizeof(tenant), &found), 0);
		ck_assert_int_eq(found, turns[i].next != NULL);
		if (!found)
			continue;
		ck_assert_str_eq(tenant, turns[i].next);
		struct job_claimant by = { "me", tenant, 60000 };
		struct job j;
		ck_assert_int_eq(job_claim(pool, &by, &j, &found), 0);
		ck_assert(found);
		ck_assert_int_eq(j.cluster_id, turns[i].cluster);
		job_fini(&j);
	}
	struct job_claimant by = { "me", "b", 60000 };
	struct job j;
	bool found;
	ck_assert_int_eq(job_claim(pool, &by, &j, &found), 0);
	ck_assert(!found);
}
END_TEST

enum { LEASE_MS = 60000, SHARE = 100, BACKLOG = 20000, FEW_READS = 300 };

/* One for /url about a cluster of tenant `t` or another; due since create_time. */
static int callback_add(struct db *db, void *arg)
{
	struct callback *c = arg;
	c->secret = (char[]){ "" };
	c->snapshot = json_new_obj();
	snprintf(c->delivery, sizeof(c->delivery), "%" PRId64, c->cluster_id);
	int rc = callback_insert(db, c);
	json_free(c->snapshot);
	return rc;
}

static void waits(const char *tenant, const char *url, int64_t cluster, int64_t since)
{
	LOOM_CLEANUP_STR char *t = loom_strdup(tenant), *u = loom_strdup(url);
	struct callback c = {
		.tenant_id = t, .url = u, .cluster_id = cluster, .create_time = since
	};
	ck_assert_int_eq(db_tx(pool, callback_add, &c), 0);
}

static int no_callbacks(struct db *db, void *arg LOOM_UNUSED)
{
	int rc = db_exec(db, "DELETE FROM callback", "");
	return rc ? rc : db_exec(db, "DELETE FROM callback_silence", "");
}

/* Many more for the target of the only one, about 4000 clusters. */
static int backlog(struct db *db, void *arg LOOM_UNUSED)
{
	return db_exec(db,
	               "INSERT INTO callback (delivery, tenant_id, cluster_id, job_num, kind,"
	               " target, url, secret, as_then, state, not_before, create_time)"
	               " SELECT s.seq, c.tenant_id, 1000+s.seq%4000, 0, c.kind, c.target, c.url,"
	               " c.secret, c.as_then, c.state, s.seq, s.seq FROM callback c"
	               " JOIN seq_1_to_20000 s",
	               "");
}

/* Of the only connection that was made. */
static int rows_read(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL,
	                     "SELECT CAST(SUM(variable_value) AS SIGNED)"
	                     " FROM information_schema.session_status"
	                     " WHERE variable_name LIKE 'Handler\\_read%'",
	                     "");
}

static int64_t reads(void)
{
	int64_t n = 0;
	ck_assert_int_eq(db_read(pool, rows_read, &n), 0);
	return n;
}

/* The cluster of the one that is claimed; 0: none is due. */
static int64_t claim(struct callbacks *l)
{
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, 1, l), 0);
	return l->n ? l->v[0].cluster_id : 0;
}

static int tell_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	return callback_delivered(db, l, l->n);
}

static int fail_tx(struct db *db, void *arg)
{
	return callback_failed(db, arg, 0, 500, "no", LEASE_MS);
}

static int silent_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	int rc = callback_failed(db, l, 0, 0, "no answer", 0);
	return rc ? rc : callback_put_off(db, &l->v[0], LEASE_MS);
}

static int replay_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	return callback_replay(db, l->v[0].tenant_id, l->v[0].id);
}

static int delete_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	return callback_delete(db, l->v[0].tenant_id, l->v[0].id);
}

static void end(struct callbacks *l, db_tx_fn how)
{
	ck_assert_int_eq(db_tx(pool, how, l), 0);
	callbacks_fini(l);
}

START_TEST(a_backlog_costs_a_claim_nothing)
{
	struct callbacks busy, c;
	in_tx(no_callbacks);
	waits("a", "http://a/", 999, 0);
	in_tx(backlog);
	for (int64_t k = 1; k <= 5; k++)
		waits("b", "http://b/", k, BACKLOG + k);
	ck_assert_int_eq(claim(&busy), 999);
	for (int64_t k = 1; k <= 6; k++) {
		int64_t before = reads();
		int64_t cluster = claim(&c);
		int64_t cost = reads() - before;
		ck_assert_msg(cost < FEW_READS, "%" PRId64 " rows read", cost);
		ck_assert_int_eq(cluster, k % 6);
		end(&c, tell_tx);
	}
	end(&busy, tell_tx);
	int64_t before = reads();
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &busy), 0);
	ck_assert_int_lt(reads() - before, FEW_READS);
	ck_assert_uint_eq(busy.n, CALLBACK_MAX_CLAIM);
	end(&busy, silent_tx);
	before = reads();
	ck_assert_int_eq(claim(&c), 0);
	ck_assert_int_lt(reads() - before, FEW_READS);
}
END_TEST

/* Two callbacks about cluster 1 and between them one about 2, for one target. What becomes of the
 * first; the clusters that are told about then; what is done about it; and who is told then. */
static const struct {
	db_tx_fn first;
	int64_t told[3];
	db_tx_fn then;
	int64_t told_then[4];
} orders[] = {
	{ tell_tx, { 2, 1 }, NULL, { 0 } },        { fail_tx, { 2 }, replay_tx, { 1, 1 } },
	{ fail_tx, { 2 }, delete_tx, { 1 } },      { silent_tx, { 0 }, replay_tx, { 2, 1, 1 } },
	{ silent_tx, { 0 }, delete_tx, { 2, 1 } },
};

static void expect_told(const int64_t *clusters)
{
	int64_t last[3] = { 0 };
	do {
		struct callbacks c;
		int64_t cluster = claim(&c);
		ck_assert_int_eq(cluster, *clusters);
		if (!cluster)
			continue;
		ck_assert_int_gt(c.v[0].id, last[cluster]);
		last[cluster] = c.v[0].id;
		end(&c, tell_tx);
	} while (*clusters++);
}

START_TEST(what_follows_waits_for_what_failed)
{
	struct callbacks first;
	in_tx(no_callbacks);
	for (int64_t k = 0; k < 3; k++)
		waits("a", "http://a/", 1 + k % 2, 1000 + k);
	ck_assert_int_eq(claim(&first), 1);
	ck_assert_int_eq(db_tx(pool, orders[_i].first, &first), 0);
	expect_told(orders[_i].told);
	if (orders[_i].then)
		ck_assert_int_eq(db_tx(pool, orders[_i].then, &first), 0);
	expect_told(orders[_i].told_then);
	callbacks_fini(&first);
}
END_TEST

/* Of that connection, too. */
static int commits_made(struct db *db, void *arg)
{
	return db_select_int(db, arg, NULL,
	                     "SELECT CAST(variable_value AS SIGNED)"
	                     " FROM information_schema.session_status"
	                     " WHERE variable_name='Com_commit'",
	                     "");
}

static int64_t commits(void)
{
	int64_t n = 0;
	ck_assert_int_eq(db_read(pool, commits_made, &n), 0);
	return n;
}

/* Claims of several, each told whole: how many were told, each in its cluster's order. */
static int64_t tell_all(int64_t *claims)
{
	struct callbacks l;
	int64_t told = 0, last[8] = { 0 };
	for (*claims = 0;; (*claims)++) {
		ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &l), 0);
		if (!l.n)
			return told;
		for (size_t i = 0; i < l.n; i++, told++) {
			ck_assert_int_gt(l.v[i].id, last[l.v[i].cluster_id]);
			last[l.v[i].cluster_id] = l.v[i].id;
		}
		end(&l, tell_tx);
	}
}

START_TEST(what_waits_for_one_target_is_claimed_together)
{
	enum { WAITING = 3 * CALLBACK_MAX_CLAIM };
	int64_t claims, before;
	in_tx(no_callbacks);
	for (int64_t k = 0; k < WAITING; k++)
		waits("a", "http://a/", 1 + k % 7, 1000 + k);
	before = commits();
	ck_assert_int_eq(tell_all(&claims), WAITING);
	ck_assert_int_eq(claims, 3);
	ck_assert_int_le(commits() - before, 2 * claims);
}
END_TEST

START_TEST(a_claim_of_several_is_one_target_under_way)
{
	struct callbacks first, other;
	in_tx(no_callbacks);
	for (int64_t k = 0; k < 4; k++)
		waits("a", "http://a/", 1 + k, 1000 + k);
	waits("a", "http://b/", 1, 2000);
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, 2, CALLBACK_MAX_CLAIM, &first), 0);
	ck_assert_uint_eq(first.n, 4);
	waits("a", "http://a/", 5, 500);
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, 1, CALLBACK_MAX_CLAIM, &other), 0);
	ck_assert_uint_eq(other.n, 0);
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, 2, CALLBACK_MAX_CLAIM, &other), 0);
	ck_assert_uint_eq(other.n, 1);
	ck_assert_str_eq(other.v[0].url, "http://b/");
	callbacks_fini(&first);
	callbacks_fini(&other);
}
END_TEST

/* The first was told, the second, about cluster 2, was not: those after it were not begun. */
static int stopped_tx(struct db *db, void *arg)
{
	const struct callbacks *l = arg;
	int rc = callback_delivered(db, l, 1);
	return rc ? rc : callback_failed(db, l, 1, 500, "no", LEASE_MS);
}

START_TEST(what_follows_a_failure_goes_back_untold)
{
	struct callbacks l, late;
	int64_t claims, ids[6];
	in_tx(no_callbacks);
	for (int64_t k = 0; k < 6; k++)
		waits("a", "http://a/", 1 + k % 3, 1000 + k);
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &l), 0);
	ck_assert_uint_eq(l.n, 6);
	for (size_t i = 0; i < l.n; i++)
		ids[i] = l.v[i].id;
	ck_assert_int_eq(db_tx(pool, stopped_tx, &l), 0);
	/* those of the other clusters are due, in order; of cluster 2 none is before its time */
	ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &late), 0);
	ck_assert_uint_eq(late.n, 3);
	static const size_t due[] = { 2, 3, 5 };
	for (size_t i = 0; i < late.n; i++) {
		ck_assert_int_eq(late.v[i].id, ids[due[i]]);
		ck_assert_int_eq(late.v[i].attempts, 0);
	}
	/* what the first claim says once more changes nothing for the second */
	ck_assert_int_eq(db_tx(pool, stopped_tx, &l), 0);
	end(&late, tell_tx);
	ck_assert_int_eq(tell_all(&claims), 0);
	const struct callback *failed = &l.v[1];
	struct callbacks again = { .n = 1 };
	again.v[0] = (struct callback){ .id = failed->id, .tenant_id = loom_strdup("a") };
	end(&again, replay_tx);
	ck_assert_int_eq(tell_all(&claims), 2);
	callbacks_fini(&l);
}
END_TEST

/* Nobody says how it went, as when its scheduler was killed: due again when the lease is over. */
START_TEST(a_claim_that_runs_out_is_claimed_again_as_it_was)
{
	struct callbacks l, again;
	in_tx(no_callbacks);
	for (int64_t k = 0; k < 5; k++)
		waits("a", "http://a/", 1 + k % 2, 1000 + k);
	ck_assert_int_eq(callback_claim(pool, 1, SHARE, CALLBACK_MAX_CLAIM, &l), 0);
	do {
		ck_assert_int_eq(callback_claim(pool, LEASE_MS, SHARE, CALLBACK_MAX_CLAIM, &again),
		                 0);
	} while (!again.n);
	ck_assert_uint_eq(again.n, l.n);
	for (size_t i = 0; i < l.n; i++) {
		ck_assert_int_eq(again.v[i].id, l.v[i].id);
		ck_assert_str_eq(again.v[i].delivery, l.v[i].delivery);
		ck_assert_int_eq(again.v[i].attempts, 0);
	}
	callbacks_fini(&l);
	callbacks_fini(&again);
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
	tcase_add_test(t, clusters_and_jobs);
	tcase_add_test(t, nodes);
	tcase_add_test(t, tenants_take_turns);
	tcase_add_test(t, a_backlog_costs_a_claim_nothing);
	tcase_add_loop_test(t, what_follows_waits_for_what_failed, 0, LOOM_COUNT(orders));
	tcase_add_test(t, what_waits_for_one_target_is_claimed_together);
	tcase_add_test(t, a_claim_of_several_is_one_target_under_way);
	tcase_add_test(t, what_follows_a_failure_goes_back_untold);
	tcase_add_test(t, a_claim_that_runs_out_is_claimed_again_as_it_was);
	return UNIT_RUN("model", t);
}
