/* SPDX-License-Identifier: Apache-2.0 */
/*
 * janitor - what nobody reports: leases that ran out, provisioners that fell silent. Correct on any
 * number of schedulers at once, since each expiry is checked again under the cluster's lock; the
 * elected one does it, or everybody while no election can be held.
 *
 * While the database is away no worker can renew a lease. So after an outage everybody gets a whole
 * lease's time to do it before any is declared lost.
 */
#include "services/scheduler/job/janitor.h"

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/model/provisioner.h"
#include "common/model/queue.h"
#include "common/model/request_key.h"
#include "services/scheduler/job/expiry_sweep.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/wake.h"

#define AWAY_MS        1000
#define MOST_SILENT_MS 15000

struct sweep {
	struct scheduler *s;
	struct task_ref *refs;
	size_t n;
	int64_t next_ms; /* until a lease ends; -1: not before the next sweep */
};

struct lapse {
	const struct sweep *w;
	const struct task_ref *ref;
	struct job_policy policy;
	struct cluster_tx tx;
	struct strs lost; /* ids of tasks */
};

static int expired_read(struct db *db, void *arg)
{
	struct sweep *w = arg;
	loom_free(w->refs);
	w->refs = NULL;
	struct queue_state st;
	int rc = queue_state(db, &st);
	if (rc)
		return rc;
	quarantine_count(st.quarantined);
	return tasks_expired(db, st.now, 64, &w->refs, &w->n);
}

/* Looked at again: a heartbeat may have come meanwhile, or the result. */
static int expire_one(struct unit *u, struct lapse *e, const struct task_ref *ref)
{
	struct tasks *set = NULL;
	int rc = task_lock(u->db, ref, &set);
	if (rc)
		return rc;
	unit_add_tasks(u, set);
	struct task *t = unit_task(u, ref);
	if (!t || t->state != TASK_RUNNING || t->lease_until >= u->now)
		return 0;
	char id[ID_MAX];
	id_task(id, ref->cluster, ref->job, ref->task);
	strs_add(&e->lost, id);
	rc = unit_load_jobs(u, ref, 1);
	return rc ? rc : lifecycle_lost(u, t);
}

static int expire(struct unit *u, struct unit_cluster *uc, void *arg)
{
	struct lapse *e = arg;
	int rc = 0;
	strs_fini(&e->lost);
	for (size_t i = 0; !rc && i < e->w->n; i++) {
		if (e->w->refs[i].cluster == uc->tx.c->id)
			rc = expire_one(u, e, &e->w->refs[i]);
	}
	return rc;
}

static int expire_tx(struct db *db, void *arg)
{
	struct lapse *e = arg;
	int rc = unit_run_one(db, &e->policy, e->ref->cluster, &e->tx, expire, e);
	return rc == CLUSTER_E_NONE ? 0 : rc;
}

/* All of one cluster, at its first one in the list. */
static int expire_cluster(struct sweep *w, size_t i)
{
	struct scheduler *s = w->s;
	for (size_t k = 0; k < i; k++) {
		if (w->refs[k].cluster == w->refs[i].cluster)
			return 0;
	}
	struct lapse e = { .w = w, .ref = &w->refs[i], .policy = scheduler_policy(s) };
	int rc = db_tx(s->db, expire_tx, &e);
	for (size_t k = 0; !rc && k < e.lost.n; k++)
		log_warn("lease ran out", LOG_S("task", e.lost.v[k]));
	if (!rc && e.lost.n)
		wake_changed(s, &e.tx);
	cluster_tx_fini(&e.tx);
	strs_fini(&e.lost);
	return rc;
}

static int silent_tx(struct db *db, void *arg)
{
	struct sweep *w = arg;
	int64_t removed;
	int rc = provisioners_expire(db, w->s->cfg.provisioner_timeout_ms, &removed);
	return rc ? rc : request_keys_expire(db);
}

/* Often enough for the time after which a provisioner counts as silent. */
static int64_t silent_every_ms(const struct scheduler *s)
{
	int64_t ms = s->cfg.provisioner_timeout_ms / 8;
	return ms < MOST_SILENT_MS ? ms : MOST_SILENT_MS;
}

static void sweep_work(void *arg)
{
	struct sweep *w = arg;
	struct scheduler *s = w->s;
	int64_t asked = clock_mono_ms();
	int rc = db_read(s->db, expired_read, w);
	/* An answer that took so long was waited for. */
	if (rc || clock_mono_ms() - asked > AWAY_MS)
		s->away_until = clock_mono_ms();
	bool renewable = !s->away_until || clock_mono_ms() - s->away_until >= s->cfg.task_lease_ms;
	if (fault_enabled("leases"))
		renewable = false;
	for (size_t i = 0; !rc && renewable && i < w->n; i++)
		rc = expire_cluster(w, i);
	if (!rc)
		rc = expiry_sweep(s, &w->next_ms);
	if (!rc && clock_mono_ms() >= s->silent_at) {
		rc = db_tx(s->db, silent_tx, w);
		s->silent_at = clock_mono_ms() + silent_every_ms(s);
	}
	if (rc)
		log_warn("sweep not finished", LOG_S("reason", err_name(rc)));
}

static void on_expiries(void *arg)
{
	janitor_tick(arg);
}

static void sweep_done(void *arg)
{
	struct sweep *w = arg;
	struct scheduler *s = w->s;
	s->sweeping = false;
	if (!s->expiries)
		s->expiries = loop_timer_create(s->loop, "expiries", on_expiries, s);
	if (w->next_ms >= 0 && !service_draining(s->service))
		loop_timer_arm(s->expiries, w->next_ms);
	loom_free(w->refs);
	loom_free(w);
}

void janitor_stop(struct scheduler *s)
{
	loop_timer_destroy(s->expiries);
	s->expiries = NULL;
}

void janitor_tick(struct scheduler *s)
{
	if (s->sweeping || service_draining(s->service))
		return;
	if (coord_connected(s->coord) && !coord_is_leader(s->coord, "janitor")) {
		quarantine_count(0); /* one of all schedulers says it */
		return;
	}
	struct sweep *w = loom_calloc(1, sizeof(*w));
	w->s = s;
	w->next_ms = -1;
	if (pool_submit(s->pool, sweep_work, sweep_done, w))
		loom_free(w);
	else
		s->sweeping = true;
}
