/* SPDX-License-Identifier: Apache-2.0 */
/* wake - wakes planners here and in other schedulers, and takes over from those that are gone. */
#include "services/scheduler/wake.h"

#include "common/base/fault.h"
#include "common/base/ids.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/model/keys/data_key.h"
#include "common/model/keys/secret.h"
#include "common/service/peer_list.h"
#include "services/scheduler/db_watch.h"
#include "services/scheduler/dispatch/dispatch.h"
#include "services/scheduler/job/janitor.h"
#include "services/scheduler/operation/planning.h"
#include "services/scheduler/webhook/webhooks.h"

#include <stdio.h>

struct peers {
	struct peer_list schedulers, apis;
};

struct posted_wake {
	struct scheduler *s;
	struct wake w;
};

static void schedulers_changed(const struct coord_member *m, size_t n, void *arg)
{
	struct scheduler *s = arg;
	struct peer_list *l = &s->peers->schedulers;
	struct strs before = l->ids;
	l->ids = (struct strs){ 0 };
	peer_list_changed(m, n, l);
	/* If we are missing from the list ourselves, it is we who are cut off: take nothing
	 * over. */
	for (size_t i = 0; strs_has(&l->ids, service_id(s->service)) && i < before.n; i++) {
		if (!strs_has(&l->ids, before.v[i]))
			planning_take_over(s, before.v[i]);
	}
	strs_fini(&before);
}

static void on_job(const void *m LOOM_UNUSED, void *arg)
{
	planning_kick(arg);
}

static void on_ready(const void *m LOOM_UNUSED, void *arg)
{
	dispatch_kick(arg);
}

static void on_dropped(const void *m LOOM_UNUSED, void *arg)
{
	janitor_kick(arg);
}

static void on_ping(struct bus_call *call, void *m, void *arg)
{
	const struct scheduler *s = arg;
	const struct msg_pong pong = { .away = db_watch_away_ms(s->db_watch) > 0 };
	bus_answer(call, &pong);
	message_free(m);
}

void wake_start(struct scheduler *s)
{
	s->peers = loom_calloc(1, sizeof(*s->peers));
	s->peers->schedulers.bus = s->peers->apis.bus = s->bus;
	bus_on_request(s->bus, &messages[MSG_PING], on_ping, s);
	bus_on_notice(s->bus, &messages[MSG_JOB], on_job, s);
	bus_on_notice(s->bus, &messages[MSG_READY], on_ready, s);
	bus_on_notice(s->bus, &messages[MSG_DROPPED], on_dropped, s);
	if (!fault_enabled("old_scheduler"))
		coord_join(s->coord, SECRET_ROLE, service_id(s->service), bus_address(s->bus));
	if (!fault_enabled("old_scheduler") && !fault_enabled("no_data_keys"))
		coord_join(s->coord, DATA_KEY_ROLE, service_id(s->service), bus_address(s->bus));
	coord_join(s->coord, "scheduler", service_id(s->service), bus_address(s->bus));
	coord_watch(s->coord, "scheduler", schedulers_changed, s);
	coord_watch(s->coord, "api", peer_list_changed, &s->peers->apis);
}

void wake_stop(struct scheduler *s)
{
	if (!s->peers)
		return;
	peer_list_fini(&s->peers->schedulers);
	peer_list_fini(&s->peers->apis);
	loom_free(s->peers);
	s->peers = NULL;
}

/* Sends one notice for all changes: the first one, and the others. */
static void tell_apis(struct scheduler *s, const struct wake *v, size_t n)
{
	struct event_of *events = loom_calloc(n + 1, sizeof(*events));
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].seq)
			events[k++] = (struct event_of){ v[i].cluster, v[i].seq, v[i].tenant };
	}
	if (k) {
		const struct msg_event m = { .first = events[0], .more = { events + 1, k - 1 } };
		peer_list_notify(&s->peers->apis, MSG_EVENT, &m);
	}
	loom_free(events);
}

void wake_callbacks(struct scheduler *s, const char *tenant)
{
	const struct msg_catalog m = { .tenant = tenant, .kind = "callbacks" };
	if (s->peers)
		peer_list_notify(&s->peers->apis, MSG_CATALOG, &m);
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
		static const struct msg_none none = { 0 };
		dispatch_kick(s);
		peer_list_notify(&s->peers->schedulers, MSG_READY, &none);
	}
	if (job)
		planning_kick(s); /* if this process dies, the others find the job */
	if (callbacks)
		webhooks_kick(s);
}

static void send_wake(void *arg)
{
	struct posted_wake *p = arg;
	wake_now(p->s, &p->w, 1);
	loom_free(p);
}

struct wake wake_of(struct scheduler *s, const struct cluster_tx *tx)
{
	spans_add_texts(service_spans(s->service), &tx->spans);
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
	struct posted_wake *p = loom_malloc(sizeof(*p));
	*p = (struct posted_wake){ .s = s, .w = wake_of(s, tx) };
	loop_post(s->loop, send_wake, p);
}
