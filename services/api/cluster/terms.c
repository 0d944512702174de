/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terms - writes the search terms of clusters where an older service wrote none, and for all
 * clusters after the migration (cluster_terms.h). When nothing is missing a run reads an empty
 * index.
 */
#include "services/api/cluster/terms.h"

#include "common/base/log.h"
#include "common/model/cluster/cluster_terms.h"
#include "services/api/request/db_outage.h"

enum {
	TICK_MS = 2000,
	ROUNDS = 200, /* of transactions in one run */
};

struct terms {
	struct api *a;
	struct loop_timer *timer;
	bool busy;
	size_t written; /* clusters since the last time that nothing was missing */
	size_t n;       /* by the last transaction */
	int rc;
};

static int renew(struct db *db, void *arg)
{
	struct terms *w = arg;
	return cluster_terms_renew(db, &w->n);
}

static void work(void *arg)
{
	struct terms *w = arg;
	int rounds = 0;
	do {
		w->rc = db_tx(w->a->db, renew, w);
		w->written += w->rc ? 0 : w->n;
	} while (!w->rc && w->n && ++rounds < ROUNDS);
}

static void worked(void *arg)
{
	struct terms *w = arg;
	w->busy = false;
	if (w->rc == DB_E_FATAL)
		log_error("terms of clusters cannot be written; lists of them are slow");
	else if (w->rc)
		log_debug("terms of clusters not written", LOG_S("reason", err_name(w->rc)));
	if (w->rc || w->n)
		return;
	if (w->written)
		log_info("terms of clusters written", LOG_I("clusters", (int64_t)w->written));
	w->written = 0;
}

static void tick(void *arg)
{
	struct terms *w = arg;
	if (!w->busy && !db_outage_now(w->a))
		w->busy = !pool_submit(w->a->pool, work, worked, w);
}

void terms_start(struct api *a)
{
	struct terms *w = loom_calloc(1, sizeof(*w));
	w->a = a;
	a->terms = w;
	w->timer = loop_timer_create(a->loop, "terms", tick, w);
	loop_timer_every(w->timer, TICK_MS);
}

void terms_stop(struct api *a)
{
	if (!a->terms)
		return;
	loop_timer_destroy(a->terms->timer);
	loom_free(a->terms);
	a->terms = NULL;
}
