/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch_turns - turns: what goes into one, when it begins, and what becomes of it. */
#include "services/scheduler/dispatch/dispatch_private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/str.h"

enum { WORTH_A_LANE = 16 /* results */, MAX_RESULTS = 64 };
enum { AGAIN_MS = 5, SEARCH_MS = 50, SOON_MS = 20 };

enum { TURNS, TURNS_BESIDE };
static struct metric turns_metrics[] = {
	[TURNS] = { "loom_scheduler_turns_total", "Turns of the first lane.", METRIC_COUNTER },
	[TURNS_BESIDE] = { "loom_scheduler_turns_beside_total", "Turns beside another one.",
	                   METRIC_COUNTER },
};

void dispatch_turns_start(void)
{
	metrics_register(turns_metrics, LOOM_COUNT(turns_metrics));
}

struct running {
	struct dispatch *d;
	struct turn turn;
	struct result **results; /* as in turn */
	struct parked **takes;   /* as in turn */
	int64_t *clusters;       /* of the results, as in turn */
	uint64_t epoch;
	int64_t began; /* monotonic ms */
	int rc;
	size_t place; /* in lanes, or in busy */
};

static struct running *new_running(struct dispatch *d, size_t n_takes)
{
	struct running *r = loom_calloc(1, sizeof(*r));
	*r = (struct running){ .d = d, .epoch = d->epoch, .began = clock_mono_ms() };
	r->turn = (struct turn){ .db = d->s->db,
		                 .policy = scheduler_policy(d->s),
		                 .outlook = d->lanes[0].outlook };
	r->turn.results = loom_calloc(MAX_RESULTS, sizeof(*r->turn.results));
	r->turn.takes = loom_calloc(n_takes + 1, sizeof(*r->turn.takes));
	r->results = loom_calloc(MAX_RESULTS, sizeof(struct result *));
	r->clusters = loom_calloc(MAX_RESULTS, sizeof(*r->clusters));
	r->takes = loom_calloc(n_takes + 1, sizeof(struct parked *));
	return r;
}

static void running_free(struct running *r)
{
	turn_fini(&r->turn);
	loom_free(r->turn.results);
	loom_free(r->turn.takes);
	loom_free(r->results);
	loom_free(r->clusters);
	loom_free(r->takes);
	loom_free(r);
}

/* Takes results out of a queue. */
static void add_results(struct running *r, struct result_queue *q,
                        bool (*fits)(const struct result *res, const void *arg), const void *arg,
                        size_t most)
{
	r->turn.n_results = result_queue_take(q, fits, arg, r->results, most);
	for (size_t i = 0; i < r->turn.n_results; i++) {
		r->turn.results[i].body = r->results[i]->body;
		r->clusters[i] = r->results[i]->cluster;
	}
}

/* The pool has no room: they wait for the next tick, behind the others. */
static void give_back(struct running *r, struct result_queue *q)
{
	for (size_t i = 0; i < r->turn.n_results; i++)
		result_queue_push(q, r->results[i]);
	running_free(r);
}

/* Worker. */
static void turn_work(void *arg)
{
	struct running *r = arg;
	struct turn *t = &r->turn;
	r->rc = turn_run(t);
	if (r->rc == DB_E_FATAL && t->wait && t->n_results == 1) {
		/* Sent again it would be refused again: the task has failed. */
		t->unstorable = true;
		r->rc = turn_run(t);
	}
}

static void wake_others(const struct running *r)
{
	const struct turn *t = &r->turn;
	struct wake *v = loom_calloc(t->n_touched + 1, sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; !r->rc && i < t->n_touched; i++)
		if (t->touched[i].ch.c->event_seq != t->touched[i].seq)
			v[n++] = wake_of(&t->touched[i].ch);
	wake_now(r->d->s, v, n);
	loom_free(v);
}

/* What another lane held is likely to be free for the next turn. */
static void again(struct dispatch *d, struct result *res, int rc)
{
	bool lane = !rc && !res->held;
	res->held = true;
	result_queue_push(lane ? &d->queue : &d->aside, res);
}

/* Those that have to be tried again go on waiting; what is left in r is to be answered. */
static void results_done(struct running *r)
{
	struct dispatch *d = r->d;
	bool alone = r->turn.wait && r->turn.n_results == 1;
	if (r->rc)
		log_warn("results not applied", LOG_I("results", r->turn.n_results),
		         LOG_S("reason", db_code_name(r->rc)));
	for (size_t i = 0; i < r->turn.n_results; i++) {
		int *status = &r->turn.results[i].status;
		if (r->rc && (r->rc != DB_E_FATAL || alone))
			*status = 503;
		r->results[i]->alone = r->rc == DB_E_FATAL;
		if (!d->stopping && (r->rc == DB_E_FATAL ? !alone : !*status))
			again(d, loom_take(r->results[i]), r->rc);
	}
}

/* As with results. */
static bool takes_done(struct running *r)
{
	struct dispatch *d = r->d;
	bool given = false;
	for (size_t i = 0; i < r->turn.n_takes; i++) {
		struct parked *p = r->takes[i];
		bool has = !r->rc && r->turn.takes[i].docs;
		p->in_turn = false;
		if (!has && r->turn.search && !r->turn.more && !r->rc)
			parking_tried(&d->parking, p, r->epoch);
		given = given || has;
		/* While the database is away, asking again is the worker's. */
		if (has || p->withdrawn || d->draining || p->until <= clock_mono_ms() ||
		    (r->rc && r->turn.search))
			parking_take_out(&d->parking, p);
		else
			r->takes[i] = NULL;
	}
	return given;
}

static void answer_all(struct running *r)
{
	for (size_t i = 0; i < r->turn.n_takes; i++)
		if (r->takes[i])
			parking_answer(r->takes[i], r->rc ? NULL : loom_take(r->turn.takes[i].docs),
			               r->began);
	for (size_t i = 0; i < r->turn.n_results; i++) {
		int status = r->turn.results[i].status;
		if (r->results[i])
			result_answer(r->results[i], status ? status : 503);
	}
}

/* Something that waits for a time only is looked for then. */
static void look_in(struct dispatch *d, int64_t ms)
{
	int64_t at = clock_mono_ms() + ms;
	if (ms < 0 || !d->parking.first || (d->due_at && d->due_at <= at))
		return;
	d->due_at = at;
	loop_timer_arm(d->due, ms);
}

static void lane_done(void *arg)
{
	struct running *r = arg;
	struct dispatch *d = r->d;
	results_done(r);
	bool given = takes_done(r);
	d->lanes[r->place].turn = NULL;
	look_in(d, r->rc ? -1 : r->turn.look_ms);
	if (r->turn.search && r->turn.more && !given && !r->turn.n_results)
		loop_timer_arm(d->again, AGAIN_MS);
	else
		dispatch_run(d); /* the next turn is under way while the answers go out */
	answer_all(r);
	wake_others(r);
	running_free(r);
}

static void aside_done(void *arg)
{
	struct running *r = arg;
	struct dispatch *d = r->d;
	d->busy[r->place] = 0;
	results_done(r);
	dispatch_run(d);
	answer_all(r);
	wake_others(r);
	running_free(r);
}

/* What results make ready fills as many places. The more of those who wait will have enough from
 * that, the more rarely it is searched for what else is ready. */
static bool refilled(const struct dispatch *d)
{
	size_t results = d->queue.n;
	for (size_t i = 0; i < LANES; i++)
		results += d->lanes[i].turn ? d->lanes[i].turn->turn.n_results : 0;
	size_t places = parking_places(&d->parking, 2 * results);
	int64_t every = places <= results ? SEARCH_MS : places <= 2 * results ? SOON_MS : 0;
	return clock_mono_ms() < d->searched + every;
}

static bool wants_search(const struct dispatch *d)
{
	bool any = false;
	for (const struct parked *p = d->draining ? NULL : d->parking.first; p; p = p->next)
		any = any || (!p->in_turn && p->tried < d->epoch);
	return any && !refilled(d);
}

struct elsewhere {
	const struct dispatch *d;
	size_t lane;
};

/* No other lane has its cluster. */
static bool is_free(const struct result *res, const void *arg)
{
	const struct elsewhere *e = arg;
	for (size_t i = 0; i < LANES; i++) {
		const struct running *r = e->d->lanes[i].turn;
		for (size_t k = 0; r && i != e->lane && k < r->turn.n_results; k++)
			if (r->clusters[k] == res->cluster)
				return false;
	}
	return true;
}

static size_t count_free(const struct dispatch *d, size_t lane)
{
	const struct elsewhere e = { d, lane };
	size_t n = 0;
	for (const struct result *res = d->queue.first; res; res = res->next)
		n += is_free(res, &e);
	return n < MAX_RESULTS ? n : MAX_RESULTS;
}

/* All who wait; but where a lane may begin beside this one, only as many as its results are likely
 * to give tasks to. */
static void add_takes(struct running *r, size_t most)
{
	size_t n = r->turn.n_results, places = 0;
	size_t enough = r->turn.search || n < WORTH_A_LANE ? SIZE_MAX : n + n / 2;
	for (struct parked *p = r->d->parking.first; p && !r->d->draining; p = p->next) {
		if (p->in_turn || places >= enough || r->turn.n_takes == most)
			continue;
		places += (size_t)p->take.max;
		p->in_turn = true;
		r->takes[r->turn.n_takes] = p;
		r->turn.takes[r->turn.n_takes++].take = &p->take;
	}
}

static void start_lane(struct dispatch *d, size_t lane)
{
	struct lane *l = &d->lanes[lane];
	if (l->turn || d->stopping)
		return;
	size_t n = count_free(d, lane), waiting = parking_count(&d->parking);
	bool search = lane == 0 && wants_search(d);
	if (lane ? n < WORTH_A_LANE : !n && !search)
		return;
	struct running *r = new_running(d, waiting);
	r->place = lane;
	r->turn.search = search;
	r->turn.documents = l->documents;
	r->turn.successors = l->successors;
	r->turn.outlook = l->outlook;
	r->turn.book = d->book;
	add_results(r, &d->queue, is_free, &(struct elsewhere){ d, lane }, n);
	add_takes(r, waiting);
	if (pool_submit(d->s->pool, turn_work, lane_done, r)) {
		for (size_t i = 0; i < r->turn.n_takes; i++)
			r->takes[i]->in_turn = false;
		give_back(r, &d->queue);
		return;
	}
	l->turn = r;
	metric_add(&turns_metrics[lane ? TURNS_BESIDE : TURNS], 1);
	if (search)
		d->searched = clock_mono_ms();
}

static bool is_busy(const struct dispatch *d, int64_t cluster)
{
	for (size_t i = 0; i < MAX_ASIDE; i++)
		if (d->busy[i] == cluster)
			return true;
	return false;
}

/* Of one cluster: one that must be alone, or all others. */
static bool is_like(const struct result *res, const void *arg)
{
	const struct result *first = arg;
	return res->cluster == first->cluster && res->alone == first->alone;
}

static void start_aside(struct dispatch *d)
{
	for (size_t i = 0; i < MAX_ASIDE && d->aside.n && !d->stopping; i++) {
		const struct result *next = d->aside.first;
		while (next && is_busy(d, next->cluster))
			next = next->next;
		if (d->busy[i] || !next)
			continue;
		struct running *r = new_running(d, 0);
		const struct result like = *next;
		r->turn.wait = true;
		r->place = i;
		add_results(r, &d->aside, is_like, &like, like.alone ? 1 : MAX_RESULTS);
		if (pool_submit(d->s->pool, turn_work, aside_done, r)) {
			give_back(r, &d->aside);
			return;
		}
		d->busy[i] = like.cluster;
	}
}

void dispatch_run(struct dispatch *d)
{
	for (size_t i = 0; i < LANES; i++)
		start_lane(d, i);
	start_aside(d);
}
