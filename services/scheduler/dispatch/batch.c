/* SPDX-License-Identifier: Apache-2.0 */
/* batch - runs the steps of one transaction over results and claims. */
#include "services/scheduler/dispatch/batch_private.h"

#include "common/base/log.h"

void batch_decided(const struct batch *b, const struct task_ref *ref, const struct take *by,
                   enum hold why)
{
	char id[ID_MAX];
	if (!log_on(LOG_LV_DEBUG))
		return;
	id_task(id, ref->cluster, ref->job, ref->task);
	if (by)
		log_debug("task taken", LOG_S("task", id), LOG_S("provisioner", by->provisioner),
		          LOG_S("worker", by->worker));
	else
		log_debug("task held", LOG_S("task", id), LOG_S("hold", hold_name(why)),
		          LOG_S("reason", hold_words(why)), LOG_I("takes", b->n_takes));
}

void batch_free_rows(struct batch *b)
{
	for (size_t i = 0; b->cached && i < b->unit.max_clusters; i++)
		cached_cluster_free(b->cached[i]);
	loom_free(b->cached);
	b->cached = NULL;
	unit_fini(&b->unit);
}

/* Resets the batch, because the transaction may run again. */
static void begin(struct batch *b)
{
	batch_free_rows(b);
	for (size_t i = 0; i < b->n_results; i++)
		b->results[i].status = 417;
	for (size_t i = 0; i < b->n_takes; i++) {
		json_free(b->takes[i].payloads);
		b->takes[i].payloads = NULL;
		b->takes[i].size = 0;
	}
}

static int batch_tx(struct db *db, void *arg)
{
	struct batch *b = arg;
	begin(b);
	int rc = batch_load(b, db);
	if (!rc)
		rc = batch_apply_results(b);
	if (!rc)
		rc = unit_release(&b->unit);
	if (!rc)
		rc = batch_claim(b);
	if (!rc)
		rc = unit_commit(&b->unit);
	if (!rc)
		rc = batch_write_clusters(b);
	if (!rc)
		batch_keep_rows(b);
	return rc;
}

/* Runs the batch and rolls back, to see whether it would succeed. */
static int try_tx(struct db *db, void *arg)
{
	int rc = batch_tx(db, arg);
	return rc ? rc : ERR_PLAIN;
}

/* Excludes the clusters whose candidates made the batch fail. Tries each cluster separately. */
static bool leave_out_defects(struct batch *b)
{
	bool any = false;
	struct task_ref *refs = loom_calloc(b->n_candidates + 1, sizeof(*refs));
	for (size_t i = 0; i < b->n_candidates; i++) {
		int64_t cluster = b->candidates[i].cluster;
		struct batch one = { .db = b->db,
			             .policy = b->policy,
			             .payloads = b->payloads,
			             .candidate_cache = b->candidate_cache,
			             .takes = b->takes,
			             .n_takes = b->n_takes,
			             .candidates = refs };
		bool first = true;
		for (size_t k = 0; k < b->n_candidates; k++) {
			first = first && (k >= i || b->candidates[k].cluster != cluster);
			if (b->candidates[k].cluster == cluster)
				refs[one.n_candidates++] = b->candidates[k];
		}
		if (first && db_tx(b->db, try_tx, &one) == DB_E_FATAL) {
			log_error("a cluster's tasks cannot be handed out",
			          LOG_I("cluster", cluster));
			candidates_leave_out(b, cluster);
			any = true;
		}
		batch_free_rows(&one);
		loom_free(one.handed);
	}
	loom_free(refs);
	return any;
}

static int run(struct batch *b)
{
	b->more = false;
	b->look_ms = -1;
	int rc = b->search ? candidates_find(b) : b->n_takes ? batch_refresh_rules(b) : 0;
	if (!rc && (b->n_results || b->n_candidates))
		rc = db_tx(b->db, batch_tx, b);
	for (size_t i = 0; !rc && b->cache && i < b->unit.n_clusters; i++) {
		if (b->cached[i])
			cluster_cache_put(b->cache, loom_take(b->cached[i]));
	}
	return rc;
}

int batch_run(struct batch *b)
{
	int rc = run(b);
	/* A defect of one cluster must not delay the others. */
	return rc == DB_E_FATAL && b->n_candidates && leave_out_defects(b) ? run(b) : rc;
}

void batch_fini(struct batch *b)
{
	batch_free_rows(b);
	for (size_t i = 0; i < b->n_takes; i++)
		json_free(b->takes[i].payloads);
	loom_free(b->candidates);
	loom_free(b->handed);
}
