/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which messages are new: made for this process, not long ago, and not seen before.
 *
 * For every sender heard since the challenge before last it knows the numbers seen: the highest and
 * those shortly below. Older messages name an outdated challenge. Loop.
 */
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/bus/bus_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WINDOW 4096 /* numbers below the highest one that may still come */

struct sender {
	uint64_t top;               /* highest number seen */
	unsigned turns;             /* changes of our challenge since its last message */
	uint64_t seen[WINDOW / 64]; /* bit of number n at n % WINDOW, for top - WINDOW < n <= top */
};

struct bus_fresh {
	uint64_t life;
	char word[BUS_WORD], before[BUS_WORD];
	struct map *senders; /* by life */
};

struct bus_fresh *bus_fresh_create(void)
{
	struct bus_fresh *f = loom_calloc(1, sizeof(*f));
	while (!f->life)
		randombytes_buf(&f->life, sizeof(f->life));
	f->senders = map_create(loom_free);
	bus_fresh_turn(f);
	bus_fresh_turn(f);
	return f;
}

void bus_fresh_destroy(struct bus_fresh *f)
{
	if (!f)
		return;
	map_destroy(f->senders);
	loom_free(f);
}

uint64_t bus_fresh_life(const struct bus_fresh *f)
{
	return f->life;
}

const char *bus_fresh_word(const struct bus_fresh *f)
{
	return f->word;
}

void bus_fresh_turn(struct bus_fresh *f)
{
	const char *life;
	void *value;
	memcpy(f->before, f->word, sizeof(f->before));
	id_random_hex(f->word, (BUS_WORD - 1) / 2);
	for (size_t it = 0; map_next(f->senders, &it, &life, &value);) {
		struct sender *s = value;
		if (++s->turns > 2)
			(void)map_del(f->senders, life);
	}
}

static struct sender *sender_of(struct bus_fresh *f, uint64_t life)
{
	char name[17];
	(void)snprintf(name, sizeof(name), "%" PRIx64, life);
	struct sender *s = map_get(f->senders, name);
	if (!s) {
		s = loom_calloc(1, sizeof(*s));
		map_set(f->senders, name, s);
	}
	return s;
}

/* True only the first time for each number. */
static bool take_number(struct sender *s, uint64_t n)
{
	if (n + WINDOW <= s->top)
		return false;
	if (n > s->top + WINDOW)
		memset(s->seen, 0, sizeof(s->seen));
	else
		for (uint64_t i = s->top + 1; i <= n; i++)
			s->seen[i % WINDOW / 64] &= ~(UINT64_C(1) << i % 64);
	if (n > s->top)
		s->top = n;
	uint64_t *word = &s->seen[n % WINDOW / 64], bit = UINT64_C(1) << n % 64;
	bool is_new = !(*word & bit);
	*word |= bit;
	s->turns = 0;
	return is_new;
}

static bool is_ours(const struct bus_fresh *f, const char *word)
{
	return str_eq(word, f->word) || str_eq(word, f->before);
}

enum bus_metric bus_fresh_check(struct bus_fresh *f, struct bus_message *m, const char *own_address)
{
	m->fresh = false;
	if (!str_eq(m->to, own_address))
		return BUS_M_ASTRAY;
	/* A hello asks for our challenge, so it may name an old one. A replayed hello only causes a
	 * welcome that names an old challenge of its sender. */
	if (!is_ours(f, m->word))
		return m->kind == BUS_HELLO ? 0 : BUS_M_STALE;
	m->fresh = take_number(sender_of(f, m->life), m->n);
	return m->fresh ? 0 : BUS_M_REPLAYED;
}
