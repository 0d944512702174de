/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch - parked takes meet ready tasks. Loop thread; claims run on workers.
 *
 * `hint` says that tasks may be ready: set by every commit that makes some, by other schedulers'
 * notices, and by the safety net's tick; cleared by a claim that found fewer than it wanted. A
 * claim runs while there is a hint and a parked take, one at a time for each tenant asked for.
 */
#include "scheduler.h"

#include "common/base/clock.h"
#include "common/base/str.h"
#include "services/scheduler/claim.h"

struct parked {
	struct parked *next;
	struct bus_call *call;
	struct take take;
	int64_t until; /* monotonic ms */
};

struct dispatch {
	struct scheduler *s;
	struct parked *parked; /* oldest first */
	struct loop_timer *timer;
	bool hint, claiming, again, stopping;
};

struct claiming {
	struct scheduler *s;
	struct parked *p;
	struct engine_policy policy;
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
	LOOM_CLEANUP(json_free) struct json *body =
	    json_set(json_new_obj(), "tasks", docs ? json_copy(docs) : json_new_arr());
	bus_answer(p->call, body);
	parked_free(p);
}

static void committed(const struct cluster *c, bool ready, void *arg)
{
	struct wake w = { .cluster = c->id, .seq = c->event_seq, .ready = ready };
	snprintf(w.tenant, sizeof(w.tenant), "%s", c->tenant_id);
	wake_all(arg, &w);
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

static void claim_done(void *arg)
{
	struct claiming *cl = arg;
	struct dispatch *d = cl->s->dispatch;
	d->claiming = false;
	size_t got = json_len(cl->docs);
	if (cl->rc || d->stopping || (!got && cl->p->until <= clock_mono_ms()))
		answer(cl->p, cl->docs);
	else if (got)
		answer(cl->p, cl->docs);
	else
		park(d, cl->p);
	/* An empty claim speaks for its tenant only; takes of others keep the hint by `again`. */
	if (!got && !d->again)
		d->hint = false;
	json_free(cl->docs);
	loom_free(cl);
	run(d);
}

/* The first parked take is claimed for; an empty-handed one goes to the end of the line. */
static void run(struct dispatch *d)
{
	if (!d->hint || d->claiming || !d->parked || d->stopping)
		return;
	struct scheduler *s = d->s;
	struct claiming *cl = loom_calloc(1, sizeof(*cl));
	*cl = (struct claiming){ .s = s,
		                 .p = d->parked,
		                 .policy = { .tries = s->cfg.task_tries,
		                             .losses = 3 * s->cfg.task_tries,
		                             .retry_base_ms = s->cfg.retry_base_ms,
		                             .retry_cap_ms = s->cfg.retry_cap_ms } };
	if (pool_submit(s->pool, claim_work, claim_done, cl)) {
		loom_free(cl); /* the queue is full: the next tick tries again */
		return;
	}
	d->parked = d->parked->next;
	d->claiming = true;
	d->again = false;
}

void dispatch_kick(struct scheduler *s)
{
	struct dispatch *d = s->dispatch;
	if (!d)
		return;
	d->hint = d->again = true;
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
		                 .max = max < 1 ? 1 : max > 64 ? 64 : max,
		                 .lease_ms = json_get_bool(body, "lease", false) ? s->cfg.task_lease_ms
		                                                                 : s->cfg.task_timeout_ms };
	p->until = clock_mono_ms() + wait;
	if (d->stopping || !p->take.tenant || !p->take.provisioner || !p->take.worker) {
		answer(p, NULL);
		return;
	}
	park(d, p);
	/* A take that will not wait is answered from the tables, hint or not. */
	if (wait <= 0)
		d->hint = d->again = true;
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

void dispatch_poll(struct scheduler *s)
{
	dispatch_kick(s);
}

void dispatch_start(struct scheduler *s)
{
	struct dispatch *d = loom_calloc(1, sizeof(*d));
	d->s = s;
	d->hint = true;
	s->dispatch = d;
	d->timer = loop_timer_create(s->loop, "parked takes", tick, d);
	loop_timer_every(d->timer, 250);
	bus_on_request(s->bus, "take", on_take, s);
	bus_on_notice(s->bus, "untake", on_untake, s);
}

/* Answers everybody empty-handed, so that they ask another scheduler. */
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
