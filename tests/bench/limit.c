/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit - the database's own limit: the row changes that one task makes on its way from ready to
 * complete, in two transactions as the scheduler makes them (taken; finished, with its successor
 * made ready), and nothing else. No reads, no documents, no network but the database's; prepared
 * statements on connections of their own, each with clusters of its own.
 *
 * host=H port=N user=U password_file=F name=DB (an empty schema)
 * connections=8 seconds=4 together=1 (tasks in one transaction, each of another cluster)
 */
#include "bench.h"

#include "common/base/clock.h"
#include "common/db/db.h"
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
	int64_t together, until;
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

static void *run(void *arg)
{
	struct lane *w = arg;
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
		fprintf(stderr, "driver: the database: %s\n", db_code_name(failed));
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
	struct limit l = { .together = option_int(o, "together", 1) };
	struct loom_err err = { 0 };
	struct filling f = { lanes * l.together };
	int rc = db_pool_create(&cfg, &l.db, &err);
	if (!rc)
		rc = db_migrate(l.db, schema_migrations, 30000, &err);
	if (!rc && (rc = db_tx(l.db, fill_tx, &f)))
		(void)err_set(&err, 500, "the tables cannot be filled: %s", db_code_name(rc));
	if (rc)
		fprintf(stderr, "driver: %s\n", err.msg);
	else
		rc = run_lanes(&l, lanes, option_int(o, "seconds", 4));
	db_pool_destroy(l.db);
	return rc ? 1 : 0;
}
