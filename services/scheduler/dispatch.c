/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - parked takes meet ready tasks. Loop thread; claims run on workers, one at a time.
 *
 * `epoch` moves whenever tasks may have become ready: at every commit that makes some, at other
 * schedulers' notices, and at the safety net's tick. A parked take is tried once in each epoch; an
 * empty-handed one speaks for all takes of its tenant, so that idle workers cost nothing.
 */
#include "services/scheduler/scheduler.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/scheduler/claim.h"

struct parked {
	struct parked *next;
	struct bus_call *call;
	struct take take;
	int64_t until;  /* monotonic ms */
	uint64_t tried; /* in which epoch; 0: not yet */
};

struct dispatch {
	struct scheduler *s;
	struct parked *parked; /* oldest first */
	struct loop_timer *timer;
	uint64_t epoch;
	bool claiming, stopping;
};

struct claiming {
	struct scheduler *s;
	struct parked *p;
	struct engine_policy policy;
	uint64_t epoch;
	struct json *docs;
	int rc;
};

static void run(struct dispatch *d);

static void parked_free(struct parked *p)
{
	loom_free(p->take.id);
	loom_free(p->take.tenant);
	loom_free(p->take.provisioner);
	loom_free(p->take.worker);
	loom_free(p);
}

static void answer(struct parked *p, const struct json *docs)
{
	LOOM_CLEANUP(json_free)
	struct json *body =
		json_set(json_new_obj(), "tasks", docs ? json_copy(docs) : json_new_arr());
	bus_answer(p->call, body);
	parked_free(p);
}

static void committed(const struct change *ch, void *arg)
{
	wake_changed(arg, ch);
}

static void claim_work(void *arg)
{
	struct claiming *cl = arg;
	cl->rc = claim_tasks(cl->s->db, &cl->policy, &cl->p->take, &cl->docs, committed, cl->s);
}

static void park(struct dispatch *d, struct parked *p)
{
	struct parked **at = &d->parked;
	while (*at)
		at = &(*at)->next;
	p->next = NULL;
	*at = p;
}

static void mark_tried(struct dispatch *d, const struct claiming *cl)
{
	cl->p->tried = cl->epoch;
	for (struct parked *p = d->parked; p; p = p->next)
		if (p->tried && p->tried < cl->epoch && str_eq(p->take.tenant, cl->p->take.tenant))
			p->tried = cl->epoch;
}

static void claim_done(void *arg)
{
	struct claiming *cl = arg;
	struct dispatch *d = cl->s->dispatch;
	d->claiming = false;
	bool empty = !cl->rc && !json_len(cl->docs);
	if (empty)
		mark_tried(d, cl);
	if (empty && !d->stopping && cl->p->until > clock_mono_ms())
		park(d, cl->p);
	else
		answer(cl->p, cl->docs);
	json_free(cl->docs);
	loom_free(cl);
	run(d);
}

static void run(struct dispatch *d)
{
	struct parked **at = &d->parked;
	while (*at && (*at)->tried >= d->epoch)
		at = &(*at)->next;
	if (!*at || d->claiming || d->stopping)
		return;
	struct scheduler *s = d->s;
	struct claiming *cl = loom_calloc(1, sizeof(*cl));
	*cl = (struct claiming){
		.s = s, .p = *at, .epoch = d->epoch, .policy = scheduler_policy(s)
	};
	if (pool_submit(s->pool, claim_work, claim_done, cl)) {
		loom_free(cl); /* the queue is full: the next tick tries again */
		return;
	}
	*at = (*at)->next;
	d->claiming = true;
}

void dispatch_kick(struct scheduler *s)
{
	struct dispatch *d = s->dispatch;
	if (!d)
		return;
	d->epoch++;
	run(d);
}

static void on_take(struct bus_call *call, const struct json *body, void *arg)
{
	struct scheduler *s = arg;
	struct dispatch *d = s->dispatch;
	int64_t max = json_get_int(body, "max", 1), wait = json_get_int(body, "waitMs", 0);
	struct parked *p = loom_calloc(1, sizeof(*p));
	p->call = call;
	p->take = (struct take){ .id = loom_strdup(json_get_str(body, "takeId")),
		                 .tenant = loom_strdup(json_get_str(body, "tenantId")),
		                 .provisioner = loom_strdup(json_get_str(body, "provisionerId")),
		                 .worker = loom_strdup(json_get_str(body, "workerId")),
		                 .max = max < 1    ? 1
		                        : max > 64 ? 64
		                                   : max,
		                 .lease_ms = json_get_bool(body, "lease", false)
		                                     ? s->cfg.task_lease_ms
		                                     : s->cfg.task_timeout_ms };
	p->until = clock_mono_ms() + wait;
	if (d->stopping || !p->take.tenant || !p->take.provisioner || !p->take.worker) {
		answer(p, NULL);
		return;
	}
	park(d, p);
	run(d);
}

static void on_untake(const struct json *body, void *arg)
{
	struct scheduler *s = arg;
	const char *id = json_get_str(body, "takeId");
	for (struct parked **at = &s->dispatch->parked; *at; at = &(*at)->next)
		if (id && str_eq((*at)->take.id, id)) {
			struct parked *p = *at;
			*at = p->next;
			answer(p, NULL);
			return;
		}
}

static void answer_expired(struct dispatch *d)
{
	int64_t now = clock_mono_ms();
	struct parked **at = &d->parked;
	while (*at) {
		struct parked *p = *at;
		if (p->until > now) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		answer(p, NULL);
	}
}

static void tick(void *arg)
{
	answer_expired(arg);
}

void dispatch_start(struct scheduler *s)
{
	struct dispatch *d = loom_calloc(1, sizeof(*d));
	d->s = s;
	d->epoch = 1;
	s->dispatch = d;
	d->timer = loop_timer_create(s->loop, "parked takes", tick, d);
	loop_timer_every(d->timer, 250);
	bus_on_request(s->bus, "take", on_take, s);
	bus_on_notice(s->bus, "untake", on_untake, s);
}

void dispatch_drain(struct scheduler *s)
{
	struct dispatch *d = s->dispatch;
	d->stopping = true;
	while (d->parked) {
		struct parked *p = d->parked;
		d->parked = p->next;
		answer(p, NULL);
	}
}

void dispatch_stop(struct scheduler *s)
{
	if (!s->dispatch)
		return;
	dispatch_drain(s);
	loop_timer_destroy(s->dispatch->timer);
	loom_free(s->dispatch);
	s->dispatch = NULL;
}
