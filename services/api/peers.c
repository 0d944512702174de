/* SPDX-License-Identifier: Apache-2.0 */
/* peers - the schedulers this API asks and the APIs it tells, as ZooKeeper last named them. */
#include "services/api/api.h"

#include "common/base/clock.h"
#include "common/base/str.h"

#include <errno.h>

struct peers {
	struct strs schedulers, apis;
	size_t next;      /* round robin */
	struct ask *asks; /* not yet ended */
};

struct ask {
	struct ask *prev, *next;
	struct api *a;
	char *verb, *asked;
	struct json *body;
	int64_t until; /* monotonic ms */
	uint64_t request;
	struct loop_timer *again;
	bus_reply_cb cb;
	void *arg;
};

static void ask_next(struct ask *k);

static void take_members(struct strs *to, const char *self, const struct coord_member *m, size_t n)
{
	strs_fini(to);
	*to = (struct strs){ 0 };
	for (size_t i = 0; i < n; i++)
		if (!str_eq(m[i].data, self))
			strs_add(to, m[i].data);
}

static void schedulers_changed(const struct coord_member *m, size_t n, void *arg)
{
	struct api *a = arg;
	take_members(&a->peers->schedulers, NULL, m, n);
}

static void apis_changed(const struct coord_member *m, size_t n, void *arg)
{
	struct api *a = arg;
	take_members(&a->peers->apis, bus_address(a->bus), m, n);
}

static void on_event(const struct json *body, void *arg)
{
	watchers_event(arg, json_get_int(body, "cluster", 0), json_get_str(body, "tenant"));
}

static void on_log(const struct json *body, void *arg)
{
	const char *task = json_get_str(body, "task");
	if (task)
		watchers_log(arg, task);
}

void peers_start(struct api *a)
{
	a->peers = loom_calloc(1, sizeof(*a->peers));
	bus_on_notice(a->bus, "event", on_event, a);
	bus_on_notice(a->bus, "log", on_log, a);
	coord_join(a->coord, "api", service_id(a->service), bus_address(a->bus));
	coord_watch(a->coord, "scheduler", schedulers_changed, a);
	coord_watch(a->coord, "api", apis_changed, a);
}

static void ask_free(struct ask *k)
{
	if (k->prev)
		k->prev->next = k->next;
	else
		k->a->peers->asks = k->next;
	if (k->next)
		k->next->prev = k->prev;
	loop_timer_destroy(k->again);
	json_free(k->body);
	loom_free(k->verb);
	loom_free(k->asked);
	loom_free(k);
}

static void ask_end(struct ask *k, int error, const struct json *body)
{
	bus_reply_cb cb = k->cb;
	void *arg = k->arg;
	cb(error, body, arg);
	ask_free(k);
}

void peers_stop(struct api *a)
{
	if (!a->peers)
		return;
	while (a->peers->asks) {
		struct ask *k = a->peers->asks;
		if (k->request)
			bus_cancel(a->bus, k->request);
		ask_end(k, -EHOSTUNREACH, NULL);
	}
	strs_fini(&a->peers->schedulers);
	strs_fini(&a->peers->apis);
	loom_free(a->peers);
	a->peers = NULL;
}

static void ask_answered(int error, const struct json *body, void *arg)
{
	struct ask *k = arg;
	k->request = 0;
	if (!error)
		ask_end(k, 0, body);
	else if (clock_mono_ms() >= k->until || error == -ECANCELED)
		ask_end(k, -EHOSTUNREACH, NULL);
	else
		loop_timer_arm(k->again, 100);
}

static void ask_again(void *arg)
{
	ask_next(arg);
}

static void ask_next(struct ask *k)
{
	struct peers *p = k->a->peers;
	int64_t left = k->until - clock_mono_ms();
	if (left <= 0) {
		ask_end(k, -EHOSTUNREACH, NULL);
		return;
	}
	if (!p->schedulers.n) {
		loop_timer_arm(k->again, left < 200 ? left : 200);
		return;
	}
	loom_free(k->asked);
	k->asked = loom_strdup(p->schedulers.v[p->next++ % p->schedulers.n]);
	k->request = bus_request(k->a->bus, k->asked, k->verb, k->body, left, ask_answered, k);
}

struct ask *peers_ask(struct api *a, const char *verb, struct json *body, int64_t timeout_ms,
                      bus_reply_cb cb, void *arg)
{
	struct ask *k = loom_calloc(1, sizeof(*k));
	*k = (struct ask){ .a = a,
		           .verb = loom_strdup(verb),
		           .body = body,
		           .until = clock_mono_ms() + timeout_ms,
		           .cb = cb,
		           .arg = arg };
	if ((k->next = a->peers->asks))
		k->next->prev = k;
	a->peers->asks = k;
	k->again = loop_timer_create(a->loop, "ask again", ask_again, k);
	loop_timer_arm(k->again, 0);
	return k;
}

void peers_cancel(struct ask *k)
{
	if (k->request)
		bus_cancel(k->a->bus, k->request);
	ask_free(k);
}

const char *peers_asked(const struct ask *k)
{
	return k->request ? k->asked : NULL;
}

static void notify(struct api *a, const struct strs *to, const char *verb, const struct json *body)
{
	for (size_t i = 0; i < to->n; i++)
		bus_notify(a->bus, to->v[i], verb, body);
}

struct notice {
	struct api *a;
	int64_t cluster, seq;
	bool job;
	char *tenant_id, *task;
};

static void send_notice(void *arg)
{
	struct notice *n = arg;
	struct api *a = n->a;
	LOOM_CLEANUP(json_free) struct json *body = json_new_obj();
	if (a->peers && n->job)
		notify(a, &a->peers->schedulers, "job", body);
	if (a->peers && n->task) {
		json_set_str(body, "task", n->task);
		notify(a, &a->peers->apis, "log", body);
		watchers_log(a, n->task);
	} else if (a->peers) {
		json_set_int(body, "cluster", n->cluster);
		json_set_str(body, "tenant", n->tenant_id);
		json_set_int(body, "seq", n->seq);
		notify(a, &a->peers->apis, "event", body);
		watchers_event(a, n->cluster, n->tenant_id);
	}
	loom_free(n->tenant_id);
	loom_free(n->task);
	loom_free(n);
}

void peers_committed(struct api *a, int64_t cluster, const char *tenant_id, int64_t seq, bool job)
{
	struct notice *n = loom_calloc(1, sizeof(*n));
	*n = (struct notice){ .a = a,
		              .cluster = cluster,
		              .seq = seq,
		              .job = job,
		              .tenant_id = loom_strdup(tenant_id) };
	loop_post(a->loop, send_notice, n);
}

void peers_log_grew(struct api *a, const char *task_id)
{
	struct notice *n = loom_calloc(1, sizeof(*n));
	*n = (struct notice){ .a = a, .task = loom_strdup(task_id) };
	loop_post(a->loop, send_notice, n);
}
