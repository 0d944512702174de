/* SPDX-License-Identifier: Apache-2.0 */
/*
 * janitor - what nobody reports: leases that ran out, provisioners that fell silent, tasks of
 * provisioners that were dropped. Correct on any number of schedulers at once, since each task is
 * looked at again under the cluster's lock; the elected one does it, or everybody while no election
 * can be held.
 *
 * While the database is away no worker can renew a lease. So after an outage everybody gets a whole
 * lease's time to do it before any is declared lost.
 */
#include "services/scheduler/job/janitor.h"

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/model/callback.h"
#include "common/model/plugin_resource.h"
#include "common/model/provisioner.h"
#include "common/model/queue.h"
#include "common/model/request_key.h"
#include "common/model/signin.h"
#include "services/scheduler/job/expiry_sweep.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/wake.h"

/* An eighth of task_lease_ms's default: heartbeats that wait for the database as long still renew
 * leases in time. An eighth of provisioner_timeout_ms's: no provisioner is silent for much longer.
 */
#define AWAY_MS        1000
#define MOST_SILENT_MS 15000
#define MOST_AT_ONCE   64

struct sweep {
	struct scheduler *s;
	struct task_ref *refs; /* of tasks whose worker seems to be gone; each is looked at again */
	size_t n, n_expired; /* the first ones by their leases, the others by their provisioners */
	bool renewable;      /* workers could renew their leases */
	bool again;          /* there is more to do at once */
	int64_t next_ms;     /* until a lease ends; -1: not before the next sweep */
};

struct lapse {
	const struct sweep *w;
	const struct task_ref *ref;
	struct job_policy policy;
	struct cluster_tx tx;
	struct strs lost; /* ids of tasks, and after each the reason */
};

/* Added to those whose leases ran out; of the same cluster they are ended together. */
static int add_held(struct db *db, struct sweep *w)
{
	LOOM_CLEANUP(db_result_free) struct db_result *r = NULL;
	int rc = provisioners_held(db, MOST_AT_ONCE, &r);
	if (rc || !db_rows(r))
		return rc;
	w->refs = loom_realloc(w->refs, (w->n + db_rows(r)) * sizeof(*w->refs));
	for (size_t i = 0; i < db_rows(r); i++)
		w->refs[w->n++] =
			(struct task_ref){ db_int(r, i, 0), db_int(r, i, 1), db_int(r, i, 2) };
	w->again = db_rows(r) == MOST_AT_ONCE;
	return 0;
}

static int lost_read(struct db *db, void *arg)
{
	struct sweep *w = arg;
	loom_free(w->refs);
	w->refs = NULL;
	w->n = 0;
	struct queue_state st;
	int rc = queue_state(db, &st);
	if (rc)
		return rc;
	quarantine_count(st.quarantined);
	rc = tasks_expired(db, st.now, MOST_AT_ONCE, &w->refs, &w->n);
	w->n_expired = w->n;
	return rc ? rc : add_held(db, w);
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
	if (!t || t->state != TASK_RUNNING)
		return 0;
	bool over = e->w->renewable && t->lease_until < u->now, dropped = false;
	rc = over ? 0 : provisioner_holds_no_more(u->db, ref, &dropped);
	if (rc || (!over && !dropped))
		return rc;
	const char *why = over ? LOST_LEASE : LOST_DROPPED;
	char id[ID_MAX];
	id_task(id, ref->cluster, ref->job, ref->task);
	strs_add(&e->lost, id);
	strs_add(&e->lost, why);
	rc = unit_load_jobs(u, ref, 1);
	return rc ? rc : lifecycle_lost(u, t, why);
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
static int end_lost(struct sweep *w, size_t i)
{
	struct scheduler *s = w->s;
	for (size_t k = w->renewable ? 0 : w->n_expired; k < i; k++) {
		if (w->refs[k].cluster == w->refs[i].cluster)
			return 0;
	}
	struct lapse e = { .w = w, .ref = &w->refs[i], .policy = scheduler_policy(s) };
	int rc = db_tx(s->db, expire_tx, &e);
	for (size_t k = 0; !rc && k + 1 < e.lost.n; k += 2)
		log_warn("worker lost", LOG_S("task", e.lost.v[k]),
		         LOG_S("reason", e.lost.v[k + 1]));
	if (!rc && e.lost.n)
		wake_changed(s, &e.tx);
	cluster_tx_fini(&e.tx);
	strs_fini(&e.lost);
	return rc;
}

static int silent_tx(struct db *db, void *arg)
{
	struct sweep *w = arg;
	size_t dropped;
	int rc = provisioners_expire(db, w->s->cfg.provisioner_timeout_ms, &dropped);
	w->again = w->again || dropped;
	if (!rc)
		rc = request_keys_expire(db, w->s->cfg.request_keys_ms);
	if (!rc)
		rc = callback_silences_expire(db);
	if (!rc)
		rc = signins_expire(db);
	bool more = false;
	if (!rc)
		rc = plugin_contents_expire(db, &more);
	w->again = w->again || more;
	return rc;
}

/* Often enough for the time after which a provisioner counts as silent. */
static int64_t silent_every_ms(const struct scheduler *s)
{
	int64_t ms = s->cfg.provisioner_timeout_ms / 8;
	return ms < MOST_SILENT_MS ? ms : MOST_SILENT_MS;
}

/* After an outage each has the whole time to be heard again. */
static bool was_there(const struct scheduler *s, int64_t for_ms)
{
	return !s->away_until || clock_mono_ms() - s->away_until >= for_ms;
}

static void sweep_work(void *arg)
{
	struct sweep *w = arg;
	struct scheduler *s = w->s;
	int64_t asked = clock_mono_ms();
	int rc = db_read(s->db, lost_read, w);
	/* An answer that took so long was waited for. */
	if (rc || clock_mono_ms() - asked > AWAY_MS)
		s->away_until = clock_mono_ms();
	w->renewable = was_there(s, s->cfg.task_lease_ms) && !fault_enabled("leases");
	for (size_t i = w->renewable ? 0 : w->n_expired; !rc && i < w->n; i++)
		rc = end_lost(w, i);
	if (!rc)
		rc = expiry_sweep(s, &w->next_ms);
	if (!rc && clock_mono_ms() >= s->silent_at && was_there(s, s->cfg.provisioner_timeout_ms)) {
		rc = db_tx(s->db, silent_tx, w);
		s->silent_at = clock_mono_ms() + (w->again ? 0 : silent_every_ms(s));
	}
	if (rc)
		log_warn("sweep not finished", LOG_S("reason", err_name(rc)));
	else if (w->again)
		w->next_ms = 0;
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
	if (s->sweep_again)
		w->next_ms = 0;
	s->sweep_again = false;
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

void janitor_kick(struct scheduler *s)
{
	s->sweep_again = s->sweeping;
	if (!s->sweeping)
		janitor_tick(s);
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
