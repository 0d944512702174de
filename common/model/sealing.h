/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealing - which rows have had their secrets sealed, and the sealing of those that have not: rows
 * of versions that did not seal, rows written while one of those still ran, and all of them once a
 * plugin's type declares another field secret.
 *
 * Each row of a provider, a service or a cluster says at which generation it was looked at; the
 * present one is a counter. A terminated cluster's secrets are erased. Inside db_tx().
 */
#ifndef LOOM_MODEL_SEALING_H
#define LOOM_MODEL_SEALING_H

#include "common/model/cluster.h"
#include "common/model/secret.h"

/* Read it before the types that one seals by. */
LOOM_MUST_CHECK int sealing_generation(struct db *db, int64_t *ret);
/* All rows are to be looked at again. */
LOOM_MUST_CHECK int sealing_raise(struct db *db);

/* A copy of a provider or service as it is to be stored, sealed by the types it names, with what
 * the stored one has where it has a mask or nothing; the stored one is locked. 0 with *ret owned,
 * or 400 with err. */
LOOM_MUST_CHECK int sealing_of_document(struct db *db, const struct secret_of *of,
                                        const struct json *doc, struct json **ret,
                                        struct loom_err *err);
LOOM_MUST_CHECK int sealing_mark_document(struct db *db, const struct secret_of *of,
                                          const char *name, int64_t version, int64_t generation);

/* Seals some rows that are not; *ret is how many it looked at, 0: none is left. */
LOOM_MUST_CHECK int sealing_some(struct db *db, const struct seal_key *key, int64_t *ret);

#endif
