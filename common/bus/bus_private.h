/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus_private - shared within common/bus: the sealed envelope, freshness, peers.
 *
 * No clock of another machine is trusted. Each process has a challenge, a random word that it
 * changes every half minute and includes in everything it sends. A message must name the
 * recipient's present or previous challenge, so it was made for this process and not long ago; and
 * it has a number that its sender has not used before. A sender without a fresh challenge of its
 * peer first asks for it (hello, welcome), which also detects silent peers.
 */
#ifndef LOOM_BUS_BUS_PRIVATE_H
#define LOOM_BUS_BUS_PRIVATE_H

#include "common/base/metrics.h"
#include "common/bus/bus.h"

#include <sodium.h>

#define BUS_BODY_MAX (16u << 20) /* fits the plan of a few thousand machines */
#define BUS_PIECE    (48u << 10) /* of a body, per message */
#define BUS_MESSAGE_MAX \
	(BUS_PIECE + 4096u)    /* with envelope and seal; a stranger can send no more */
#define BUS_GRACE_MS     200   /* patience while connecting to a peer */
#define BUS_GREET_MS     1000  /* patience for a connected peer to tell its challenge */
#define BUS_PING_MS      250   /* interval of asking a peer that owes answers for a sign of life */
#define BUS_SILENT_MS    1000  /* after this time without one it gets a new connection, */
#define BUS_LINGER_MS    2000  /* while messages in the old one may still arrive */
#define BUS_SKEW_MS      5000  /* warn if wall clocks differ by this much */
#define BUS_IDLE_MS      60000 /* an unused peer is forgotten after this */
#define BUS_CHALLENGE_MS 30000 /* a challenge is announced this long, and valid twice as long */
#define BUS_KNOWN_MS     20000 /* a peer's challenge is used for this long */

enum bus_metric {
	BUS_M_SENT = 1, /* 0: nothing to count */
	BUS_M_RECEIVED,
	BUS_M_UNSEALED,
	BUS_M_MALFORMED,
	BUS_M_ASTRAY,
	BUS_M_STALE,
	BUS_M_REPLAYED,
	BUS_M_REQUESTS,
	BUS_M_TIMEOUTS,
	BUS_M_UNREACHABLE,
	BUS_M_RESETS,
	BUS_M_PENDING,
	BUS_M_PEERS,
	BUS_M_SKEW,
	BUS_M_REQUEST_MS,
	BUS_M_COUNT
};
extern struct metric bus_metrics[BUS_M_COUNT];
void bus_metrics_start(void);

/* ---- bus_seal.c: the envelope -------------------------------------------------------------- */

struct bus_key {
	unsigned char bytes[crypto_secretbox_KEYBYTES];
};
/* The bus's own key, derived from the cluster's. 0, or positive with err filled. */
LOOM_MUST_CHECK int bus_key_read(const char *path, struct bus_key *ret, struct loom_err *err);

enum bus_kind { BUS_REQUEST, BUS_ANSWER, BUS_NOTICE, BUS_HELLO, BUS_WELCOME };

#define BUS_WORD 33 /* a challenge: 32 hex digits, and NUL */

struct bus_message {
	enum bus_kind kind;
	uint64_t id;      /* of the request; otherwise 0 */
	uint64_t life, n; /* life: the sender's process; n: number of the message */
	const char *verb; /* of a request or notice */
	const char *to;   /* the recipient's inbox */
	const char *from; /* the sender's inbox */
	const char *word; /* the recipient's challenge; NULL in a hello: unknown */
	const char *mine; /* the sender's challenge */
	int64_t at;       /* sender's wall clock, ms: only to detect clocks that differ */
	int64_t wait;     /* request: how long the asker waits, ms */
	int error;        /* answer: 0 or a negative errno */
	bool fresh;       /* set by bus_fresh_check(); a hello need not be fresh */
	size_t size, off; /* of the whole body, and the position of this piece */
	const char *text; /* the piece: JSON, or part of it; not terminated */
	size_t len;
	struct json *doc; /* bus_open() only: owns the strings above, */
	char *plain;      /* and the text */
};

/* Returns a nanomsg message, owned (nn_freemsg()); NULL if it is too big. */
void *bus_seal(const struct bus_key *key, const struct bus_message *m, size_t *ret_len);
/* 0 with m filled (bus_message_fini()), or the metric that counts the refusal. */
LOOM_MUST_CHECK enum bus_metric bus_open(const struct bus_key *key, const void *data, size_t len,
                                         struct bus_message *m);
void bus_message_fini(struct bus_message *m);

/* ---- bus_clocks.c: how far wall clocks are off ------------------------------------------------
 */

struct bus_clocks;

struct bus_clocks *bus_clocks_create(void);
void bus_clocks_destroy(struct bus_clocks *k); /* NULL ok */
struct bus_clocks *bus_clocks_of(struct bus *b);
/* Call for each message; warns (monotonic ms in *warned) if its sender's clock differs too much.
 * Loop. */
void bus_clocks_heard(struct bus_clocks *k, const struct bus_message *m, int64_t *warned);

/* ---- bus_fresh.c: new messages for this process ---------------------------------------------- */

struct bus_fresh;

struct bus_fresh *bus_fresh_create(void);
void bus_fresh_destroy(struct bus_fresh *f);
uint64_t bus_fresh_life(const struct bus_fresh *f);    /* of this process */
const char *bus_fresh_word(const struct bus_fresh *f); /* the challenge to announce */
void bus_fresh_turn(struct bus_fresh *f);              /* a new challenge; every BUS_CHALLENGE_MS */
/* 0, or the metric that counts the refusal; sets m->fresh. */
LOOM_MUST_CHECK enum bus_metric bus_fresh_check(struct bus_fresh *f, struct bus_message *m,
                                                const char *own_address);

/* ---- bus_pieces.c: large bodies -------------------------------------------------------------- */

/* Assembles bodies and parses them: small ones at once, large ones on its own thread. */
struct bus_pieces;
/* doc NULL: not JSON, or nested too deep. m is valid during the call; the callee takes doc. */
typedef void (*bus_whole_fn)(const struct bus_message *m, struct json *doc, void *arg);

struct bus_pieces *bus_pieces_create(struct loop *l, bus_whole_fn whole, void *arg);
void bus_pieces_destroy(struct bus_pieces *ps); /* waits for its thread; no call of whole follows */
void bus_pieces_add(struct bus_pieces *ps, struct bus_message *m); /* takes m's contents */
void bus_pieces_sweep(struct bus_pieces *ps); /* drops bodies that stayed incomplete */

/* ---- bus_listen.c -------------------------------------------------------------------------- */

#define BUS_ADDRESS_MAX 64

/* Makes a PUSH socket for an address, and returns the descriptor that becomes readable when a
 * message can be sent; false on failure (*sock may be open). */
LOOM_MUST_CHECK bool bus_connect(const char *address, int *sock, int *ret_fd);
/* Binds, and fills in the address for peers. 0, or positive with err filled. */
LOOM_MUST_CHECK int bus_bind(int sock, const char *listen, char address[BUS_ADDRESS_MAX],
                             struct loom_err *err);

/* ---- bus_peer.c: sending ------------------------------------------------------------------- */

struct bus_peer;
struct bus_peers;

/* A message to send: the fields that its sender chooses. */
struct bus_letter {
	enum bus_kind kind;
	uint64_t id;
	const char *verb; /* borrowed */
	int64_t wait;
	int error;
	char *text; /* the body as JSON (owned), NULL: none */
	size_t len;
};

/* Called (never from inside bus_peers_send()) when the message of a request will not go out, and
 * when the peer of pending requests has died or was without contact for a while: requests made
 * until then (monotonic ms), or their answers, may be lost. */
typedef void (*bus_unsent_fn)(uint64_t request, void *arg);
typedef void (*bus_lost_fn)(const struct bus_peer *peer, int64_t until, void *arg);

struct bus_peers_of {
	const struct bus_key *key;
	const struct bus_fresh *fresh;
	struct bus_clocks *clocks;
	const char *address;
	bus_unsent_fn unsent;
	bus_lost_fn lost;
	void *arg;
};
struct bus_peers *bus_peers_create(struct loop *l, const struct bus_peers_of *of);
void bus_peers_destroy(struct bus_peers *ps);
/* Takes the letter's text. Returns the peer; NULL if its address is useless or it is known to be
 * away. Only a request (the letter's id) whose loss somebody wants to hear of is tracked. */
struct bus_peer *bus_peers_send(struct bus_peers *ps, const char *address, struct bus_letter *l);
/* Call for each authentic message of a peer. If it is not fresh, which a hello may be, the peer is
 * told our challenge. */
void bus_peers_heard(struct bus_peers *ps, const struct bus_message *m);
/* Drops the message of a request if it is still waiting. */
void bus_peers_forget(struct bus_peers *ps, struct bus_peer *peer, uint64_t request);
/* Requests awaiting an answer hold a peer: it is watched and not forgotten. */
void bus_peer_hold(struct bus_peer *peer);
void bus_peer_release(struct bus_peer *peer);

#endif
