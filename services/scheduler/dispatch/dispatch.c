/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - gathers workers' results and takes into batches (batch.h). Loop thread; batches run on
 * worker threads, in slots. The next batch of the first slot gets everything that came while the
 * last one ran. Under load the second slot begins another batch before the first is done, because a
 * single batch cannot keep the database busy. Only the first slot searches for further ready tasks.
 * Beside the slots run a few batches of single clusters that a slot found locked by another
 * transaction.
 *
 * A take that finds nothing waits. `epoch` advances whenever tasks may have become ready: after
 * commits that left some, on notices of other schedulers, and on the tick of the safety net. A
 * waiting take searches once per epoch. If one take found nothing, all takes of its tenant that
 * have searched before count as searched, so that idle workers cost nothing. Every batch may still
 * give tasks to all of them.
 */
#include "services/scheduler/dispatch/dispatch_private.h"

#include "common/base/clock.h"
#include "common/base/str.h"

/* ---- requests -------------------------------------------------------------------------------- */

void dispatch_kick(struct scheduler *s)
{
	struct dispatch *d = s->dispatch;
	if (!d)
		return;
	d->epoch++;
	dispatch_run(d);
}

/* The worker's request for further tasks, sent with its result. It has no id if the API could not
 * pass on the answer. */
static struct take take_of(const struct scheduler *s, const struct msg_finish *finish)
{
	return (struct take){ .id = finish->take,
		              .tenant = finish->tenant,
		              .provisioner = finish->provisioner,
		              .worker = finish->worker,
		              .max = finish->take && finish->tenant ? finish->next : 0,
		              .lease_ms =
		                      finish->lease ? s->cfg.task_lease_ms : s->cfg.task_timeout_ms,
		              .claim = finish->claim && *finish->claim };
}

static void on_finish(struct bus_call *call, void *m, void *arg)
{
	struct scheduler *s = arg;
	struct dispatch *d = s->dispatch;
	struct task_ref ref = { 0 };
	struct result *r = loom_calloc(1, sizeof(*r));
	const struct msg_finish *finish = m;
	*r = (struct result){ .call = call,
		              .finish = m,
		              .since = clock_mono_ms() - finish->held_ms };
	r->take = take_of(s, finish);
	if (id_parse_task(finish->task, &ref)) {
		result_answer(r, 400, NULL, 0);
	} else if (d->stopping) {
		result_answer(r, 503, NULL, 0);
	} else {
		r->cluster = ref.cluster;
		result_queue_push(&d->queue, r);
		dispatch_run(d);
	}
}

static void on_take(struct bus_call *call, void *m, void *arg)
{
	struct scheduler *s = arg;
	struct dispatch *d = s->dispatch;
	const struct msg_take *take = m;
	int64_t lease = take->lease ? s->cfg.task_lease_ms : s->cfg.task_timeout_ms;
	if (poll_waiters_add(&d->waiters, call, m, lease, d->draining))
		dispatch_run(d);
}

static void on_cancel_take(const void *m, void *arg)
{
	struct scheduler *s = arg;
	const struct msg_untake *untake = m;
	poll_waiters_cancel(&s->dispatch->waiters, untake->id);
	result_queue_untake(&s->dispatch->queue, untake->id);
}

static void tick(void *arg)
{
	struct dispatch *d = arg;
	poll_waiters_answer_expired(&d->waiters, false);
	dispatch_caches_measure(d);
	dispatch_run(d);
}

static void look_again(void *arg)
{
	dispatch_run(arg);
}

static void is_due(void *arg)
{
	struct dispatch *d = arg;
	d->due_at = 0;
	d->epoch++;
	dispatch_run(d);
}

/* ---- its life -------------------------------------------------------------------------------- */

void dispatch_start(struct scheduler *s)
{
	struct dispatch *d = loom_calloc(1, sizeof(*d));
	d->s = s;
	d->epoch = 1;
	d->fair = fair_queue_create();
	for (size_t i = 0; i < SLOTS; i++)
		d->slots[i] =
			(struct batch_slot){ .payloads = payload_cache_create(s->ring),
			                     .edges_cache = edges_cache_create(),
			                     .candidate_cache = candidate_cache_create(d->fair) };
	d->cache = cluster_cache_create();
	cluster_cache_start();
	quarantine_start();
	dispatch_batches_start();
	dispatch_caches_start();
	s->dispatch = d;
	d->timer = loop_timer_create(s->loop, "waiting takes", tick, d);
	loop_timer_every(d->timer, 250);
	d->again = loop_timer_create(s->loop, "look again", look_again, d);
	d->due = loop_timer_create(s->loop, "due", is_due, d);
	bus_on_request(s->bus, &messages[MSG_TAKE], on_take, s);
	bus_on_request(s->bus, &messages[MSG_FINISH], on_finish, s);
	bus_on_notice(s->bus, &messages[MSG_UNTAKE], on_cancel_take, s);
}

void dispatch_drain(struct scheduler *s)
{
	s->dispatch->draining = true;
	poll_waiters_answer_expired(&s->dispatch->waiters, true);
}

bool dispatch_idle(const struct scheduler *s)
{
	const struct dispatch *d = s->dispatch;
	bool any = d->queue.n || d->contended.n;
	for (size_t i = 0; i < MAX_CONTENDED; i++)
		any = any || d->busy[i];
	for (size_t i = 0; i < SLOTS; i++)
		any = any || d->slots[i].batch;
	return !any;
}

static void refuse_all(struct result_queue *q)
{
	for (struct result *r = result_queue_pop(q); r; r = result_queue_pop(q))
		result_answer(r, 503, NULL, 0);
}

void dispatch_stop(struct scheduler *s)
{
	if (!s->dispatch)
		return;
	struct dispatch *d = s->dispatch;
	d->stopping = true;
	dispatch_drain(s);
	refuse_all(&d->queue);
	refuse_all(&d->contended);
	loop_timer_destroy(d->timer);
	loop_timer_destroy(d->again);
	loop_timer_destroy(d->due);
	for (size_t i = 0; i < SLOTS; i++) {
		payload_cache_destroy(d->slots[i].payloads);
		edges_cache_destroy(d->slots[i].edges_cache);
		candidate_cache_destroy(d->slots[i].candidate_cache);
	}
	cluster_cache_destroy(d->cache);
	fair_queue_destroy(d->fair);
	loom_free(d);
	s->dispatch = NULL;
}
