/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact - takes the secrets that a task was told out of what its plugin says: REDACT_MASK stands
 * in their place. A secret is found as it is, as JSON writes it, and line by line if it has
 * several; however it is cut into pieces on its way. One that is shorter than REDACT_MIN, or is
 * written in another form (base64, one half to each stream), is not; nor what is beyond
 * REDACT_BYTES of them.
 *
 * The work for each byte of a text does not grow with the number or the length of the secrets. A
 * set is filled by one thread, then it may be used by any; a stream is of one thread.
 */
#ifndef LOOM_JSON_REDACT_H
#define LOOM_JSON_REDACT_H

#include "common/base/buf.h"
#include "common/json/json.h"

#include <stdint.h>

#define REDACT_MASK  "********"
#define REDACT_MIN   6          /* bytes */
#define REDACT_PIECE 64         /* bytes: longer ones are looked for in pieces */
#define REDACT_BYTES (1u << 18) /* of all pieces */

struct redact;

struct redact *redact_create(void);
void redact_destroy(struct redact *r); /* NULL ok */
/* Copies it. A value of several is a set of them: each text and each number in it. NULL ok. */
void redact_add(struct redact *r, const char *secret);
void redact_add_json(struct redact *r, const struct json *secret);
/* After the last one, before the first text. */
void redact_compile(struct redact *r);
bool redact_is_empty(const struct redact *r); /* NULL: it is */

/* A whole text; NULL gives NULL. Returns owned. */
char *redact_text(const struct redact *r, const char *text);
/* A copy of v; what a member of the name `but`, if any, holds is copied as it is. Returns owned. */
struct json *redact_json(const struct redact *r, const struct json *v, const char *but);

/* A text that comes in parts. Zero and `of` is a new one. What may be the beginning of a secret is
 * held back until more comes. */
struct redact_stream {
	const struct redact *of;
	uint32_t state;
	unsigned char held[128], covered[128]; /* rings */
	unsigned first, n;
	bool masked; /* the mask is the last that was given out */
};
/* Appends to out, which must have room for 2 * len + 256 bytes more. */
void redact_feed(struct redact_stream *s, const char *data, size_t len, struct buf *out);
void redact_end(struct redact_stream *s, struct buf *out);

LOOM_DEFINE_CLEANUP(struct redact *, redact_destroy)

#endif
