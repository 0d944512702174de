/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring - the keys that seal data in the database. Each tenant has a random data key, stored in
 * the database (data_key.h) and sealed with a master key, which exists only in files of the
 * services: the keys of master_key_file, newest first, and after them the cluster's key, which is
 * the only one if there is no such file.
 *
 * A key's name is its hash, and sealed data names its key, so any number of keys may be in use.
 * Secrets of a tenant without a data key are sealed directly, as in earlier versions: with a key
 * derived from the cluster's. Such data stays readable for ever.
 *
 * When an unknown key is met the file is read again. Blocking; any thread.
 */
#ifndef LOOM_MODEL_KEYRING_H
#define LOOM_MODEL_KEYRING_H

#include "common/base/config.h"
#include "common/base/seal.h"
#include "common/db/db.h"

#define KEYRING_MASTERS 16 /* maximum of keys in the file */

struct keyring;

struct keyring_config {
	char *master_key_file;
};
extern const struct config_key keyring_config_keys[];

/* Copies the file names. db: for callers without a connection; borrowed, NULL: no data keys. 0, or
 * positive with err: a file is invalid. */
LOOM_MUST_CHECK int keyring_create(const struct keyring_config *cfg, const char *cluster_key_file,
                                   struct db_pool *db, struct keyring **ret, struct loom_err *err);
void keyring_destroy(struct keyring *r);     /* NULL ok */
bool keyring_known(const struct keyring *r); /* false: there is no key, so nothing can be sealed */

/* ---- sealing --------------------------------------------------------------------------------- */

struct keyring_key {
	struct seal_key key; /* derived for the requested use */
	char id[SEAL_KEY_NAME];
	bool direct; /* not a data key */
};

/* The key that now seals a tenant's data of one use. db: the caller's connection; NULL: none. 0, a
 * DB_E_ code, or 500 with err: the tenant's data key cannot be opened. */
LOOM_MUST_CHECK int keyring_current(struct keyring *r, struct db *db, const char *tenant,
                                    const char *use, struct keyring_key *ret, struct loom_err *err);
/* The key derived from the cluster's key. */
void keyring_direct(const struct keyring *r, const char *use, struct keyring_key *ret);
/* The key of this name. 0, a DB_E_ code, or 500 with err: why there is none. */
LOOM_MUST_CHECK int keyring_find(struct keyring *r, struct db *db, const char *use, const char *id,
                                 struct seal_key *ret, struct loom_err *err);

/* Seals a text, with the name of the key, in printable characters; returns owned. */
char *keyring_seal(const struct keyring_key *k, const char *belongs_to, const char *text);
/* Opens a text of keyring_seal(), or of seal_text() with the direct key. *ret owned, wipe it. Other
 * results as above. */
struct keyring_of {
	const char *use, *belongs_to;
};
LOOM_MUST_CHECK int keyring_open(struct keyring *r, struct db *db, const struct keyring_of *of,
                                 const char *sealed, char **ret, struct loom_err *err);

/* ---- master keys ----------------------------------------------------------------------------- */

/* Seals a data key with the newest master key, whose name is written to ret_master. Owned. */
char *keyring_wrap(struct keyring *r, const char *tenant, const struct seal_key *key,
                   char ret_master[SEAL_KEY_NAME]);
/* false with err: the master key is missing, or did not seal this. */
bool keyring_unwrap(struct keyring *r, const char *tenant, const char *master, const char *sealed,
                    struct seal_key *ret, struct loom_err *err);
/* The name of the n-th master key, newest first; the file's come first. false: there are fewer. */
bool keyring_master(struct keyring *r, size_t n, char ret[SEAL_KEY_NAME], bool *ret_of_file);

LOOM_DEFINE_CLEANUP(struct keyring *, keyring_destroy)

#endif
