/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - workers' results and takes, gathered into turns (turn.h). Loop thread; turns run on
 * workers: the main one, which has all that came while the one before it ran, and beside it a few
 * of single clusters that the main one found held by somebody else.
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
#include "services/scheduler/turn.h"

enum { MAX_RESULTS = 64, MAX_ASIDE = 2, AGAIN_MS = 5, SEARCH_MS = 50 };

struct result {
	struct result *next;
	struct bus_call *call;
	struct json *body;
	int64_t cluster;
	bool alone; /* in a turn with others it was refused */
};

/* First in, first out. */
struct results {
	struct result *first, **end;
	size_t n;
};

struct dispatch {
	struct scheduler *s;
	struct parking parking;
	struct results queue;    /* for the main turn */
	struct results aside;    /* for turns of their own */
	int64_t busy[MAX_ASIDE]; /* clusters of those that run; 0 none */
	struct documents *documents;
	struct successors *successors;
	struct book *book;
	struct outlook *outlook;
	struct loop_timer *timer, *again, *due;
	int64_t due_at; /* monotonic ms; 0 not armed */
	uint64_t epoch;
	int64_t searched; /* monotonic ms: when the last search began */
	bool turning, draining, stopping;
};

struct running {
	struct dispatch *d;
	struct turn turn;
	struct result **results; /* as in turn */
	struct parked **takes;   /* as in turn */
	uint64_t epoch;
	int64_t began; /* monotonic ms */
	int rc;
	size_t place; /* in busy */
};

static void run(struct dispatch *d);

/* ---- lists ----------------------------------------------------------------------------------- */

static void push(struct results *q, struct result *r)
{
	if (!q->first)
		q->end = &q->first;
	r->next = NULL;
	*q->end = r;
	q->end = &r->next;
	q->n++;
}

static struct result *pop(struct results *q)
{
	struct result *r = q->first;
	if (r) {
		q->first = r->next;
		q->n--;
	}
	return r;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void answer_result(struct result *r, int status)
{
	LOOM_CLEANUP(json_free)
	struct json *body = json_set_int(json_new_obj(), "status", status);
	bus_answer(r->call, body);
	json_free(r->body);
	loom_free(r);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static struct running *new_running(struct dispatch *d, size_t n_results, size_t n_takes)
{
	struct running *r = loom_calloc(1, sizeof(*r));
	*r = (struct running){ .d = d, .epoch = d->epoch, .began = clock_mono_ms() };
	r->turn = (struct turn){ .db = d->s->db,
		                 .policy = scheduler_policy(d->s),
		                 .outlook = d->outlook };
	r->turn.results = loom_calloc(n_results + 1, sizeof(*r->turn.results));
	r->turn.takes = loom_calloc(n_takes + 1, sizeof(*r->turn.takes));
	r->results = loom_calloc(n_results + 1, sizeof(struct result *));
	r->takes = loom_calloc(n_takes + 1, sizeof(struct parked *));
	return r;
}

static void running_free(struct running *r)
{
	turn_fini(&r->turn);
	loom_free(r->turn.results);
	loom_free(r->turn.takes);
	loom_free(r->results);
	loom_free(r->takes);
	loom_free(r);
}

static void add_result(struct running *r, struct result *res)
{
	r->results[r->turn.n_results] = res;
	r->turn.results[r->turn.n_results++].body = res->body;
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
			push(&d->aside, loom_take(r->results[i]));
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
			answer_result(r->results[i], status ? status : 503);
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

static void main_done(void *arg)
{
	struct running *r = arg;
	struct dispatch *d = r->d;
	results_done(r);
	bool given = takes_done(r);
	d->turning = false;
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

/* What so many results make ready fills as many places: when there are no more places than that,
 * what else is ready has its turn every SEARCH_MS only. */
static bool refilled(const struct dispatch *d, size_t results)
{
	return parking_places(&d->parking, results) <= results &&
	       clock_mono_ms() < d->searched + SEARCH_MS;
}

/* All that came meanwhile, and all who wait. */
static void start_main(struct dispatch *d)
{
	size_t n = d->queue.n < MAX_RESULTS ? d->queue.n : MAX_RESULTS, waiting = 0;
	bool search = false;
	for (struct parked *p = d->draining ? NULL : d->parking.first; p; p = p->next, waiting++)
		search = search || p->tried < d->epoch;
	search = search && !refilled(d, n);
	if (d->turning || d->stopping || !(n || search))
		return;
	struct running *r = new_running(d, n, waiting);
	r->turn.search = search;
	r->turn.documents = d->documents;
	r->turn.successors = d->successors;
	r->turn.book = d->book;
	for (struct result *res = d->queue.first; r->turn.n_results < n; res = res->next)
		add_result(r, res);
	for (struct parked *p = d->parking.first; p && waiting; p = p->next) {
		r->takes[r->turn.n_takes] = p;
		r->turn.takes[r->turn.n_takes++].take = &p->take;
	}
	if (search)
		d->searched = clock_mono_ms();
	if (pool_submit(d->s->pool, turn_work, main_done, r)) {
		running_free(r); /* the queue is full: the next tick tries again */
		return;
	}
	while (n--)
		pop(&d->queue);
	for (struct parked *p = d->parking.first; p && waiting; p = p->next)
		p->in_turn = true;
	d->turning = true;
}

static bool is_busy(const struct dispatch *d, int64_t cluster)
{
	for (size_t i = 0; i < MAX_ASIDE; i++)
		if (d->busy[i] == cluster)
			return true;
	return false;
}

/* Takes the results of one cluster out of a list: one that must be alone, or all others. */
static void gather(struct results *q, int64_t cluster, bool alone, struct running *r)
{
	struct results rest = { 0 };
	for (struct result *res = pop(q); res; res = pop(q)) {
		bool room = r->turn.n_results < (alone ? 1 : MAX_RESULTS);
		if (res->cluster == cluster && res->alone == alone && room)
			add_result(r, res);
		else
			push(&rest, res);
	}
	*q = rest;
}

static void start_aside(struct dispatch *d)
{
	for (size_t i = 0; i < MAX_ASIDE && d->aside.n && !d->stopping; i++) {
		const struct result *next = d->aside.first;
		while (next && is_busy(d, next->cluster))
			next = next->next;
		if (d->busy[i] || !next)
			continue;
		struct running *r = new_running(d, MAX_RESULTS, 0);
		r->turn.wait = true;
		r->place = i;
		d->busy[i] = next->cluster;
		gather(&d->aside, next->cluster, next->alone, r);
		if (pool_submit(d->s->pool, turn_work, aside_done, r)) {
			d->busy[i] = 0;
			for (size_t k = 0; k < r->turn.n_results; k++)
				push(&d->aside, r->results[k]);
			running_free(r);
			return;
		}
	}
}

static void run(struct dispatch *d)
{
	start_main(d);
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
		answer_result(r, 400);
	} else if (d->stopping) {
		answer_result(r, 503);
	} else {
		r->cluster = ref.cluster;
		push(&d->queue, r);
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
	d->documents = documents_create();
	d->successors = successors_create();
	d->book = book_create();
	d->outlook = outlook_create();
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
	bool aside = false;
	for (size_t i = 0; i < MAX_ASIDE; i++)
		aside = aside || d->busy[i];
	return !d->turning && !aside && !d->queue.n && !d->aside.n;
}

void dispatch_stop(struct scheduler *s)
{
	if (!s->dispatch)
		return;
	struct dispatch *d = s->dispatch;
	d->stopping = true;
	dispatch_drain(s);
	for (struct result *r = pop(&d->queue); r; r = pop(&d->queue))
		answer_result(r, 503);
	for (struct result *r = pop(&d->aside); r; r = pop(&d->aside))
		answer_result(r, 503);
	loop_timer_destroy(d->timer);
	loop_timer_destroy(d->again);
	loop_timer_destroy(d->due);
	documents_destroy(d->documents);
	successors_destroy(d->successors);
	book_destroy(d->book);
	outlook_destroy(d->outlook);
	loom_free(d);
	s->dispatch = NULL;
}
