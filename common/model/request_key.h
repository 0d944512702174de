/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_key - a client's name for its request (header Idempotency-Key). If the same request is
 * sent again, because its answer was lost, it has no second effect, and gets the same answer.
 * Written in the transaction that has the effect; belongs to one user of one tenant; kept for a
 * while.
 */
#ifndef LOOM_MODEL_REQUEST_KEY_H
#define LOOM_MODEL_REQUEST_KEY_H

#include "common/db/db.h"

#define REQUEST_KEY_MAX    255       /* printable ASCII */
#define REQUEST_ANSWER_MAX (4 << 20) /* bytes of an answer's body */

struct request_key {
	const char *tenant_id, *user, *key; /* borrowed; key NULL: none was given */
	const char *route;                  /* "POST /v2/tokens"; borrowed */
	char hash[65];                      /* of the requested action */
};

struct request_answer {
	int status;            /* 0: none */
	char *location, *body; /* owned; NULL: absent */
	bool sealed;           /* is the body sealed? */
	int64_t cluster;       /* the cluster that was created; 0: none */
};
void request_answer_fini(struct request_answer *a); /* may be called twice */

bool request_key_ok(const char *key);

/* The answer to an earlier request with this key; *same: it asked for the same. */
LOOM_MUST_CHECK int request_key_find(struct db *db, const struct request_key *k,
                                     struct request_answer *ret, bool *same);
/* DB_E_RETRY if another request with this key was faster. */
LOOM_MUST_CHECK int request_key_add(struct db *db, const struct request_key *k,
                                    const struct request_answer *a);
/* Deletes a limited number of older ones. */
LOOM_MUST_CHECK int request_keys_expire(struct db *db, int64_t kept_ms);

#endif
