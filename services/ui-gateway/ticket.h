/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket - what the gateway stores in a browser: a session, or a login attempt.
 *
 * Both are sealed with a key that all copies of the gateway derive from the same file, so any copy
 * can continue what another began, and nobody else can read or forge one. Neither is accepted in
 * place of the other. Pure, but for random numbers.
 */
#ifndef LOOM_GATEWAY_TICKET_H
#define LOOM_GATEWAY_TICKET_H

#include "common/base/seal.h"

#include <stdint.h>

#define TICKET_ID 33 /* including the NUL */

/* Times in ms since the epoch. */
struct ticket_session {
	char id[TICKET_ID];   /* kept when the session is renewed */
	char *token;          /* the token for loom-api */
	char *renewal;        /* the provider's refresh token; NULL: none */
	int64_t began;        /* time of the login */
	int64_t over;         /* latest end; derived from a setting, not sealed */
	int64_t issued, ends; /* of the token */
};

/* A login attempt, while the browser is at the provider. */
struct ticket_attempt {
	char *state, *nonce, *verifier;
	char *redirect; /* where the provider sends the browser back to */
	char *to;       /* the page to open afterwards */
	int64_t ends;
};

/* With a new id; copies the texts. */
struct ticket_session *ticket_session_new(const char *token, const char *renewal);
struct ticket_session *ticket_session_copy(const struct ticket_session *s);
void ticket_session_free(struct ticket_session *s); /* NULL ok */
char *ticket_session_seal(const struct seal_key *k, const struct ticket_session *s);
/* Returns owned; NULL if it was not sealed by us. */
struct ticket_session *ticket_session_open(const struct seal_key *k, const char *sealed);
/* Can it be renewed unnoticed, and is it time to? */
bool ticket_session_is_due(const struct ticket_session *s, int64_t now);

/* With random state, nonce and verifier. */
struct ticket_attempt *ticket_attempt_new(const char *redirect, const char *to, int64_t ends);
void ticket_attempt_free(struct ticket_attempt *a); /* NULL ok */
char *ticket_attempt_seal(const struct seal_key *k, const struct ticket_attempt *a);
struct ticket_attempt *ticket_attempt_open(const struct seal_key *k, const char *sealed);
/* Does this state (NULL: none) belong to the attempt? */
bool ticket_attempt_is(const struct ticket_attempt *a, const char *state);
/* The verifier's challenge (RFC 7636, S256); returns owned. */
char *ticket_challenge(const char *verifier);

LOOM_DEFINE_CLEANUP(struct ticket_session *, ticket_session_free)
LOOM_DEFINE_CLEANUP(struct ticket_attempt *, ticket_attempt_free)

#endif
