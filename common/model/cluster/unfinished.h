/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unfinished - how many unfinished jobs a tenant has, and whether it may have one more. It bounds
 * what endless requests would pile up. Inside db_tx().
 */
#ifndef LOOM_MODEL_UNFINISHED_H
#define LOOM_MODEL_UNFINISHED_H

#include "common/db/db.h"

/* 0, or JOB_E_MANY when it has `most` or more, with an explanation for the caller in *ret_words
 * (owned). With little room left it locks the tenant's row until the transaction ends, so that
 * concurrent requests do not take the same place; never wait for a cluster's row after this. */
LOOM_MUST_CHECK int unfinished_room(struct db *db, const char *tenant, int64_t most,
                                    char **ret_words);

#endif
