/* SPDX-License-Identifier: Apache-2.0 */
/* wake - wakes planners here and in other schedulers, and takes over from those that are gone. */
#include "services/scheduler/scheduler.h"

#include "common/base/fault.h"
#include "common/base/ids.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/model/secret.h"
#include "services/scheduler/webhook/webhooks.h"

#include <stdio.h>

/* Bus addresses of the others, as ZooKeeper last told. Loop thread. */
struct peers {
	struct strs schedulers, apis;
	struct strs ids; /* of all schedulers */
};

struct posted_wake {
	struct scheduler *s;
	struct wake w;
};

static void members_changed(struct strs *to, const char *self, const struct coord_member *m,
                            size_t n)
{
	strs_fini(to);
	*to = (struct strs){ 0 };
	for (size_t i = 0; i < n; i++) {
		if (!str_eq(m[i].data, self))
			strs_add(to, m[i].data);
	}
}

static void schedulers_changed(const struct coord_member *m, size_t n, void *arg)
{
	struct scheduler *s = arg;
	struct strs before = s->peers->ids;
	s->peers->ids = (struct strs){ 0 };
	for (size_t i = 0; i < n; i++)
		strs_add(&s->peers->ids, m[i].id);
	members_changed(&s->peers->schedulers, bus_address(s->bus), m, n);
	/* Who is not seen itself has only lost sight of the others. */
	for (size_t i = 0; strs_has(&s->peers->ids, service_id(s->service)) && i < before.n; i++) {
		if (!strs_has(&s->peers->ids, before.v[i]))
			planning_take_over(s, before.v[i]);
	}
	strs_fini(&before);
}

static void apis_changed(const struct coord_member *m, size_t n, void *arg)
{
	struct scheduler *s = arg;
	members_changed(&s->peers->apis, bus_address(s->bus), m, n);
}

static void on_job(const struct json *body LOOM_UNUSED, void *arg)
{
	planning_kick(arg);
}

static void on_ready(const struct json *body LOOM_UNUSED, void *arg)
{
	dispatch_kick(arg);
}

static void on_ping(struct bus_call *call, const struct json *body LOOM_UNUSED,
                    void *arg LOOM_UNUSED)
{
	bus_answer(call, NULL);
}

void wake_start(struct scheduler *s)
{
	s->peers = loom_calloc(1, sizeof(*s->peers));
	bus_on_request(s->bus, "ping", on_ping, s);
	bus_on_notice(s->bus, "job", on_job, s);
	bus_on_notice(s->bus, "ready", on_ready, s);
	if (!fault_enabled("old_scheduler"))
		coord_join(s->coord, SECRET_ROLE, service_id(s->service), bus_address(s->bus));
	coord_join(s->coord, "scheduler", service_id(s->service), bus_address(s->bus));
	coord_watch(s->coord, "scheduler", schedulers_changed, s);
	coord_watch(s->coord, "api", apis_changed, s);
}

void wake_stop(struct scheduler *s)
{
	if (!s->peers)
		return;
	strs_fini(&s->peers->schedulers);
	strs_fini(&s->peers->apis);
	strs_fini(&s->peers->ids);
	loom_free(s->peers);
	s->peers = NULL;
}

static void notify(struct scheduler *s, const struct strs *to, const char *verb,
                   const struct json *body)
{
	for (size_t i = 0; i < to->n; i++)
		bus_notify(s->bus, to->v[i], verb, body);
}

/* One notice for all: {"cluster", "tenant", "seq"} of one change, "more" of the others. */
static void tell_apis(struct scheduler *s, const struct wake *v, size_t n)
{
	struct json *first = NULL;
	for (size_t i = 0; i < n; i++) {
		if (!v[i].seq)
			continue;
		struct json *e = json_set_int(json_new_obj(), "cluster", v[i].cluster);
		json_set_str(e, "tenant", v[i].tenant);
		json_set_int(e, "seq", v[i].seq);
		if (first && !json_get(first, "more"))
			json_set(first, "more", json_new_arr());
		if (first)
			json_push(json_get(first, "more"), e);
		else
			first = e;
	}
	if (first)
		notify(s, &s->peers->apis, "event", first);
	json_free(first);
}

void wake_now(struct scheduler *s, const struct wake *v, size_t n)
{
	bool ready = false, job = false, callbacks = false;
	for (size_t i = 0; i < n; i++) {
		ready = ready || v[i].ready;
		job = job || v[i].job;
		callbacks = callbacks || v[i].callbacks;
	}
	if (s->peers)
		tell_apis(s, v, n);
	if (s->peers && ready) {
		LOOM_CLEANUP(json_free) struct json *none = json_new_obj();
		dispatch_kick(s);
		notify(s, &s->peers->schedulers, "ready", none);
	}
	if (job)
		planning_kick(s); /* the others find it if this one dies */
	if (callbacks)
		webhooks_kick(s);
}

static void send_wake(void *arg)
{
	struct posted_wake *p = arg;
	wake_now(p->s, &p->w, 1);
	loom_free(p);
}

void wake_all(struct scheduler *s, const struct wake *w)
{
	struct posted_wake *p = loom_malloc(sizeof(*p));
	*p = (struct posted_wake){ .s = s, .w = *w };
	loop_post(s->loop, send_wake, p);
}

struct wake wake_of(const struct cluster_tx *tx)
{
	struct wake w = { .cluster = tx->c->id,
		          .seq = tx->c->event_seq,
		          .ready = tx->ready > 0,
		          .job = tx->jobs > 0,
		          .callbacks = tx->callbacks > 0 };
	snprintf(w.tenant, sizeof(w.tenant), "%s", tx->c->tenant_id);
	return w;
}

void wake_changed(struct scheduler *s, const struct cluster_tx *tx)
{
	const struct wake w = wake_of(tx);
	wake_all(s, &w);
}
