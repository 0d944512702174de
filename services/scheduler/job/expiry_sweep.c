/* SPDX-License-Identifier: Apache-2.0 */
/* expiry_sweep - finds clusters whose lease has ended or is about to, and deletes or warns. */
#include "services/scheduler/job/expiry_sweep.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "common/model/cluster/expiry.h"
#include "services/scheduler/job/job_lifecycle.h"
#include "services/scheduler/wake.h"

#define AT_ONCE      64      /* rows per query; a full one makes the next sweep follow at once */
#define RETRY_CAP_MS 3600000 /* upper bound of the growing lease_retry_ms */

struct expiring {
	struct scheduler *s;
	struct expiry_due *list;
	size_t n;
	int64_t now;
};

struct expiring_one {
	const struct scheduler *s;
	const struct expiry_due *due;
	struct job_policy policy;
	struct cluster_tx tx;
	enum { NOTHING, WARNED, EXPIRED } done;
	bool first; /* it expired just now */
};

static int due_read(struct db *db, void *arg)
{
	struct expiring *e = arg;
	const struct scheduler_config *cfg = &e->s->cfg;
	loom_free(e->list);
	e->list = NULL;
	const struct expiry_window w = { cfg->poll_ms + 1000, cfg->lease_warning_ms, AT_ONCE };
	return expiry_due(db, &w, &e->list, &e->n, &e->now);
}

static struct json *lease_event(int64_t expire_time, const char *what)
{
	struct json *e = json_set_int(json_new_obj(), "expireTime", expire_time);
	return json_set_bool(e, what, true);
}

static int warn(struct unit *u, struct unit_cluster *uc, struct expiring_one *o,
                struct expiry_marks *m)
{
	struct cluster *c = uc->tx.c;
	m->warned = c->expire_time;
	o->done = WARNED;
	cluster_event(c, "lease", lease_event(c->expire_time, "warning"), u->now);
	return expiry_mark(u->db, c->id, m);
}

/* A paused cluster also expires: its job ends with the lease. *ret_moves: a job is working on
 * it. */
static int look_at_job(struct unit *u, const struct cluster *c, struct unit_job **ret,
                       bool *ret_moves)
{
	*ret = NULL;
	int rc = c->status == CLUSTER_PENDING ? unit_get_job(u, c->id, c->latest_job, ret) : 0;
	*ret_moves = c->status == CLUSTER_PENDING && (!*ret || (*ret)->job.status != JOB_PAUSED);
	return rc;
}

static int delete_it(struct unit *u, struct unit_cluster *uc, struct unit_job *j)
{
	const struct job_params params = { .expired = true };
	if (j)
		return lifecycle_abort(u, j, "The lease has ended.",
		                       str_eq(j->job.action, "solve_layout") ? NULL
		                                                             : "cluster_delete");
	lifecycle_submit(u, uc, "cluster_delete", &params);
	return 0;
}

static int expire(struct unit *u, struct unit_cluster *uc, struct expiring_one *o,
                  struct expiry_marks *m, struct unit_job *j)
{
	struct cluster *c = uc->tx.c;
	int64_t wait = o->s->cfg.lease_retry_ms;
	for (int64_t i = 0; i < m->tries && wait < RETRY_CAP_MS; i++)
		wait *= 2;
	o->first = !m->tries++;
	m->retry_at = u->now + (wait < RETRY_CAP_MS ? wait : RETRY_CAP_MS);
	o->done = EXPIRED;
	int rc = expiry_mark(u->db, c->id, m);
	if (o->first)
		cluster_event(c, "lease", lease_event(c->expire_time, "expired"), u->now);
	return rc ? rc : delete_it(u, uc, j);
}

static int expire_or_warn(struct unit *u, struct unit_cluster *uc, void *arg)
{
	struct expiring_one *o = arg;
	const struct cluster *c = uc->tx.c;
	struct expiry_marks m = { 0 };
	struct unit_job *j = NULL;
	bool moves = false;
	int rc = expiry_marks(u->db, c->id, &m);
	if (!rc)
		rc = look_at_job(u, c, &j, &moves);
	if (rc || moves || !c->expire_time || c->status == CLUSTER_TERMINATED)
		return rc;
	if (c->expire_time <= u->now && m.retry_at <= u->now)
		return expire(u, uc, o, &m, j);
	if (c->expire_time > u->now && m.warned != c->expire_time &&
	    c->expire_time - u->now <= o->s->cfg.lease_warning_ms)
		return warn(u, uc, o, &m);
	return 0;
}

static int announce(struct db *db, struct expiring_one *o, enum callback_kind kind)
{
	return o->policy.effects->announce(db, &o->tx, NULL, kind);
}

static int one_tx(struct db *db, void *arg)
{
	struct expiring_one *o = arg;
	o->done = NOTHING;
	o->first = false;
	int rc = unit_run_one(db, &o->policy, o->due->cluster, &o->tx, expire_or_warn, o);
	if (!rc && o->done == WARNED)
		rc = announce(db, o, CALLBACK_LEASE_WARNING);
	if (!rc && o->first)
		rc = announce(db, o, CALLBACK_LEASE_EXPIRED);
	return rc == CLUSTER_E_NONE ? 0 : rc;
}

static int look(struct scheduler *s, const struct expiry_due *due)
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
	if (rc != DB_E_FATAL)
		return rc;
	log_error("a cluster cannot be ended at its time", LOG_I("cluster", due->cluster));
	return 0; /* a defect of one cluster must not delay the others */
}

static bool is_due(const struct expiring *e, const struct expiry_due *due)
{
	int64_t left = due->expire_time - e->now;
	return left <= 0 || (due->warned != due->expire_time && left <= e->s->cfg.lease_warning_ms);
}

/* If one cluster cannot be had (somebody has locked it for long), the next sweep begins behind
 * it. */
static int look_at_all(const struct expiring *e)
{
	struct scheduler *s = e->s;
	size_t first = 0;
	int rc = 0;
	for (size_t i = 0; i < e->n; i++) {
		if (e->list[i].cluster == s->stuck_expired)
			first = i + 1;
	}
	s->stuck_expired = 0;
	for (size_t k = 0; !rc && k < e->n; k++) {
		const struct expiry_due *due = &e->list[(first + k) % e->n];
		rc = is_due(e, due) ? look(s, due) : 0;
		if (rc)
			s->stuck_expired = due->cluster;
	}
	return rc;
}

int expiry_sweep(struct scheduler *s, int64_t *ret_next_ms)
{
	struct expiring e = { .s = s };
	*ret_next_ms = -1;
	int64_t asked = clock_mono_ms();
	int rc = db_read(s->db, due_read, &e);
	int64_t next = e.n == AT_ONCE ? e.now : 0;
	for (size_t i = 0; !rc && !next && i < e.n; i++)
		next = e.list[i].expire_time > e.now ? e.list[i].expire_time : 0;
	if (!rc)
		rc = look_at_all(&e);
	int64_t passed = clock_mono_ms() - asked;
	if (!rc && next)
		*ret_next_ms = next - e.now > passed ? next - e.now - passed : 0;
	loom_free(e.list);
	return rc;
}
