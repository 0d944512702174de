/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept - whole texts that users store, sealed as soon as their tenant has a data key (keyring.h).
 * Before that, and when written by earlier versions, they are stored unsealed. Each is bound to its
 * place. Inside db_tx(), or db_read() for functions that only read.
 */
#ifndef LOOM_MODEL_KEPT_H
#define LOOM_MODEL_KEPT_H

#include "common/model/keys/keyring.h"

enum kept {
	KEPT_TARGET, /* the secret of a callback target, by its name; sealed without a data key, too
	              */
	KEPT_RECORD, /* a node record, by its id */
	KEPT_PROFILE, /* a profile, by its user */
	KEPT_KINDS_
};

struct kept_at {
	struct keyring *ring;
	struct db *db; /* for keyring_current() */
	enum kept kind;
	const char *tenant, *name;
};

/* Converts a text to its stored form; *ret owned. 0, a DB_E_ code, or 500 with err. */
LOOM_MUST_CHECK int kept_seal(const struct kept_at *at, const char *text, char **ret,
                              struct loom_err *err);
/* The reverse, for sealed and unsealed texts. */
LOOM_MUST_CHECK int kept_open(const struct kept_at *at, const char *stored, char **ret,
                              struct loom_err *err);
/* Seals some rows anew that are not sealed with their tenant's present key; *ret: how many. A row
 * that cannot be opened stays as it is. */
LOOM_MUST_CHECK int kept_renew(struct db *db, struct keyring *ring, int64_t *ret);

#endif
