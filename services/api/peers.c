/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers - the schedulers this API asks and the APIs it tells, as ZooKeeper last named them.
 *
 * ZooKeeper needs seconds to miss a scheduler that hangs, or whose link to this machine is broken
 * (then it never does). So each one is asked for a sign of life twice a second. What was asked of
 * one that gives none is asked of another; whatever it does all the same is fenced.  When none can
 * be heard, they are asked by way of the database: it takes seconds, but work goes on.
 */
#include "services/api/api.h"
#include "services/api/mail.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/str.h"
#include "common/service/peer_list.h"

#include <errno.h>
#include <stdatomic.h>

enum { PING_EVERY_MS = 500, PING_MS = 1000, UNHEARD_MS = 1500, CALM_MS = 60000 };

struct peer {
	struct api *a;
	char *address;
	uint64_t ping; /* not yet answered */
	bool silent, gone;
};

struct peers {
	struct peer **v; /* schedulers */
	size_t n;
	struct peer_list schedulers, apis;
	struct loop_timer *pings;
	int64_t warned;      /* that nobody is heard */
	atomic_bool unheard; /* none of them is, for other threads */
	size_t next;         /* round robin */
	struct ask *asks;    /* not yet ended */
};

struct ask {
	struct ask *prev, *next;
	struct api *a;
	const struct message_type *type;
	char *text, *asked;
	char *take;      /* its id, if it is one */
	int64_t cluster; /* that it is about; 0: anybody is asked */
	int64_t until;   /* monotonic ms */
	uint64_t request;
	int64_t since;       /* monotonic ms, when it began to find nobody; 0: it has not */
	struct letter *mail; /* it is asked by way of the database */
	struct loop_timer *again;
	bus_reply_cb cb;
	void *arg;
};

enum { M_MAIL, M_HEARD, M_COUNT };
static struct metric metrics[M_COUNT] = {
	[M_HEARD] = { "loom_api_schedulers_heard", "Schedulers that give signs of life",
	              METRIC_GAUGE },
	[M_MAIL] = { "loom_api_mail_total",
	             "Requests to schedulers by way of the database, for want of the bus",
	             METRIC_COUNTER },
};

bool peers_unheard(const struct api *a)
{
	return a->peers && a->peers->unheard;
}

static void ask_next(struct ask *k);

/* ---- signs of life --------------------------------------------------------------------------- */

/* Who is asked hears that nobody waits for the answer any more, if that matters. */
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

/* Asks others what this one was asked and has not answered. */
static void redirect(struct api *a, const char *address)
{
	for (struct ask *k = a->peers->asks; k; k = k->next) {
		if (!k->request || !str_eq(k->asked, address))
			continue;
		withdraw(k);
		loop_timer_arm(k->again, 0);
	}
}

static size_t heard(const struct peers *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++)
		n += !p->v[i]->silent && !p->v[i]->gone;
	return n;
}

static void pinged(int error, const void *answer LOOM_UNUSED, void *arg)
{
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
	if (silent && heard(p))
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

/* One that leaves in good order answers what it was asked; it is listened to until then. */
static void forget_peers(struct peers *p, bool all)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->n; i++) {
		if (all || (p->v[i]->gone && !is_asked(p, p->v[i])))
			peer_free(p->v[i]);
		else
			p->v[kept++] = p->v[i];
	}
	p->n = kept;
}

static void ping_all(void *arg)
{
	static const struct msg_none ping = { 0 };
	const struct message_type *t = &messages[MSG_PING];
	LOOM_CLEANUP_STR char *text = message_write(t, &ping);
	struct api *a = arg;
	forget_peers(a->peers, false);
	a->peers->unheard = !heard(a->peers);
	metric_set(&metrics[M_HEARD], (int64_t)heard(a->peers));
	for (size_t i = 0; i < a->peers->n; i++) {
		struct peer *m = a->peers->v[i];
		if (!m->ping)
			m->ping = bus_request(a->bus, m->address, t, text, PING_MS, pinged, m);
	}
}

static void schedulers_changed(const struct coord_member *m, size_t n, void *arg)
{
	struct api *a = arg;
	struct peers *p = a->peers;
	peer_list_changed(m, n, &p->schedulers);
	for (size_t i = 0; i < p->n; i++)
		p->v[i]->gone = !strs_has(&p->schedulers.addresses, p->v[i]->address);
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

void peers_start(struct api *a)
{
	metrics_register(metrics, M_COUNT);
	a->peers = loom_calloc(1, sizeof(*a->peers));
	a->peers->schedulers.bus = a->peers->apis.bus = a->bus;
	bus_on_notice(a->bus, &messages[MSG_EVENT], on_event, a);
	bus_on_notice(a->bus, &messages[MSG_LOG], on_log, a);
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

static void ask_answered(int error, const void *m, void *arg)
{
	struct ask *k = arg;
	k->request = 0;
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

/* In turn, those that live; all of them when none seems to. There is one at least. */
static const char *next_address(struct peers *p)
{
	bool any = !heard(p);
	const struct peer *m = p->v[p->next++ % p->n];
	while (m->gone || (m->silent && !any))
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

/* The same for all that is about one cluster, by whichever API: a scheduler remembers the rows that
 * it wrote last. Highest random weight, so that one that comes or goes changes only its share. */
static const char *address_for(const struct peers *p, int64_t cluster)
{
	const struct peer *best = NULL;
	for (size_t i = 0; i < p->n; i++) {
		const struct peer *m = p->v[i];
		if (!m->gone && !m->silent && (!best || weight(m, cluster) > weight(best, cluster)))
			best = m;
	}
	return best ? best->address : NULL;
}

static void mail_answered(int error, const void *m, void *arg)
{
	ask_end(arg, error, m);
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

/* True when nobody has been heard for a while, or it will be looked at again. */
static bool finds_nobody(struct ask *k, int64_t left)
{
	int64_t now = clock_mono_ms();
	if (heard(k->a->peers)) {
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
	if (left <= 0 || !k->text) { /* no text: it is larger than messages may be */
		ask_end(k, -EHOSTUNREACH, NULL);
		return;
	}
	if (k->mail)
		loop_timer_arm(k->again, left);
	if (k->mail || finds_nobody(k, left))
		return;
	loom_free(k->asked);
	const char *first = k->cluster ? address_for(p, k->cluster) : NULL;
	k->asked = loom_strdup(first ? first : next_address(p));
	k->cluster = 0; /* if that fails, all others in turn */
	k->request = bus_request(k->a->bus, k->asked, k->type, k->text, left, ask_answered, k);
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

/* ---- telling --------------------------------------------------------------------------------- */

struct notice {
	struct api *a;
	int64_t cluster, seq;
	bool job;
	enum messages hint; /* a notice for schedulers that says it all; 0: none */
	char *tenant_id, *task;
};

static void send_notice(void *arg)
{
	static const struct msg_none none = { 0 };
	struct notice *n = arg;
	struct api *a = n->a;
	if (a->peers && n->job)
		peer_list_tell(&a->peers->schedulers, MSG_JOB, &none);
	if (a->peers && n->hint) {
		peer_list_tell(&a->peers->schedulers, n->hint, &none);
	} else if (a->peers && n->task) {
		peer_list_tell(&a->peers->apis, MSG_LOG, &(struct msg_log){ .task = n->task });
		watchers_log(a, n->task);
	} else if (a->peers) {
		const struct msg_event m = { .first = { n->cluster, n->seq, n->tenant_id } };
		peer_list_tell(&a->peers->apis, MSG_EVENT, &m);
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

static void hint(struct api *a, enum messages verb)
{
	struct notice *n = loom_calloc(1, sizeof(*n));
	*n = (struct notice){ .a = a, .hint = verb };
	loop_post(a->loop, send_notice, n);
}

void peers_ready(struct api *a)
{
	hint(a, MSG_READY);
}

void peers_dropped(struct api *a)
{
	hint(a, MSG_DROPPED);
}
