/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_key - what a client called its request (header Idempotency-Key), so that the same request
 * sent again, because its answer was lost, has no second effect, and the same answer. Written in
 * the transaction that has the effect; belongs to one user of one tenant; kept for a while.
 */
#ifndef LOOM_MODEL_REQUEST_KEY_H
#define LOOM_MODEL_REQUEST_KEY_H

#include "common/db/db.h"

#define REQUEST_KEY_MAX    255   /* printable ASCII */
#define REQUEST_ANSWER_MAX 16384 /* bytes of an answer's body */

struct request_key {
	const char *tenant_id, *user, *key; /* borrowed; key NULL: the client gave none */
	const char *route;                  /* "POST /v2/tokens"; borrowed */
	char hash[65];                      /* of what was asked for */
};

struct request_answer {
	int status;            /* 0: there is none */
	char *location, *body; /* owned; NULL: without */
	bool sealed;           /* the body */
	int64_t cluster;       /* that was made; 0: none */
};
void request_answer_fini(struct request_answer *a); /* may be repeated */

bool request_key_ok(const char *key);

/* What an earlier request of this key was answered; *same: it asked for the same. */
LOOM_MUST_CHECK int request_key_find(struct db *db, const struct request_key *k,
                                     struct request_answer *ret, bool *same);
/* DB_E_RETRY when another request of this key was faster. */
LOOM_MUST_CHECK int request_key_add(struct db *db, const struct request_key *k,
                                    const struct request_answer *a);
/* Forgets a limited number of those that are older than this. */
LOOM_MUST_CHECK int request_keys_expire(struct db *db, int64_t kept_ms);

#endif
