/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - workers' results and takes, gathered into turns (turn.h). Loop thread; turns run on
 * workers, in lanes: the first one has all that came while the one before it ran. When that is
 * much, another lane begins with it before the first one is done, for one turn alone cannot keep
 * the database busy. Only the first lane searches for what else is ready, and only it knows the
 * limits of providers; where there are any, it is alone. Beside the lanes run a few turns of single
 * clusters that a lane found held by somebody else.
 *
 * A take that finds nothing is parked. `epoch` moves whenever tasks may have become ready: at
 * commits that left some for others, at other schedulers' notices, and at the safety net's tick. A
 * parked take looks for tasks once in each epoch, and one that found nothing speaks for all takes
 * of its tenant, so that idle workers cost nothing. Every turn may give it tasks all the same.
 */
#include "services/scheduler/scheduler.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "services/scheduler/parking.h"
#include "services/scheduler/result_queue.h"
#include "services/scheduler/turn.h"

enum { LANES = 2, WORTH_A_LANE = 16 /* results */ };
enum { MAX_RESULTS = 64, MAX_ASIDE = 2, AGAIN_MS = 5, SEARCH_MS = 50, SOON_MS = 20 };

struct lane {
	struct documents *documents;
	struct successors *successors;
	struct outlook *outlook;
	const struct running *turn; /* NULL: none is under way */
};

struct dispatch {
	struct scheduler *s;
	struct parking parking;
	struct result_queue queue; /* for the lanes */
	struct result_queue aside; /* for turns of their own */
	struct lane lanes[LANES];
	int64_t busy[MAX_ASIDE]; /* clusters of turns aside; 0 none */
	struct book *book;
	struct loop_timer *timer, *again, *due;
	int64_t due_at; /* monotonic ms; 0 not armed */
	uint64_t epoch;
	int64_t searched; /* monotonic ms: when the last search began */
	bool draining, stopping;
};

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

static void run(struct dispatch *d);

/* ---- turns ----------------------------------------------------------------------------------- */

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
		run(d); /* the next turn is under way while the answers go out */
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
	run(d);
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

static bool may_help(const struct dispatch *d, size_t lane, size_t results)
{
	return lane == 0 ||
	       (results >= WORTH_A_LANE && atomic_load(&d->lanes[0].outlook->unlimited));
}

static void start_lane(struct dispatch *d, size_t lane)
{
	struct lane *l = &d->lanes[lane];
	if (l->turn || d->stopping)
		return;
	size_t n = count_free(d, lane), waiting = parking_count(&d->parking);
	bool search = lane == 0 && wants_search(d);
	if (!(n || search) || !may_help(d, lane, n))
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

static void run(struct dispatch *d)
{
	for (size_t i = 0; i < LANES; i++)
		start_lane(d, i);
	start_aside(d);
}

/* ---- what comes ------------------------------------------------------------------------------ */

void dispatch_kick(struct scheduler *s)
{
	struct dispatch *d = s->dispatch;
	if (!d)
		return;
	d->epoch++;
	run(d);
}

static void on_finish(struct bus_call *call, const struct json *body, void *arg)
{
	struct scheduler *s = arg;
	struct dispatch *d = s->dispatch;
	struct task_ref ref = { 0 };
	struct result *r = loom_calloc(1, sizeof(*r));
	*r = (struct result){ .call = call, .body = json_copy(body) };
	if (id_parse_task(json_get_str(body, "taskId"), &ref)) {
		result_answer(r, 400);
	} else if (d->stopping) {
		result_answer(r, 503);
	} else {
		r->cluster = ref.cluster;
		result_queue_push(&d->queue, r);
		run(d);
	}
}

static void on_take(struct bus_call *call, const struct json *body, void *arg)
{
	struct scheduler *s = arg;
	struct dispatch *d = s->dispatch;
	int64_t lease =
		json_get_bool(body, "lease", false) ? s->cfg.task_lease_ms : s->cfg.task_timeout_ms;
	if (parking_take(&d->parking, call, body, lease, d->draining))
		run(d);
}

static void on_untake(const struct json *body, void *arg)
{
	struct scheduler *s = arg;
	parking_withdraw(&s->dispatch->parking, json_get_str(body, "takeId"));
}

static void tick(void *arg)
{
	struct dispatch *d = arg;
	parking_answer_expired(&d->parking, false);
	run(d);
}

static void look_again(void *arg)
{
	run(arg);
}

static void is_due(void *arg)
{
	struct dispatch *d = arg;
	d->due_at = 0;
	d->epoch++;
	run(d);
}

/* ---- its life -------------------------------------------------------------------------------- */

void dispatch_start(struct scheduler *s)
{
	struct dispatch *d = loom_calloc(1, sizeof(*d));
	d->s = s;
	d->epoch = 1;
	for (size_t i = 0; i < LANES; i++)
		d->lanes[i] = (struct lane){ .documents = documents_create(),
			                     .successors = successors_create(),
			                     .outlook = outlook_create() };
	d->book = book_create();
	book_start();
	turn_start();
	s->dispatch = d;
	d->timer = loop_timer_create(s->loop, "parked takes", tick, d);
	loop_timer_every(d->timer, 250);
	d->again = loop_timer_create(s->loop, "look again", look_again, d);
	d->due = loop_timer_create(s->loop, "due", is_due, d);
	bus_on_request(s->bus, "take", on_take, s);
	bus_on_request(s->bus, "finish", on_finish, s);
	bus_on_notice(s->bus, "untake", on_untake, s);
}

void dispatch_drain(struct scheduler *s)
{
	s->dispatch->draining = true;
	parking_answer_expired(&s->dispatch->parking, true);
}

bool dispatch_idle(const struct scheduler *s)
{
	const struct dispatch *d = s->dispatch;
	bool any = d->queue.n || d->aside.n;
	for (size_t i = 0; i < MAX_ASIDE; i++)
		any = any || d->busy[i];
	for (size_t i = 0; i < LANES; i++)
		any = any || d->lanes[i].turn;
	return !any;
}

void dispatch_stop(struct scheduler *s)
{
	if (!s->dispatch)
		return;
	struct dispatch *d = s->dispatch;
	d->stopping = true;
	dispatch_drain(s);
	for (struct result *r = result_queue_pop(&d->queue); r; r = result_queue_pop(&d->queue))
		result_answer(r, 503);
	for (struct result *r = result_queue_pop(&d->aside); r; r = result_queue_pop(&d->aside))
		result_answer(r, 503);
	loop_timer_destroy(d->timer);
	loop_timer_destroy(d->again);
	loop_timer_destroy(d->due);
	for (size_t i = 0; i < LANES; i++) {
		documents_destroy(d->lanes[i].documents);
		successors_destroy(d->lanes[i].successors);
		outlook_destroy(d->lanes[i].outlook);
	}
	book_destroy(d->book);
	loom_free(d);
	s->dispatch = NULL;
}
