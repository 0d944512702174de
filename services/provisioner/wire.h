/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire - JSON calls to the server's internal port. Loop thread only, nothing blocks.
 *
 * A call ends with exactly one callback, or none if it is cancelled. Destroying the wire cancels
 * what is open.
 */
#ifndef LOOM_PROVISIONER_WIRE_H
#define LOOM_PROVISIONER_WIRE_H

#include "common/json/json.h"
#include "common/net/loop.h"

#include <stdbool.h>

struct wire;
struct wire_call;

struct wire_answer {
	int status; /* 0: no complete answer, see error */
	const char *body;
	size_t len;
	int64_t retry_after_ms; /* -1: not given */
	bool leases_held;       /* a server that cannot renew leases holds them */
	const char *error;      /* NULL when there was an answer */
};

typedef void (*wire_fn)(const struct wire_answer *answer, void *arg);

/* server is "http://host:port", or https:// with trust, which is borrowed. token_file: the token
 * sent with each call; "": none. It is read again when the server refuses the token, so that it can
 * be replaced at run time. NULL with err if it cannot be read at first. */
struct http_trust;
struct wire *wire_create(struct loop *l, const char *server, const struct http_trust *trust,
                         const char *token_file, struct loom_err *err);
void wire_destroy(struct wire *w);

struct wire_request {
	const char *method;
	const char *path;        /* starts with "/" */
	const struct json *body; /* NULL: see text */
	const char *text;        /* the body as JSON text; NULL: none */
	int64_t timeout_ms;
};

/* Copies what it needs. */
struct wire_call *wire_start(struct wire *w, const struct wire_request *request, wire_fn fn,
                             void *arg);
void wire_cancel(struct wire_call *c); /* NULL ok */

bool wire_ok(const struct wire_answer *a); /* 2xx */
/* No answer, 401, 408, 429 or 5xx: the call may succeed later. */
bool wire_transient(const struct wire_answer *a);
/* The pause before a retry: as long as the server asked for, else backoff up to cap_ms. */
int64_t wire_pause_ms(const struct wire_answer *a, unsigned tries, int64_t cap_ms);
/* "connection refused", "HTTP 503": for logs. Valid until out is overwritten. */
const char *wire_reason(const struct wire_answer *a, char out[160]);
char *wire_words(const struct wire_answer *a); /* the server's own; returns owned */

#endif
