/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/dispatch/batch_private.h"

static void forget_clusters(struct batch *t)
{
	for (size_t i = 0; i < t->n_clusters; i++) {
		cluster_tx_fini(&t->batch_cluster[i].tx);
		cached_cluster_free(t->batch_cluster[i].cached);
	}
	loom_free(t->batch_cluster);
	t->batch_cluster = NULL;
	t->n_clusters = 0;
}

static void begin(struct batch *t)
{
	forget_clusters(t);
	for (size_t i = 0; i < t->n_results; i++)
		t->results[i].status = 417;
	for (size_t i = 0; i < t->n_takes; i++) {
		json_free(t->takes[i].payloads);
		t->takes[i].payloads = NULL;
		t->takes[i].size = 0;
	}
}

static void unit_fini(struct unit *u)
{
	for (size_t i = 0; i < u->n_jobs; i++)
		job_fini(&u->jobs[i].job);
	for (size_t i = 0; i < u->n_refusals; i++)
		loom_free(u->refusals[i].why);
	limits_hold_fini(&u->limits);
	for (size_t i = 0; i < u->n_sets; i++)
		tasks_free(u->sets[i]);
	if (!u->batch->edges_cache)
		edges_cache_destroy(u->edges_cache);
	void *const all[] = { u->sets, u->items,       u->index,     u->jobs,    u->nodes,
		              u->done, u->newly_ready, u->slow_path, u->choices, u->refusals };
	for (size_t i = 0; i < LOOM_COUNT(all); i++)
		loom_free(all[i]);
}

static int batch_tx(struct db *db, void *arg)
{
	static int (*const steps[])(struct unit * u) = { rows_load,           results_apply,
		                                         claims_make,         rows_write,
		                                         results_slow_path,   claims_refuse,
		                                         rows_write_clusters, rows_to_cache };
	struct batch *t = arg;
	struct unit u = { .batch = t, .db = db };
	u.edges_cache = t->edges_cache ? t->edges_cache : edges_cache_create();
	int rc = 0;
	begin(t);
	for (size_t i = 0; !rc && i < LOOM_COUNT(steps); i++)
		rc = steps[i](&u);
	unit_fini(&u);
	return rc;
}

int batch_run(struct batch *t)
{
	t->more = false;
	t->look_ms = -1;
	int rc = t->search ? candidates_find(t) : t->n_takes ? batch_refresh_rules(t) : 0;
	if (!rc && (t->n_results || t->n_candidates))
		rc = db_tx(t->db, batch_tx, t);
	for (size_t i = 0; !rc && i < t->n_clusters; i++)
		if (t->batch_cluster[i].cached)
			cluster_cache_put(t->cache, loom_take(t->batch_cluster[i].cached));
	return rc;
}

void batch_fini(struct batch *t)
{
	forget_clusters(t);
	for (size_t i = 0; i < t->n_takes; i++)
		json_free(t->takes[i].payloads);
	loom_free(t->candidates);
	loom_free(t->handed);
}
