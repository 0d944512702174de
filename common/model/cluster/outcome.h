/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome - the result of a requested transaction: recorded, or refused with a reason.
 *
 * It is filled where that is decided, in the run that commits. Each run starts undecided, so
 * nothing remains of an earlier run; a transaction that ends undecided is a defect (DB_E_FATAL),
 * never a success. Answers are made only from this. Worker threads.
 */
#ifndef LOOM_MODEL_OUTCOME_H
#define LOOM_MODEL_OUTCOME_H

#include "common/db/db.h"

struct outcome {
	int status;      /* 0: undecided; 200: recorded; from 400: refused */
	int64_t cluster; /* the recorded cluster; 0: none */
	int64_t seq;     /* of its newest event; 0: no new one */
	char msg[1024];  /* reason of a refusal */
};

/* Both return the value for the transaction's function to return. */
int outcome_done(struct outcome *o, int64_t cluster, int64_t seq);
int outcome_refuse(struct outcome *o, int status, const char *fmt, ...) LOOM_PRINTF(3, 4);

/* db_tx() for a function that fills *o. 0 when it is decided and, if recorded, committed; else a
 * DB_E_ code, and *o is undecided. */
LOOM_MUST_CHECK int outcome_tx(struct db_pool *p, db_tx_fn fn, void *arg, struct outcome *o);

/* The same for a transaction that has ended with rc. */
LOOM_MUST_CHECK int outcome_settle(struct outcome *o, int rc);

#endif
