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
#include "common/bus/message.h"
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

/* The peer whose wall clock is furthest off, of those heard in the last minute, if it is 5 s or
 * more; false when there is none. Any thread. */
struct bus_skew {
	char peer[64]; /* its address */
	int64_t ahead_ms;
};
bool bus_clocks_apart(struct bus *b, struct bus_skew *ret);
char *bus_skew_words(const struct bus_skew *s);  /* a clause; returns owned */
void bus_notes(struct bus *b, struct strs *ret); /* the same for /readyz */

/* One handler per type of message; it owns m, the struct of t->body. Answer with bus_answer() now
 * or later. What cannot be read (message.h) does not get here: it is logged, and its
 * asker told. */
typedef void (*bus_handler)(struct bus_call *call, void *m, void *arg);
void bus_on_request(struct bus *b, const struct message_type *t, bus_handler fn, void *arg);
void bus_answer(struct bus_call *call, const void *m); /* the struct of t->answer */
typedef void (*bus_notice_handler)(const void *m, void *arg);
void bus_on_notice(struct bus *b, const struct message_type *t, bus_notice_handler fn, void *arg);

/* A request that came by another way than the bus: handled as those are; body is taken. answer is
 * called once, with the text of the answer, -ENOSYS when there is no such verb, -EBADMSG when it
 * cannot be read, -ECANCELED when the bus is destroyed; maybe at once. */
typedef void (*bus_text_cb)(int error, const char *text, void *arg);
void bus_deliver(struct bus *b, const char *verb, struct json *body, bus_text_cb answer, void *arg);

/* text is message_write()'s of type t, NULL one that is too big; it is copied. cb has error 0 with
 * the struct of t->answer (borrowed), or none with -EHOSTUNREACH, -ETIMEDOUT, -EMSGSIZE (message or
 * answer over 16 MiB), -ENOSYS (no such verb there), -EBADMSG (message or answer could not be read)
 * or -ECANCELED (bus destroyed). Called once. Returns an id for bus_cancel() (no callback follows
 * then). */
typedef void (*bus_reply_cb)(int error, const void *m, void *arg);
uint64_t bus_request(struct bus *b, const char *peer, const struct message_type *t,
                     const char *text, int64_t timeout_ms, bus_reply_cb cb, void *arg);
void bus_cancel(struct bus *b, uint64_t id);
void bus_notify(struct bus *b, const char *peer, const struct message_type *t, const char *text);

#endif
