/* SPDX-License-Identifier: Apache-2.0 */
/* clock_sweep - notices that the database's clock was set, and mends what was kept by it. */
#include "services/scheduler/job/clock_sweep.h"

#include "common/base/log.h"
#include "services/scheduler/job/unit.h"
#include "services/scheduler/scheduler.h"
#include "services/scheduler/wake.h"

enum { NOTICED_MS = 1000, AT_ONCE = 64 };

int64_t clock_step(struct clock_seen *seen, const struct clock_seen *now)
{
	int64_t noticed = NOTICED_MS + (now->answered - seen->asked) / 1000; /* they may drift */
	int64_t least = now->asked - seen->answered - noticed,
		most = now->answered - seen->asked + noticed, passed = now->db - seen->db;
	bool first = !seen->db;
	*seen = *now;
	if (first || (passed >= least && passed <= most))
		return 0;
	return passed > most ? passed - most : passed - least;
}

struct rewind {
	struct scheduler *s;
	int64_t now;
	struct task_ref *refs; /* ready tasks that wait for longer than anything does */
	size_t n;
};

struct rewind_one {
	const struct rewind *w;
	size_t at; /* the first of the cluster's */
	struct job_policy policy;
	struct cluster_tx tx;
};

static int leases_tx(struct db *db, void *arg)
{
	const struct rewind *w = arg;
	int rc = tasks_rewind(db, w->now);
	if (!rc)
		rc = jobs_rewind(db, w->now, w->s->cfg.job_lease_ms);
	return rc ? rc
	          : callbacks_rewind(db, w->now + w->s->webhook_cfg.callback_cap_ms,
	                             w->now + webhook_lease_ms(&w->s->webhook_cfg));
}

static int waits_read(struct db *db, void *arg)
{
	struct rewind *w = arg;
	loom_free(w->refs);
	w->refs = NULL;
	w->n = 0;
	return tasks_ready_after(db, w->now + w->s->cfg.retry_cap_ms, AT_ONCE, &w->refs, &w->n);
}

static int begin_one(struct unit *u, const struct task_ref *ref)
{
	struct tasks *set = NULL;
	int rc = task_lock(u->db, ref, &set);
	if (rc)
		return rc;
	unit_add_tasks(u, set);
	struct task *t = unit_task(u, ref);
	if (!t || t->state != TASK_READY || t->not_before <= u->now)
		return 0;
	t->not_before = u->now;
	unit_task_changed(u, t);
	unit_held(u, ref->cluster)->tx.ready++;
	return 0;
}

static int begin(struct unit *u, struct unit_cluster *uc, void *arg)
{
	const struct rewind_one *o = arg;
	int rc = 0;
	for (size_t i = o->at; !rc && i < o->w->n; i++) {
		if (o->w->refs[i].cluster == uc->tx.c->id)
			rc = begin_one(u, &o->w->refs[i]);
	}
	return rc;
}

static int begin_tx(struct db *db, void *arg)
{
	struct rewind_one *o = arg;
	int rc = unit_run_one(db, &o->policy, o->w->refs[o->at].cluster, &o->tx, begin, o);
	return rc == CLUSTER_E_NONE ? 0 : rc;
}

/* Begins what waits, cluster by cluster: the list is in their order. */
static int begin_waiting(const struct rewind *w)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < w->n; i++) {
		if (i && w->refs[i - 1].cluster == w->refs[i].cluster)
			continue;
		struct rewind_one o = { .w = w, .at = i, .policy = scheduler_policy(w->s) };
		rc = db_tx(w->s->db, begin_tx, &o);
		if (!rc)
			wake_changed(w->s, &o.tx);
		cluster_tx_fini(&o.tx);
	}
	return rc;
}

int clock_rewind(struct scheduler *s, int64_t now, enum clock_state *state)
{
	struct rewind w = { .s = s, .now = now };
	int rc = *state == CLOCK_RIGHT ? 0 : db_tx(s->db, leases_tx, &w);
	if (!rc && *state == CLOCK_BACK)
		rc = db_read(s->db, waits_read, &w);
	if (!rc)
		rc = begin_waiting(&w);
	if (!rc && w.n < AT_ONCE)
		*state = CLOCK_RIGHT;
	loom_free(w.refs);
	return rc;
}
