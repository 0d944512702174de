/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assembles bodies from pieces.
 * Only a sender with the key gets this far, so only that can make us keep anything; a stranger's
 * largest message is one piece. A separate thread parses large bodies while the loop goes on. Loop
 * thread, except parse().
 */
#include "common/base/clock.h"
#include "common/base/map.h"
#include "common/bus/bus_private.h"
#include "common/net/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* PATIENCE_MS: a body without a new piece for this time is dropped, because its sender has given up
 * (GIVEN_UP_MS in bus_peer.c). KEPT_MAX: four of the largest bodies may come at once. QUEUE: bodies
 * waiting for the thread; the loop parses those that do not fit. */
enum { PATIENCE_MS = 10000, KEPT_MAX = 4 * BUS_BODY_MAX, QUEUE = 64 };

/* A body being assembled, then parsed. m is from the first piece. */
struct body {
	struct bus_pieces *pieces;
	struct bus_message m;
	char *text;
	size_t filled;
	int64_t at; /* monotonic ms of the last piece */
	struct json *doc;
};

struct bus_pieces {
	struct loop *loop;
	struct pool *thread; /* NULL until the first large body */
	struct map *bodies;  /* incomplete ones, by sender and request */
	size_t kept;         /* bytes of these bodies and of those being parsed */
	bool closing;
	bus_whole_fn whole;
	void *arg;
};

static void body_free(struct body *b)
{
	b->pieces->kept -= b->m.size;
	bus_message_fini(&b->m);
	json_free(b->doc);
	loom_free(b->text);
	loom_free(b);
}

static void body_drop(struct bus_pieces *ps, const char *name, struct body *b)
{
	(void)map_del(ps->bodies, name);
	body_free(b);
}

/* Drops the bodies whose last piece came before `than`. */
static void drop_older(struct bus_pieces *ps, int64_t than)
{
	const char *name;
	void *value;
	for (size_t it = 0; map_next(ps->bodies, &it, &name, &value);) {
		struct body *b = value;
		if (b->at < than)
			body_drop(ps, name, b);
	}
}

struct bus_pieces *bus_pieces_create(struct loop *l, bus_whole_fn whole, void *arg)
{
	struct bus_pieces *ps = loom_calloc(1, sizeof(*ps));
	*ps = (struct bus_pieces){ .loop = l, .whole = whole, .arg = arg };
	ps->bodies = map_create(NULL);
	return ps;
}

void bus_pieces_destroy(struct bus_pieces *ps)
{
	if (!ps)
		return;
	ps->closing = true;
	pool_destroy(ps->thread);
	if (ps->thread)
		loop_flush(ps->loop); /* functions posted by the thread use ps */
	drop_older(ps, INT64_MAX);
	map_destroy(ps->bodies);
	loom_free(ps);
}

static struct json *parse_text(const char *text, size_t len)
{
	struct json *doc = NULL;
	return json_parse(text, len, BUS_BODY_MAX, &doc, NULL) ? NULL : doc;
}

static void parse(void *arg)
{
	struct body *b = arg;
	b->doc = parse_text(b->text, b->m.size);
}

static void parsed(void *arg)
{
	struct body *b = arg;
	struct bus_pieces *ps = b->pieces;
	if (!ps->closing) {
		struct json *doc = b->doc;
		b->doc = NULL;
		ps->whole(&b->m, doc, ps->arg);
	}
	body_free(b);
}

static void parse_aside(struct body *b)
{
	struct bus_pieces *ps = b->pieces;
	if (!ps->thread)
		ps->thread = pool_create(ps->loop, 1, QUEUE);
	if (pool_submit(ps->thread, parse, parsed, b) == 0)
		return;
	parse(b); /* too many at once: parse on the loop */
	parsed(b);
}

static void body_name(const struct bus_message *m, char name[64])
{
	(void)snprintf(name, 64, "%" PRIx64 "/%d/%" PRIx64, m->life, (int)m->kind, m->id);
}

/* Begins a body with its first piece; takes m's contents. */
static struct body *body_begin(struct bus_pieces *ps, struct bus_message *m)
{
	struct body *b = loom_calloc(1, sizeof(*b));
	*b = (struct body){ .pieces = ps, .m = *m, .text = loom_malloc(m->size) };
	ps->kept += m->size;
	*m = (struct bus_message){ 0 };
	return b;
}

static void body_fill(struct body *b, const char *text, size_t len)
{
	memcpy(b->text + b->filled, text, len);
	b->filled += len;
	b->at = clock_mono_ms();
}

void bus_pieces_add(struct bus_pieces *ps, struct bus_message *m)
{
	char name[64];
	if (m->len == m->size) {
		struct json *doc = m->size ? parse_text(m->text, m->len) : NULL;
		ps->whole(m, doc, ps->arg);
		bus_message_fini(m);
		return;
	}
	body_name(m, name);
	struct body *b = map_get(ps->bodies, name);
	if (m->off == 0) {
		if (b) /* restarted */
			body_drop(ps, name, b);
		b = NULL;
		if (ps->kept + m->size <= KEPT_MAX) {
			b = body_begin(ps, m);
			body_fill(b, b->m.text, b->m.len);
			map_set(ps->bodies, name, b);
		}
	} else if (b && m->size == b->m.size && m->off == b->filled) {
		body_fill(b, m->text, m->len);
	}
	bus_message_fini(m); /* a piece that does not fit: its body will never be complete */
	if (!b || b->filled < b->m.size)
		return;
	(void)map_del(ps->bodies, name);
	parse_aside(b);
}

void bus_pieces_sweep(struct bus_pieces *ps)
{
	drop_older(ps, clock_mono_ms() - PATIENCE_MS);
}
