/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers - the schedulers that this API calls and the APIs that it notifies, as ZooKeeper last
 * listed them.
 *
 * ZooKeeper needs seconds to notice that a scheduler hangs, and never notices a broken link between
 * it and this machine. So each scheduler is pinged twice a second. Requests to a silent one are
 * sent to another, and so are those to one that says that it cannot reach the database; whatever it
 * still does is fenced. If none answers, requests go through the database: that takes seconds, but
 * work goes on.
 */
#include "services/api/api.h"
#include "services/api/mail.h"
#include "services/api/watch/tally.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/service/peer_list.h"

#include <errno.h>
#include <stdatomic.h>

enum { PING_EVERY_MS = 500, PING_MS = 1000, UNHEARD_MS = 1500, CALM_MS = 60000, INSIST_MS = 1000 };

struct peer {
	struct api *a;
	char *address;
	uint64_t ping; /* not answered yet */
	bool silent, absent;
	bool away; /* it says that it cannot reach the database */
};

struct peers {
	struct peer **v; /* schedulers */
	size_t n;
	struct peer_list schedulers, apis;
	struct loop_timer *pings;
	int64_t warned;        /* when it last warned that none answers */
	atomic_bool none_live; /* no scheduler answers; read by other threads */
	size_t next;           /* round robin */
	struct ask *asks;      /* in progress */
};

struct ask {
	struct ask *prev, *next;
	struct api *a;
	const struct message_type *type;
	char *text, *asked;
	char *take;      /* id of a take, if it is one */
	int64_t cluster; /* the cluster concerned; 0: any scheduler will do */
	bool insists;    /* 503 is no answer yet */
	bool refused;    /* a scheduler has answered 503 */
	int64_t until;   /* monotonic ms */
	uint64_t request;
	int64_t since;       /* monotonic ms since when no scheduler is found; 0: one was */
	struct letter *mail; /* the request through the database */
	struct loop_timer *again;
	bus_reply_cb cb;
	void *arg;
};

enum { M_MAIL, M_HEARD, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_HEARD] = { "loom_api_schedulers_heard", "Schedulers that answer pings", METRIC_GAUGE },
	[M_MAIL] = { "loom_api_mail_total",
	             "Requests to schedulers through the database, as the bus failed",
	             METRIC_COUNTER },
};

bool peers_unheard(const struct api *a)
{
	return a->peers && a->peers->none_live;
}

static void ask_next(struct ask *k);

/* ---- signs of life --------------------------------------------------------------------------- */

/* Tells the scheduler that nobody waits for the answer any more, if that matters. */
static void withdraw(struct ask *k)
{
	if (!k->request)
		return;
	bus_cancel(k->a->bus, k->request);
	k->request = 0;
	if (!k->take)
		return;
	const struct message_type *t = &messages[MSG_UNTAKE];
	LOOM_CLEANUP_STR char *text = message_write(t, &(struct msg_untake){ .id = k->take });
	bus_notify(k->a->bus, k->asked, t, text);
}

/* Sends the unanswered requests of this scheduler to others. */
static void redirect(struct api *a, const char *address)
{
	for (struct ask *k = a->peers->asks; k; k = k->next) {
		if (!k->request || !str_eq(k->asked, address))
			continue;
		withdraw(k);
		loop_timer_arm(k->again, 0);
	}
}

static bool is_live(const struct peer *m)
{
	return !m->silent && !m->absent;
}

static size_t count_live(const struct peers *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++)
		n += is_live(p->v[i]);
	return n;
}

/* Can any but this one (NULL: none) do what is asked? */
static bool has_able(const struct peers *p, const char *but)
{
	for (size_t i = 0; i < p->n; i++) {
		if (is_live(p->v[i]) && !p->v[i]->away && !str_eq(p->v[i]->address, but))
			return true;
	}
	return false;
}

static void set_away(struct peer *m, bool away)
{
	if (away != m->away)
		LOG_AT(away ? LOG_LV_WARN : LOG_LV_INFO,
		       away ? "scheduler cannot reach the database"
		            : "scheduler can reach the database again",
		       LOG_S("address", m->address));
	m->away = away;
}

static void pinged(int error, const void *answer, void *arg)
{
	const struct msg_pong *pong = answer;
	struct peer *m = arg;
	struct peers *p = m->a->peers;
	m->ping = 0;
	if (error == -ECANCELED)
		return;
	bool silent = error && error != -ENOSYS && error != -EBADMSG; /* those are answers */
	if (silent != m->silent)
		LOG_AT(silent ? LOG_LV_WARN : LOG_LV_INFO,
		       silent ? "scheduler gives no sign of life" : "scheduler is back",
		       LOG_S("address", m->address));
	m->silent = silent;
	if (!silent)
		p->warned = 0;
	if (!error)
		set_away(m, pong->away);
	if (m->silent ? count_live(p) : m->away && has_able(p, m->address))
		redirect(m->a, m->address);
}

static void peer_free(struct peer *m)
{
	if (m->ping)
		bus_cancel(m->a->bus, m->ping);
	loom_free(m->address);
	loom_free(m);
}

static bool is_asked(const struct peers *p, const struct peer *m)
{
	const struct ask *k = p->asks;
	while (k && !(k->request && str_eq(k->asked, m->address)))
		k = k->next;
	return k;
}

/* A scheduler that leaves in good order still answers its requests; wait for that. */
static void forget_peers(struct peers *p, bool all)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->n; i++) {
		if (all || (p->v[i]->absent && !is_asked(p, p->v[i])))
			peer_free(p->v[i]);
		else
			p->v[kept++] = p->v[i];
	}
	p->n = kept;
}

static void ping_all(void *arg)
{
	static const struct msg_none ping = { 0 };
	LOOM_CLEANUP_STR char *text = message_write(&messages[MSG_PING], &ping);
	const struct bus_text ask = { &messages[MSG_PING], text };
	struct api *a = arg;
	forget_peers(a->peers, false);
	a->peers->none_live = !count_live(a->peers);
	metric_set(&metrics[M_HEARD], (int64_t)count_live(a->peers));
	for (size_t i = 0; i < a->peers->n; i++) {
		struct peer *m = a->peers->v[i];
		if (!m->ping)
			m->ping = bus_request(a->bus, m->address, &ask, PING_MS, pinged, m);
	}
}

static void schedulers_changed(const struct coord_member *m, size_t n, void *arg)
{
	struct api *a = arg;
	struct peers *p = a->peers;
	peer_list_changed(m, n, &p->schedulers);
	for (size_t i = 0; i < p->n; i++)
		p->v[i]->absent = !strs_has(&p->schedulers.addresses, p->v[i]->address);
	p->v = loom_realloc(p->v, (p->n + n + 1) * sizeof(struct peer *));
	for (size_t i = 0; i < p->schedulers.addresses.n; i++) {
		size_t k = 0;
		while (k < p->n && !str_eq(p->v[k]->address, p->schedulers.addresses.v[i]))
			k++;
		if (k < p->n)
			continue;
		struct peer *new = loom_calloc(1, sizeof(*new));
		*new = (struct peer){ .a = a,
			              .address = loom_strdup(p->schedulers.addresses.v[i]) };
		p->v[p->n++] = new;
	}
}

static void on_event(const void *message, void *arg)
{
	const struct msg_event *m = message;
	const struct event_of *more = m->more.v;
	watchers_event(arg, m->first.cluster, m->first.tenant);
	for (size_t i = 0; i < m->more.n; i++)
		watchers_event(arg, more[i].cluster, more[i].tenant);
}

static void on_log(const void *message, void *arg)
{
	const struct msg_log *m = message;
	watchers_log(arg, m->task);
}

static void on_catalog(const void *message, void *arg)
{
	const struct msg_catalog *m = message;
	tallies_catalog(arg, m->tenant, m->kind);
}

void peers_start(struct api *a)
{
	metrics_register(metrics, M_COUNT);
	a->peers = loom_calloc(1, sizeof(*a->peers));
	a->peers->schedulers.bus = a->peers->apis.bus = a->bus;
	bus_on_notice(a->bus, &messages[MSG_EVENT], on_event, a);
	bus_on_notice(a->bus, &messages[MSG_LOG], on_log, a);
	bus_on_notice(a->bus, &messages[MSG_CATALOG], on_catalog, a);
	coord_join(a->coord, "api", service_id(a->service), bus_address(a->bus));
	coord_watch(a->coord, "scheduler", schedulers_changed, a);
	coord_watch(a->coord, "api", peer_list_changed, &a->peers->apis);
	a->peers->pings = loop_timer_create(a->loop, "signs of life", ping_all, a);
	loop_timer_every(a->peers->pings, PING_EVERY_MS);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void ask_free(struct ask *k)
{
	if (k->prev)
		k->prev->next = k->next;
	else
		k->a->peers->asks = k->next;
	if (k->next)
		k->next->prev = k->prev;
	if (k->mail)
		mail_cancel(k->mail);
	loop_timer_destroy(k->again);
	loom_free(k->text);
	loom_free(k->take);
	loom_free(k->asked);
	loom_free(k);
}

static void ask_end(struct ask *k, int error, const void *m)
{
	k->cb(error, m, k->arg);
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
	loop_timer_destroy(a->peers->pings);
	forget_peers(a->peers, true);
	loom_free(a->peers->v);
	peer_list_fini(&a->peers->schedulers);
	peer_list_fini(&a->peers->apis);
	loom_free(a->peers);
	a->peers = NULL;
}

/* Asks again if the answer is 503: another scheduler once, and as often as the asker insists. */
static bool asks_again(struct ask *k, const void *m)
{
	bool takes = k->type == &messages[MSG_TAKE]; /* its answer is a list of tasks */
	if (takes || peers_status(0, m) != 503 || clock_mono_ms() >= k->until)
		return false;
	bool other = !k->refused && !k->mail && has_able(k->a->peers, k->asked);
	if (!other && !k->insists)
		return false;
	if (k->mail)
		mail_cancel(loom_take(k->mail));
	k->refused = true;
	loop_timer_arm(k->again, other ? 0 : INSIST_MS);
	return true;
}

static void ask_answered(int error, const void *m, void *arg)
{
	struct ask *k = arg;
	k->request = 0;
	if (!error && asks_again(k, m))
		return;
	if (!error)
		ask_end(k, 0, m);
	else if (clock_mono_ms() >= k->until || error == -ECANCELED)
		ask_end(k, -EHOSTUNREACH, NULL);
	else
		loop_timer_arm(k->again, 100);
}

static void ask_again(void *arg)
{
	ask_next(arg);
}

/* The next scheduler that can do it, if possible another than the last one; else a live one; else
 * any. There is at least one. */
static const char *next_address(struct peers *p, const char *last)
{
	bool able = has_able(p, NULL), other = has_able(p, last), any = !count_live(p);
	const struct peer *m = p->v[p->next++ % p->n];
	while (m->absent || (m->silent && !any) || (m->away && able) ||
	       (other && str_eq(m->address, last)))
		m = p->v[p->next++ % p->n];
	return m->address;
}

static uint64_t weight(const struct peer *m, int64_t cluster)
{
	uint64_t h = (uint64_t)cluster * 0x9e3779b97f4a7c15u;
	for (const char *c = m->address; *c; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3u;
	h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u; /* splitmix64's last steps */
	h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
	return h ^ (h >> 31);
}

/* Sends all requests about a cluster to the same scheduler, from whichever API: it caches the rows
 * that it wrote last. Highest random weight hashing, so that a scheduler that joins or leaves moves
 * only its own share. */
static const char *address_for(const struct peers *p, int64_t cluster)
{
	const struct peer *best = NULL;
	bool able = has_able(p, NULL);
	for (size_t i = 0; i < p->n; i++) {
		const struct peer *m = p->v[i];
		if (is_live(m) && !(m->away && able) &&
		    (!best || weight(m, cluster) > weight(best, cluster)))
			best = m;
	}
	return best ? best->address : NULL;
}

static void mail_answered(int error, const void *m, void *arg)
{
	struct ask *k = arg;
	if (error || !asks_again(k, m))
		ask_end(k, error, m);
}

static void ask_by_mail(struct ask *k, int64_t left)
{
	struct peers *p = k->a->peers;
	int64_t now = clock_mono_ms();
	metric_add(&metrics[M_MAIL], 1);
	if (!p->warned || now - p->warned > CALM_MS)
		log_warn("no scheduler can be heard: asking by way of the database",
		         LOG_I("schedulers", p->schedulers.addresses.n));
	p->warned = now;
	k->mail = mail_send(k->a, k->type, k->text, left, mail_answered, k);
	loop_timer_arm(k->again, left);
}

/* True if no scheduler has answered for a while; otherwise the request will be tried again. */
static bool finds_nobody(struct ask *k, int64_t left)
{
	int64_t now = clock_mono_ms();
	if (count_live(k->a->peers)) {
		k->since = 0;
		return false;
	}
	if (!k->since)
		k->since = now;
	if (now - k->since >= UNHEARD_MS || k->a->peers->warned)
		ask_by_mail(k, left);
	else if (!k->a->peers->schedulers.addresses.n)
		loop_timer_arm(k->again, left < 200 ? left : 200);
	return k->mail || !k->a->peers->schedulers.addresses.n;
}

static void ask_next(struct ask *k)
{
	struct peers *p = k->a->peers;
	int64_t left = k->until - clock_mono_ms();
	if (left <= 0 || !k->text) { /* no text: too large for a message */
		ask_end(k, -EHOSTUNREACH, NULL);
		return;
	}
	if (k->mail)
		loop_timer_arm(k->again, left);
	if (k->mail || finds_nobody(k, left))
		return;
	LOOM_CLEANUP_STR char *last = k->asked;
	const char *first = k->cluster ? address_for(p, k->cluster) : NULL;
	k->asked = loom_strdup(first ? first : next_address(p, last));
	k->cluster = 0; /* if that scheduler fails, try all others in turn */
	const struct bus_text m = { k->type, k->text };
	k->request = bus_request(k->a->bus, k->asked, &m, left, ask_answered, k);
}

struct ask *peers_ask(struct api *a, enum messages type, const void *m, int64_t timeout_ms,
                      bus_reply_cb cb, void *arg)
{
	struct ask *k = loom_calloc(1, sizeof(*k));
	*k = (struct ask){ .a = a,
		           .type = &messages[type],
		           .text = message_write(&messages[type], m),
		           .until = clock_mono_ms() + timeout_ms,
		           .cb = cb,
		           .arg = arg };
	if (type == MSG_TAKE)
		k->take = loom_strdup(((const struct msg_take *)m)->id);
	else if (type == MSG_FINISH)
		k->take = loom_strdup(((const struct msg_finish *)m)->take);
	if ((k->next = a->peers->asks))
		k->next->prev = k;
	a->peers->asks = k;
	k->again = loop_timer_create(a->loop, "ask again", ask_again, k);
	loop_timer_arm(k->again, 0);
	return k;
}

void peers_about(struct ask *k, int64_t cluster)
{
	k->cluster = cluster;
}

void peers_insist(struct ask *k)
{
	k->insists = true;
}

int peers_status(int error, const struct msg_answer *m)
{
	bool known = !error && (m->status == 200 || m->status >= 400);
	return known ? (int)m->status : 503;
}

void peers_cancel(struct ask *k)
{
	withdraw(k);
	ask_free(k);
}

void peers_notify_schedulers(struct api *a, enum messages type, const void *m)
{
	peer_list_notify(&a->peers->schedulers, type, m);
}

void peers_notify_apis(struct api *a, enum messages type, const void *m)
{
	peer_list_notify(&a->peers->apis, type, m);
}
