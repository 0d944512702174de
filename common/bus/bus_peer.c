/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends messages through one PUSH socket per peer, made at first use.
 * Messages wait in the peer's queue while the connection is being made, while the peer's challenge
 * is unknown, or while its buffer is full. A peer that owes answers and gives no sign of life gets
 * a new connection, because after a cut TCP itself would retry only after many seconds. Loop
 * thread.
 */
#include "common/bus/bus.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/bus/bus_private.h"

#include <event2/event.h>
#include <nanomsg/nn.h>
#include <string.h>

enum { QUEUE_MAX = 4096, TICK_MS = 100, BURST = 64, GIVEN_UP_MS = 10000 };
enum { DUE_HELLO = 1, DUE_WELCOME = 2 };

/* A message, or a piece of one, that waits to be sent. */
struct waiting {
	struct waiting *next;
	struct bus_letter letter; /* text: of the piece */
	char *verb;
	size_t size, off;
	int64_t since;
};

struct bus_peer {
	struct bus_peers *peers;
	char *address;
	int sock, old_sock;     /* -1: none */
	struct event *writable; /* added while messages could go out but for a full buffer */
	struct waiting *head, **tail;
	size_t queued;
	size_t held;       /* requests awaiting an answer */
	unsigned due;      /* greetings to send */
	int64_t connected; /* monotonic ms of nn_connect(), or when last seen connected */
	int64_t opened;    /* monotonic ms of nn_connect() */
	int64_t used;      /* last message sent to it */
	int64_t moved;     /* last time a waiting message went out */
	int64_t heard;     /* last fresh message from it, or its first use */
	int64_t hello;     /* last hello sent */
	int64_t warned;    /* last warning about its clock */
	int64_t lost;      /* when to give up requests made before `back`; 0: not at all */
	int64_t back;
	bool silent;
	uint64_t life;
	char word[BUS_WORD];    /* its challenge, known since `known`: */
	int64_t known;          /* 0: unknown */
	char greeted[BUS_WORD]; /* the challenge named in its last hello */
};

struct bus_peers {
	struct loop *loop;
	struct bus_peers_of of;
	uint64_t next; /* number of the next message */
	struct map *by_address;
	struct loop_timer *tick; /* runs while messages wait or requests are held */
	struct loop_timer *sweep;
	bool ticking;
};

/* ---- one peer's socket ----------------------------------------------------------------------- */

static void on_writable(evutil_socket_t fd, short what, void *arg);

static void close_sock(int *sock)
{
	if (*sock >= 0)
		(void)nn_close(*sock);
	*sock = -1;
}

static bool peer_connect(struct bus_peer *p)
{
	int fd;
	p->opened = p->connected = clock_mono_ms();
	if (!bus_connect(p->address, &p->sock, &fd))
		return false;
	p->writable =
		event_new(loop_base(p->peers->loop), fd, EV_READ | EV_PERSIST, on_writable, p);
	loom_assert(p->writable);
	return true;
}

static bool is_connected(const struct bus_peer *p)
{
	return p->sock >= 0 && nn_get_statistic(p->sock, NN_STAT_CURRENT_CONNECTIONS) > 0;
}

/* True if it is not connected although there was enough time. */
static bool peer_is_away(struct bus_peer *p, int64_t now)
{
	if (is_connected(p))
		p->connected = now;
	return now - p->connected >= BUS_GRACE_MS;
}

static void drop_event(struct bus_peer *p)
{
	if (p->writable)
		event_free(p->writable); /* before the descriptor goes */
	p->writable = NULL;
}

/* Makes a new connection; messages in the old one may still arrive for a while. */
static void peer_reset(struct bus_peer *p)
{
	drop_event(p);
	close_sock(&p->old_sock);
	if (is_connected(p))
		p->old_sock = p->sock;
	else
		close_sock(&p->sock);
	p->sock = -1;
	metric_add(&bus_metrics[BUS_M_RESETS], 1);
	if (!peer_connect(p))
		log_warn("no connection can be made on the bus", LOG_S("address", p->address));
}

/* ---- one peer's queue ------------------------------------------------------------------------ */

static void waiting_free(struct waiting *w)
{
	loom_free(w->letter.text);
	loom_free(w->verb);
	loom_free(w);
}

static void unqueue(struct bus_peer *p, struct waiting **at)
{
	struct waiting *w = *at;
	*at = w->next;
	if (!w->next)
		p->tail = at;
	p->queued--;
	waiting_free(w);
}

static void enqueue(struct bus_peer *p, const struct bus_letter *l, char *text, size_t len,
                    size_t off)
{
	struct waiting *w = loom_calloc(1, sizeof(*w));
	*w = (struct waiting){ .letter = *l,
		               .verb = loom_strdup(l->verb),
		               .size = l->len,
		               .off = off,
		               .since = clock_mono_ms() };
	w->letter.text = text;
	w->letter.len = len;
	w->letter.verb = w->verb;
	*p->tail = w;
	p->tail = &w->next;
	p->queued++;
}

/* Queues a letter in pieces that fit into a message. Takes the text. */
static void enqueue_pieces(struct bus_peer *p, struct bus_letter *l)
{
	char *text = l->text;
	l->text = NULL;
	if (l->len <= BUS_PIECE) {
		enqueue(p, l, text, l->len, 0);
		return;
	}
	for (size_t off = 0; off < l->len; off += BUS_PIECE) {
		size_t n = l->len - off < BUS_PIECE ? l->len - off : BUS_PIECE;
		enqueue(p, l, loom_strndup(text + off, n), n, off);
	}
	loom_free(text);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool knows_word(const struct bus_peer *p, int64_t now)
{
	return p->known && now - p->known < BUS_KNOWN_MS;
}

/* True if the message was sent, or can never be. */
static bool push(struct bus_peer *p, struct bus_message *m)
{
	struct bus_peers *ps = p->peers;
	size_t len;
	m->life = bus_fresh_life(ps->of.fresh);
	m->n = ++ps->next;
	m->to = p->address;
	m->from = ps->of.address;
	m->mine = bus_fresh_word(ps->of.fresh);
	m->at = clock_wall_ms();
	void *msg = bus_seal(ps->of.key, m, &len);
	if (!msg || p->sock < 0)
		return true;
	if (nn_send(p->sock, &msg, NN_MSG, NN_DONTWAIT) < 0) {
		(void)nn_freemsg(msg);
		return false;
	}
	p->used = clock_mono_ms();
	metric_add(&bus_metrics[BUS_M_SENT], 1);
	return true;
}

static bool push_waiting(struct bus_peer *p, const struct waiting *w)
{
	struct bus_message m = { .kind = w->letter.kind,
		                 .id = w->letter.id,
		                 .verb = w->letter.verb,
		                 .word = p->word,
		                 .wait = w->letter.wait,
		                 .error = w->letter.error,
		                 .size = w->size,
		                 .off = w->off,
		                 .text = w->letter.text ? w->letter.text : "",
		                 .len = w->letter.len };
	return push(p, &m);
}

static void push_greetings(struct bus_peer *p, int64_t now)
{
	struct bus_message hello = { .kind = BUS_HELLO,
		                     .word = p->known ? p->word : NULL,
		                     .text = "" };
	struct bus_message welcome = { .kind = BUS_WELCOME, .word = p->greeted, .text = "" };
	if ((p->due & DUE_HELLO) && push(p, &hello)) {
		p->due &= ~(unsigned)DUE_HELLO;
		p->hello = now;
	}
	if ((p->due & DUE_WELCOME) && push(p, &welcome))
		p->due &= ~(unsigned)DUE_WELCOME;
}

static void start_ticking(struct bus_peers *ps)
{
	if (!ps->ticking)
		loop_timer_every(ps->tick, TICK_MS);
	ps->ticking = true;
}

/* Sends as much as possible; the rest follows when there is room, or when the challenge has
 * come. */
static void pump(struct bus_peer *p)
{
	int64_t now = clock_mono_ms();
	if (p->head && !knows_word(p, now) && now - p->hello >= BUS_PING_MS)
		p->due |= DUE_HELLO;
	push_greetings(p, now);
	for (int i = 0; p->head && knows_word(p, now) && i < BURST; i++) {
		if (!push_waiting(p, p->head))
			break;
		p->moved = now;
		unqueue(p, &p->head);
	}
	if (p->head || p->due)
		start_ticking(p->peers);
	if (!p->writable)
		return;
	if ((p->head && knows_word(p, now)) || p->due)
		(void)event_add(p->writable, NULL);
	else
		(void)event_del(p->writable);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(arg);
}

static void peer_free(void *arg)
{
	struct bus_peer *p = arg;
	while (p->head)
		unqueue(p, &p->head);
	drop_event(p);
	close_sock(&p->sock);
	close_sock(&p->old_sock);
	metric_add(&bus_metrics[BUS_M_PEERS], -1);
	loom_free(p->address);
	loom_free(p);
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
	p->old_sock = -1;
	p->used = p->heard = clock_mono_ms();
	metric_add(&bus_metrics[BUS_M_PEERS], 1);
	if (!peer_connect(p)) {
		peer_free(p);
		return NULL;
	}
	map_set(ps->by_address, address, p);
	return p;
}

struct bus_peer *bus_peers_send(struct bus_peers *ps, const char *address, struct bus_letter *l)
{
	struct bus_peer *p = peer_get(ps, address);
	int64_t now = clock_mono_ms();
	if (p && peer_is_away(p, now) && now - p->opened >= BUS_SILENT_MS) {
		peer_reset(p); /* the kernel's own next try may be far off */
		p->connected = now - BUS_GRACE_MS;
	}
	if (!p || p->queued >= QUEUE_MAX || peer_is_away(p, now)) {
		loom_free(l->text);
		l->text = NULL;
		return NULL;
	}
	enqueue_pieces(p, l);
	pump(p);
	return p;
}

void bus_peers_forget(struct bus_peers *ps, struct bus_peer *peer, uint64_t request)
{
	(void)ps;
	for (struct waiting **at = &peer->head; *at;) {
		if ((*at)->letter.kind == BUS_REQUEST && (*at)->letter.id == request)
			unqueue(peer, at);
		else
			at = &(*at)->next;
	}
}

/* ---- signs of life --------------------------------------------------------------------------- */

void bus_peer_hold(struct bus_peer *peer)
{
	int64_t now = clock_mono_ms();
	if (!peer->held++ && now - peer->heard > BUS_PING_MS)
		peer->heard = now - BUS_PING_MS; /* no request watched it before */
	start_ticking(peer->peers);
}

void bus_peer_release(struct bus_peer *peer)
{
	loom_assert(peer->held > 0);
	peer->held--;
	peer->used = clock_mono_ms();
}

/* The peer is heard again after a silence or a restart: requests under way may be lost. */
static void back_again(struct bus_peer *p, int64_t now)
{
	p->silent = false;
	p->back = now;
	p->lost = now + BUS_GRACE_MS; /* late answers get a moment */
	log_info("peer on the bus is heard again", LOG_S("address", p->address));
	start_ticking(p->peers);
}

void bus_peers_heard(struct bus_peers *ps, const struct bus_message *m)
{
	struct bus_peer *p = peer_get(ps, m->from);
	int64_t now = clock_mono_ms();
	if (!p)
		return;
	bool long_unheard = !m->fresh || now - p->heard > BUS_SILENT_MS;
	if (m->fresh) {
		memcpy(p->word, m->mine, sizeof(p->word));
		p->known = p->heard = now;
		bus_clocks_heard(ps->of.clocks, m, &p->warned);
		if (p->silent || (p->life && p->life != m->life))
			back_again(p, now);
		p->life = m->life;
	}
	if (m->kind == BUS_HELLO || !m->fresh) {
		/* If the peer did not hear us, it will not hear us over the present connection
		 * either. */
		if (long_unheard && now - p->opened > BUS_SILENT_MS)
			peer_reset(p);
		memcpy(p->greeted, m->mine, sizeof(p->greeted));
		p->due |= DUE_WELCOME;
	}
	if (p->head || p->due)
		pump(p);
}

static void ping(struct bus_peer *p, int64_t now)
{
	if (now - p->heard < BUS_PING_MS)
		return;
	if (now - p->hello >= BUS_PING_MS)
		p->due |= DUE_HELLO;
	if (now - p->heard < BUS_SILENT_MS || now - p->opened < BUS_SILENT_MS)
		return;
	if (!p->silent)
		log_info("peer on the bus is silent", LOG_S("address", p->address));
	p->silent = true;
	peer_reset(p);
	p->due |= DUE_HELLO;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Gives up messages that have waited too long. Callbacks may send or cancel, and so change the
 * queue. */
static void expire_queue(struct bus_peer *p, int64_t now)
{
	struct bus_peers *ps = p->peers;
	int64_t patience = is_connected(p) ? BUS_GREET_MS : BUS_GRACE_MS;
	while (p->head && now - p->head->since >= patience && now - p->moved >= patience) {
		uint64_t request = p->head->letter.kind == BUS_REQUEST ? p->head->letter.id : 0;
		unqueue(p, &p->head);
		if (request) {
			bus_peers_forget(ps, p, request); /* its other pieces */
			ps->of.unsent(request, ps->of.arg);
		}
	}
}

static void tick_peer(struct bus_peer *p, int64_t now)
{
	struct bus_peers *ps = p->peers;
	expire_queue(p, now);
	if (p->old_sock >= 0 && now - p->opened >= BUS_LINGER_MS)
		close_sock(&p->old_sock);
	/* A peer that is only silent, perhaps paused, answers when it goes on. */
	if (p->held && peer_is_away(p, now) && (!p->silent || now - p->heard >= GIVEN_UP_MS))
		ps->of.lost(p, now, ps->of.arg);
	if (p->lost && now >= p->lost) {
		p->lost = 0;
		ps->of.lost(p, p->back, ps->of.arg);
	}
	if (p->held)
		ping(p, now);
	if (p->head || p->due)
		pump(p);
}

/* Only on_sweep() frees peers, so callbacks cannot free one during the walk. If a callback adds a
 * peer and the walk misses another for that, the next tick handles it. */
static void on_tick(void *arg)
{
	struct bus_peers *ps = arg;
	int64_t now = clock_mono_ms();
	const char *address;
	void *value;
	bool busy = false;
	for (size_t it = 0; map_next(ps->by_address, &it, &address, &value);) {
		struct bus_peer *p = value;
		tick_peer(p, now);
		if (p->due && peer_is_away(p, now))
			p->due = 0;
		busy = busy || p->held || p->head || p->due || p->lost || p->old_sock >= 0;
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
		if (!p->held && !p->head && p->used <= old && p->heard <= old)
			(void)map_del(ps->by_address, address);
	}
}

struct bus_peers *bus_peers_create(struct loop *l, const struct bus_peers_of *of)
{
	struct bus_peers *ps = loom_calloc(1, sizeof(*ps));
	ps->loop = l;
	ps->of = *of;
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
