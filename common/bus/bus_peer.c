/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending: one PUSH socket per peer, made at first use. What cannot go out at once waits in the
 * peer's queue for its socket to become writable: as long as the connection is being made, or
 * while a living peer's buffer is full. Loop thread.
 */
#include "common/bus/bus.h"

#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/bus/bus_private.h"

#include <errno.h>
#include <event2/event.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <nanomsg/tcp.h>

enum { QUEUE_MAX = 4096, TICK_MS = 100 };

struct waiting {
	struct waiting *next;
	void *msg;
	uint64_t request;
	int64_t until;
};

struct bus_peer {
	struct bus_peers *peers;
	char *address;
	int sock;
	struct event *writable; /* added while something waits */
	struct waiting *head, **tail;
	size_t queued;
	size_t held;       /* requests awaiting an answer */
	int64_t connected; /* monotonic ms of nn_connect(), or when last seen connected */
	int64_t used;      /* last sent to */
};

struct bus_peers {
	struct loop *loop;
	struct map *by_address;
	struct loop_timer *tick; /* runs while something waits or is held */
	struct loop_timer *sweep;
	bool ticking;
	bus_unsent_fn unsent;
	bus_lost_fn lost;
	void *arg;
};

/* ---- one peer -------------------------------------------------------------------------------- */

static struct waiting *unqueue(struct bus_peer *p, struct waiting **at)
{
	struct waiting *w = *at;

	*at = w->next;
	if (!w->next)
		p->tail = at;
	p->queued--;
	return w;
}

static void waiting_free(struct waiting *w)
{
	if (w->msg)
		(void)nn_freemsg(w->msg);
	loom_free(w);
}

static void peer_free(void *arg)
{
	struct bus_peer *p = arg;

	while (p->head)
		waiting_free(unqueue(p, &p->head));
	if (p->writable)
		event_free(p->writable); /* before the descriptor goes */
	if (p->sock >= 0)
		(void)nn_close(p->sock);
	metric_add(&bus_metrics[BUS_M_PEERS], -1);
	loom_free(p->address);
	loom_free(p);
}

/* True when it went out (msg is gone then). */
static bool push(struct bus_peer *p, void **msg)
{
	if (nn_send(p->sock, msg, NN_MSG, NN_DONTWAIT) < 0)
		return false;
	*msg = NULL;
	p->used = clock_mono_ms();
	metric_add(&bus_metrics[BUS_M_SENT], 1);
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct bus_peer *p = arg;

	(void)fd;
	(void)what;
	while (p->head && push(p, &p->head->msg))
		waiting_free(unqueue(p, &p->head));
	if (!p->head)
		(void)event_del(p->writable);
}

static bool peer_connect(struct bus_peer *p)
{
	int reconnect = 50, reconnect_max = 1000, at_once = 1, fd = -1;
	size_t n = sizeof(fd);

	p->sock = nn_socket(AF_SP, NN_PUSH);
	if (p->sock < 0)
		return false;
	(void)nn_setsockopt(p->sock, NN_SOL_SOCKET, NN_RECONNECT_IVL, &reconnect,
	                    sizeof(reconnect));
	(void)nn_setsockopt(p->sock, NN_SOL_SOCKET, NN_RECONNECT_IVL_MAX, &reconnect_max,
	                    sizeof(reconnect_max));
	/* Messages go one way: one held back would wait for the peer's delayed acknowledgement. */
	(void)nn_setsockopt(p->sock, NN_TCP, NN_TCP_NODELAY, &at_once, sizeof(at_once));
	if (nn_connect(p->sock, p->address) < 0 ||
	    nn_getsockopt(p->sock, NN_SOL_SOCKET, NN_SNDFD, &fd, &n) < 0)
		return false;
	/* nanomsg's descriptor reads as readable when a message can be sent. */
	p->writable =
		event_new(loop_base(p->peers->loop), fd, EV_READ | EV_PERSIST, on_writable, p);
	loom_assert(p->writable);
	p->connected = clock_mono_ms();
	return true;
}

/* Not connected although there was time for it. */
static bool peer_is_away(struct bus_peer *p, int64_t now)
{
	if (nn_get_statistic(p->sock, NN_STAT_CURRENT_CONNECTIONS) > 0)
		p->connected = now;
	return now - p->connected >= BUS_GRACE_MS;
}

static struct bus_peer *peer_get(struct bus_peers *ps, const char *address)
{
	struct bus_peer *p = map_get(ps->by_address, address);

	if (p)
		return p;
	if (!str_starts(address, "tcp://"))
		return NULL;
	p = loom_calloc(1, sizeof(*p));
	p->peers = ps;
	p->address = loom_strdup(address);
	p->tail = &p->head;
	p->used = clock_mono_ms();
	metric_add(&bus_metrics[BUS_M_PEERS], 1);
	if (!peer_connect(p)) {
		peer_free(p);
		return NULL;
	}
	map_set(ps->by_address, address, p);
	return p;
}

/* ---- all peers ------------------------------------------------------------------------------- */

static void start_ticking(struct bus_peers *ps)
{
	if (!ps->ticking)
		loop_timer_every(ps->tick, TICK_MS);
	ps->ticking = true;
}

void bus_peer_hold(struct bus_peer *peer)
{
	peer->held++;
	start_ticking(peer->peers);
}

void bus_peer_release(struct bus_peer *peer)
{
	loom_assert(peer->held > 0);
	peer->held--;
	peer->used = clock_mono_ms();
}

static void enqueue(struct bus_peer *p, void *msg, uint64_t request)
{
	struct waiting *w = loom_calloc(1, sizeof(*w));

	*w = (struct waiting){ .msg = msg,
		               .request = request,
		               .until = clock_mono_ms() + BUS_GRACE_MS };
	*p->tail = w;
	p->tail = &w->next;
	if (p->queued++ == 0)
		(void)event_add(p->writable, NULL);
	start_ticking(p->peers);
}

struct bus_peer *bus_peers_send(struct bus_peers *ps, const char *address, void *msg,
                                uint64_t request)
{
	struct bus_peer *p = peer_get(ps, address);

	if (p && !p->head && push(p, &msg))
		return p;
	if (!p || p->queued >= QUEUE_MAX || peer_is_away(p, clock_mono_ms())) {
		(void)nn_freemsg(msg);
		return NULL;
	}
	enqueue(p, msg, request);
	return p;
}

void bus_peers_forget(struct bus_peers *ps, struct bus_peer *peer, uint64_t request)
{
	(void)ps;
	for (struct waiting **at = &peer->head; *at; at = &(*at)->next) {
		if ((*at)->request == request) {
			waiting_free(unqueue(peer, at));
			break;
		}
	}
	if (!peer->head)
		(void)event_del(peer->writable);
}

/* Gives up what has waited too long. Callbacks may send, cancel, and so change the queue. */
static void expire_queue(struct bus_peer *p, int64_t now)
{
	while (p->head && p->head->until <= now) {
		struct waiting *w = unqueue(p, &p->head);
		uint64_t request = w->request;

		waiting_free(w);
		if (request)
			p->peers->unsent(request, p->peers->arg);
	}
	if (!p->head)
		(void)event_del(p->writable);
}

/* Peers are only freed by on_sweep(), so callbacks cannot pull one from under the walk; should one
 * that a callback adds make the walk miss another, the next tick sees it. */
static void on_tick(void *arg)
{
	struct bus_peers *ps = arg;
	int64_t now = clock_mono_ms();
	const char *address;
	void *value;
	bool busy = false;

	for (size_t it = 0; map_next(ps->by_address, &it, &address, &value);) {
		struct bus_peer *p = value;

		expire_queue(p, now);
		if (p->held && peer_is_away(p, now))
			ps->lost(p, ps->arg);
		busy = busy || p->held || p->head;
	}
	if (!busy) {
		loop_timer_disarm(ps->tick);
		ps->ticking = false;
	}
}

static void on_sweep(void *arg)
{
	struct bus_peers *ps = arg;
	int64_t old = clock_mono_ms() - BUS_IDLE_MS;
	const char *address;
	void *value;

	for (size_t it = 0; map_next(ps->by_address, &it, &address, &value);) {
		const struct bus_peer *p = value;

		if (!p->held && !p->head && p->used <= old)
			(void)map_del(ps->by_address, address);
	}
}

struct bus_peers *bus_peers_create(struct loop *l, bus_unsent_fn unsent, bus_lost_fn lost,
                                   void *arg)
{
	struct bus_peers *ps = loom_calloc(1, sizeof(*ps));

	ps->loop = l;
	ps->unsent = unsent;
	ps->lost = lost;
	ps->arg = arg;
	ps->by_address = map_create(peer_free);
	ps->tick = loop_timer_create(l, "bus tick", on_tick, ps);
	ps->sweep = loop_timer_create(l, "bus sweep", on_sweep, ps);
	loop_timer_every(ps->sweep, BUS_IDLE_MS / 4);
	return ps;
}

void bus_peers_destroy(struct bus_peers *ps)
{
	loop_timer_destroy(ps->tick);
	loop_timer_destroy(ps->sweep);
	map_destroy(ps->by_address);
	loom_free(ps);
}
