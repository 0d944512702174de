/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of common/model on a real server with Loom's schema (scratch.h): what is written comes
 * back, and a row that is gone is never written anew. */
#include "common/base/str.h"
#include "common/model/cluster/cluster_terms.h"
#include "common/model/cluster/job.h"
#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"
#include "common/model/schema.h"
#include "tests/support/scratch.h"
#include "tests/support/unit.h"

#include <stdio.h>

static struct db_pool *pool;

static void setup(void)
{
	pool = loom_database("test_model");
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

static int all_again(struct db *db, void *arg LOOM_UNUSED)
{
	int rc = 0;
	for (const struct db_migration *m = schema_migrations; !rc && m->version; m++) {
		for (size_t i = 0; !rc && m->statements[i]; i++)
			rc = db_script(db, m->statements[i]);
	}
	return rc;
}

static int words_and_marks(struct db *db, void *arg)
{
	int64_t *n = arg, marked = 0;
	int rc = db_select_int(db, n, NULL, "SELECT COUNT(*) FROM cluster_term WHERE cluster_id=?",
	                       "i", (int64_t)CLUSTER);
	if (!rc)
		rc = db_select_int(
			db, &marked, NULL,
			"SELECT COUNT(*) FROM cluster WHERE id=? AND terms_due IS NOT NULL", "i",
			(int64_t)CLUSTER);
	*n += 100 * marked;
	return rc;
}

static int change_as_before(struct db *db, void *arg LOOM_UNUSED)
{
	return db_exec(db, "UPDATE cluster SET event_seq=event_seq+1 WHERE id=?", "i",
	               (int64_t)CLUSTER);
}

static int renew_terms(struct db *db, void *arg)
{
	return cluster_terms_renew(db, arg);
}

static int no_terms(struct db *db, void *arg LOOM_UNUSED)
{
	return db_exec(db, "DELETE FROM cluster_term", "");
}

/* The terms of a cluster come and are replaced with its row, and are marked by who knows none. */
START_TEST(words_of_clusters)
{
	int64_t n;
	size_t renewed;
	in_tx(no_terms);
	in_tx(insert_cluster);
	ck_assert_int_eq(db_read(pool, words_and_marks, &n), 0);
	ck_assert_int_eq(n, 2); /* its provider, for all and for its owner */
	in_tx(change_cluster);
	ck_assert_int_eq(db_read(pool, words_and_marks, &n), 0);
	ck_assert_int_lt(n, 100);
	in_tx(change_as_before);
	ck_assert_int_eq(db_read(pool, words_and_marks, &n), 0);
	ck_assert_int_gt(n, 100);
	ck_assert_int_eq(db_read(pool, all_again, NULL), 0);
	do {
		ck_assert_int_eq(db_tx(pool, renew_terms, &renewed), 0);
	} while (renewed);
	ck_assert_int_eq(db_read(pool, words_and_marks, &n), 0);
	ck_assert_int_lt(n, 100);
	ck_assert_int_ge(n, 2);
	in_tx(insert_cluster); /* over the terms of one that was let go of without them */
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("rows");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_is_saved_comes_back);
	tcase_add_loop_test(t, what_is_gone_is_not_written, 0, LOOM_COUNT(gone));
	tcase_add_test(t, unknown_words_are_refused);
	tcase_add_test(t, clusters_and_jobs);
	tcase_add_test(t, words_of_clusters);
	tcase_add_test(t, nodes);
	return UNIT_RUN("model", t);
}
