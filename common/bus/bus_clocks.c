/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the wall clocks of peers with ours.
 * Warns about each that differs too much, and tells any thread the worst one, until it is right
 * again or has not been heard for a while.
 */
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/bus/bus_private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* CALM_MS: one warning a minute is enough. KNOWN_MS: after this a clock no longer counts, because
 * its peer is forgotten as well (BUS_IDLE_MS). */
enum { CALM_MS = 60000, KNOWN_MS = BUS_IDLE_MS };

struct bus_clocks {
	pthread_mutex_t lock; /* the loop writes, other threads read */
	struct bus_skew worst;
	int64_t at; /* monotonic ms, when it was heard; 0: no clock is too far off */
};

struct bus_clocks *bus_clocks_create(void)
{
	struct bus_clocks *k = loom_calloc(1, sizeof(*k));
	(void)pthread_mutex_init(&k->lock, NULL);
	return k;
}

void bus_clocks_destroy(struct bus_clocks *k)
{
	if (!k)
		return;
	(void)pthread_mutex_destroy(&k->lock);
	loom_free(k);
}

static void note(struct bus_clocks *k, const char *peer, int64_t ahead, int64_t now)
{
	bool same = str_eq(k->worst.peer, peer), old = !k->at || now - k->at > KNOWN_MS;
	if (!same && !old && llabs(ahead) <= llabs(k->worst.ahead_ms))
		return;
	(void)pthread_mutex_lock(&k->lock);
	(void)snprintf(k->worst.peer, sizeof(k->worst.peer), "%s", peer);
	k->worst.ahead_ms = ahead;
	k->at = llabs(ahead) < BUS_SKEW_MS ? 0 : now;
	(void)pthread_mutex_unlock(&k->lock);
}

void bus_clocks_heard(struct bus_clocks *k, const struct bus_message *m, int64_t *warned)
{
	int64_t ahead = m->at - clock_wall_ms(), now = clock_mono_ms();
	bool far = llabs(ahead) >= BUS_SKEW_MS;
	if (far || k->at)
		note(k, m->from, ahead, now);
	metric_set(&bus_metrics[BUS_M_SKEW], llabs(k->at ? k->worst.ahead_ms : ahead));
	if (!far || (*warned && now - *warned < CALM_MS))
		return;
	*warned = now;
	log_warn("clocks differ; nothing depends on it but what people read",
	         LOG_S("peer", m->from), LOG_I("ahead_ms", ahead));
}

bool bus_clocks_apart(struct bus *b, struct bus_skew *ret)
{
	struct bus_clocks *k = bus_clocks_of(b);
	(void)pthread_mutex_lock(&k->lock);
	bool apart = k->at && clock_mono_ms() - k->at <= KNOWN_MS;
	if (apart)
		*ret = k->worst;
	(void)pthread_mutex_unlock(&k->lock);
	return apart;
}

char *bus_skew_words(const struct bus_skew *s)
{
	return loom_asprintf("the clock of %s is %lld s %s this server's: no work waits for that, "
	                     "but times that are shown may be wrong",
	                     s->peer, (long long)llabs(s->ahead_ms) / 1000,
	                     s->ahead_ms < 0 ? "behind" : "ahead of");
}

void bus_notes(struct bus *b, struct strs *ret)
{
	struct bus_skew skew;
	if (!bus_clocks_apart(b, &skew))
		return;
	LOOM_CLEANUP_STR char *words = bus_skew_words(&skew);
	strs_add(ret, words);
}
