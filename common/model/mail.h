/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail - requests to a scheduler by way of the database, for as long as the bus carries none: slow,
 * but with the database Loom works. An API posts one and looks for its answer; a scheduler claims
 * it, treats it as if it had come over the bus, and writes the answer. Like a message it may be
 * lost, which costs time and never work: what it leads to is fenced as ever. Bodies and answers are
 * sealed, for they hold what the bus would hide. Inside db_tx() or db_read().
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
	int64_t wait_ms; /* how long its sender waits, from now on */
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

/* Whether any waits to be claimed; reads an index only. */
LOOM_MUST_CHECK int mail_waits(struct db *db, bool *ret);
/* Those that nobody has claimed become this scheduler's; what nobody waits for any more goes. */
LOOM_MUST_CHECK int mail_claim(struct db *db, const struct seal_key *key, const char *owner,
                               struct mails *ret);
LOOM_MUST_CHECK int mail_write_answer(struct db *db, const struct seal_key *key, const char *id,
                                      const char *answer);

#endif
