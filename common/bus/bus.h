/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus - messages between services over nanomsg: requests with answers, and notices without.
 *
 * Each process binds one inbox (PULL) and pushes to its peers' inboxes. Every message is sealed
 * (libsodium crypto_secretbox) with a key derived from the cluster's; it names its recipient and
 * the recipient's recent challenge, and has a number. A message that does not open, is for another
 * process, is old or was seen before is dropped and counted. No wall clock is trusted, so clocks
 * may differ. A body has up to 16 MiB; large ones travel in pieces and are parsed off the loop, and
 * a sender without the key cannot make us keep more than one piece.
 *
 * Delivery is a hint: a lost message costs time, never work. A request ends at once if its peer is
 * unreachable or has no handler for the verb, within half a second if the peer dies, and after its
 * timeout at the latest. Messages to a peer wait up to 200 ms for its connection. A peer that owes
 * answers and gives no sign of life for a second gets a new connection; when it is heard again,
 * earlier requests that it does not answer at once end as unreachable. Loop thread only. Callbacks
 * and handlers are never called from inside a function of this module, except bus_destroy().
 */
#ifndef LOOM_BUS_BUS_H
#define LOOM_BUS_BUS_H

#include "common/base/config.h"
#include "common/bus/message.h"
#include "common/net/loop.h"

struct bus;
struct bus_call; /* a received request, to be answered once */

struct bus_config {
	/* tcp://HOST:PORT; HOST: name or address under which peers reach this process; PORT 0: a
	 * free port. */
	char *listen;
	char *key_file; /* 64 hex digits */
};
extern const struct config_key bus_config_keys[]; /* bus_listen cluster_key_file */

LOOM_MUST_CHECK int bus_create(struct loop *l, const struct bus_config *cfg, struct bus **ret,
                               struct loom_err *err);
void bus_destroy(struct bus *b); /* first ends pending requests with an error */
const char *bus_address(const struct bus *b);

/* Finds the peer whose wall clock differs most, among those heard in the last minute, if by 5 s or
 * more; false if there is none. Any thread. */
struct bus_skew {
	char peer[64]; /* its address */
	int64_t ahead_ms;
};
bool bus_clocks_apart(struct bus *b, struct bus_skew *ret);
char *bus_skew_words(const struct bus_skew *s);  /* a clause; returns owned */
void bus_notes(struct bus *b, struct strs *ret); /* adds these words as a note for /readyz */

/* One handler per type of message; it owns m, the struct of t->body. Answer with bus_answer(), now
 * or later. Messages that cannot be read (message.h) do not get here: they are logged, and the
 * asker gets an error. */
typedef void (*bus_handler)(struct bus_call *call, void *m, void *arg);
void bus_on_request(struct bus *b, const struct message_type *t, bus_handler fn, void *arg);
void bus_answer(struct bus_call *call, const void *m); /* the struct of t->answer */
typedef void (*bus_notice_handler)(const void *m, void *arg);
void bus_on_notice(struct bus *b, const struct message_type *t, bus_notice_handler fn, void *arg);

/* Handles a request that did not come over the bus as if it had; takes body. Calls answer once,
 * maybe at once, with the text of the answer, or with -ENOSYS if there is no such verb, -EBADMSG if
 * it cannot be read, -ECANCELED if the bus is destroyed. */
typedef void (*bus_text_cb)(int error, const char *text, void *arg);
void bus_deliver(struct bus *b, const char *verb, struct json *body, bus_text_cb answer, void *arg);

/* A message from message_write(), borrowed; text NULL: it was too big. */
struct bus_text {
	const struct message_type *type;
	const char *text;
};
/* Copies the text. cb is called once: with error 0 and the struct of the type's answer (borrowed),
 * or with -EHOSTUNREACH, -ETIMEDOUT, -EMSGSIZE (message or answer over 16 MiB), -ENOSYS (no such
 * verb there), -EBADMSG (message or answer unreadable) or -ECANCELED (bus destroyed). Returns an id
 * for bus_cancel(), after which no callback follows. */
typedef void (*bus_reply_cb)(int error, const void *m, void *arg);
uint64_t bus_request(struct bus *b, const char *peer, const struct bus_text *m, int64_t timeout_ms,
                     bus_reply_cb cb, void *arg);
void bus_cancel(struct bus *b, uint64_t id);
void bus_notify(struct bus *b, const char *peer, const struct message_type *t, const char *text);

#endif
