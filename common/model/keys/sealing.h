/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealing - finds and seals secrets that are not sealed yet: in rows of older versions, in rows
 * written while an older version still ran, and in all rows once a plugin type declares another
 * field secret, or tenants get new keys.
 *
 * Each row of a provider, a service or a cluster has the generation at which it was examined; the
 * present generation is a counter. A terminated cluster's secrets are erased. Inside db_tx().
 */
#ifndef LOOM_MODEL_SEALING_H
#define LOOM_MODEL_SEALING_H

#include "common/model/cluster/cluster.h"
#include "common/model/keys/secret.h"

/* Read it before the plugin types that determine what is secret. */
LOOM_MUST_CHECK int sealing_generation(struct db *db, int64_t *ret);
/* Starts a new generation: all rows will be examined again. */
LOOM_MUST_CHECK int sealing_raise(struct db *db);

/* Makes the stored form of a provider or service: sealed by the types that it names; masks and
 * missing secrets are taken from the stored one, which is locked. 0 with *ret owned, or 400 with
 * err. */
LOOM_MUST_CHECK int sealing_of_document(struct db *db, const struct secret_of *of,
                                        const struct json *doc, struct json **ret,
                                        struct loom_err *err);
LOOM_MUST_CHECK int sealing_mark_document(struct db *db, const struct secret_of *of,
                                          const char *name, int64_t version, int64_t generation);

/* Progress through data without marks; owned by the caller, zero at first. Update it only after a
 * commit: a repeated run starts from the old state. */
struct sealing_seen {
	int64_t generation; /* for which all was examined */
	int64_t cluster;    /* the last cluster since then whose nodes were examined */
	/* Unmarked rows that cannot be examined: left out until nothing else remains. */
	int64_t documents_passed, clusters_passed;
};
/* Seals some rows that are not sealed with their tenant's present key; *ret: how many were
 * examined, 0: only rows remain that others hold or that cannot be examined. */
LOOM_MUST_CHECK int sealing_some(struct db *db, struct keyring *ring, struct sealing_seen *seen,
                                 int64_t *ret);
LOOM_MUST_CHECK int sealing_left(struct db *db, int64_t *ret); /* rows still to be examined */

#endif
