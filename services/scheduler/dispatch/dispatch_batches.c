/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch_batches - fills batches, decides when they begin, and applies their outcome. */
#include "services/scheduler/dispatch/dispatch_private.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "services/scheduler/wake.h"

/* The number of results that justify a batch beside a running one, if that one has no more: a large
 * batch costs less than two small ones. Measured: 16 gave 3,335 to 3,852 completions a second on
 * one database, 24 gave 2,860 to 3,365; on three nodes they were alike. Letting both slots wait for
 * 16 gave as many as beginning the first slot's batch at once. Waiting for as many results as the
 * other batch has gave 6 to 15 % more on a machine that others used as well, with 5 to 10 % fewer
 * commits (`make bench FIGURES=complete`, alternating with the code before). Without a second slot
 * there were half the commits, but 15 % fewer completions. */
enum { WORTH_A_SLOT = 16 };
/* A batch that takes longer is blocked, and must not hold up the other slot: under full load a
 * batch takes 7 to 20 ms (64 workers, by that benchmark). Checked by the tick at the latest. */
enum { SLOW_MS = 100 };
/* As many as one statement writes: more would only hold locks longer. */
enum { MAX_RESULTS = DB_MANY };
/* A search in every batch took a fifth of the database's time. While results alone fill the places
 * of the waiting takes, a search runs every SEARCH_MS; while they may, every SOON_MS. Other ready
 * tasks wait no longer than that. Measured: twice as long for both was not faster. AGAIN_MS:
 * another transaction held the tasks, and most are over after a few milliseconds. */
enum { SEARCH_MS = 50, SOON_MS = 20, AGAIN_MS = 5 };
/* Tasks made ready by results go to the tenants that already have tasks; only searches correct the
 * shares of tenants waiting for places. So while tenants compete, searches run more often. */
enum { SHARED_MS = 5 };

enum { BATCHES, BATCHES_CONCURRENT };
static struct metric batches_metrics[] = {
	[BATCHES] = { "loom_scheduler_batches_total", "Batches of the first slot.",
	              METRIC_COUNTER },
	[BATCHES_CONCURRENT] = { "loom_scheduler_concurrent_batches_total",
	                         "Batches beside another one.", METRIC_COUNTER },
};

void dispatch_batches_start(void)
{
	metrics_register(batches_metrics, LOOM_COUNT(batches_metrics));
}

struct under_way {
	struct dispatch *d;
	struct batch batch;
	struct result **results; /* parallel to batch.results */
	struct waiter **takes;   /* parallel to batch.takes, where those of results follow */
	size_t n_waiters;        /* number of takes */
	int64_t *clusters;       /* clusters of the results, parallel to batch.results */
	size_t places;           /* tasks requested with the results */
	uint64_t epoch;
	int64_t began; /* monotonic ms */
	int rc;
	size_t place;       /* index in slots, or in busy */
	struct wake *wakes; /* wake-ups to send */
	size_t n_wakes;
};

static struct under_way *batch_begin(struct dispatch *d, size_t n_takes)
{
	struct under_way *r = loom_calloc(1, sizeof(*r));
	*r = (struct under_way){ .d = d, .epoch = d->epoch, .began = clock_mono_ms() };
	r->batch = (struct batch){ .db = d->s->db,
		                   .policy = scheduler_policy(d->s),
		                   .candidate_cache = d->slots[0].candidate_cache };
	r->batch.results = loom_calloc(MAX_RESULTS, sizeof(*r->batch.results));
	r->batch.takes = loom_calloc(n_takes + MAX_RESULTS, sizeof(*r->batch.takes));
	r->results = loom_calloc(MAX_RESULTS, sizeof(struct result *));
	r->clusters = loom_calloc(MAX_RESULTS, sizeof(*r->clusters));
	r->takes = loom_calloc(n_takes + 1, sizeof(struct waiter *));
	return r;
}

static void batch_end(struct under_way *r)
{
	batch_fini(&r->batch);
	loom_free(r->batch.results);
	loom_free(r->batch.takes);
	loom_free(r->results);
	loom_free(r->clusters);
	loom_free(r->takes);
	loom_free(r->wakes);
	loom_free(r);
}

/* Moves results from a queue into the batch. */
static void add_results(struct under_way *r, struct result_queue *q,
                        bool (*fits)(const struct result *res, const void *arg), const void *arg,
                        size_t most)
{
	r->batch.n_results = result_queue_take(q, fits, arg, r->results, most);
	for (size_t i = 0; i < r->batch.n_results; i++) {
		r->batch.results[i].finish = r->results[i]->finish;
		r->clusters[i] = r->results[i]->cluster;
		r->places += (size_t)r->results[i]->take.max;
	}
}

/* The pool is full: the results go back behind the others and wait for the next tick. */
static void give_back(struct under_way *r, struct result_queue *q)
{
	for (size_t i = 0; i < r->batch.n_results; i++)
		result_queue_push(q, r->results[i]);
	batch_end(r);
}

static void note_wakes(struct under_way *r)
{
	const struct unit *u = &r->batch.unit;
	r->wakes = loom_calloc(u->n_clusters + 1, sizeof(*r->wakes));
	for (size_t i = 0; !r->rc && i < u->n_clusters; i++) {
		if (u->clusters[i].tx.c->event_seq != u->clusters[i].seq)
			r->wakes[r->n_wakes++] = wake_of(r->d->s, &u->clusters[i].tx);
	}
}

/* Worker thread. Frees the rows here, in the thread that made them. */
static void batch_work(void *arg)
{
	struct under_way *r = arg;
	struct batch *t = &r->batch;
	r->rc = batch_run(t);
	if (r->rc == DB_E_FATAL && t->wait && t->n_results == 1) {
		/* Another try would be refused as well, so the task fails. */
		t->unstorable = true;
		r->rc = batch_run(t);
	}
	note_wakes(r);
	batch_free_rows(t);
}

/* Queues a result for another try: a lock held by the other slot is probably free for the next
 * batch. */
static void again(struct dispatch *d, struct result *res, int rc)
{
	bool slot = !rc && !res->held;
	res->held = true;
	result_queue_push(slot ? &d->queue : &d->contended, res);
}

/* Queues the results that must be tried again; those left in r are to be answered. */
static void results_done(struct under_way *r)
{
	struct dispatch *d = r->d;
	bool alone = r->batch.wait && r->batch.n_results == 1;
	if (r->rc)
		log_warn("results not applied", LOG_I("results", r->batch.n_results),
		         LOG_S("reason", err_name(r->rc)));
	for (size_t i = 0; i < r->batch.n_results; i++) {
		int *status = &r->batch.results[i].status;
		if (r->rc && (r->rc != DB_E_FATAL || alone))
			*status = 503;
		r->results[i]->alone = r->rc == DB_E_FATAL;
		if (!d->stopping && (r->rc == DB_E_FATAL ? !alone : !*status))
			again(d, loom_take(r->results[i]), r->rc);
	}
}

/* Likewise for takes; true if any got tasks. */
static bool takes_done(struct under_way *r)
{
	struct dispatch *d = r->d;
	bool given = false;
	for (size_t i = 0; i < r->n_waiters; i++) {
		struct waiter *p = r->takes[i];
		bool has = !r->rc && r->batch.takes[i].payloads;
		p->in_batch = false;
		if (!has && r->batch.search && !r->batch.more && !r->rc)
			poll_waiters_searched(&d->waiters, p, r->epoch);
		given = given || has;
		/* while the database is away, the worker should ask again */
		if (has || p->withdrawn || d->draining || p->until <= clock_mono_ms() ||
		    (r->rc && r->batch.search))
			poll_waiters_remove(&d->waiters, p);
		else
			r->takes[i] = NULL;
	}
	return given;
}

/* The next tasks for the worker of a result; owned, NULL: none. */
static struct json *next_of(struct under_way *r, size_t result)
{
	for (size_t i = r->n_waiters; !r->rc && i < r->batch.n_takes; i++) {
		if (r->batch.takes[i].with == &r->batch.results[result])
			return loom_take(r->batch.takes[i].payloads);
	}
	return NULL;
}

static void answer_all(struct under_way *r)
{
	for (size_t i = 0; i < r->n_waiters; i++) {
		if (r->takes[i])
			poll_waiters_answer(r->takes[i],
			                    r->rc ? NULL : loom_take(r->batch.takes[i].payloads),
			                    r->began);
	}
	for (size_t i = 0; i < r->batch.n_results; i++) {
		int status = r->batch.results[i].status;
		if (r->results[i])
			result_answer(r->results[i], status ? status : 503, next_of(r, i),
			              r->began);
	}
}

/* Arms a search for the time at which a postponed task may start. */
static void look_in(struct dispatch *d, int64_t ms)
{
	int64_t at = clock_mono_ms() + ms;
	if (ms < 0 || !d->waiters.first || (d->due_at && d->due_at <= at))
		return;
	d->due_at = at;
	loop_timer_arm(d->due, ms);
}

static void slot_done(void *arg)
{
	struct under_way *r = arg;
	struct dispatch *d = r->d;
	results_done(r);
	bool given = takes_done(r);
	d->slots[r->place].batch = NULL;
	look_in(d, r->rc ? -1 : r->batch.look_ms);
	if (r->batch.search && r->batch.more && !given && !r->batch.n_results)
		loop_timer_arm(d->again, AGAIN_MS);
	else
		dispatch_run(d); /* the next batch is under way while the answers go out */
	answer_all(r);
	wake_now(d->s, r->wakes, r->n_wakes);
	batch_end(r);
}

static void contended_done(void *arg)
{
	struct under_way *r = arg;
	struct dispatch *d = r->d;
	d->busy[r->place] = 0;
	results_done(r);
	dispatch_run(d);
	answer_all(r);
	wake_now(d->s, r->wakes, r->n_wakes);
	batch_end(r);
}

/* Results make ready about as many tasks as they free places. The more of the waiting takes that
 * will satisfy, the more rarely a search for other ready tasks runs. */
static bool refilled(const struct dispatch *d)
{
	size_t results = d->queue.n, places = d->queue.places;
	for (size_t i = 0; i < SLOTS; i++) {
		const struct under_way *r = d->slots[i].batch;
		results += r ? r->batch.n_results : 0;
		places += r ? r->places : 0;
	}
	places += poll_waiters_places(&d->waiters, 2 * results);
	int64_t every = places <= results ? SEARCH_MS : places <= 2 * results ? SOON_MS : 0;
	if (every && fair_queue_contended(d->fair))
		every = SHARED_MS;
	return clock_mono_ms() < d->searched + every;
}

/* Is a search needed? Also for workers that send a result, since they do not wait; but not if a
 * waiting take has found nothing in this epoch. */
static bool wants_search(const struct dispatch *d)
{
	bool any = !d->draining && !d->waiters.first && d->queue.places;
	for (const struct waiter *p = d->draining ? NULL : d->waiters.first; p; p = p->next)
		any = any || (!p->in_batch && p->searched < d->epoch);
	return any && !refilled(d);
}

struct elsewhere {
	const struct dispatch *d;
	size_t slot;
};

/* Does no other slot have a result of its cluster? */
static bool is_free(const struct result *res, const void *arg)
{
	const struct elsewhere *e = arg;
	for (size_t i = 0; i < SLOTS; i++) {
		const struct under_way *r = e->d->slots[i].batch;
		for (size_t k = 0; r && i != e->slot && k < r->batch.n_results; k++) {
			if (r->clusters[k] == res->cluster)
				return false;
		}
	}
	return true;
}

static size_t count_free(const struct dispatch *d, size_t slot)
{
	const struct elsewhere e = { d, slot };
	size_t n = 0;
	for (const struct result *res = d->queue.first; res; res = res->next)
		n += is_free(res, &e);
	return n < MAX_RESULTS ? n : MAX_RESULTS;
}

/* Adds the requests for further tasks of these results. */
static void add_takes_of_results(struct under_way *r)
{
	for (size_t i = 0; i < r->batch.n_results && !r->d->draining; i++) {
		const struct take *take = &r->results[i]->take;
		if (take->max)
			r->batch.takes[r->batch.n_takes++] =
				(struct batch_take){ .take = take, .with = &r->batch.results[i] };
	}
}

/* Adds all waiting takes; but if another slot may begin beside this one, only as many as the
 * results will probably make tasks ready for. */
static void add_takes(struct under_way *r, size_t most)
{
	size_t n = r->batch.n_results, cursors = r->places;
	size_t enough = r->batch.search || n < WORTH_A_SLOT ? SIZE_MAX : n + n / 2;
	for (struct waiter *p = r->d->waiters.first; p && !r->d->draining; p = p->next) {
		if (p->in_batch || cursors >= enough || r->batch.n_takes == most)
			continue;
		cursors += (size_t)p->take.max;
		p->in_batch = true;
		r->takes[r->batch.n_takes] = p;
		r->batch.takes[r->batch.n_takes++].take = &p->take;
	}
	r->n_waiters = r->batch.n_takes;
	add_takes_of_results(r);
}

/* The number of results that justify a batch in this slot now. */
static size_t worth_a_batch(const struct dispatch *d, size_t slot)
{
	_Static_assert(SLOTS == 2, "there is one other");
	const struct under_way *other = d->slots[!slot].batch;
	if (!other || clock_mono_ms() > other->began + SLOW_MS)
		return 1;
	return other->batch.n_results > WORTH_A_SLOT ? other->batch.n_results : WORTH_A_SLOT;
}

static void start_slot(struct dispatch *d, size_t slot)
{
	struct batch_slot *l = &d->slots[slot];
	if (l->batch || d->stopping)
		return;
	size_t n = count_free(d, slot), waiting = poll_waiters_count(&d->waiters);
	bool search = slot == 0 && wants_search(d);
	if (n < worth_a_batch(d, slot) && !search)
		return;
	struct under_way *r = batch_begin(d, waiting);
	r->place = slot;
	r->batch.search = search;
	r->batch.payloads = l->payloads;
	r->batch.edges_cache = l->edges_cache;
	r->batch.candidate_cache = l->candidate_cache;
	r->batch.cache = d->cache;
	add_results(r, &d->queue, is_free, &(struct elsewhere){ d, slot }, n);
	add_takes(r, waiting);
	if (pool_submit(d->s->pool, batch_work, slot_done, r)) {
		for (size_t i = 0; i < r->n_waiters; i++)
			r->takes[i]->in_batch = false;
		give_back(r, &d->queue);
		return;
	}
	l->batch = r;
	metric_add(&batches_metrics[slot ? BATCHES_CONCURRENT : BATCHES], 1);
	if (search)
		d->searched = clock_mono_ms();
}

struct json *dispatch_batches_show(const struct dispatch *d)
{
	struct json *list = json_new_arr();
	for (size_t i = 0; i < SLOTS; i++) {
		const struct under_way *r = d->slots[i].batch;
		struct json *o = r ? json_set_int(json_new_obj(), "slot", (int64_t)i) : NULL;
		if (!r)
			continue;
		json_set_int(o, "results", (int64_t)r->batch.n_results);
		json_set_int(o, "takes", (int64_t)r->batch.n_takes);
		json_set_bool(o, "search", r->batch.search);
		json_push(list, json_set_int(o, "runsMs", clock_mono_ms() - r->began));
	}
	for (size_t i = 0; i < MAX_CONTENDED; i++) {
		char id[ID_MAX];
		id_cluster(id, d->busy[i]);
		if (d->busy[i])
			json_push(list, json_set_str(json_new_obj(), "waitsForCluster", id));
	}
	return list;
}

static bool is_busy(const struct dispatch *d, int64_t cluster)
{
	for (size_t i = 0; i < MAX_CONTENDED; i++) {
		if (d->busy[i] == cluster)
			return true;
	}
	return false;
}

/* Results of one cluster that go into a batch: a single one that must be alone, or all others. */
static bool is_like(const struct result *res, const void *arg)
{
	const struct result *first = arg;
	return res->cluster == first->cluster && res->alone == first->alone;
}

static void start_contended(struct dispatch *d)
{
	for (size_t i = 0; i < MAX_CONTENDED && d->contended.n && !d->stopping; i++) {
		const struct result *next = d->contended.first;
		while (next && is_busy(d, next->cluster))
			next = next->next;
		if (d->busy[i] || !next)
			continue;
		struct under_way *r = batch_begin(d, 0);
		const struct result like = *next;
		r->batch.wait = true;
		r->place = i;
		add_results(r, &d->contended, is_like, &like, like.alone ? 1 : MAX_RESULTS);
		if (pool_submit(d->s->pool, batch_work, contended_done, r)) {
			give_back(r, &d->contended);
			return;
		}
		d->busy[i] = like.cluster;
	}
}

void dispatch_run(struct dispatch *d)
{
	for (size_t i = 0; i < SLOTS; i++)
		start_slot(d, i);
	start_contended(d);
}
