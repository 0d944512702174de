/* SPDX-License-Identifier: Apache-2.0 */
/* The bus: the inbox, requests awaiting answers, requests to be answered. Loop thread. */
#include "common/bus/bus.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/bus/bus_private.h"

#include <errno.h>
#include <event2/event.h>
#include <nanomsg/nn.h>
#include <nanomsg/pipeline.h>
#include <string.h>

/* Limits of one call from the loop, so that other events get their turn: 256 messages take about 10
 * ms, by a profile of the API under `make bench FIGURES=complete`. */
enum { BUCKETS = 1024, DRAIN_MAX = 256, DRAIN_BYTES = 512 << 10 };

const struct config_key bus_config_keys[] = {
	{ "bus_listen", CFG_STR, offsetof(struct bus_config, listen), "tcp://127.0.0.1:0", 0, 0, 0,
	  "address of this process on the bus, as its peers reach it; * is this machine's own, port "
	  "0 picks a free one" },
	{ "cluster_key_file", CFG_STR, offsetof(struct bus_config, key_file), "", 0, 0,
	  CFG_REQUIRED, "file with the key that seals messages between services (64 hex digits)" },
	{ 0 },
};

struct pending {
	struct pending *next; /* in its bucket */
	struct bus *bus;
	struct bus_peer *peer; /* held; NULL if the message never went out */
	struct loop_timer *timer;
	uint64_t id;
	int64_t start;
	int error; /* error to report when the timer ends */
	const struct message_type *type;
	bus_reply_cb cb;
	void *arg;
};

struct bus_call {
	struct bus *bus; /* NULL once the bus is gone */
	struct bus_call *prev, *next;
	uint64_t id;
	char *from;
	const struct message_type *type;
	int version;        /* version of the asker */
	bus_text_cb answer; /* NULL: send the answer to `from` */
	void *arg;
};

struct handler {
	const struct message_type *type;
	bus_handler request;
	bus_notice_handler notice;
	void *arg;
};

struct bus {
	struct loop *loop;
	struct bus_key key;
	struct bus_fresh *fresh;
	struct bus_clocks *clocks;
	struct bus_pieces *pieces;
	struct loop_timer *turn;
	int inbox;
	struct event *readable;
	char address[BUS_ADDRESS_MAX];
	struct bus_peers *peers;
	struct map *requests, *notices; /* verb to handler */
	struct pending *pending[BUCKETS];
	struct bus_call *calls;
	uint64_t next_id;
	bool closing;
};

/* ---- requests made --------------------------------------------------------------------------- */

static struct pending **pending_at(struct bus *b, uint64_t id)
{
	struct pending **at = &b->pending[id % BUCKETS];
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

/* Takes a request out of the table and destroys its timer; the caller frees it. */
static struct pending *pending_take(struct pending **at)
{
	struct pending *p = *at;
	*at = p->next;
	loop_timer_destroy(p->timer);
	if (p->peer)
		bus_peer_release(p->peer);
	metric_add(&bus_metrics[BUS_M_PENDING], -1);
	return p;
}

static void pending_end(struct pending **at, int error, const void *m)
{
	struct pending *p = pending_take(at);
	if (error == -ETIMEDOUT)
		metric_add(&bus_metrics[BUS_M_TIMEOUTS], 1);
	else if (error == -EHOSTUNREACH)
		metric_add(&bus_metrics[BUS_M_UNREACHABLE], 1);
	else if (!error)
		metric_observe_ms(&bus_metrics[BUS_M_REQUEST_MS], clock_mono_ms() - p->start);
	p->cb(error, m, p->arg);
	loom_free(p);
}

static void on_pending_timer(void *arg)
{
	const struct pending *p = arg;
	pending_end(pending_at(p->bus, p->id), p->error, NULL);
}

/* Called by the peers: the message of a request could not be sent. */
static void on_unsent(uint64_t request, void *arg)
{
	struct pending **at = pending_at(arg, request);
	if (*at)
		pending_end(at, -EHOSTUNREACH, NULL);
}

static void on_lost(const struct bus_peer *peer, int64_t until, void *arg)
{
	struct bus *b = arg;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct pending **at = &b->pending[i];
		while (*at) {
			if ((*at)->peer != peer || (*at)->start > until) {
				at = &(*at)->next;
				continue;
			}
			pending_end(at, -EHOSTUNREACH, NULL);
			at = &b->pending[i]; /* the callback may have changed the list */
		}
	}
}

/* Sets the body of a letter; takes text. 0 or -EMSGSIZE. */
static int set_body(struct bus_letter *l, char *text)
{
	l->len = text ? strlen(text) : 0;
	l->text = l->len <= BUS_BODY_MAX ? text : NULL;
	if (l->text)
		return 0;
	l->len = 0;
	loom_free(text);
	return -EMSGSIZE;
}

uint64_t bus_request(struct bus *b, const char *peer, const struct bus_text *m, int64_t timeout_ms,
                     bus_reply_cb cb, void *arg)
{
	struct bus_letter l = { .kind = BUS_REQUEST, .verb = m->type->verb, .wait = timeout_ms };
	if (b->closing)
		return 0;
	l.id = b->next_id++;
	struct pending *p = loom_calloc(1, sizeof(*p));
	*p = (struct pending){ .bus = b,
		               .id = l.id,
		               .start = clock_mono_ms(),
		               .error = -ETIMEDOUT,
		               .type = m->type,
		               .cb = cb,
		               .arg = arg };
	struct pending **at = pending_at(b, l.id);
	*at = p;
	p->timer = loop_timer_create(b->loop, "bus request", on_pending_timer, p);
	metric_add(&bus_metrics[BUS_M_REQUESTS], 1);
	metric_add(&bus_metrics[BUS_M_PENDING], 1);
	int rc = set_body(&l, loom_strdup(m->text));
	if (!rc) {
		p->peer = bus_peers_send(b->peers, peer, &l);
		rc = p->peer ? 0 : -EHOSTUNREACH;
	}
	if (rc)
		p->error = rc;
	else
		bus_peer_hold(p->peer);
	loop_timer_arm(p->timer, rc ? 0 : timeout_ms);
	return l.id;
}

void bus_cancel(struct bus *b, uint64_t id)
{
	struct pending **at = pending_at(b, id);
	if (!*at)
		return;
	struct pending *p = pending_take(at);
	if (p->peer)
		bus_peers_forget(b->peers, p->peer, id);
	loom_free(p);
}

void bus_notify(struct bus *b, const char *peer, const struct message_type *t, const char *text)
{
	struct bus_letter l = { .kind = BUS_NOTICE, .verb = t->verb, .id = b->next_id++ };
	if (set_body(&l, loom_strdup(text)))
		log_warn("notice too big for the bus", LOG_S("verb", t->verb));
	else
		(void)bus_peers_send(b->peers, peer, &l);
}

/* ---- requests to answer ---------------------------------------------------------------------- */

static void call_free(struct bus_call *call)
{
	if (call->bus) {
		if (call->prev)
			call->prev->next = call->next;
		else
			call->bus->calls = call->next;
		if (call->next)
			call->next->prev = call->prev;
	}
	loom_free(call->from);
	loom_free(call);
}

static void send_answer(struct bus *b, const char *to, uint64_t id, int error, char *text)
{
	struct bus_letter l = { .kind = BUS_ANSWER, .id = id, .error = error };
	if (!error)
		l.error = set_body(&l, text);
	(void)bus_peers_send(b->peers, to, &l);
}

void bus_answer(struct bus_call *call, const void *m)
{
	LOOM_CLEANUP_STR char *text =
		call->bus ? message_write_answer(call->type, call->version, m) : NULL;
	if (call->answer)
		call->answer(text ? 0 : -EMSGSIZE, text, call->arg);
	else if (call->bus)
		send_answer(call->bus, call->from, call->id, 0, loom_take(text));
	call_free(call);
}

/* Reads the struct of a message; NULL if there is no handler (t is NULL) or it cannot be read. */
static void *decode(const struct message_type *t, enum bus_kind kind, struct json *body,
                    const char *from)
{
	struct loom_err err = { 0 };
	void *m = NULL;
	if (!t)
		json_free(body);
	else
		m = kind == BUS_ANSWER ? message_read_answer(t, body, &err)
		                       : message_read(t, body, &err);
	if (t && !m) {
		metric_add(&bus_metrics[BUS_M_MALFORMED], 1);
		log_warn(kind == BUS_ANSWER ? "answer refused" : "message refused",
		         LOG_S("verb", t->verb), LOG_S("from", from), LOG_S("reason", err.msg));
	}
	return m;
}

static struct bus_call *call_new(struct bus *b, const struct handler *h, const struct message *m)
{
	struct bus_call *call = loom_calloc(1, sizeof(*call));
	*call = (struct bus_call){ .bus = b, .type = h->type, .version = m->version };
	call->next = b->calls;
	if (call->next)
		call->next->prev = call;
	b->calls = call;
	return call;
}

static void on_request(struct bus *b, const struct bus_message *m, struct json *body)
{
	const struct handler *h = map_get(b->requests, m->verb);
	void *msg = decode(h ? h->type : NULL, m->kind, body, m->from);
	if (!h || !msg) {
		send_answer(b, m->from, m->id, h ? -EBADMSG : -ENOSYS, NULL);
		return;
	}
	struct bus_call *call = call_new(b, h, msg);
	call->id = m->id;
	call->from = loom_strdup(m->from);
	h->request(call, msg, h->arg);
}

void bus_deliver(struct bus *b, const char *verb, struct json *body, bus_text_cb answer, void *arg)
{
	const struct handler *h = map_get(b->requests, verb);
	void *msg = decode(h ? h->type : NULL, BUS_REQUEST, body, "mail");
	if (!h || !msg) {
		answer(h ? -EBADMSG : -ENOSYS, NULL, arg);
		return;
	}
	struct bus_call *call = call_new(b, h, msg);
	call->answer = answer;
	call->arg = arg;
	h->request(call, msg, h->arg);
}

static void set_handler(struct map *map, struct handler h)
{
	struct handler *copy = loom_malloc(sizeof(*copy));
	*copy = h;
	map_set(map, h.type->verb, copy);
}

void bus_on_request(struct bus *b, const struct message_type *t, bus_handler fn, void *arg)
{
	set_handler(b->requests, (struct handler){ t, fn, NULL, arg });
}

void bus_on_notice(struct bus *b, const struct message_type *t, bus_notice_handler fn, void *arg)
{
	set_handler(b->notices, (struct handler){ t, NULL, fn, arg });
}

/* ---- the inbox ------------------------------------------------------------------------------- */

static int known_error(int error)
{
	bool known = !error || error == -EMSGSIZE || error == -ENOSYS || error == -EBADMSG;
	return known ? error : -EHOSTUNREACH;
}

static void on_answer(struct bus *b, const struct bus_message *m, struct json *body)
{
	struct pending **at = pending_at(b, m->id);
	int error = known_error(m->error);
	void *msg = decode(*at && !error ? (*at)->type : NULL, m->kind, body, m->from);
	if (*at)
		pending_end(at, msg || error ? error : -EBADMSG, msg);
	message_free(msg);
}

static void on_notice(const struct bus *b, const struct bus_message *m, struct json *body)
{
	const struct handler *h = map_get(b->notices, m->verb);
	void *msg = decode(h ? h->type : NULL, m->kind, body, m->from);
	if (h && msg)
		h->notice(msg, h->arg);
	message_free(msg);
}

static void on_whole(const struct bus_message *m, struct json *doc, void *arg)
{
	struct bus *b = arg;
	if (m->size && !doc) {
		metric_add(&bus_metrics[BUS_M_MALFORMED], 1);
		return;
	}
	switch (m->kind) {
	case BUS_REQUEST:
		on_request(b, m, doc);
		break;
	case BUS_ANSWER:
		on_answer(b, m, doc);
		break;
	case BUS_NOTICE:
		on_notice(b, m, doc);
		break;
	case BUS_HELLO:
	case BUS_WELCOME:
		json_free(doc);
	}
}

static void dispatch(struct bus *b, const void *data, size_t len)
{
	struct bus_message m = { 0 };
	enum bus_metric refused = bus_open(&b->key, data, len, &m);
	if (!refused)
		refused = bus_fresh_check(b->fresh, &m, b->address);
	metric_add(&bus_metrics[refused ? refused : BUS_M_RECEIVED], 1);
	if (refused)
		log_debug("bus message dropped", LOG_S("why", bus_metrics[refused].name),
		          LOG_I("bytes", len), LOG_S("from", m.from));
	if (!refused || refused == BUS_M_STALE)
		bus_peers_heard(b->peers, &m);
	if (!refused)
		bus_pieces_add(b->pieces, &m);
	bus_message_fini(&m);
}

/* Handles a bounded number: the descriptor stays readable while messages are left. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct bus *b = arg;
	int bytes = 0;
	(void)fd;
	(void)what;
	for (int i = 0; i < DRAIN_MAX && bytes < DRAIN_BYTES; i++) {
		void *data = NULL;
		int n = nn_recv(b->inbox, &data, NN_MSG, NN_DONTWAIT);
		if (n < 0)
			break;
		dispatch(b, data, (size_t)n);
		(void)nn_freemsg(data);
		bytes += n;
	}
}

static void on_turn(void *arg)
{
	struct bus *b = arg;
	bus_fresh_turn(b->fresh);
	bus_pieces_sweep(b->pieces);
}

/* ---- making and ending ----------------------------------------------------------------------- */

static int open_inbox(struct bus *b, const char *listen, struct loom_err *err)
{
	int max = BUS_MESSAGE_MAX, fd = -1;
	size_t n = sizeof(fd);
	b->inbox = nn_socket(AF_SP, NN_PULL);
	if (b->inbox < 0 ||
	    nn_setsockopt(b->inbox, NN_SOL_SOCKET, NN_RCVMAXSIZE, &max, sizeof(max)) < 0 ||
	    nn_getsockopt(b->inbox, NN_SOL_SOCKET, NN_RCVFD, &fd, &n) < 0)
		return err_set(err, 500, "bus: %s", nn_strerror(nn_errno()));
	int rc = bus_bind(b->inbox, listen, b->address, err);
	if (rc)
		return rc;
	b->readable = event_new(loop_base(b->loop), fd, EV_READ | EV_PERSIST, on_readable, b);
	loom_assert(b->readable);
	(void)event_add(b->readable, NULL);
	return 0;
}

int bus_create(struct loop *l, const struct bus_config *cfg, struct bus **ret, struct loom_err *err)
{
	struct bus *b = loom_calloc(1, sizeof(*b));
	bus_metrics_start();
	b->loop = l;
	b->inbox = -1;
	b->requests = map_create(loom_free);
	b->notices = map_create(loom_free);
	int rc = bus_key_read(cfg->key_file, &b->key, err); /* also initializes libsodium */
	if (!rc)
		rc = open_inbox(b, cfg->listen, err);
	if (rc) {
		bus_destroy(b);
		return rc;
	}
	b->fresh = bus_fresh_create();
	b->clocks = bus_clocks_create();
	b->pieces = bus_pieces_create(l, on_whole, b);
	const struct bus_peers_of of = { &b->key,   b->fresh, b->clocks, b->address,
		                         on_unsent, on_lost,  b };
	b->peers = bus_peers_create(l, &of);
	b->turn = loop_timer_create(l, "bus challenge", on_turn, b);
	loop_timer_every(b->turn, BUS_CHALLENGE_MS);
	randombytes_buf(&b->next_id, sizeof(b->next_id));
	b->next_id >>= 1; /* not 0 soon, and no ids of an earlier process */
	*ret = b;
	return 0;
}

void bus_destroy(struct bus *b)
{
	if (!b)
		return;
	b->closing = true;
	bus_pieces_destroy(b->pieces);
	for (size_t i = 0; i < BUCKETS; i++) {
		while (b->pending[i])
			pending_end(&b->pending[i], -ECANCELED, NULL);
	}
	for (struct bus_call *call = b->calls; call; call = call->next) {
		call->bus = NULL;
		if (call->answer)
			call->answer(-ECANCELED, NULL, call->arg);
		call->answer = NULL;
	}
	if (b->readable)
		event_free(b->readable);
	if (b->inbox >= 0)
		(void)nn_close(b->inbox);
	if (b->peers)
		bus_peers_destroy(b->peers);
	loop_timer_destroy(b->turn);
	bus_fresh_destroy(b->fresh);
	bus_clocks_destroy(b->clocks);
	map_destroy(b->requests);
	map_destroy(b->notices);
	sodium_memzero(&b->key, sizeof(b->key));
	loom_free(b);
}

struct bus_clocks *bus_clocks_of(struct bus *b)
{
	return b->clocks;
}

const char *bus_address(const struct bus *b)
{
	return b->address;
}
