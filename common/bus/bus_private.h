/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus_private - what the sources of common/bus share: the sealed envelope, what is fresh, peers.
 *
 * No clock of another machine is believed. Each process has a challenge, a random word that it
 * changes every half minute and tells in all that it sends. A message must name the recipient's
 * challenge of now or of just before, so it was made for this process and not long ago; and it has
 * a number of its sender's that has not come before. Who has no fresh challenge of a peer asks for
 * it first (hello, welcome), which is also how a peer is found to be silent.
 */
#ifndef LOOM_BUS_BUS_PRIVATE_H
#define LOOM_BUS_BUS_PRIVATE_H

#include "common/base/metrics.h"
#include "common/bus/bus.h"

#include <sodium.h>

#define BUS_BODY_MAX (16u << 20) /* the plan of some thousand machines */
#define BUS_PIECE    (48u << 10) /* of a body, in one message */
#define BUS_MESSAGE_MAX \
	(BUS_PIECE + 4096u)    /* with envelope and seal; all that a stranger can send */
#define BUS_GRACE_MS     200   /* for a peer that is being connected to */
#define BUS_GREET_MS     1000  /* for one that is, to say its challenge */
#define BUS_PING_MS      250   /* a peer that owes answers is asked for a sign of life */
#define BUS_SILENT_MS    1000  /* one that gives none for so long gets a new connection, */
#define BUS_LINGER_MS    2000  /* while what is in the old one may still arrive */
#define BUS_SKEW_MS      5000  /* wall clocks so far apart are worth a warning */
#define BUS_IDLE_MS      60000 /* a peer nobody talks to is forgotten */
#define BUS_CHALLENGE_MS 30000 /* a challenge is told for so long, and valid for twice as long */
#define BUS_KNOWN_MS     20000 /* a peer's challenge is used for so long */

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
	uint64_t id;      /* of the request; 0 elsewhere */
	uint64_t life, n; /* of the sender: which start of it, its number of the message */
	const char *verb; /* of a request or notice */
	const char *to;   /* the recipient's inbox */
	const char *from; /* the sender's inbox */
	const char *word; /* the recipient's challenge; in a hello NULL when it is not known */
	const char *mine; /* the sender's challenge */
	int64_t at;       /* wall clock of the sender, ms: to find clocks that differ, no more */
	int64_t wait;     /* request: what the asker waits, ms */
	int error;        /* answer: 0 or a negative errno */
	bool fresh;       /* as bus_fresh_check() has found; a hello need not be */
	size_t size, off; /* of the whole body, and where in it this piece belongs */
	const char *text; /* the piece: JSON, or part of it; not terminated */
	size_t len;
	struct json *doc; /* bus_open() only: owns what is above, */
	char *plain;      /* and the text */
};

/* A nanomsg message of its own (nn_freemsg); NULL when it is too big. */
void *bus_seal(const struct bus_key *key, const struct bus_message *m, size_t *ret_len);
/* 0 and m filled (bus_message_fini), or which metric counts the refusal. */
LOOM_MUST_CHECK enum bus_metric bus_open(const struct bus_key *key, const void *data, size_t len,
                                         struct bus_message *m);
void bus_message_fini(struct bus_message *m);

/* ---- bus_clocks.c: how far wall clocks are off ------------------------------------------------
 */

struct bus_clocks;

struct bus_clocks *bus_clocks_create(void);
void bus_clocks_destroy(struct bus_clocks *k); /* NULL ok */
struct bus_clocks *bus_clocks_of(struct bus *b);
/* A message came; warns (monotonic ms in *warned) when its sender's clock is too far off. Loop. */
void bus_clocks_heard(struct bus_clocks *k, const struct bus_message *m, int64_t *warned);

/* ---- bus_fresh.c: what is new and meant for us ---------------------------------------------- */

struct bus_fresh;

struct bus_fresh *bus_fresh_create(void);
void bus_fresh_destroy(struct bus_fresh *f);
uint64_t bus_fresh_life(const struct bus_fresh *f);    /* of this process */
const char *bus_fresh_word(const struct bus_fresh *f); /* the challenge to tell */
void bus_fresh_turn(struct bus_fresh *f);              /* a new challenge; every BUS_CHALLENGE_MS */
/* 0, or which metric counts the refusal; sets m->fresh. */
LOOM_MUST_CHECK enum bus_metric bus_fresh_check(struct bus_fresh *f, struct bus_message *m,
                                                const char *own_address);

/* ---- bus_pieces.c: large bodies -------------------------------------------------------------- */

/* Puts bodies together and parses them: small ones at once, large ones on a thread of its own. */
struct bus_pieces;
/* doc NULL: it was not JSON, or too deep. m is valid for the call; the callee takes doc. */
typedef void (*bus_whole_fn)(const struct bus_message *m, struct json *doc, void *arg);

struct bus_pieces *bus_pieces_create(struct loop *l, bus_whole_fn whole, void *arg);
void bus_pieces_destroy(struct bus_pieces *ps); /* waits for its thread; whole is not called more */
void bus_pieces_add(struct bus_pieces *ps, struct bus_message *m); /* takes m's contents */
void bus_pieces_sweep(struct bus_pieces *ps); /* forgets what has not become whole */

/* ---- bus_listen.c -------------------------------------------------------------------------- */

#define BUS_ADDRESS_MAX 64

/* A PUSH socket for an address, and the descriptor that reads as readable when a message can be
 * sent; false: none can be had (*sock may be open). */
LOOM_MUST_CHECK bool bus_connect(const char *address, int *sock, int *ret_fd);
/* Binds and fills in the address that peers use. 0, or positive with err filled. */
LOOM_MUST_CHECK int bus_bind(int sock, const char *listen, char address[BUS_ADDRESS_MAX],
                             struct loom_err *err);

/* ---- bus_peer.c: sending ------------------------------------------------------------------- */

struct bus_peer;
struct bus_peers;

/* What is to be sent: the fields of a message that its sender decides. */
struct bus_letter {
	enum bus_kind kind;
	uint64_t id;
	const char *verb; /* borrowed */
	int64_t wait;
	int error;
	char *text; /* the body as JSON (owned), NULL: none */
	size_t len;
};

/* Told (never from inside bus_peers_send()) that the message of a request will not go out, or that
 * the peer of requests awaiting an answer has died, or has been without contact for a while: what
 * was asked of it up to then (monotonic ms), or its answer, may be lost. */
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
/* Takes the letter's text. Returns the peer, or NULL when its address is of no use or it is
 * known to be away. Only a request (letter's id) whose loss somebody wants to hear of is tracked.
 */
struct bus_peer *bus_peers_send(struct bus_peers *ps, const char *address, struct bus_letter *l);
/* An authentic message of a peer has come. One that is not fresh, as a hello may be, is answered
 * by telling our challenge. */
void bus_peers_heard(struct bus_peers *ps, const struct bus_message *m);
/* Drops the message of a request if it is still waiting. */
void bus_peers_forget(struct bus_peers *ps, struct bus_peer *peer, uint64_t request);
/* Requests awaiting an answer keep a peer: it is watched and not forgotten. */
void bus_peer_hold(struct bus_peer *peer);
void bus_peer_release(struct bus_peer *peer);

#endif
