/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail - requests to a scheduler through the database, while the bus does not work: slow, but as
 * long as the database works, so does Loom. An API posts a request and polls for its answer; a
 * scheduler claims it, handles it like one from the bus, and writes the answer. Like a message it
 * may be lost, which costs time but never work: its effects are fenced as always. Bodies and
 * answers are sealed, as they contain what the bus would encrypt. Inside db_tx() or db_read().
 */
#ifndef LOOM_MODEL_MAIL_H
#define LOOM_MODEL_MAIL_H

#include "common/base/seal.h"
#include "common/db/db.h"

#define MAIL_USE     "mail" /* for seal_key_init() */
#define MAIL_ID_MAX  33
#define MAIL_AT_ONCE 64

struct mail {
	char id[MAIL_ID_MAX];
	char verb[33];
	int64_t wait_ms; /* how long its sender still waits */
	char *body;      /* JSON, owned */
};
struct mails {
	struct mail v[MAIL_AT_ONCE];
	size_t n;
};
void mails_fini(struct mails *m);

LOOM_MUST_CHECK int mail_post(struct db *db, const struct seal_key *key, const struct mail *m);
/* *ret owned, NULL while there is no answer. */
LOOM_MUST_CHECK int mail_answer(struct db *db, const struct seal_key *key, const char *id,
                                char **ret);
LOOM_MUST_CHECK int mail_drop(struct db *db, const char *id);

/* Does any request wait to be claimed? Reads only an index. */
LOOM_MUST_CHECK int mail_waits(struct db *db, bool *ret);
/* Claims all unclaimed requests for this scheduler; deletes those that nobody waits for any
 * more. */
LOOM_MUST_CHECK int mail_claim(struct db *db, const struct seal_key *key, const char *owner,
                               struct mails *ret);
LOOM_MUST_CHECK int mail_write_answer(struct db *db, const struct seal_key *key, const char *id,
                                      const char *answer);

#endif
