/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redact - replaces the secrets that a task was given by REDACT_MASK in its plugin's output. Finds
 * a secret as it is, as JSON writes it, and line by line if it has several; however the output is
 * split into parts. Does not find a secret that is shorter than REDACT_MIN, is written in another
 * form (base64, one half to each stream), or exceeds the REDACT_BYTES of all secrets.
 *
 * The work per byte of text does not grow with the number or the length of the secrets. One thread
 * fills a set, then any thread may use it; a stream belongs to one thread.
 */
#ifndef LOOM_JSON_REDACT_H
#define LOOM_JSON_REDACT_H

#include "common/base/buf.h"
#include "common/json/json.h"

#include <stdint.h>

#define REDACT_MASK  "********"
#define REDACT_MIN   6          /* bytes */
#define REDACT_PIECE 64         /* bytes: longer secrets are searched for in pieces */
#define REDACT_BYTES (1u << 18) /* of all pieces */

struct redact;

struct redact *redact_create(void);
void redact_destroy(struct redact *r); /* NULL ok */
/* Copies the secret. A JSON value counts as a set: every text and number in it. NULL ok. */
void redact_add(struct redact *r, const char *secret);
void redact_add_json(struct redact *r, const struct json *secret);
/* Call after adding the last secret, before the first text. */
void redact_compile(struct redact *r);
bool redact_is_empty(const struct redact *r); /* NULL counts as empty */

/* Redacts a whole text; NULL gives NULL. Returns owned. */
char *redact_text(const struct redact *r, const char *text);
/* Redacts a copy of v; copies the contents of members called `but` (NULL: none) unchanged. Returns
 * owned. */
struct json *redact_json(const struct redact *r, const struct json *v, const char *but);

/* A text that comes in parts. Initialize with zeros and `of`. Holds back what may be the beginning
 * of a secret until more comes. */
struct redact_stream {
	const struct redact *of;
	uint32_t state;
	unsigned char held[128], covered[128]; /* rings */
	unsigned first, n;
	bool masked; /* the last output was the mask */
};
/* Appends to out, which must have room for 2 * len + 256 bytes more. */
void redact_feed(struct redact_stream *s, const char *data, size_t len, struct buf *out);
void redact_end(struct redact_stream *s, struct buf *out);

LOOM_DEFINE_CLEANUP(struct redact *, redact_destroy)

#endif
