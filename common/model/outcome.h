/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome - what a transaction that somebody asked for came to: recorded, or refused in words.
 *
 * It is filled where that is decided, in the run that commits. Each run begins undecided, so
 * nothing of an earlier run is left, and what ends undecided is a defect (DB_E_FATAL), never a
 * success. An answer is made from this and from nothing else. Worker threads.
 */
#ifndef LOOM_MODEL_OUTCOME_H
#define LOOM_MODEL_OUTCOME_H

#include "common/db/db.h"

struct outcome {
	int status;      /* 0: undecided; 200: recorded; from 400: refused */
	int64_t cluster; /* recorded: which; 0: none */
	int64_t seq;     /* of its newest event; 0: there is no new one */
	char msg[1024];  /* refused: why */
};

/* Both give what the transaction's function returns. */
int outcome_done(struct outcome *o, int64_t cluster, int64_t seq);
int outcome_refuse(struct outcome *o, int status, const char *fmt, ...) LOOM_PRINTF(3, 4);

/* db_tx() of a function that fills *o. 0 when it is decided and, if recorded, committed; else a
 * DB_E_ code, and *o is undecided. */
LOOM_MUST_CHECK int outcome_tx(struct db_pool *p, db_tx_fn fn, void *arg, struct outcome *o);

/* The same of a transaction that has ended with rc. */
LOOM_MUST_CHECK int outcome_settle(struct outcome *o, int rc);

#endif
