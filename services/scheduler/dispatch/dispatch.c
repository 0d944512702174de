/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - workers' results and takes, gathered into turns (turn.h). Loop thread; turns run on
 * workers, in lanes: the first one has all that came while the one before it ran. When that is
 * much, another lane begins with it before the first one is done, for one turn alone cannot keep
 * the database busy. Only the first lane searches for what else is ready. Beside the lanes run a
 * few turns of single clusters that a lane found held by somebody else.
 *
 * A take that finds nothing is parked. `epoch` moves whenever tasks may have become ready: at
 * commits that left some for others, at other schedulers' notices, and at the safety net's tick. A
 * parked take looks for tasks once in each epoch, and one that found nothing speaks for all takes
 * of its tenant, so that idle workers cost nothing. Every turn may give it tasks all the same.
 */
#include "services/scheduler/dispatch/dispatch_private.h"

#include "common/base/str.h"

/* ---- what comes ------------------------------------------------------------------------------ */

void dispatch_kick(struct scheduler *s)
{
	struct dispatch *d = s->dispatch;
	if (!d)
		return;
	d->epoch++;
	dispatch_run(d);
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
		dispatch_run(d);
	}
}

static void on_take(struct bus_call *call, const struct json *body, void *arg)
{
	struct scheduler *s = arg;
	struct dispatch *d = s->dispatch;
	int64_t lease =
		json_get_bool(body, "lease", false) ? s->cfg.task_lease_ms : s->cfg.task_timeout_ms;
	if (parking_take(&d->parking, call, body, lease, d->draining))
		dispatch_run(d);
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
	for (size_t i = 0; i < LANES; i++)
		d->lanes[i] = (struct lane){ .documents = documents_create(),
			                     .successors = successors_create(),
			                     .outlook = outlook_create() };
	d->book = book_create();
	book_start();
	turn_start();
	dispatch_turns_start();
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
