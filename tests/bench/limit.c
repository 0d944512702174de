/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit - the database's own limit: the row changes that one task makes on its way from ready to
 * complete, in two transactions as the scheduler makes them (taken; finished, with its successor
 * made ready), and nothing else. No reads, no documents, no network but the database's; prepared
 * statements on connections of their own, each with clusters of its own.
 *
 * host=H port=N user=U password_file=F name=DB (an empty schema)
 * connections=8 seconds=4 together=1 (tasks in one transaction, each of another cluster)
 * many=1: as in a turn of the scheduler, with its own statements that write many rows each: one
 * transaction finishes the task of each cluster and begins the next one.
 */
#include "bench.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/db/db.h"
#include "common/model/cluster/node.h"
#include "common/model/cluster/task.h"
#include "common/model/schema.h"

#include <pthread.h>
#include <stdlib.h>

#define CHAIN 100 /* tasks of one cluster, one after the other and round again */

static const char data[] =
	"{\"taskId\":\"00000001-002-001\",\"taskName\":\"CONFIGURE\",\"service\":\"s1\",\"nodeId\":"
	"\"00000000-0000-4000-8000-000000000001\",\"nodenum\":1000,\"state\":\"complete\","
	"\"attempt\":1,\"time\":1795403201864}";

struct limit {
	struct db_pool *db;
	int64_t together, until, many;
};

struct lane {
	struct limit *l;
	pthread_t thread;
	int64_t first;               /* its clusters are first .. first + together - 1 */
	int64_t step, seq, at, done; /* one task of each of them at a time */
	int failed;
};

static int64_t task_of(int64_t step)
{
	return step % CHAIN + 1;
}

static int add_events(struct db *db, const struct lane *w, int64_t cluster, int n)
{
	int rc = 0;
	for (int i = 1; !rc && i <= n; i++)
		rc = db_exec(
			db, "INSERT INTO event (cluster_id, seq, type, data) VALUES (?,?,'task',?)",
			"iis", cluster, w->seq + i, data);
	if (rc)
		return rc;
	return db_exec(db,
	               "UPDATE cluster SET status='pending', message=NULL, expire_time=0,"
	               " num_nodes=1, latest_job=2, next_job=3, event_seq=?, services='[\"s1\"]',"
	               " last_node=1000 WHERE id=?",
	               "ii", w->seq + n, cluster);
}

static int set_task(struct db *db, const struct lane *w, int64_t cluster, int64_t step,
                    const char *state)
{
	return db_exec(db,
	               "UPDATE task SET state=?, unmet=0, attempt=?, done_attempt=?, failures=0,"
	               " losses=0, not_before=?, lease_ms=8000, lease_until=?,"
	               " provisioner_id='bench-1', worker_id='bench-1.1', submit_time=?,"
	               " status_time=?, status_code=0, message=NULL"
	               " WHERE cluster_id=? AND job_num=2 AND num=?",
	               "siiiiiiii", state, step, step, w->at, w->at, w->at, w->at, cluster,
	               task_of(step));
}

static int take_tx(struct db *db, void *arg)
{
	struct lane *w = arg;
	int rc = 0;
	for (int64_t c = w->first; !rc && c < w->first + w->l->together; c++) {
		rc = set_task(db, w, c, w->step, "running");
		if (!rc)
			rc = add_events(db, w, c, 1);
	}
	return rc;
}

static int finish_one(struct db *db, const struct lane *w, int64_t c)
{
	int rc = db_exec(db,
	                 "UPDATE node SET hostname='bench1-1000.local', ipaddresses='{}',"
	                 " results=?, states='{\"s1\":\"installed\"}', services='[\"s1\"]',"
	                 " automators='[\"simulated\"]' WHERE cluster_id=? AND num=1000",
	                 "si", w->step & 1 ? "{}" : "{\"a\":\"b\"}", c);
	if (!rc)
		rc = set_task(db, w, c, w->step, "complete");
	if (!rc)
		rc = db_exec(db,
		             "UPDATE task SET unmet=1+? WHERE cluster_id=? AND job_num=2 AND num=?",
		             "iii", w->step & 1, c, task_of(w->step + 1));
	if (!rc)
		rc = set_task(db, w, c, w->step + 1, "ready");
	if (!rc)
		rc = db_exec(db,
		             "UPDATE job SET tasks_total=1000000000, tasks_done=?"
		             " WHERE cluster_id=? AND num=2",
		             "ii", w->step, c);
	return rc ? rc : add_events(db, w, c, 3);
}

static int finish_tx(struct db *db, void *arg)
{
	struct lane *w = arg;
	int rc = 0;
	for (int64_t c = w->first; !rc && c < w->first + w->l->together; c++)
		rc = finish_one(db, w, c);
	return rc;
}

/* ---- many rows at once ----------------------------------------------------------------------- */

struct rows {
	struct lane *w;
	struct tasks **tasks; /* of each cluster, by number */
	struct nodes *nodes;
	struct cluster *clusters;
	struct job *jobs;
};

static int load_rows(struct db *db, void *arg)
{
	struct rows *r = arg;
	int64_t n = r->w->l->together, first = r->w->first;
	int64_t *ids = loom_calloc((size_t)n + 1, sizeof(*ids));
	r->tasks = loom_calloc((size_t)n + 1, sizeof(struct tasks *));
	r->clusters = loom_calloc((size_t)n + 1, sizeof(*r->clusters));
	r->jobs = loom_calloc((size_t)n + 1, sizeof(*r->jobs));
	int rc = 0;
	for (int64_t i = 0; !rc && i < n; i++) {
		ids[i] = first + i;
		r->clusters[i] = (struct cluster){ .id = first + i };
		r->jobs[i] = (struct job){ .cluster_id = first + i, .num = 2 };
		rc = tasks_load(db, first + i, 2, &r->tasks[i]);
	}
	if (!rc)
		rc = nodes_of(db, ids, (size_t)n, &r->nodes);
	loom_free(ids);
	return rc;
}

static void rows_fini(struct rows *r)
{
	for (int64_t i = 0; r->tasks && i < r->w->l->together; i++)
		tasks_free(r->tasks[i]);
	nodes_free(r->nodes);
	loom_free(r->tasks);
	loom_free(r->clusters);
	loom_free(r->jobs);
}

static void set_row(struct task *t, enum task_state state, int64_t step, int64_t at)
{
	t->state = state;
	t->attempt = step;
	t->lease_until = t->submit_time = t->status_time = t->not_before = at;
	if (!t->provisioner_id) {
		t->provisioner_id = loom_strdup("bench-1");
		t->worker_id = loom_strdup("bench-1.1");
	}
}

static void set_cluster(struct rows *r, int64_t i, struct task **tasks)
{
	struct lane *w = r->w;
	struct cluster *c = &r->clusters[i];
	struct unsaved *events = c->unsaved;
	tasks[0] = &r->tasks[i]->v[task_of(w->step) - 1];
	tasks[1] = &r->tasks[i]->v[task_of(w->step + 1) - 1];
	set_row(tasks[0], TASK_COMPLETE, w->step, w->at);
	set_row(tasks[1], TASK_RUNNING, w->step, w->at);
	r->jobs[i].tasks_total = 1000000000;
	r->jobs[i].tasks_done = w->step;
	json_set_int(r->nodes->v[i].results, "step", w->step);
	if (!events)
		events = loom_calloc(4, sizeof(*events));
	for (int k = 0; k < 4; k++) {
		snprintf(events[k].type, sizeof(events[k].type), "task");
		events[k].data = loom_strdup(data);
	}
	c->unsaved = events;
	c->n_unsaved = c->max_unsaved = 4;
	c->event_seq = w->seq + 4;
}

static int many_tx(struct db *db, void *arg)
{
	struct rows *r = arg;
	size_t n = (size_t)r->w->l->together;
	struct task **tasks = loom_calloc(2 * n + 1, sizeof(struct task *));
	struct job **jobs = loom_calloc(n + 1, sizeof(struct job *));
	struct node **nodes = loom_calloc(n + 1, sizeof(struct node *));
	struct cluster **clusters = loom_calloc(n + 1, sizeof(struct cluster *));
	for (size_t i = 0; i < n; i++) {
		set_cluster(r, (int64_t)i, &tasks[2 * i]);
		jobs[i] = &r->jobs[i];
		nodes[i] = &r->nodes->v[i];
		clusters[i] = &r->clusters[i];
	}
	int rc = nodes_save(db, nodes, n);
	if (!rc)
		rc = tasks_save(db, tasks, 2 * n);
	if (!rc)
		rc = jobs_save_progress(db, jobs, n);
	if (!rc)
		rc = clusters_save_events(db, clusters, n);
	loom_free(tasks);
	loom_free(jobs);
	loom_free(nodes);
	loom_free(clusters);
	return rc;
}

static void run_many(struct lane *w)
{
	struct rows r = { .w = w };
	w->failed = db_read(w->l->db, load_rows, &r);
	while (!w->failed && clock_mono_ms() < w->l->until) {
		w->at = clock_wall_ms();
		w->failed = db_tx(w->l->db, many_tx, &r);
		w->seq += 4;
		w->step++;
		w->done += w->l->together;
	}
	for (int64_t i = 0; r.clusters && i < w->l->together; i++)
		loom_free(r.clusters[i].unsaved);
	rows_fini(&r);
}

static void *run(void *arg)
{
	struct lane *w = arg;
	if (w->l->many) {
		run_many(w);
		return NULL;
	}
	while (!w->failed && clock_mono_ms() < w->l->until) {
		w->at = clock_wall_ms();
		w->failed = db_tx(w->l->db, take_tx, w);
		w->seq++;
		if (!w->failed)
			w->failed = db_tx(w->l->db, finish_tx, w);
		w->seq += 3;
		w->step++;
		w->done += w->l->together;
	}
	return NULL;
}

struct filling {
	int64_t clusters;
};

static int fill_tx(struct db *db, void *arg)
{
	const struct filling *f = arg;
	static const char *const rows[] = {
		"INSERT INTO cluster (id, tenant_id, owner_id, name, status, create_time,"
		" asked_nodes, latest_job, next_job, brief, services, request, template, provider,"
		" config) SELECT seq, 'superadmin', 'admin', 'bench', 'pending', 0, 1, 2, 3, '{}',"
		" '[]', '{}', '{}', '{}', '{}' FROM seq_1_to_1000000 WHERE seq<=?",
		"INSERT INTO job (cluster_id, num, tenant_id, action, status, phase, lease_until,"
		" create_time) SELECT seq, 2, 'superadmin', 'cluster_create', 'running', 'run', 0, 0"
		" FROM seq_1_to_1000000 WHERE seq<=?",
		"INSERT INTO node (id, cluster_id, num, hostname, hardwaretype, imagetype, flavor,"
		" image, sshuser, services, automators, ipaddresses, results, states) SELECT UUID(),"
		" seq, 1000, 'h', 'small', 'deb', 'f', 'i', 'root', '[]', '[]', '{}', '{}', '{}'"
		" FROM seq_1_to_1000000 WHERE seq<=?",
		"INSERT INTO task (cluster_id, job_num, num, tenant_id, node_id, node_num, name,"
		" service, stage, state, unmet) SELECT n.cluster_id, 2, s.seq, 'superadmin', n.id,"
		" 1000, 'CONFIGURE', 's1', s.seq, 'blocked', 1 FROM node n JOIN seq_1_to_100 s"
		" WHERE n.cluster_id<=?",
	};
	int rc = 0;
	for (size_t i = 0; !rc && i < LOOM_COUNT(rows); i++)
		rc = db_exec(db, rows[i], "i", f->clusters);
	return rc;
}

static int run_lanes(struct limit *l, int64_t n, int64_t seconds)
{
	struct lane *all = loom_calloc((size_t)n, sizeof(*all));
	int64_t began = clock_mono_us(), done = 0;
	int failed = 0;
	l->until = clock_mono_ms() + seconds * 1000;
	for (int64_t i = 0; i < n; i++) {
		all[i] = (struct lane){ .l = l, .first = 1 + i * l->together };
		loom_assert(pthread_create(&all[i].thread, NULL, run, &all[i]) == 0);
	}
	for (int64_t i = 0; i < n; i++) {
		(void)pthread_join(all[i].thread, NULL);
		failed = failed ? failed : all[i].failed;
		done += all[i].done;
	}
	loom_free(all);
	if (failed) {
		fprintf(stderr, "driver: the database: %s\n", err_name(failed));
		return 1;
	}
	LOOM_CLEANUP(json_free) struct json *out = json_set_int(json_new_obj(), "done", done);
	set_double(out, "rate", (double)done * 1e6 / (double)(clock_mono_us() - began));
	LOOM_CLEANUP_STR char *text = json_text(out);
	puts(text);
	return 0;
}

int limit_main(const struct options *o)
{
	int64_t lanes = option_int(o, "connections", 8);
	LOOM_CLEANUP_STR char *host = loom_strdup(option(o, "host", "127.0.0.1"));
	LOOM_CLEANUP_STR char *user = loom_strdup(option(o, "user", ""));
	LOOM_CLEANUP_STR char *file = loom_strdup(option(o, "password_file", ""));
	LOOM_CLEANUP_STR char *name = loom_strdup(option(o, "name", ""));
	struct db_config cfg = { .host = host,
		                 .user = user,
		                 .password_file = file,
		                 .name = name,
		                 .port = option_int(o, "port", 0),
		                 .connections = lanes,
		                 .connect_ms = 1000,
		                 .statement_ms = 30000,
		                 .deadline_ms = 30000 };
	struct limit l = { .together = option_int(o, "together", 1),
		           .many = option_int(o, "many", 0) };
	struct loom_err err = { 0 };
	struct filling f = { lanes * l.together };
	int rc = db_pool_create(&cfg, &l.db, &err);
	if (!rc)
		rc = db_migrate(l.db, schema_migrations, 30000, &err);
	if (!rc && (rc = db_tx(l.db, fill_tx, &f)))
		(void)err_set(&err, 500, "the tables cannot be filled: %s", err_name(rc));
	if (rc)
		fprintf(stderr, "driver: %s\n", err.msg);
	else
		rc = run_lanes(&l, lanes, option_int(o, "seconds", 4));
	db_pool_destroy(l.db);
	return rc ? 1 : 0;
}
