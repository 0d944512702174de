/* SPDX-License-Identifier: Apache-2.0 */
/* Notices a database outage, so that requests fail at once instead of one by one. */
#include "services/api/request/db_outage.h"

#include "common/base/str.h"
#include "services/api/request/legacy.h"

#include <stdatomic.h>

#define PROBE_MS 200

struct db_outage {
	struct api *a;
	struct loop_timer *timer;
	bool probing;
	atomic_bool away, with_quorum;
};

static void probe_work(void *arg)
{
	struct db_outage *w = arg;
	if (db_pool_ok(w->a->db))
		atomic_store(&w->away, false);
}

static void probe_done(void *arg)
{
	struct db_outage *w = arg;
	w->probing = false;
}

static void probe(void *arg)
{
	struct db_outage *w = arg;
	atomic_store(&w->with_quorum, coord_connected(w->a->coord));
	if (atomic_load(&w->away) && !w->probing)
		w->probing = !pool_submit(w->a->pool, probe_work, probe_done, w);
}

void db_outage_start(struct api *a)
{
	struct db_outage *w = loom_calloc(1, sizeof(*w));
	w->a = a;
	w->timer = loop_timer_create(a->loop, "database probe", probe, w);
	loop_timer_every(w->timer, PROBE_MS);
	a->outage = w;
}

void db_outage_stop(struct api *a)
{
	if (!a->outage)
		return;
	loop_timer_destroy(a->outage->timer);
	loom_free(a->outage);
	a->outage = NULL;
}

void db_outage_note(struct api *a)
{
	atomic_store(&a->outage->away, true);
}

bool db_outage_now(const struct api *a)
{
	return atomic_load(&a->outage->away);
}

void db_outage_reply(struct http_req *req, const char *why)
{
	const struct api *a = http_ctx(req);
	/* Only in a real outage. If the database was merely slow, or refused us, other APIs may let
	 * a lease expire and its task be lost. */
	if (atomic_load(&a->outage->with_quorum) && db_pool_away(a->db))
		http_reply_header(req, "Loom-Leases", "held");
	if (why)
		http_reply_problem(req, 503, "the database is away (%s); try again", why);
	else
		http_reply_problem(req, 503, "the database is away; try again");
}

bool db_outage_before(struct http_req *req, void *ctx)
{
	if (!db_outage_now(ctx) || (!str_starts(http_path(req), "/v2/") && !legacy_is(req)))
		return true;
	db_outage_reply(req, NULL);
	return false;
}
