/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus - messages between services over nanomsg: requests with answers, and notices without.
 *
 * Each process binds one inbox (PULL) and pushes to its peers' inboxes. Every message is sealed
 * (libsodium crypto_secretbox) with a key derived from the cluster's, names its recipient and the
 * recipient's challenge of this minute, and has a number; what does not open, was made for another
 * process, is old or has come before is dropped and counted. No wall clock is believed, so clocks
 * may differ. A body has up to 16 MiB; large ones travel in pieces and are parsed off the loop, and
 * a stranger cannot make us keep more than one piece.
 *
 * Delivery is a hint: a lost message costs time, never work. A request ends at once when its peer
 * cannot be reached or has no handler for the verb, within half a second when the peer dies, and
 * after its timeout at the latest. Messages to a peer that is being connected to wait up to 200 ms.
 * A peer that owes answers and gives no sign of life for a second gets a new connection; when it is
 * heard again, what it was asked before and does not answer at once ends as unreachable.
 * Loop thread only; callbacks and handlers are never run from inside a call of this module, but for
 * bus_destroy().
 */
#ifndef LOOM_BUS_BUS_H
#define LOOM_BUS_BUS_H

#include "common/base/config.h"
#include "common/json/json.h"
#include "common/net/loop.h"

struct bus;
struct bus_call; /* a request received, to be answered once */

struct bus_config {
	/* tcp://HOST:PORT; HOST is a name or address that the peers reach this process by, PORT 0 a
	 * free port. */
	char *listen;
	char *key_file; /* 64 hex digits */
};
extern const struct config_key bus_config_keys[]; /* bus_listen cluster_key_file */

LOOM_MUST_CHECK int bus_create(struct loop *l, const struct bus_config *cfg, struct bus **ret,
                               struct loom_err *err);
void bus_destroy(struct bus *b); /* pending requests end with an error first */
const char *bus_address(const struct bus *b);

/* One handler per verb. body is borrowed. Answer with bus_answer() now or later, or bus_drop(). */
typedef void (*bus_handler)(struct bus_call *call, const struct json *body, void *arg);
void bus_on_request(struct bus *b, const char *verb, bus_handler fn, void *arg);
void bus_answer(struct bus_call *call, const struct json *body);
void bus_drop(struct bus_call *call);
int64_t bus_call_timeout(
	const struct bus_call *call); /* ms that the asker waits, from its sending */
typedef void (*bus_notice_handler)(const struct json *body, void *arg);
void bus_on_notice(struct bus *b, const char *verb, bus_notice_handler fn, void *arg);

/* A request that came by another way than the bus: handled as those are. answer is called once,
 * with -ENOSYS when there is no such verb, -ECANCELED when the bus is destroyed; maybe at once. */
typedef void (*bus_reply_cb)(int error, const struct json *body, void *arg);
void bus_deliver(struct bus *b, const char *verb, const struct json *body, int64_t wait_ms,
                 bus_reply_cb answer, void *arg);

/* error 0 with a body (borrowed), or none with -EHOSTUNREACH, -ETIMEDOUT, -EMSGSIZE (body or answer
 * over 16 MiB), -ENOSYS (no such verb there) or -ECANCELED (bus destroyed). Called once. Returns an
 * id for bus_cancel() (no callback follows then). bodies may be NULL. */
uint64_t bus_request(struct bus *b, const char *peer, const char *verb, const struct json *body,
                     int64_t timeout_ms, bus_reply_cb cb, void *arg);
void bus_cancel(struct bus *b, uint64_t id);
void bus_notify(struct bus *b, const char *peer, const char *verb, const struct json *body);

#endif
