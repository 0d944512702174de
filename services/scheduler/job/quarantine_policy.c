/* SPDX-License-Identifier: Apache-2.0 */
/* quarantine_policy - decides which provisioners are bad, and evaluates their probes. */
#include "services/scheduler/job/quarantine_policy.h"

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "services/scheduler/job/job_lifecycle.h"

#include <stddef.h>

#define GOOD_PROBES 2 /* one may be luck; each further one costs another wait */

enum { QUARANTINED };
static struct metric metrics[] = {
	[QUARANTINED] = { "loom_scheduler_provisioners_quarantined",
	                  "Provisioners that get no work, at the scheduler that sweeps",
	                  METRIC_GAUGE },
};

void quarantine_start(void)
{
	metrics_register(metrics, LOOM_COUNT(metrics));
}

void quarantine_count(int64_t n)
{
	metric_set(&metrics[QUARANTINED], n);
}

#define KEY(...) CONFIG_KEY(struct quarantine_config, __VA_ARGS__)

const struct config_key quarantine_config_keys[] = {
	KEY(quarantine_strikes, CFG_INT, "3", 0, 1000,
	    "failures, at tasks that another completed, that quarantine a provisioner; 0: never"),
	KEY(quarantine_window_ms, CFG_DURATION, "600s", 1000, 86400000,
	    "how long such a task counts"),
	KEY(quarantine_probe_ms, CFG_DURATION, "60s", 50, 86400000,
	    "first wait before a quarantined provisioner gets a task as a probe"),
	KEY(quarantine_cap_ms, CFG_DURATION, "3600s", 50, 86400000, "longest such wait"),
	KEY(quarantine_avoid_ms, CFG_DURATION, "5s", 0, 600000,
	    "how long a failed task is reserved for other provisioners"),
	{ 0 },
};

bool quarantine_is_bad(const struct strike_record *r, int64_t strikes)
{
	if (!strikes || r->strikes < strikes || r->others < 1)
		return false;
	/* Perhaps new tasks fail wherever they are first tried. */
	if (r->fresh < strikes)
		return false;
	/* It completes enough tasks: some failures happen anywhere. */
	if (2 * r->done > r->strikes)
		return false;
	/* Bad only if the others have at most half as many failures, on average. */
	return 2 * r->theirs <= r->failures * r->others;
}

int64_t quarantine_wait_ms(const struct quarantine_config *cfg, int64_t failed_probes)
{
	int64_t wait = cfg->quarantine_probe_ms;
	for (int64_t i = 0; i < failed_probes && wait < cfg->quarantine_cap_ms; i++)
		wait *= 2;
	return wait < cfg->quarantine_cap_ms ? wait : cfg->quarantine_cap_ms;
}

static int judge_one(struct db *db, struct cluster_tx *tx, const struct quarantine_config *cfg,
                     const struct task *t, const char *provisioner)
{
	struct strike_record r = { 0 };
	int rc = strikes_look(db, provisioner, t->tenant_id, tx->now - cfg->quarantine_window_ms,
	                      &r);
	if (!rc && quarantine_is_bad(&r, cfg->quarantine_strikes)) {
		LOOM_CLEANUP_STR char *why = loom_asprintf(
			"%lld tasks failed there and were done by others (the last: %.200s)",
			(long long)r.strikes, r.last ? r.last : "no reason given");
		rc = quarantine_begin(db, provisioner, why, tx->now,
		                      tx->now + cfg->quarantine_probe_ms);
		if (!rc && db_affected(db) == 1)
			log_warn("provisioner quarantined", LOG_S("provisioner", provisioner),
			         LOG_S("reason", why));
		tx->ready++; /* makes every waiting take look again and notice the quarantine */
	}
	loom_free(r.last);
	return rc;
}

int quarantine_judge(struct db *db, struct cluster_tx *tx, const struct quarantine_config *cfg,
                     const struct task *t)
{
	LOOM_CLEANUP(strs_fini) struct strs who = { 0 };
	if (!cfg || !cfg->quarantine_strikes || !t->provisioner_id)
		return 0;
	int rc = strikes_add(db, t, tx->now, tx->now - cfg->quarantine_window_ms, &who);
	for (size_t i = 0; !rc && i < who.n; i++)
		rc = judge_one(db, tx, cfg, t, who.v[i]);
	return rc;
}

/* ---- probes ---------------------------------------------------------------------------------- */

struct ask {
	const struct quarantine_config *cfg;
	const char *provisioner;
	enum quarantine_say say;
	int64_t at;
};

/* Evaluates the last probe; does nothing while it still runs. */
static int settle(struct db *db, const struct ask *k, struct quarantine *q, int64_t now,
                  bool *released)
{
	LOOM_CLEANUP(tasks_free) struct tasks *ts = NULL;
	int rc = task_get(db, &q->probe, &ts);
	if (rc)
		return rc;
	const struct task *t = ts->n ? &ts->v[0] : NULL;
	if (t && t->state == TASK_RUNNING && t->attempt == q->probe_attempt)
		return 0;
	bool good = t && t->state == TASK_COMPLETE && t->done_attempt == q->probe_attempt &&
	            str_eq(t->provisioner_id, k->provisioner);
	q->probe_attempt = 0;
	q->good_probes = good ? q->good_probes + 1 : 0;
	q->failed_probes += !good;
	q->next_probe = good ? now : now + quarantine_wait_ms(k->cfg, q->failed_probes);
	if (q->good_probes < GOOD_PROBES)
		return quarantine_save(db, q);
	log_info("provisioner released from quarantine", LOG_S("provisioner", k->provisioner),
	         LOG_S("reason", "its probes went well"));
	return quarantine_release(db, k->provisioner, released);
}

static int ask_tx(struct db *db, void *arg)
{
	struct ask *k = arg;
	LOOM_CLEANUP(quarantines_free) struct quarantines *qs = NULL;
	int64_t now;
	bool released = false;
	int rc = quarantine_lock(db, k->provisioner, &qs);
	k->say = QUARANTINE_OVER;
	k->at = 0;
	if (!rc)
		rc = db_now(db, &now);
	if (rc || !qs->n)
		return rc;
	struct quarantine *q = &qs->v[0];
	if (q->probe_attempt)
		rc = settle(db, k, q, now, &released);
	if (rc || released)
		return rc;
	k->say = q->probe_attempt || q->next_probe > now ? QUARANTINE_NOTHING : QUARANTINE_PROBE;
	k->at = q->probe_attempt ? 0 : q->next_probe;
	return 0;
}

int quarantine_ask(struct db_pool *p, const struct quarantine_config *cfg, const char *provisioner,
                   enum quarantine_say *ret, int64_t *ret_at)
{
	struct ask k = { .cfg = cfg, .provisioner = provisioner };
	int rc = db_tx(p, ask_tx, &k);
	*ret = k.say;
	*ret_at = k.at;
	return rc;
}
