/* SPDX-License-Identifier: Apache-2.0 */
/*
 * janitor - finds failures that nobody reports: expired leases, silent provisioners, tasks of
 * dropped provisioners. Any number of schedulers may do this at once, because each task is checked
 * again under the cluster's lock. Normally only the elected one does; without an election, all do.
 *
 * While the database is away no worker can renew a lease. So after an outage every worker gets a
 * whole lease's time to do so before any is declared lost (renewals.h).
 */
#include "services/scheduler/job/janitor.h"

#include "common/base/clock.h"
#include "common/base/fault.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/model/callback/callback.h"
#include "common/model/catalog/plugin_resource.h"
#include "common/model/identity/signin.h"
#include "common/model/request_key.h"
#include "common/model/worker/provisioner.h"
#include "common/model/worker/queue.h"
#include "services/scheduler/job/expiry_sweep.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/wake.h"

/* An eighth of the default provisioner_timeout_ms: no provisioner stays silent for much longer than
 * the timeout. */
#define MOST_SILENT_MS 15000
#define MOST_AT_ONCE   64

#define SWEEPS \
	"Sweeps of this scheduler for what nobody reports, by result; the elected one sweeps."
enum { SWEPT, UNFINISHED };
static struct metric metrics[] = {
	[SWEPT] = { "loom_scheduler_sweeps_total{result=\"finished\"}", SWEEPS, METRIC_COUNTER },
	[UNFINISHED] = { "loom_scheduler_sweeps_total{result=\"unfinished\"}", SWEEPS,
	                 METRIC_COUNTER },
};

struct sweep {
	struct scheduler *s;
	struct task_ref *refs; /* tasks whose worker seems gone; checked again under the lock */
	size_t n, n_expired;   /* the first n_expired: by lease; the others: by provisioner */
	bool renewable;        /* could workers renew their leases? */
	bool again;            /* there is more to do at once */
	int64_t now;           /* of the database */
	int64_t silence;       /* ms since the last heartbeat of anybody was stored */
	int64_t next_ms;       /* until the next lease ends; -1: not before the next sweep */
};

struct lapse {
	const struct sweep *w;
	const struct task_ref *ref;
	struct job_policy policy;
	struct cluster_tx tx;
	struct strs lost; /* pairs: id of a task, reason */
};

/* Adds tasks of gone provisioners to those with expired leases, so that each cluster is handled
 * once. */
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

static bool all_of(const struct sweep *w, int64_t cluster)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->refs[i].cluster != cluster)
			return false;
	}
	return true;
}

/* Tasks of the cluster that could not be had must not fill the list. */
static int expired_read(struct db *db, struct sweep *w)
{
	int64_t stuck = w->s->stuck_lost;
	int rc = tasks_expired(db, w->now, 0, MOST_AT_ONCE, &w->refs, &w->n);
	if (rc || w->n < MOST_AT_ONCE || !all_of(w, stuck))
		return rc;
	loom_free(w->refs);
	w->refs = NULL;
	return tasks_expired(db, w->now, stuck, MOST_AT_ONCE, &w->refs, &w->n);
}

static int lost_read(struct db *db, void *arg)
{
	struct sweep *w = arg;
	loom_free(w->refs);
	w->refs = NULL;
	w->n = 0;
	struct queue_state st;
	int rc = queue_state(db, &st);
	if (!rc)
		rc = provisioners_silence(db, &w->silence);
	if (rc)
		return rc;
	w->now = st.now;
	quarantine_count(st.quarantined);
	rc = expired_read(db, w);
	w->n_expired = w->n;
	return rc ? rc : add_held(db, w);
}

/* Checks again: a heartbeat or the result may have come meanwhile. */
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

/* Ends all lost tasks of a cluster, at its first entry in the list. */
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
	if (rc != DB_E_FATAL)
		return rc;
	log_error("leases of a cluster cannot be ended", LOG_I("cluster", w->refs[i].cluster));
	return 0; /* a defect of one cluster must not delay the others */
}

static int silent_tx(struct db *db, void *arg)
{
	struct sweep *w = arg;
	size_t dropped;
	int rc = provisioners_expire(db, w->s->cfg.provisioner_timeout_ms, &dropped);
	w->again = w->again || dropped;
	return rc;
}

static int request_keys_tx(struct db *db, void *arg)
{
	const struct sweep *w = arg;
	return request_keys_expire(db, w->s->cfg.request_keys_ms);
}

static int silences_tx(struct db *db, void *arg LOOM_UNUSED)
{
	return callback_silences_expire(db);
}

static int signins_tx(struct db *db, void *arg LOOM_UNUSED)
{
	return signins_expire(db);
}

static int contents_tx(struct db *db, void *arg)
{
	struct sweep *w = arg;
	bool more = false;
	int rc = plugin_contents_expire(db, &more);
	w->again = w->again || more;
	return rc;
}

/* Deletes everything that expires by time. A defect or a lock of one kind must not delay the
 * others. */
static int expire_all(struct sweep *w)
{
	static const struct {
		const char *what;
		db_tx_fn fn;
	} kinds[] = {
		{ "silent provisioners", silent_tx }, { "request keys", request_keys_tx },
		{ "silences", silences_tx },          { "sign-ins", signins_tx },
		{ "contents", contents_tx },
	};
	int rc = 0;
	for (size_t i = 0; i < LOOM_COUNT(kinds); i++) {
		int one = db_tx(w->s->db, kinds[i].fn, w);
		if (one == DB_E_FATAL)
			log_error("what is over cannot be let go of", LOG_S("what", kinds[i].what));
		else
			rc = rc ? rc : one;
	}
	return rc;
}

/* Often enough for provisioner_timeout_ms to be meaningful. */
static int64_t silent_every_ms(const struct scheduler *s)
{
	int64_t ms = s->cfg.provisioner_timeout_ms / 8;
	return ms < MOST_SILENT_MS ? ms : MOST_SILENT_MS;
}

/* After an outage everyone has the whole time to be heard again. */
static bool was_there(const struct scheduler *s, int64_t for_ms)
{
	return renewals_for(&s->renewals, clock_mono_ms(), for_ms);
}

/* Ends all lost tasks. If one cluster cannot be had (somebody has locked it for long), the next
 * sweep begins behind it. */
static int end_all_lost(struct sweep *w)
{
	struct scheduler *s = w->s;
	size_t first = 0;
	int rc = 0;
	for (size_t i = 0; i < w->n; i++) {
		if (w->refs[i].cluster == s->stuck_lost)
			first = i + 1;
	}
	if (w->renewable) /* else it was not tried */
		s->stuck_lost = 0;
	for (size_t k = 0; !rc && k < w->n; k++) {
		size_t i = (first + k) % w->n;
		if (i >= w->n_expired || w->renewable)
			rc = end_lost(w, i);
		if (rc)
			s->stuck_lost = w->refs[i].cluster;
	}
	return rc;
}

/* Returns by how much the database's clock was set since the last sweep. */
static int64_t look_at_clock(const struct sweep *w, int64_t asked)
{
	const struct clock_seen now = { w->now, asked, clock_mono_ms() };
	int64_t step = clock_step(&w->s->clock, &now);
	if (step)
		log_warn("the database's clock was set", LOG_I("ms", step));
	if (step < 0)
		w->s->clock_state = CLOCK_BACK;
	return step;
}

/* One part that cannot be done must not delay the others. */
static int do_all(struct sweep *w)
{
	struct scheduler *s = w->s;
	if (clock_rewind(s, w->now, &s->clock_state))
		log_warn("what waits by the database's clock is not mended yet");
	w->again = w->again || s->clock_state != CLOCK_RIGHT;
	int lost = end_all_lost(w), expired = expiry_sweep(s, &w->next_ms), old = 0;
	if (clock_mono_ms() >= s->silent_at && was_there(s, s->cfg.provisioner_timeout_ms)) {
		old = expire_all(w);
		s->silent_at = clock_mono_ms() + (w->again ? 0 : silent_every_ms(s));
	}
	return lost ? lost : expired ? expired : old;
}

static void sweep_work(void *arg)
{
	struct sweep *w = arg;
	struct scheduler *s = w->s;
	int64_t asked = clock_mono_ms();
	int rc = db_read(s->db, lost_read, w);
	const struct renewals_look look = { .asked = asked,
		                            .answered = clock_mono_ms(),
		                            .failed = rc != 0,
		                            .silence = w->silence,
		                            .step = rc ? 0 : look_at_clock(w, asked) };
	renewals_see(&s->renewals, &look, s->cfg.task_lease_ms);
	w->renewable = was_there(s, s->cfg.task_lease_ms) && !fault_enabled("leases");
	if (!look.failed)
		rc = do_all(w);
	/* Then renewals of leases may have failed as well. */
	s->renewals.write_failed = !look.failed && rc && rc != DB_E_FATAL;
	metric_add(&metrics[rc ? UNFINISHED : SWEPT], 1);
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

void janitor_start(void)
{
	metrics_register(metrics, LOOM_COUNT(metrics));
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
		quarantine_count(0); /* only one of all schedulers reports the number */
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
