/* SPDX-License-Identifier: Apache-2.0 */
/* Each round of work deletes little; the timer decides when the next round begins. */
#include "services/scheduler/job/retention.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/model/cluster/history.h"

enum {
	LOOK_MS = 60000, /* when there is nothing: rows are kept for days anyway */
	FIRST_MS = 2000,
	PAUSE_MS = 100, /* after a round that found more */
	TURN_MS = 20,   /* of work per round: a fifth of one connection */
	JOBS = 64,
	MEND_MS = 86400000, /* after this time, retry the jobs behind a defect */
};

static struct metric metrics[HISTORY_N] = {
	[HISTORY_EVENTS] = { "loom_history_events_dropped_total",
	                     "Rows of events that were let go of", METRIC_COUNTER },
	[HISTORY_LOGS] = { "loom_history_logs_dropped_total", "Rows of logs that were let go of",
	                   METRIC_COUNTER },
	[HISTORY_JOBS] = { "loom_history_jobs_dropped_total",
	                   "Rows of jobs and their tasks that were let go of", METRIC_COUNTER },
	[HISTORY_CLUSTERS] = { "loom_history_clusters_dropped_total",
	                       "Rows of clusters and all they had that were let go of",
	                       METRIC_COUNTER },
};

/* Progress past the first job that cannot be deleted: until when this process has looked at later
 * jobs, and when it found the defect (monotonic ms; 0: none). */
struct past {
	int64_t seen, at;
};

struct retention {
	struct scheduler *s;
	struct loop_timer *timer;
	bool working, again;
	struct past past[HISTORY_N];
};

struct turn {
	struct retention *r;
	enum history h;
	int64_t kept_ms, until_ms;
	struct history_job jobs[JOBS];
	size_t n, at; /* the first `at` are finished */
	int64_t rows, seen;
};

static int due_read(struct db *db, void *arg)
{
	struct turn *t = arg;
	const struct history_from from = { t->kept_ms, t->r->past[t->h].seen };
	return history_due(db, t->h, &from, t->jobs, JOBS, &t->n);
}

static int let_go_tx(struct db *db, void *arg)
{
	struct turn *t = arg;
	return history_let_go(db, t->h, &t->jobs[t->at], &t->rows);
}

static int done_tx(struct db *db, void *arg)
{
	const struct turn *t = arg;
	return history_done(db, t->h, t->seen);
}

/* The end time up to which all jobs were looked at. After a full page, its last millisecond may
 * have more jobs. */
static int64_t seen_until(const struct turn *t, size_t n)
{
	if (!n)
		return 0;
	int64_t last = t->jobs[n - 1].end_time;
	bool more =
		n < t->n ? t->jobs[n].end_time == last : n == JOBS && t->jobs[0].end_time < last;
	return more ? last - 1 : last;
}

/* Deletes all rows of the present job, or as many as the round's time allows. */
static int let_go(struct turn *t)
{
	struct db_pool *db = t->r->s->db;
	int rc;
	do {
		rc = db_tx(db, let_go_tx, t);
		if (rc)
			return rc;
		metric_add(&metrics[t->h], t->rows);
		t->r->again = clock_mono_ms() >= t->until_ms;
	} while (t->rows && !t->r->again);
	t->at += !t->rows;
	return 0;
}

static int done(struct turn *t)
{
	t->seen = seen_until(t, t->at);
	return t->seen ? db_tx(t->r->s->db, done_tx, t) : 0;
}

/* A defect of one job must not delay the others. It is not skipped for good: the progress stored in
 * the database stops before the first such job. */
static int pass_over(struct turn *t)
{
	struct past *past = &t->r->past[t->h];
	int rc = past->at ? 0 : done(t);
	past->at = past->at ? past->at : clock_mono_ms();
	log_error("history of a job cannot be let go of", LOG_S("kind", history_name(t->h)),
	          LOG_I("cluster", t->jobs[t->at].cluster), LOG_I("job", t->jobs[t->at].num));
	t->at++;
	return rc;
}

/* One round for one kind of history. */
static int turn(struct turn *t)
{
	struct past *past = &t->r->past[t->h];
	if (past->at && clock_mono_ms() - past->at >= MEND_MS)
		*past = (struct past){ 0 };
	int rc = db_read(t->r->s->db, due_read, t);
	while (!rc && t->at < t->n && !t->r->again) {
		rc = let_go(t);
		if (rc == DB_E_FATAL)
			rc = pass_over(t);
	}
	t->r->again = t->r->again || t->n == JOBS;
	if (!past->at) {
		int noted = done(t);
		return rc ? rc : noted;
	}
	int64_t seen = seen_until(t, t->at);
	past->seen = seen ? seen : past->seen;
	return rc;
}

static void work(void *arg)
{
	struct retention *r = arg;
	const struct scheduler_config *c = &r->s->cfg;
	const int64_t kept[HISTORY_N] = { [HISTORY_EVENTS] = c->events_keep,
		                          [HISTORY_LOGS] = c->logs_keep,
		                          [HISTORY_JOBS] = c->jobs_keep,
		                          [HISTORY_CLUSTERS] = c->clusters_keep };
	int rc = 0;
	r->again = false;
	for (int h = 0; h < HISTORY_N && !rc && !r->again; h++) {
		struct turn t = { .r = r,
			          .h = (enum history)h,
			          .kept_ms = kept[h],
			          .until_ms = clock_mono_ms() + TURN_MS };
		if (kept[h])
			rc = turn(&t);
	}
	if (rc)
		log_warn("old history not let go of", LOG_S("reason", err_name(rc)));
}

static void worked(void *arg)
{
	struct retention *r = arg;
	r->working = false;
	if (!service_draining(r->s->service))
		loop_timer_arm(r->timer, r->again ? PAUSE_MS : LOOK_MS);
}

/* Without an election no scheduler does this: it can wait. */
static void look(void *arg)
{
	struct retention *r = arg;
	struct scheduler *s = r->s;
	if (service_draining(s->service))
		return;
	bool ours = coord_connected(s->coord) && coord_is_leader(s->coord, "janitor");
	r->working = ours && !pool_submit(s->pool, work, worked, r);
	if (!r->working)
		loop_timer_arm(r->timer, ours ? PAUSE_MS : FIRST_MS);
}

void retention_start(struct scheduler *s)
{
	metrics_register(metrics, LOOM_COUNT(metrics));
	s->retention = loom_calloc(1, sizeof(*s->retention));
	s->retention->s = s;
	s->retention->timer = loop_timer_create(s->loop, "retention", look, s->retention);
	loop_timer_arm(s->retention->timer, FIRST_MS);
}

bool retention_idle(const struct scheduler *s)
{
	return !s->retention || !s->retention->working;
}

void retention_stop(struct scheduler *s)
{
	if (!s->retention)
		return;
	loop_timer_destroy(s->retention->timer);
	loom_free(s->retention);
	s->retention = NULL;
}
