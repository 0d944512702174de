/* SPDX-License-Identifier: Apache-2.0 */
#include "services/scheduler/job/expiry.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/lease.h"
#include "services/scheduler/webhook/outbox.h"

#define AT_ONCE      64
#define RETRY_CAP_MS 3600000

struct expiring {
	struct scheduler *s;
	struct lease_due *list;
	size_t n;
	int64_t now;
};

struct expiring_one {
	const struct scheduler *s;
	const struct lease_due *due;
	struct job_policy policy;
	struct cluster_tx tx;
	enum { NOTHING, WARNED, EXPIRED } done;
};

static int due_read(struct db *db, void *arg)
{
	struct expiring *e = arg;
	const struct scheduler_config *cfg = &e->s->cfg;
	loom_free(e->list);
	e->list = NULL;
	const struct lease_window w = { cfg->poll_ms + 1000, cfg->lease_warning_ms, AT_ONCE };
	return lease_due(db, &w, &e->list, &e->n, &e->now);
}

static struct json *lease_event(int64_t expire_time, const char *what)
{
	struct json *e = json_set_int(json_new_obj(), "expireTime", expire_time);
	return json_set_bool(e, what, true);
}

static int warn(struct db *db, struct expiring_one *o, struct lease_marks *m)
{
	struct cluster *c = o->tx.c;
	m->warned = c->expire_time;
	o->done = WARNED;
	int rc = lease_mark(db, c->id, m);
	if (!rc)
		rc = cluster_event(db, c, "lease", lease_event(c->expire_time, "warning"),
		                   o->tx.now);
	return rc ? rc : outbox_add(db, &o->tx, NULL, CALLBACK_LEASE_WARNING);
}

/* What is paused rests, too: its job ends with the lease. *ret_moves: it is at work. */
static int look_at_job(struct db *db, struct expiring_one *o, struct job *j, bool *ret_moves)
{
	const struct cluster *c = o->tx.c;
	bool found = false;
	int rc = c->status == CLUSTER_PENDING ? job_lock(db, c->id, c->latest_job, j, &found) : 0;
	*ret_moves = c->status == CLUSTER_PENDING && (!found || j->status != JOB_PAUSED);
	return rc;
}

static int delete_it(struct db *db, struct expiring_one *o, struct job *j)
{
	LOOM_CLEANUP(json_free)
	struct json *params = json_set_bool(json_new_obj(), "leaseExpired", true);
	if (o->tx.c->status != CLUSTER_PENDING)
		return lifecycle_submit(db, &o->tx, "cluster_delete", params);
	return lifecycle_abort(db, &o->tx, j, "The lease has ended.",
	                       str_eq(j->action, "solve_layout") ? NULL : "cluster_delete");
}

static int expire(struct db *db, struct expiring_one *o, struct lease_marks *m, struct job *j)
{
	struct cluster *c = o->tx.c;
	int64_t wait = o->s->cfg.lease_retry_ms;
	for (int64_t i = 0; i < m->tries && wait < RETRY_CAP_MS; i++)
		wait *= 2;
	bool first = !m->tries++;
	m->retry_at = o->tx.now + (wait < RETRY_CAP_MS ? wait : RETRY_CAP_MS);
	o->done = EXPIRED;
	int rc = lease_mark(db, c->id, m);
	if (!rc && first)
		rc = cluster_event(db, c, "lease", lease_event(c->expire_time, "expired"),
		                   o->tx.now);
	if (!rc)
		rc = delete_it(db, o, j);
	return rc || !first ? rc : outbox_add(db, &o->tx, NULL, CALLBACK_LEASE_EXPIRED);
}

static int one_tx(struct db *db, void *arg)
{
	struct expiring_one *o = arg;
	o->done = NOTHING;
	o->tx.policy = &o->policy;
	int rc = cluster_tx_begin(db, o->due->cluster, &o->tx);
	struct lease_marks m = { 0 };
	if (!rc)
		rc = lease_marks(db, o->due->cluster, &m);
	if (rc)
		return rc == CLUSTER_E_NONE ? 0 : rc;
	const struct cluster *c = o->tx.c;
	struct job j = { 0 };
	bool moves = false;
	rc = look_at_job(db, o, &j, &moves);
	if (rc || moves || !c->expire_time || c->status == CLUSTER_TERMINATED) {
		job_fini(&j);
		return rc;
	}
	if (c->expire_time <= o->tx.now && m.retry_at <= o->tx.now)
		rc = expire(db, o, &m, &j);
	else if (c->expire_time > o->tx.now && m.warned != c->expire_time &&
	         c->expire_time - o->tx.now <= o->s->cfg.lease_warning_ms)
		rc = warn(db, o, &m);
	job_fini(&j);
	return rc || !o->done ? rc : cluster_tx_commit(db, &o->tx);
}

static int look(struct scheduler *s, const struct lease_due *due)
{
	struct expiring_one o = { .s = s, .due = due, .policy = scheduler_policy(s) };
	int rc = db_tx(s->db, one_tx, &o);
	if (!rc && o.done) {
		char id[ID_MAX];
		id_cluster(id, due->cluster);
		log_info(o.done == EXPIRED ? "cluster expired" : "cluster is about to expire",
		         LOG_S("cluster", id), LOG_I("expireTime", due->expire_time));
		wake_changed(s, &o.tx);
	}
	cluster_tx_fini(&o.tx);
	return rc;
}

int expiry_sweep(struct scheduler *s, int64_t *ret_next_ms)
{
	struct expiring e = { .s = s };
	*ret_next_ms = -1;
	int64_t asked = clock_mono_ms();
	int rc = db_read(s->db, due_read, &e);
	int64_t next = e.n == AT_ONCE ? e.now : 0;
	for (size_t i = 0; !rc && i < e.n; i++) {
		int64_t left = e.list[i].expire_time - e.now;
		if (!next && left > 0)
			next = e.list[i].expire_time;
		bool to_warn = e.list[i].warned != e.list[i].expire_time &&
		               left <= s->cfg.lease_warning_ms;
		if (left <= 0 || to_warn)
			rc = look(s, &e.list[i]);
	}
	int64_t passed = clock_mono_ms() - asked;
	if (!rc && next)
		*ret_next_ms = next - e.now > passed ? next - e.now - passed : 0;
	loom_free(e.list);
	return rc;
}
