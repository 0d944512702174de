/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact - the secrets are one automaton (Aho and Corasick, 1975): after each byte its state is the
 * longest end of the text that begins a secret. What is before that end can be given out.
 */
#include "common/json/redact.h"

#include "common/base/mem.h"
#include "common/base/str.h"

#include <string.h>

#define RING (LOOM_COUNT(((struct redact_stream *)0)->held))
_Static_assert(RING > REDACT_PIECE + REDACT_MIN, "the longest beginning of a piece fits");

struct state {
	uint32_t child, next; /* the first of those that go on, and the next of its own kind; 0 */
	uint32_t fail;        /* the longest shorter one that ends alike */
	unsigned char byte, depth;
	unsigned char covers; /* of the longest secret that ends here; 0: none does */
};

struct redact {
	struct state *v; /* the first one is the beginning */
	uint32_t n;
	uint32_t first[256]; /* its children */
	bool compiled;
};

struct redact *redact_create(void)
{
	struct redact *r = loom_calloc(1, sizeof(*r));
	r->v = loom_calloc(1, sizeof(*r->v));
	r->n = 1;
	return r;
}

void redact_destroy(struct redact *r)
{
	if (!r)
		return;
	loom_free(r->v);
	loom_free(r);
}

bool redact_is_empty(const struct redact *r)
{
	return !r || r->n == 1;
}

/* ---- the set --------------------------------------------------------------------------------- */

static uint32_t child_of(const struct redact *r, uint32_t state, unsigned char byte)
{
	if (!state)
		return r->first[byte];
	uint32_t c = r->v[state].child;
	while (c && r->v[c].byte != byte)
		c = r->v[c].next;
	return c;
}

static uint32_t add_child(struct redact *r, uint32_t state, unsigned char byte)
{
	if (!(r->n & (r->n - 1)))
		r->v = loom_realloc(r->v, 2 * (size_t)r->n * sizeof(*r->v));
	uint32_t c = r->n++;
	r->v[c] = (struct state){ .next = state ? r->v[state].child : 0,
		                  .byte = byte,
		                  .depth = (unsigned char)(r->v[state].depth + 1) };
	if (state)
		r->v[state].child = c;
	else
		r->first[byte] = c;
	return c;
}

static void add_piece(struct redact *r, const char *s, size_t len)
{
	uint32_t at = 0;
	if (r->n + len > REDACT_BYTES)
		return;
	for (size_t i = 0; i < len; i++) {
		uint32_t c = child_of(r, at, (unsigned char)s[i]);
		at = c ? c : add_child(r, at, (unsigned char)s[i]);
	}
	r->v[at].covers = r->v[at].depth;
}

/* Not inside a character, and what is left is not too short. */
static void add_bytes(struct redact *r, const char *s, size_t len)
{
	while (len >= REDACT_PIECE + REDACT_MIN) {
		size_t cut = REDACT_PIECE;
		while (cut > REDACT_MIN && ((unsigned char)s[cut] & 0xc0) == 0x80)
			cut--;
		add_piece(r, s, cut);
		s += cut;
		len -= cut;
	}
	add_piece(r, s, len);
}

static void add_forms(struct redact *r, const char *s, size_t len)
{
	LOOM_CLEANUP(json_free) struct json *v = json_new_strn(s, len);
	LOOM_CLEANUP_STR char *text = json_text(v);
	size_t n = strlen(text) - 2; /* without the quotation marks */
	add_bytes(r, s, len);
	if (n != len)
		add_bytes(r, text + 1, n);
}

void redact_add(struct redact *r, const char *secret)
{
	bool any = false;
	loom_assert(!r->compiled);
	for (const char *at = secret; at && *at;) {
		size_t len = strcspn(at, "\r\n");
		if (len >= REDACT_MIN)
			add_forms(r, at, len);
		any = any || len >= REDACT_MIN;
		at += len + strspn(at + len, "\r\n");
	}
	if (secret && !any && strlen(secret) >= REDACT_MIN)
		add_forms(r, secret, strlen(secret));
}

void redact_add_json(struct redact *r, const struct json *secret)
{
	if (json_is(secret, JSON_ARRAY) || json_is(secret, JSON_OBJECT)) {
		for (size_t i = 0; i < json_len(secret); i++)
			redact_add_json(r, json_is(secret, JSON_ARRAY) ? json_at(secret, i)
			                                               : json_value_at(secret, i));
	} else if (json_is(secret, JSON_STRING)) {
		redact_add(r, json_str(secret));
	} else if (json_is(secret, JSON_NUMBER)) {
		LOOM_CLEANUP_STR char *text = json_text(secret);
		redact_add(r, text);
	}
}

static uint32_t step(const struct redact *r, uint32_t at, unsigned char byte)
{
	uint32_t c;
	while (!(c = child_of(r, at, byte)) && at)
		at = r->v[at].fail;
	return c;
}

/* Of a state whose parent, and all that are less deep, are known. */
static void link_state(struct redact *r, uint32_t parent, uint32_t c)
{
	struct state *s = &r->v[c];
	s->fail = parent ? step(r, r->v[parent].fail, s->byte) : 0;
	if (!s->covers)
		s->covers = r->v[s->fail].covers;
}

/* By depth. */
void redact_compile(struct redact *r)
{
	uint32_t *queue = loom_calloc(r->n, sizeof(*queue)), n = 0;
	for (unsigned b = 0; b < LOOM_COUNT(r->first); b++) {
		if (!r->first[b])
			continue;
		link_state(r, 0, r->first[b]);
		queue[n++] = r->first[b];
	}
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t c = r->v[queue[i]].child; c; c = r->v[c].next) {
			link_state(r, queue[i], c);
			queue[n++] = c;
		}
	}
	loom_free(queue);
	r->compiled = true;
}

/* ---- a stream -------------------------------------------------------------------------------- */

static void give_out(struct redact_stream *s, unsigned keep, struct buf *out)
{
	for (; s->n > keep; s->n--) {
		unsigned at = s->first++ % RING;
		if (!s->covered[at])
			buf_addc(out, (char)s->held[at]);
		else if (!s->masked)
			buf_adds(out, REDACT_MASK);
		s->masked = s->covered[at];
	}
}

static void take_in(struct redact_stream *s, unsigned char byte)
{
	s->state = step(s->of, s->state, byte);
	s->held[(s->first + s->n) % RING] = byte;
	s->covered[(s->first + s->n) % RING] = 0;
	s->n++;
	for (unsigned i = s->of->v[s->state].covers; i > 0; i--)
		s->covered[(s->first + s->n - i) % RING] = 1;
}

/* How much at the beginning of data begins no secret. */
static size_t plain(const struct redact *r, const char *data, size_t len)
{
	size_t n = 0;
	while (n < len && !r->first[(unsigned char)data[n]])
		n++;
	return n;
}

void redact_feed(struct redact_stream *s, const char *data, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len;) {
		size_t n = s->n ? 0 : plain(s->of, data + i, len - i);
		if (n) {
			buf_add(out, data + i, n);
			s->masked = false;
			i += n;
			continue;
		}
		take_in(s, (unsigned char)data[i++]);
		give_out(s, s->of->v[s->state].depth, out);
	}
}

void redact_end(struct redact_stream *s, struct buf *out)
{
	give_out(s, 0, out);
	*s = (struct redact_stream){ .of = s->of };
}

static void whole(const struct redact *r, const char *text, size_t len, struct buf *out)
{
	struct redact_stream s = { .of = r };
	loom_assert(r->compiled);
	*out = BUF_INIT(2 * len + 256);
	redact_feed(&s, text, len, out);
	redact_end(&s, out);
	loom_assert(!out->full);
}

char *redact_text(const struct redact *r, const char *text)
{
	struct buf out;
	if (!text || redact_is_empty(r))
		return loom_strdup(text);
	whole(r, text, strlen(text), &out);
	return buf_take(&out);
}

static struct json *redact_str(const struct redact *r, const struct json *v)
{
	struct buf out;
	whole(r, json_str(v), json_str_len(v), &out);
	struct json *copy = json_new_strn(buf_str(&out), out.len);
	buf_fini(&out);
	return copy;
}

static struct json *redact_members(const struct redact *r, const struct json *v, const char *but)
{
	struct json *copy = json_new_obj();
	for (size_t i = 0; i < json_len(v); i++) {
		bool as_it_is = but && str_eq(json_key_at(v, i), but);
		LOOM_CLEANUP_STR char *key = redact_text(r, json_key_at(v, i));
		json_set(copy, key,
		         as_it_is ? json_copy(json_value_at(v, i))
		                  : redact_json(r, json_value_at(v, i), but));
	}
	return copy;
}

struct json *redact_json(const struct redact *r, const struct json *v, const char *but)
{
	if (redact_is_empty(r))
		return json_copy(v);
	if (json_is(v, JSON_STRING))
		return redact_str(r, v);
	if (json_is(v, JSON_OBJECT))
		return redact_members(r, v, but);
	if (!json_is(v, JSON_ARRAY))
		return json_copy(v);
	struct json *copy = json_new_arr();
	for (size_t i = 0; i < json_len(v); i++)
		json_push(copy, redact_json(r, json_at(v, i), but));
	return copy;
}
