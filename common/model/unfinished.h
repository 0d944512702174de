/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unfinished - how many jobs a tenant has that have not ended, and whether it may have one more.
 * What clients ask for endlessly would pile up without a bound. Inside db_tx().
 */
#ifndef LOOM_MODEL_UNFINISHED_H
#define LOOM_MODEL_UNFINISHED_H

#include "common/db/db.h"

/* 0, or JOB_E_MANY when it has `most` or more, with *ret_words (owned) that say so to whoever asks.
 * With little room left the tenant's row is locked until the transaction ends, so that those who
 * ask at the same time do not share one place; never wait for a cluster's row after this. */
LOOM_MUST_CHECK int unfinished_room(struct db *db, const char *tenant, int64_t most,
                                    char **ret_words);

#endif
