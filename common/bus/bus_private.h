/* SPDX-License-Identifier: Apache-2.0 */
/* bus_private - what the sources of common/bus share: the sealed envelope, and peers. */
#ifndef LOOM_BUS_BUS_PRIVATE_H
#define LOOM_BUS_BUS_PRIVATE_H

#include "common/base/metrics.h"
#include "common/bus/bus.h"

#include <sodium.h>

#define BUS_BODY_MAX    (16u << 20)            /* the plan of some thousand machines */
#define BUS_MESSAGE_MAX (BUS_BODY_MAX + 4096u) /* with envelope and seal */
#define BUS_AGE_MAX_MS  60000
#define BUS_GRACE_MS    200   /* for a peer that is being connected to */
#define BUS_IDLE_MS     60000 /* a peer nobody talks to is forgotten */

enum bus_metric {
	BUS_M_SENT,
	BUS_M_RECEIVED,
	BUS_M_UNSEALED,
	BUS_M_MALFORMED,
	BUS_M_STALE,
	BUS_M_REQUESTS,
	BUS_M_TIMEOUTS,
	BUS_M_UNREACHABLE,
	BUS_M_PENDING,
	BUS_M_PEERS,
	BUS_M_REQUEST_MS,
	BUS_M_COUNT
};
extern struct metric bus_metrics[BUS_M_COUNT];

/* ---- bus_seal.c: the envelope -------------------------------------------------------------- */

struct bus_key {
	unsigned char bytes[crypto_secretbox_KEYBYTES];
};
/* 0, or positive with err filled. */
LOOM_MUST_CHECK int bus_key_read(const char *path, struct bus_key *ret, struct loom_err *err);

enum bus_kind { BUS_REQUEST, BUS_ANSWER, BUS_NOTICE };

struct bus_message {
	enum bus_kind kind;
	uint64_t id;      /* of the request; 0 in a notice */
	const char *verb; /* not in an answer */
	const char *from; /* the sender's inbox */
	int64_t at;       /* wall clock of the sender, ms */
	int64_t wait;     /* request: what the asker waits, ms */
	int error;        /* answer: 0 or a negative errno */
	const struct json *body;
	struct json *doc; /* bus_open() only: owns all of the above */
};

/* A nanomsg message of its own (nn_freemsg) in *ret; 0 or -EMSGSIZE. */
LOOM_MUST_CHECK int bus_seal(const struct bus_key *key, const struct bus_message *m, void **ret,
                             size_t *ret_len);
/* 0 and m filled (json_free(m->doc)), or which metric counts the refusal. */
LOOM_MUST_CHECK enum bus_metric bus_open(const struct bus_key *key, const void *data, size_t len,
                                         int64_t now, struct bus_message *m);

/* ---- bus_listen.c -------------------------------------------------------------------------- */

#define BUS_ADDRESS_MAX 64

/* Binds and fills in the address that peers use. 0, or positive with err filled. */
LOOM_MUST_CHECK int bus_bind(int sock, const char *listen, char address[BUS_ADDRESS_MAX],
                             struct loom_err *err);

/* ---- bus_peer.c: sending ------------------------------------------------------------------- */

struct bus_peer;
struct bus_peers;

/* Told (never from inside bus_peers_send()) that the message of a request will not go out, or that
 * the peer of requests awaiting an answer has died. */
typedef void (*bus_unsent_fn)(uint64_t request, void *arg);
typedef void (*bus_lost_fn)(const struct bus_peer *peer, void *arg);

struct bus_peers *bus_peers_create(struct loop *l, bus_unsent_fn unsent, bus_lost_fn lost,
                                   void *arg);
void bus_peers_destroy(struct bus_peers *ps);
/* Takes msg. Returns the peer, or NULL when its address is of no use or it is known to be away.
 * request is 0 for messages whose loss nobody is told. */
struct bus_peer *bus_peers_send(struct bus_peers *ps, const char *address, void *msg,
                                uint64_t request);
/* Drops the message of a request if it is still waiting. */
void bus_peers_forget(struct bus_peers *ps, struct bus_peer *peer, uint64_t request);
/* Requests awaiting an answer keep a peer: it is watched and not forgotten. */
void bus_peer_hold(struct bus_peer *peer);
void bus_peer_release(struct bus_peer *peer);

#endif
